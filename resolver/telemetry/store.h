/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way into Redis: keeps a connection (AUTH, SELECT, schema check, script), sends one batch at a
 * time and says when it was applied. Whatever goes wrong, the batch is kept and sent again, after a
 * back-off of 100 ms to 5 s; nothing here ever waits. Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "resolver/telemetry/batch.h"

struct event_base;
struct store;

struct store_callbacks {
	/* It may be given a batch. */
	void (*ready)(void *context);
	/* The batch of this number is in Redis. Followed by ready. */
	void (*applied)(void *context, uint64_t number);
	/* store_status would say something else now. */
	void (*changed)(void *context);
};

struct store_status {
	bool connected;             /* and taking batches */
	const char *words;          /* the last failure, "" when none */
	int64_t recording_since_ms; /* from meta, 0 unknown */
};

/* NULL and a logged error: the URL is not understood, out of memory. Connects when the loop runs.
 */
struct store *store_new(struct event_base *base, const char *url, const char *resolver_name,
	const struct store_callbacks *callbacks, void *context);
void store_free(struct store **store); /* no callback */

bool store_is_ready(const struct store *store);

/* The store must be ready. batch stays valid and unchanged until applied, over any number of
 * connections. */
void store_send(struct store *store, struct batch *batch);

void store_status(const struct store *store, struct store_status *out);

/* The script's source, for tests. */
extern const char store_script[];
