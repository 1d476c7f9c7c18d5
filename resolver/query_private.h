/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One worker's query engine, shared by the files that are its code: query.c (the path of a query),
 * judge.c (what a client is told, and what is recorded of it), flight.c (questions that are
 * pending), waiter.c (clients that wait for their answers), redirect.c (rules that lead elsewhere).
 */
#pragma once

#include "lib/base/table.h"
#include "resolver/query.h"
#include "resolver/waiting.h"

struct query_flight;
struct waiter;
struct redirect;

struct query_engine {
	struct query_config config;
	const struct query_policy *policy;
	struct table flights;
	TAILQ_HEAD(, query_flight) by_age; /* the oldest first */
	size_t background; /* flights that were begun for nobody, to refresh what is cached */
	struct waiting waiting; /* queries pending */
	TAILQ_HEAD(, waiter) fresh; /* of those: yet to be offered a stale answer, the oldest first */
	bool stopping;
	bool giving_way; /* who is told so now is not led elsewhere, to wait again */
	struct redirect *redirect; /* of the query being judged (redirect.h) */
	uint64_t answer_serial;
	uint64_t own_serial; /* of flights that nobody joins */
	unsigned own_count;
	uint8_t buffer[DNS_MESSAGE_MAX]; /* of replies that were pending */
};

static inline bool query_is_tcp(const struct query_client *client)
{
	return client->path.connection != 0;
}

/*
 * A number for an answer. Worker numbers from 1 keep the values of different workers apart, and 0
 * free for "tells no address".
 */
static inline uint64_t query_next_answer_id(struct query_engine *engine)
{
	return (uint64_t)(engine->config.worker + 1) << 56 | ++engine->answer_serial;
}
