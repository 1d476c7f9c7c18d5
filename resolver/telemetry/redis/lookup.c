/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evdns, made for one look-up and freed behind it: nothing stays open, no name server is probed
 * later, and /etc/hosts is read as it is now. Its getaddrinfo was rejected, because a request of it
 * cannot be given up without losing memory; two plain questions can. A look-up that is stopped runs
 * to its end unheard, for the same reason: callbacks that evdns has queued cannot be taken back.
 *
 * IPv4 comes first: a network that only seems to have IPv6 lets connections time out, one without
 * IPv4 refuses at once.
 */
#include "resolver/telemetry/redis/lookup.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "resolver/telemetry/redis/name_servers.h"

#define HOSTS_FILE "/etc/hosts"
#define HOST_SIZE 256

struct lookup {
	struct event_base *base;
	struct name_servers *servers;
	lookup_done *done;
	void *context;
	struct evdns_base *dns; /* while questions are out */
	struct event *finish;
	unsigned waiting; /* answers that are to come */
	bool wanted;
	bool restart; /* what is under way is not what is wanted now */
	char host[HOST_SIZE];
	uint16_t port;
	struct endpoint v4[LOOKUP_ADDRESSES_MAX], v6[LOOKUP_ADDRESSES_MAX];
	size_t v4_count, v6_count;
	char words[HOST_SIZE + 64];
};

static void add(struct lookup *lookup, const struct address *address)
{
	bool v4 = address->family == 4;
	size_t *count = v4 ? &lookup->v4_count : &lookup->v6_count;

	if (*count < LOOKUP_ADDRESSES_MAX)
		(v4 ? lookup->v4 : lookup->v6)[(*count)++] =
			(struct endpoint){.address = *address, .port = lookup->port};
}

static void add_text(struct lookup *lookup, const char *text)
{
	struct address address;

	if (address_from_text(&address, text))
		add(lookup, &address);
}

/* --- without asking --- */

/* "address name name … # comment" (hosts(5)). */
static void read_hosts_line(struct lookup *lookup, char *line)
{
	char *rest, *address;

	line[strcspn(line, "#\r\n")] = '\0';
	address = strtok_r(line, " \t", &rest);
	for (const char *name = address ? strtok_r(NULL, " \t", &rest) : NULL; name;
		name = strtok_r(NULL, " \t", &rest)) {
		if (strcasecmp(name, lookup->host) == 0)
			add_text(lookup, address);
	}
}

static void read_hosts(struct lookup *lookup)
{
	FILE *file = fopen(HOSTS_FILE, "re");
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0)
		read_hosts_line(lookup, line);
	free(line);
	if (file)
		fclose(file);
}

static void ask_system(struct lookup *lookup)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	struct endpoint endpoint;

	if (getaddrinfo(lookup->host, NULL, &hints, &list) != 0)
		return;
	for (const struct addrinfo *item = list; item; item = item->ai_next) {
		if (endpoint_from_sockaddr(&endpoint, item->ai_addr))
			add(lookup, &endpoint.address);
	}
	freeaddrinfo(list);
}

/* True when nobody has to be asked. */
static bool find_here(struct lookup *lookup)
{
	add_text(lookup, lookup->host);
	if (lookup->v4_count + lookup->v6_count == 0)
		read_hosts(lookup);
	if (lookup->v4_count + lookup->v6_count == 0 &&
		strcasecmp(lookup->host, "localhost") == 0) {
		add_text(lookup, "127.0.0.1"); /* RFC 6761, 6.3 */
		add_text(lookup, "::1");
	}
	return lookup->v4_count + lookup->v6_count > 0;
}

/* --- name servers --- */

static void on_answer(int result, char type, int count, int ttl, void *addresses, void *context)
{
	struct lookup *lookup = context;

	(void)ttl;
	for (int i = 0; result == DNS_ERR_NONE && i < count; i++) {
		struct address address = type == DNS_IPv4_A
						 ? address_v4((const uint8_t *)addresses + 4 * i)
						 : address_v6((const uint8_t *)addresses + 16 * i);
		add(lookup, &address);
	}
	if (--lookup->waiting == 0)
		event_active(lookup->finish, EV_TIMEOUT, 0);
}

