/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Prometheus is told: facts, collected of Redis and of the daemon beside us (metrics.c), and
 * their text (metrics_write.c), which is a function of the facts alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"
#include "resolver/control/client.h"
#include "resolver/control/dashboard/access.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/telemetry/redis/reader.h"
#include "resolver/telemetry/redis/reader_clients.h"

#define METRICS_ZONES_MAX 64

struct metrics_zone {
	const char *name, *kind, *mode; /* mode NULL: not known */
	uint64_t rules;                 /* in force; only with a mode */
	bool has_hits;
	uint64_t hits;            /* watched and blocked answers, of all clients */
	struct reader_ranks top;  /* clients by hits */
	struct reader_ranks last; /* clients by last hit, Unix ms */
};

/* A resolver. Texts are what Redis and the daemon say: hostile. */
struct metrics_resolver {
	const char *name;
	bool up;        /* its daemon answers, or holds its lease */
	bool has_redis; /* what follows was read */
	struct reader_fields meta, totals;
	const struct control_answer *status; /* of the daemon beside us; NULL: of no other */
	struct metrics_zone *zones;
	size_t zone_count;
	struct reader_client_row
		*told; /* of those in `last`: when they were told a Teredo server */
	size_t told_count;
};

struct metrics_facts {
	bool redis_on, redis_up;
	int64_t now_ms;
	struct metrics_resolver *resolvers;
	size_t resolver_count;
	uint64_t missing;                  /* resolvers that could not be read */
	const struct dashboard *dashboard; /* NULL: none of its figures, and none of `access` */
	struct access_counts access;
};

void metrics_write(struct strbuf *out, const struct metrics_facts *facts);

/* A figure of the daemon: its own word, else the gauge that Redis has. False: neither says. */
bool metrics_figure(const struct metrics_resolver *resolver, const char *name, uint64_t *value);
