/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way into Redis: keeps a connection (redis_link.h; schema check, script, lease), sends one
 * batch at a time and says when it was applied. Whatever goes wrong, it connects again after a
 * back-off of 100 ms to 5 s, says what Redis holds, and asks for the batch again; nothing here ever
 * waits. Loop thread only.
 *
 * Of two daemons with one resolver name one writes: it holds a lease in Redis, renewed by every
 * batch or every few seconds, given back at a clean stop. The other waits until it ends. A daemon
 * of the same instance (that is, the next one over the same state directory) takes it at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "resolver/telemetry/batch.h"
#include "resolver/telemetry/journal.h"

struct event_base;
struct redis_access;
struct redisReply;
struct store;

struct store_callbacks {
	/* Redis was reached and we may write. It holds these batches of these boots; store is its
	 * marker, "" none yet. Followed by ready. */
	void (*connected)(void *context, const char *store, const struct journal_applied *applied,
		size_t count);
	/* It may be given a batch. */
	void (*ready)(void *context);
	/* The batch is in Redis, whose marker is store. Followed by ready. */
	void (*applied)(void *context, const struct batch *batch, const char *store);
	/* The reply to store_ask, which may be an error. Followed by ready. */
	void (*replied)(void *context, const struct redisReply *reply);
	/* store_status would say something else now. */
	void (*changed)(void *context);
	/* A batch brought it out that a remediated client asks again; NULL: nobody wants to know. Text
	 * is what Redis holds, not checked. */
	void (*returned)(void *context, const char *client, const char *zone, int64_t at_ms);
};

struct store_status {
	bool connected;             /* and taking batches */
	const char *words;          /* the last failure, "" when none */
	int64_t recording_since_ms; /* from meta, 0 unknown */
};

struct store_identity {
	const char *resolver_name; /* the strings are copied */
	const char *instance;      /* 16 hexadecimal digits: who asks for the lease */
	const char *boot;
};

#define STORE_LEASE_MS 15000

/* access is what the URL does not say, NULL for nothing; it is copied. NULL and a logged error: the
 * URL is not understood, TLS cannot be set up, out of memory. Connects when the loop runs. */
struct store *store_new(struct event_base *base, const char *url,
	const struct redis_access *access, const struct store_identity *identity,
	const struct store_callbacks *callbacks, void *context);
void store_free(struct store **store); /* no callback */

bool store_is_ready(const struct store *store);

/* The store must be ready. batch stays valid and unchanged until applied or ready. */
void store_send(struct store *store, struct batch *batch);

/* A command of the caller's; the store must be ready, the arguments stay valid until replied. Where the
 * connection is lost before, only ready follows, later: the caller asks again. */
void store_ask(
	struct store *store, size_t argc, const char *const argv[], const size_t lengths[]);

/* Gives the lease back; true when that is done or cannot be done. Called again until then, and no
 * batch is sent any more. */
bool store_release(struct store *store);

void store_status(const struct store *store, struct store_status *out);

/* The script's source, for tests. */
extern const char store_script[];