/* Its warnings are said in words of ours. */
static void say_nothing(int is_warning, const char *text)
{
	(void)is_warning;
	(void)text;
}

static bool ask_servers(struct lookup *lookup, const struct endpoint servers[], size_t count)
{
	struct sockaddr_storage address;

	evdns_set_log_fn(say_nothing);
	lookup->dns = evdns_base_new(lookup->base, 0);
	if (!lookup->dns)
		return false;
	evdns_base_set_option(lookup->dns, "timeout:", "1");
	evdns_base_set_option(lookup->dns, "attempts:", "4");
	evdns_base_set_option(lookup->dns, "max-timeouts:", "255");
	for (size_t i = 0; i < count; i++) {
		socklen_t length = endpoint_to_sockaddr(&servers[i], &address);
		evdns_base_nameserver_sockaddr_add(
			lookup->dns, (struct sockaddr *)&address, length, 0);
	}
	lookup->waiting = 2;
	if (!evdns_base_resolve_ipv4(
		    lookup->dns, lookup->host, DNS_QUERY_NO_SEARCH, on_answer, lookup))
		lookup->waiting--;
	if (!evdns_base_resolve_ipv6(
		    lookup->dns, lookup->host, DNS_QUERY_NO_SEARCH, on_answer, lookup))
		lookup->waiting--;
	return lookup->waiting > 0;
}

static void begin(struct lookup *lookup)
{
	lookup->restart = false;
	lookup->v4_count = lookup->v6_count = 0;
	snprintf(lookup->words, sizeof(lookup->words), "no address of %s was found", lookup->host);
	if (!find_here(lookup)) {
		struct endpoint servers[NAME_SERVERS_MAX];
		size_t count = name_servers_get(lookup->servers, servers);

		if (count > 0 && ask_servers(lookup, servers, count))
			return;
		if (count == 0)
			ask_system(lookup);
	}
	event_active(lookup->finish, EV_TIMEOUT, 0);
}

static void on_finish(evutil_socket_t fd, short what, void *context)
{
	struct lookup *lookup = context;
	struct endpoint all[2 * LOOKUP_ADDRESSES_MAX];

	(void)fd;
	(void)what;
	if (lookup->waiting > 0)
		return; /* it was meant for a look-up that was stopped */
	if (lookup->dns)
		evdns_base_free(lookup->dns, 0);
	lookup->dns = NULL;
	if (!lookup->wanted)
		return;
	if (lookup->restart) {
		begin(lookup);
		return;
	}
	lookup->wanted = false;
	memcpy(all, lookup->v4, lookup->v4_count * sizeof(all[0]));
	memcpy(all + lookup->v4_count, lookup->v6, lookup->v6_count * sizeof(all[0]));
	size_t count = lookup->v4_count + lookup->v6_count;
	lookup->done(lookup->context, all,
		count < LOOKUP_ADDRESSES_MAX ? count : LOOKUP_ADDRESSES_MAX, lookup->words);
}

/* --- public --- */

struct lookup *lookup_new(struct event_base *base, struct name_servers *servers, lookup_done *done,
	void *context)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));

	if (!lookup)
		return NULL;
	lookup->base = base;
	lookup->done = done;
	lookup->context = context;
	lookup->servers = servers;
	lookup->finish = evtimer_new(base, on_finish, lookup);
	if (!lookup->finish)
		lookup_free(&lookup);
	return lookup;
}

void lookup_free(struct lookup **lookup)
{
	if (!*lookup)
		return;
	if ((*lookup)->dns)
		evdns_base_free((*lookup)->dns, 0);
	if ((*lookup)->finish)
		event_free((*lookup)->finish);
	free(*lookup);
	*lookup = NULL;
}

void lookup_start(struct lookup *lookup, const char *host, uint16_t port)
{
	snprintf(lookup->host, sizeof(lookup->host), "%s", host);
	lookup->port = port;
	lookup->wanted = true;
	lookup->restart = lookup->dns != NULL;
	if (!lookup->restart)
		begin(lookup);
}

void lookup_stop(struct lookup *lookup)
{
	lookup->wanted = false;
}
