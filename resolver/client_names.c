/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table a source: a file is read into a new one, which then takes the place of the old one under
 * the lock. Modification time, size and inode say whether a file changed (polled: inotify would
 * follow neither a rename by the DHCP server nor a network file system).
 *
 * Reverse lookups are wanted by whoever asks for a name in vain, and started by a timer, at most
 * ten a second; both answers and failures are remembered for a while. They go to the upstream
 * servers by a client of our own, never to the system's resolver, which may be us.
 */
#include "resolver/client_names.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/table.h"
#include "lib/dns/message.h"
#include "lib/dns/name.h"
#include "lib/dns/reverse.h"
#include "resolver/upstream/routes.h"

#define POLL_S 3
#define EXPIRY_S 60 /* files with leases are read again, because some may have ended */
#define FILE_MAX ((size_t)32 << 20)
#define WANTED_MAX 64
#define LOOKUPS_A_SECOND 10
#define LOOKUPS_OPEN_MAX 20
#define REVERSE_GOOD_S 3600
#define REVERSE_BAD_S 600

struct known_name {
	struct address client;
	int64_t until_s; /* of a reverse lookup, monotonic */
	uint8_t length;  /* 0: none */
	char name[];
};

struct name_source {
	bool reverse;
	enum name_format format;
	char *path;
	struct table table; /* of struct known_name */
	struct timespec changed;
	off_t size;
	ino_t inode;
	int64_t read_s; /* monotonic */
	int failure;    /* errno that was logged last, 0 none */
	bool full;      /* said once */
};

struct lookup {
	struct client_names *names;
	struct lookup *next;
	struct address client;
	struct upstream_request *request;
};

struct source_list {
	size_t count;
	struct name_source sources[CLIENT_NAME_SOURCES_MAX];
};

struct client_names {
	struct client_names_config config; /* without sources */
	struct event_base *base;
	struct source_list list;
	struct table neighbours; /* MAC address → struct known_neighbour */
	struct event *poll, *second;
	struct routes *routes; /* NULL: no reverse lookups */
	struct lookup *lookups;
	unsigned lookup_count;
	_Atomic uint32_t generation;
	pthread_mutex_t lock; /* guards the list, tables and wanted */
	struct address wanted[WANTED_MAX];
	unsigned wanted_count;
};

struct known_neighbour {
	struct address mac, address;
};

static int64_t now_s(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec;
}

static void changed(struct client_names *names)
{
	atomic_fetch_add_explicit(&names->generation, 1, memory_order_relaxed);
}

/* --- tables --- */

static uint64_t hash_of(const struct client_names *names, const struct address *client)
{
	return hash_bytes(&names->config.seed, client, sizeof(*client));
}

static bool known_equal(const void *item, const void *key)
{
	return address_equal(&((const struct known_name *)item)->client, key);
}

static bool neighbour_equal(const void *item, const void *key)
{
	return address_equal(&((const struct known_neighbour *)item)->mac, key);
}

static void table_clear(struct table *table)
{
	for (void *item = table_take_any(table); item; item = table_take_any(table))
		free(item);
	table_deinit(table);
}

static void put_name(struct client_names *names, struct table *table, const struct address *client,
	const char *name, size_t length, int64_t until_s)
{
	uint64_t hash = hash_of(names, client);
	struct known_name *known = malloc(sizeof(*known) + length);

	free(table_remove(table, hash, known_equal, client));
	if (!known)
		return;
	*known = (struct known_name){
		.client = *client, .until_s = until_s, .length = (uint8_t)length};
	memcpy(known->name, name, length);
	if (table_insert(table, hash, known) != TD_OK)
		free(known);
}

/* --- files --- */

struct reading {
	struct client_names *names;
	struct table table;
	enum name_format format;
};

static void on_found(void *context, const struct address *address, const struct address *mac,
	const char *name, size_t length)
{
	struct reading *reading = context;
	struct table *table = &reading->table;

	if (length == 0) {
		free(table_remove(table, hash_of(reading->names, address), known_equal, address));
		return;
	}
	/* In hosts files the first line counts, as gethostbyaddr has it. */
	if (reading->format == NAMES_HOSTS &&
		table_find(table, hash_of(reading->names, address), known_equal, address))
		return;
	put_name(reading->names, table, address, name, length, 0);
	if (mac->family != ADDRESS_NONE)
		put_name(reading->names, table, mac, name, length, 0);
}

