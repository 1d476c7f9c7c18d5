/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all threads of `teredown dashboard` share. One thread has the loop and speaks HTTP (http.h),
 * a few answer (api.h, in a pool.h), one builds the overview (live.h). Whatever a thread writes
 * here is atomic or stands behind the lock that is named with it.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/control/cli.h"
#include "resolver/options.h"

/* Figures of ours, for /metrics and the page of health. Only `streams` and `connections` go down.
 */
#define DASHBOARD_FIGURES(X)                                                                \
	X(requests)        /* that were answered, in whatever way */                        \
	X(refused)         /* of these, with a status of 4xx or 503 */                      \
	X(overloaded)      /* of these, because too many waited */                          \
	X(evicted)         /* connections closed to make room for others */                 \
	X(slow)            /* connections closed: a request or its reply took too long */   \
	X(connections)     /* that are open */                                              \
	X(streams)         /* of these, that follow /api/v1/live */                         \
	X(streams_refused) /* because there were enough */                                  \
	X(streams_dropped) /* because the other end did not read */

struct dashboard_figures {
#define X(name) _Atomic uint64_t name;
	DASHBOARD_FIGURES(X)
#undef X
};

/* The configuration as it was read once; immutable, freed by the last who drops it. */
struct dashboard_options {
	atomic_uint holders;
	struct options *options;
};

/* Whether Redis is worth a try: while it was away a moment ago, one thread tries and the others say
 * what it found. */
struct dashboard_gate {
	pthread_mutex_t mutex; /* guards the rest */
	bool away, trying;
	int64_t until_ms; /* monotonic */
	char words[READER_WORDS_MAX];
};

struct client_tables;
struct http;
struct live;
struct watch_cache;
struct overviews;
struct sessions;

struct dashboard {
	const char *program, *config; /* as of struct cli */
	bool config_given;
	bool fleet;         /* --fleet: all resolvers unless a request names one */
	bool tls;           /* spoken on all of our addresses */
	int64_t started_ms; /* wall clock */
	struct dashboard_figures figures;
	struct dashboard_gate gate;
	struct http *http;         /* http.h: the loop's */
	struct live *live;         /* live.h: the loop's */
	struct client_tables *clients; /* client_table.h */
	struct overviews *overviews;   /* overview.h */
	struct sessions *sessions; /* session.h */
	struct watch_cache *watch; /* watch.h */

	pthread_mutex_t options_mutex; /* guards options */
	struct dashboard_options *options;
};

/* The configuration in force; never NULL. Any thread; given back with dashboard_options_drop. */
struct dashboard_options *dashboard_options_hold(struct dashboard *dashboard);
void dashboard_options_drop(struct dashboard_options *options); /* NULL is fine */

/* Runs until SIGTERM or SIGINT; Returns an exit code. */
int dashboard_run(struct cli *cli, bool fleet);

int64_t dashboard_wall_ms(void);
int64_t dashboard_mono_ms(void);
