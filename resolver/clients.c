/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of the main thread that writes struct identity_shared. A key that is renewed is looked
 * at once a minute: a timer until midnight would be wrong after every step of the clock.
 */
#include "resolver/clients.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "lib/base/log.h"
#include "resolver/client_names.h"
#include "resolver/feeds.h"
#include "resolver/neighbours.h"
#include "resolver/telemetry/identity_key.h"

#define MINUTE_S 60

struct clients {
	const struct options *options;
	const struct tls_context *tls;
	struct event_base *base;
	struct identity_shared *shared;
	struct neighbours *neighbours;
	struct client_names *names;
	struct event *minute; /* NULL: no key is renewed */
	bool full; /* said once */
};

static int64_t wall_us(void)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	return wall.tv_sec * INT64_C(1000000) + wall.tv_nsec / 1000;
}

static bool load_key(struct clients *clients)
{
	const struct options *options = clients->options;
	struct hash_seed key;
	bool renewed;

	if (options->anonymize != ANONYMIZE_HASH)
		return true;
	if (identity_key_load(options->state_dir, options->anonymize_renew_days, wall_us(), &key,
		    &renewed) != TD_OK)
		return false;
	if (renewed)
		log_info("anonymize: clients have new pseudonyms from now on");
	identity_set_key(clients->shared, &key);
	return true;
}

static void on_neighbour(void *context, const struct address *address, const uint8_t mac[6])
{
	struct clients *clients = context;
	struct address neighbour = address_mac(mac);

	if (clients->names)
		client_names_add_neighbour(clients->names, address, &neighbour);
	if (identity_set_neighbour(clients->shared, address, mac) || clients->full)
		return;
	clients->full = true;
	log_warning("client-identity: more than %d neighbours; the rest are known by their address",
		NEIGHBOURS_MAX);
}

static void on_minute(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	load_key(context);
}

struct clients *clients_new(const struct options *options, const struct tls_context *tls)
{
	struct clients *clients = calloc(1, sizeof(*clients));
	struct hash_seed seed;

	if (!clients || getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
		free(clients);
		return NULL;
	}
	clients->options = options;
	clients->tls = tls;
	clients->shared = identity_shared_new(&seed);
	if (!clients->shared || !load_key(clients)) {
		clients_free(clients);
		return NULL;
	}
	return clients;
}

struct identity_config clients_identity(const struct clients *clients)
{
	const struct options *options = clients->options;

	return (struct identity_config){
		.anonymize = options->anonymize,
		.client = options->client_identity,
		.anonymize_v4 = options->anonymize_prefix_v4,
		.anonymize_v6 = options->anonymize_prefix_v6,
		.prefix_v6 = options->client_prefix,
		.exclude = (const char *const *)options->exclude,
		.exclude_count = options->exclude_count,
		.shared = clients->shared,
	};
}

/* Also without a source: a reload may bring one. */
static bool has_names(const struct clients *clients)
{
	return clients->options->anonymize == ANONYMIZE_OFF;
}

static bool find_name(void *context, const struct address *client, char *out)
{
	struct clients *clients = context;

	return client_names_find(clients->names, client, out);
}

static uint32_t names_generation(void *context)
{
	struct clients *clients = context;

	return client_names_generation(clients->names);
}

struct notes_names clients_names(struct clients *clients)
{
	_Static_assert(CLIENT_NAME_SIZE <= NOTES_NAME_SIZE &&
			       HOST_NAME_MAX_OCTETS <= PENDING_FIELD_MAX,
		"a name has room in a note");
	if (!has_names(clients))
		return (struct notes_names){0};
	return (struct notes_names){clients, find_name, names_generation};
}

static bool start_names(struct clients *clients, struct event_base *base)
{
	const struct options *options = clients->options;
	struct client_names_config config = {
		.sources = (const char *const *)options->client_names,
		.source_count = options->client_names_count,
		.upstream_timeout_ms = options->upstream_timeout_ms,
		.randomize_case = options->randomize_case,
		.upstream_cookies = options->upstream_cookies,
		.upstream_idle_timeout_ms = options->upstream_idle_timeout_ms,
		.tls = clients->tls,
		.allow = (const struct prefix *const *)&options->allow,
		.allow_count = &options->allow_count,
	};

	if (!has_names(clients)) {
		if (options->client_names_count)
			log_warning("client-names: not used while anonymize is on");
		return true;
	}
	if (getrandom(&config.seed, sizeof(config.seed), 0) != (ssize_t)sizeof(config.seed))
		return false;
	config.servers = feeds_routes(options);
	if (config.servers)
		clients->names = client_names_new(&config, base);
	return clients->names != NULL;
}

static bool groups_have_macs(const struct options *options)
{
	for (size_t i = 0; i < options->group_count; i++)
		for (size_t k = 0; k < options->groups[i].client_count; k++)
			if (options->groups[i].clients[k].client.family == ADDRESS_MAC)
				return true;
	return false;
}

static bool needs_neighbours(const struct options *options)
{
	for (size_t i = 0; i < options->exclude_count; i++) {
		if (identity_exclude_is_mac(options->exclude[i]))
			return true;
	}
	return options->client_identity == CLIENT_IS_MAC || groups_have_macs(options);
}

/* They stay open where a reload takes the last reason away. */
static bool follow_neighbours(struct clients *clients)
{
	if (!clients->neighbours && needs_neighbours(clients->options))
		clients->neighbours = neighbours_open(clients->base, on_neighbour, clients);
	return clients->neighbours || !needs_neighbours(clients->options);
}

void clients_set_upstream(struct clients *clients)
{
	const struct options *options = clients->options;

	if (!clients->names)
		return;
	struct route_table *servers = feeds_routes(options);

	if (servers)
		client_names_set_servers(
			clients->names, servers, options->upstream_timeout_ms);
	else
		log_error("client-names: out of memory: reverse look-ups go to the servers before");
}

bool clients_reload(struct clients *clients)
{
	const struct options *options = clients->options;
	bool good = follow_neighbours(clients);

	clients_set_upstream(clients);

	return (!clients->names || client_names_set_sources(clients->names,
					   (const char *const *)options->client_names,
					   options->client_names_count)) &&
	       good;
}

static bool start_renewing(struct clients *clients)
{
	static const struct timeval minute = {.tv_sec = MINUTE_S};
	const struct options *options = clients->options;

	if (options->anonymize != ANONYMIZE_HASH || options->anonymize_renew_days == 0)
		return true;
	clients->minute = event_new(clients->base, -1, EV_PERSIST, on_minute, clients);
	return clients->minute && event_add(clients->minute, &minute) == 0;
}

bool clients_start(struct clients *clients, struct event_base *base)
{
	clients->base = base;
	return start_names(clients, base) && follow_neighbours(clients) && start_renewing(clients);
}

void clients_free(struct clients *clients)
{
	if (!clients)
		return;
	neighbours_close(clients->neighbours);
	client_names_free(clients->names);
	if (clients->minute)
		event_free(clients->minute);
	identity_shared_free(clients->shared);
	free(clients);
}