static char *read_all(int fd, size_t *size)
{
	char *text = malloc(*size + 1);
	size_t done = 0;

	while (text && done < *size) {
		ssize_t count = read(fd, text + done, *size - done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		done += (size_t)count;
	}
	*size = done;
	return text;
}

static void take_text(
	struct client_names *names, struct name_source *source, const char *text, size_t size)
{
	struct reading reading = {.names = names, .format = source->format};

	table_init(&reading.table, CLIENT_NAMES_MAX);
	name_file_read(source->format, text, size, now_s(CLOCK_REALTIME), on_found, &reading);
	if (reading.table.dropped && !source->full)
		log_warning("client-names: %s: only %d names of it are used", source->path,
			CLIENT_NAMES_MAX);
	source->full = reading.table.dropped > 0;
	pthread_mutex_lock(&names->lock);
	struct table old = source->table;
	source->table = reading.table;
	pthread_mutex_unlock(&names->lock);
	table_clear(&old);
	changed(names);
}

static void complain(struct name_source *source, int error)
{
	if (error && error != source->failure)
		log_warning("client-names: %s: %s; its names stay as they were", source->path,
			strerror(error));
	source->failure = error;
}

static bool is_same(const struct name_source *source, const struct stat *status)
{
	return source->size == status->st_size && source->inode == status->st_ino &&
	       source->changed.tv_sec == status->st_mtim.tv_sec &&
	       source->changed.tv_nsec == status->st_mtim.tv_nsec;
}

/* Reads the file if it changed, or if some leases may have ended since it was read. */
static void look_at(struct client_names *names, struct name_source *source)
{
	bool leases = source->format != NAMES_HOSTS;
	int64_t now = now_s(CLOCK_MONOTONIC);
	struct stat status;
	int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		complain(source, fd < 0 ? errno : EINVAL);
		if (fd >= 0)
			close(fd);
		return;
	}
	if (is_same(source, &status) && (!leases || now - source->read_s < EXPIRY_S)) {
		close(fd);
		return;
	}
	size_t size = (size_t)status.st_size;
	complain(source, size > FILE_MAX ? EFBIG : 0);
	char *text = size > FILE_MAX ? NULL : read_all(fd, &size);
	close(fd);
	source->changed = status.st_mtim;
	source->size = status.st_size;
	source->inode = status.st_ino;
	source->read_s = now;
	if (text)
		take_text(names, source, text, size);
	free(text);
}

static void look_at_all(struct client_names *names, struct source_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!list->sources[i].reverse)
			look_at(names, &list->sources[i]);
	}
}

static void on_poll(evutil_socket_t fd, short what, void *context)
{
	struct client_names *names = context;

	(void)fd;
	(void)what;
	look_at_all(names, &names->list);
}

/* --- reverse lookups --- */

/* The first PTR record of the answer: it may stand at the end of a CNAME (RFC 2317). Length 0 when
 * there is none that can be shown. */
static size_t read_pointer(const uint8_t *reply, size_t size, char out[NAME_TEXT_MAX])
{
	struct wire_reader reader = wire_reader_init(reply, size);
	struct message_header header = message_read_header(&reader);
	struct message_rr rr;
	struct name name;
	uint16_t type, class;

	if (header.qdcount == 1)
		message_read_question(&reader, &name, &type, &class);
	for (unsigned i = 0; i < header.ancount && message_read_rr(&reader, &rr); i++) {
		if (rr.type != TYPE_PTR || rr.rr_class != CLASS_IN)
			continue;
		if (!message_rdata_name(reply, size, &rr, 0, &name) || name.length <= 1)
			return 0;
		size_t length = name_to_text(name.wire, out) - 1;
		bool plain = !memchr(out, '\\', length) && length <= HOST_NAME_MAX_OCTETS;
		return plain ? length : 0;
	}
	return 0;
}

static struct name_source *reverse_source(struct source_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->sources[i].reverse)
			return &list->sources[i];
	}
	return NULL;
}

static void lookup_end(struct lookup *lookup)
{
	struct lookup **at = &lookup->names->lookups;

	while (*at != lookup)
		at = &(*at)->next;
	*at = lookup->next;
	lookup->names->lookup_count--;
	free(lookup);
}

static void remember(
	struct client_names *names, const struct address *client, const char *name, size_t length)
{
	int64_t until_s = now_s(CLOCK_MONOTONIC) + (length ? REVERSE_GOOD_S : REVERSE_BAD_S);
	struct name_source *source = reverse_source(&names->list);

	if (!source)
		return;
	struct table *table = &source->table;
	pthread_mutex_lock(&names->lock);
	if (table->count >= CLIENT_REVERSE_MAX)
		free(table_take_any(table));
	put_name(names, table, client, name, length, until_s);
	pthread_mutex_unlock(&names->lock);
	if (length)
		changed(names);
}

