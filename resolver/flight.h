/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions that are pending: the upstream question, the clients that wait for it, and the workers
 * that subscribed to it. One question is asked once in the whole process: a mark in the cache says
 * which worker does. The worker's thread only.
 */
#pragma once

#include "resolver/query_private.h"

/*
 * The client of this slot waits for the answer to its question: joins a flight, or starts one. Where
 * there are too many, of this client or of all, the one that has waited longest gives way.
 */
void flight_wait(struct query_engine *engine, const struct query_client *client,
	struct query_slot *slot, const struct cache_key *key, const struct now *now);

/* Whether a client gets the stale answer at once: nobody could answer lately, or nobody can. */
bool flight_need_not_wait(const struct query_engine *engine, const struct request *request,
	const struct cache_hit *stale);

/*
 * Asks anew what is cached, for no client; unless somebody asks already, or too much is asked like
 * that.
 */
enum flight_reason { FLIGHT_PREFETCH /* before it expires */, FLIGHT_STALE /* after that */, FLIGHT_LEARN /* somebody wants to know */ };
void flight_refresh(struct query_engine *engine, const struct request *request,
	const struct cache_key *key, enum flight_reason reason, const struct now *now);

/* Ends all flights, at the engine's end: nobody is answered. */
void flight_end_all(struct query_engine *engine);
