/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that waits for an answer: in the list of its flight, in the order of all that wait
 * (waiting.h), and in that of those who may yet be offered a stale answer. As every client has the
 * same time, the order of arrival is the order of ends, and timers need no heap. The worker's
 * thread only.
 */
#pragma once

#include "resolver/query_private.h"

struct waiter {
	struct waiting_entry entry; /* first */
	TAILQ_ENTRY(waiter) next, fresher;
	struct query_engine *engine;
	struct query_flight *flight; /* NULL: none yet */
	bool is_fresh;
	bool moves; /* a reply was due, and now the answer for its redirect's target is */
	struct redirect *redirect; /* its flight is for the target of a rule; NULL: for its question */
	struct query_client client;
	int64_t received_us;
	uint32_t epoch; /* of the cache when it began to wait */
	struct request request; /* its qname points to spelling */
	uint8_t spelling[NAME_WIRE_MAX];
	size_t query_length;
	uint8_t query[]; /* the client's own bytes, where they are asked for */
};

TAILQ_HEAD(waiter_list, waiter);

/* The client of this slot begins to wait. NULL, dropped and counted: out of memory. Its flight
 * is yet to be set. */
struct waiter *waiter_new(struct query_engine *engine, const struct query_client *client,
	const struct query_slot *slot, int64_t now_us);

/* Answered or not: leaves all lists but that of its flight, and is freed. */
void waiter_free(struct waiter *waiter);

/* Who has waited longest, NULL: nobody. */
struct waiter *waiter_oldest(const struct query_engine *engine);

/* There was no stale answer for this one: it waits on. */
void waiter_note_offered(struct waiter *waiter);

/* One reply each, or waiter->moves: it is to wait for the target of waiter->redirect. The waiter is the
 * caller's to free, or to move. */
void waiter_answer(struct waiter *waiter, const struct answer *answer, const struct now *now);

/* What the cache has by now, stale or not. WAITER_NOT_SERVED: nothing, and nothing was sent. */
enum waiter_served { WAITER_NOT_SERVED, WAITER_SERVED, WAITER_SERVED_STALE };
enum waiter_served waiter_serve_cached(
	struct waiter *waiter, const struct cache_key *key, const struct now *now);

/* An error. cached: of a failure before this client asked. */
void waiter_fail(struct waiter *waiter, const struct failure *failure, bool cached,
	const struct now *now);

/* No reply at all; the caller counts it. */
void waiter_dismiss(const struct waiter *waiter);

/* What a failure is called in an Extended DNS Error; *text: NULL or more words. */
enum ede_code failure_code(const struct failure *failure, bool cached, const char **text);