static void on_looked_up(void *context, enum td_error error, const uint8_t *reply, size_t size,
	const struct endpoint *server)
{
	struct lookup *lookup = context;
	char text[NAME_TEXT_MAX];
	size_t length = error == TD_OK ? read_pointer(reply, size, text) : 0;

	(void)server;
	remember(lookup->names, &lookup->client, text, length);
	lookup_end(lookup);
}

static void look_up(struct client_names *names, const struct address *client)
{
	struct upstream_question question = {.qtype = TYPE_PTR};
	struct lookup *lookup = malloc(sizeof(*lookup));
	enum td_error error;

	if (!lookup)
		return;
	*lookup = (struct lookup){.names = names, .next = names->lookups, .client = *client};
	names->lookups = lookup;
	names->lookup_count++;
	reverse_name(client, &question.qname);
	lookup->request = routes_ask(names->routes, &question, on_looked_up, lookup, &error);
	if (lookup->request)
		return;
	remember(names, client, "", 0);
	lookup_end(lookup);
}

static bool may_look_up(const struct client_names *names, const struct address *client)
{
	for (size_t i = 0; i < *names->config.allow_count; i++) {
		if (prefix_contains(&(*names->config.allow)[i], client))
			return true;
	}
	return false;
}

static void on_second(evutil_socket_t fd, short what, void *context)
{
	struct client_names *names = context;
	struct address wanted[LOOKUPS_A_SECOND];
	unsigned count = 0;

	(void)fd;
	(void)what;
	pthread_mutex_lock(&names->lock);
	while (names->wanted_count > 0 && count < LOOKUPS_A_SECOND &&
		names->lookup_count + count < LOOKUPS_OPEN_MAX)
		wanted[count++] = names->wanted[--names->wanted_count];
	pthread_mutex_unlock(&names->lock);
	for (unsigned i = 0; i < count; i++) {
		if (names->routes && may_look_up(names, &wanted[i]))
			look_up(names, &wanted[i]);
		else
			remember(names, &wanted[i], "", 0);
	}
}

/* --- finding --- */

static void want(struct client_names *names, const struct address *client)
{
	if (!address_is_ip(client) || names->wanted_count == WANTED_MAX)
		return;
	for (unsigned i = 0; i < names->wanted_count; i++) {
		if (address_equal(&names->wanted[i], client))
			return;
	}
	names->wanted[names->wanted_count++] = *client;
}

static bool find_locked(struct client_names *names, const struct address *client, char *out)
{
	uint64_t hash = hash_of(names, client);
	bool asked = false, reverse = false;

	for (size_t i = 0; i < names->list.count; i++) {
		const struct name_source *source = &names->list.sources[i];
		const struct known_name *known =
			table_find(&source->table, hash, known_equal, client);
		reverse |= source->reverse;
		if (source->reverse && known && known->until_s > now_s(CLOCK_MONOTONIC))
			asked = true;
		if (!known || known->length == 0)
			continue;
		memcpy(out, known->name, known->length);
		out[known->length] = '\0';
		if (source->reverse && !asked)
			want(names, client); /* the old name serves until there is another */
		return true;
	}
	if (reverse && !asked)
		want(names, client);
	return false;
}

bool client_names_find(struct client_names *names, const struct address *client, char *out)
{
	pthread_mutex_lock(&names->lock);
	bool found = find_locked(names, client, out);
	const struct known_neighbour *neighbour =
		found || client->family != ADDRESS_MAC
			? NULL
			: table_find(&names->neighbours, hash_of(names, client), neighbour_equal,
				  client);
	if (neighbour)
		found = find_locked(names, &neighbour->address, out);
	pthread_mutex_unlock(&names->lock);
	return found;
}

uint32_t client_names_generation(const struct client_names *names)
{
	return atomic_load_explicit(&names->generation, memory_order_relaxed);
}

/* Of several addresses of one host that of IPv4 is kept: it is the one that more often has a name.
 */
void client_names_add_neighbour(
	struct client_names *names, const struct address *address, const struct address *mac)
{
	uint64_t hash = hash_of(names, mac);

	pthread_mutex_lock(&names->lock);
	struct known_neighbour *known = table_find(&names->neighbours, hash, neighbour_equal, mac);
	bool is_new = !known && (known = malloc(sizeof(*known)));
	if (known && (is_new || address->family == ADDRESS_V4))
		*known = (struct known_neighbour){*mac, *address};
	if (is_new && table_insert(&names->neighbours, hash, known) != TD_OK)
		free(known);
	pthread_mutex_unlock(&names->lock);
}

/* --- making and ending --- */

static void list_clear(struct source_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		table_clear(&list->sources[i].table);
		free(list->sources[i].path);
	}
	list->count = 0;
}

