/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Forgetting a client: everything that Redis holds of it goes, and what it counted for goes to
 * "*other", so that totals stay. A machine that says which command to send next; the collector
 * sends them between its batches, each so small that Redis is busy for milliseconds. It may be run
 * again at any time, also after it was interrupted.
 *
 * What was answered before the request must not come back behind it: so it first waits until
 * everything counted is in Redis, then batches that the journal keeps of before are dropped (the
 * collector's business, see forget_begin), and only then keys are gone through.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

#define FORGET_CLIENT_MAX 256 /* with its NUL */

struct forget;
struct redisReply;

enum forget_state {
	FORGET_IDLE,
	FORGET_WAITING, /* until what was counted is stored */
	FORGET_RUNNING,
	FORGET_DONE,
	FORGET_FAILED
};

struct forget_status {
	enum forget_state state;
	char client[FORGET_CLIENT_MAX];
	char words[160];           /* why it failed */
	uint64_t scanned, keys;    /* keys gone through; those that Redis held at the beginning */
	uint64_t deleted, removed; /* keys, and rows of others */
};

/* NULL: out of memory. The strings are copied. instance: who holds the lease, see store.h. */
struct forget *forget_new(const char *resolver_name, const char *instance);
void forget_free(struct forget **forget);

/* Any thread. TD_FULL: another client is being forgotten. TD_INVALID: this can be no client. */
enum td_error forget_request(struct forget *forget, const char *client);
void forget_status(struct forget *forget, struct forget_status *out);

/* --- the collector's thread --- */

/* True once for a request: all that was counted before it is stored, and keys are gone through from
 * now on. stored: nothing waits at the moment. */
bool forget_begin(struct forget *forget, const struct now *now, bool stored);

/* A new connection, perhaps to another server, where a cursor of SCAN would pass over keys: they are
 * gone through from the first one again. */
void forget_reconnected(struct forget *forget);

/* The next command; false when there is none. It stays valid until forget_replied, and is returned
 * again until then. */
struct forget_command {
	size_t argc;
	const char *const *argv;
	const size_t *lengths;
};
bool forget_next(struct forget *forget, struct forget_command *out);
void forget_replied(struct forget *forget, const struct redisReply *reply);

/* The script's source, for tests. */
extern const char forget_script[];
