/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The real query path on a network and a clock made up by the test: engines (workers) over one
 * cache, upstream questions that are collected until the test answers them, letters that are
 * delivered when the test says so.
 */
#pragma once

#include "lib/dns/compose.h"
#include "resolver/query.h"

#define WORLD_WORKERS 8
#define WORLD_LOG_MAX 256

struct world_ask {
	struct upstream_question question;
	struct query_flight *flight;
	unsigned worker;
	bool open;
};

struct world_reply {
	struct query_client client;
	uint8_t bytes[2048];
	size_t length;
};

struct world_record {
	struct transaction transaction; /* its pointers are dead, but for what is copied below */
	char rule[NAME_TEXT_MAX];
	char qname[NAME_TEXT_MAX];
};

struct world_worker {
	struct world *world;
	unsigned index;
	struct query_engine *engine;
	struct worker_counters counters;
};

struct world {
	struct now now;
	struct cache *cache;
	struct rate_limit *rate_limit; /* policy.rate says at which rate; 0 at first */
	struct policy_index *index;
	struct query_policy policy;
	struct prefix allow;
	struct world_worker workers[WORLD_WORKERS];
	struct world_ask asks[WORLD_LOG_MAX];
	unsigned ask_count;
	struct world_reply replies[WORLD_LOG_MAX]; /* immediate and late ones, in order */
	unsigned reply_count;
	unsigned unanswered_count; /* pending queries that were told to get no reply */
	struct world_record records[WORLD_LOG_MAX];
	unsigned record_count;
	struct {
		unsigned to;
		struct query_letter *letter;
	} post[WORLD_LOG_MAX];
	unsigned post_count;
	enum td_error ask_error; /* TD_OK: asks start */
	unsigned ask_max;        /* so many asks of a worker may be open, more fail with TD_FULL; 0: any */
	bool unreachable;        /* what the engines are told of the servers */
};

/* Zones: RPZ text of a tunnel zone "tunnel" and of a local zone "local" before it; NULL: empty.
 * Mode watch. */
void world_open(struct world *world, const char *tunnel_zone, const char *local_zone);
void world_close(struct world *world);

/* Every query that was received is accounted for, in each worker. */
void world_assert_balance(const struct world *world);

void world_set_mode(struct world *world, enum policy_mode mode);
void world_advance_ms(struct world *world, int64_t ms);

struct world_query {
	const char *name;
	uint16_t type;
	uint16_t id;
	uint16_t flags;        /* RD is added */
	uint16_t edns_payload; /* 0: no EDNS */
	bool dnssec_ok;
	bool tcp;
	uint8_t client; /* 192.0.2.<client> */
	bool subnet; /* says 192.0.2.0/24 */
};

/* The time goes on, and every worker is called when it is due. */
void world_run_ms(struct world *world, int64_t ms);

/* Sends it to a worker. Returns the reply that came at once, or NULL. */
const struct world_reply *world_ask(
	struct world *world, unsigned worker, const struct world_query *query);

/* Starts the upstream's reply to ask number n, to be filled with compose_rr*, and sends it. */
void world_upstream_begin(struct world *world, unsigned n, struct compose *compose, uint8_t *buffer,
	size_t size, uint16_t flags);
void world_upstream_send(struct world *world, unsigned n, struct compose *compose);
void world_upstream_fail(struct world *world, unsigned n, enum td_error error);

/* Reply to ask n with one address record (type of the question, last octet). */
void world_upstream_address(struct world *world, unsigned n, uint32_t ttl_s, uint8_t last_octet);

/* The same with an error code and no records. */
void world_upstream_rcode(struct world *world, unsigned n, uint16_t rcode);

/* Delivers every letter, also those that deliveries cause. */
void world_deliver(struct world *world);

/* The Extended DNS Error of a reply, -1: none. */
int world_ede(const struct world_reply *reply);

/* What a reply says. */
uint16_t world_rcode(const struct world_reply *reply);
uint16_t world_flags(const struct world_reply *reply);
uint16_t world_count(const struct world_reply *reply, unsigned section); /* 0 … 3 of the header */
/* Record n of the answer, authority or additional sections counted through; false at the end. */
bool world_record_at(const struct world_reply *reply, unsigned n, struct message_rr *rr);