static bool list_fill(struct source_list *list, const char *const *sources, size_t count)
{
	*list = (struct source_list){0};
	if (count > CLIENT_NAME_SOURCES_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct name_source *source = &list->sources[i];
		const char *path;
		if (!name_source_read(sources[i], &source->format, &path))
			return false;
		source->reverse = !path;
		table_init(&source->table,
			source->reverse ? CLIENT_REVERSE_MAX : 2 * CLIENT_NAMES_MAX);
		list->count = i + 1;
		if (path && !(source->path = strdup(path)))
			return false;
	}
	return true;
}

static struct upstream_config settings_of(const struct client_names *names)
{
	return (struct upstream_config){.timeout_ms = names->config.upstream_timeout_ms,
		.randomize_case = names->config.randomize_case,
		.cookies = names->config.upstream_cookies,
		.idle_timeout_ms = names->config.upstream_idle_timeout_ms,
		.tls = names->config.tls,
		.requests_max = LOOKUPS_OPEN_MAX};
}

static bool open_reverse(struct client_names *names)
{
	const struct upstream_config settings = settings_of(names);

	if (names->routes)
		return true;
	names->routes = routes_new(names->base, &settings);
	if (names->routes)
		routes_set(names->routes, names->config.servers, &settings);
	return names->routes != NULL;
}

static void cancel_lookups(struct client_names *names)
{
	while (names->lookups) {
		if (names->lookups->request)
			upstream_cancel(names->lookups->request);
		lookup_end(names->lookups);
	}
}

/* What was being looked up is wanted again by whoever asks for the name. */
void client_names_set_servers(
	struct client_names *names, struct route_table *servers, unsigned timeout_ms)
{
	struct route_table *before = names->config.servers;

	names->config.servers = servers;
	names->config.upstream_timeout_ms = timeout_ms;
	cancel_lookups(names);
	if (names->routes) {
		const struct upstream_config settings = settings_of(names);

		routes_set(names->routes, servers, &settings);
	}
	route_table_free(before);
}

/* What was looked up stays known, if it still may be. */
static void take_reverse(struct source_list *into, struct source_list *from)
{
	struct name_source *taker = reverse_source(into), *giver = reverse_source(from);

	if (!taker || !giver)
		return;
	struct table table = taker->table;
	taker->table = giver->table;
	giver->table = table;
}

/* No timer runs for what is not there. */
static void set_timers(struct client_names *names)
{
	static const struct timeval interval = {.tv_sec = POLL_S}, second = {.tv_sec = 1};
	bool reverse = reverse_source(&names->list) != NULL;

	event_del(names->poll);
	event_del(names->second);
	if (names->list.count > reverse)
		event_add(names->poll, &interval);
	if (reverse)
		event_add(names->second, &second);
}

bool client_names_set_sources(
	struct client_names *names, const char *const *sources, size_t source_count)
{
	struct source_list fresh;

	if (!list_fill(&fresh, sources, source_count) ||
		(reverse_source(&fresh) && !open_reverse(names))) {
		list_clear(&fresh);
		return false;
	}
	look_at_all(names, &fresh);
	pthread_mutex_lock(&names->lock);
	take_reverse(&fresh, &names->list);
	struct source_list old = names->list;
	names->list = fresh;
	pthread_mutex_unlock(&names->lock);
	list_clear(&old);
	set_timers(names);
	changed(names);
	return true;
}

struct client_names *client_names_new(
	const struct client_names_config *config, struct event_base *base)
{
	struct client_names *names = calloc(1, sizeof(*names));

	if (!names) {
		route_table_free(config->servers);
		return NULL;
	}
	names->config = *config;
	names->config.source_count = 0;
	names->config.sources = NULL;
	names->base = base;
	pthread_mutex_init(&names->lock, NULL);
	table_init(&names->neighbours, CLIENT_NAMES_MAX);
	names->poll = event_new(base, -1, EV_PERSIST, on_poll, names);
	names->second = event_new(base, -1, EV_PERSIST, on_second, names);
	if (!names->poll || !names->second ||
		!client_names_set_sources(names, config->sources, config->source_count)) {
		client_names_free(names);
		return NULL;
	}
	return names;
}

void client_names_free(struct client_names *names)
{
	if (!names)
		return;
	cancel_lookups(names);
	routes_free(names->routes);
	route_table_free(names->config.servers);
	if (names->poll)
		event_free(names->poll);
	if (names->second)
		event_free(names->second);
	list_clear(&names->list);
	table_clear(&names->neighbours);
	pthread_mutex_destroy(&names->lock);
	free(names);
}
