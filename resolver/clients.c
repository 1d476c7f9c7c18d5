/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of the main thread that writes struct identity_shared. The key is looked at once a
 * minute: a timer until midnight would be wrong after every step of the clock.
 */
#include "resolver/clients.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "lib/base/log.h"
#include "resolver/neighbours.h"
#include "resolver/telemetry/identity_key.h"

#define MINUTE_S 60

struct clients {
	const struct options *options;
	struct identity_shared *shared;
	struct neighbours *neighbours;
	struct event *minute;
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

	if (identity_set_neighbour(clients->shared, address, mac) || clients->full)
		return;
	clients->full = true;
	log_warning("client-identity: more than %d neighbours; the rest are known by their address",
		NEIGHBOURS_MAX);
}

static void on_minute(evutil_socket_t fd, short what, void *context)
{
	struct clients *clients = context;

	(void)fd;
	(void)what;
	if (clients->options->anonymize_renew_days)
		load_key(clients);
}

struct clients *clients_new(const struct options *options)
{
	struct clients *clients = calloc(1, sizeof(*clients));
	struct hash_seed seed;

	if (!clients || getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
		free(clients);
		return NULL;
	}
	clients->options = options;
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

bool clients_start(struct clients *clients, struct event_base *base)
{
	static const struct timeval minute = {.tv_sec = MINUTE_S};

	if (clients->options->client_identity == CLIENT_IS_MAC) {
		clients->neighbours = neighbours_open(base, on_neighbour, clients);
		if (!clients->neighbours)
			return false;
	}
	clients->minute = event_new(base, -1, EV_PERSIST, on_minute, clients);
	return clients->minute && event_add(clients->minute, &minute) == 0;
}

void clients_free(struct clients *clients)
{
	if (!clients)
		return;
	neighbours_close(clients->neighbours);
	if (clients->minute)
		event_free(clients->minute);
	identity_shared_free(clients->shared);
	free(clients);
}
