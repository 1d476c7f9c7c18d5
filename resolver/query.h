/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One query's path, for one worker: parse, access, policy, cache, in-flight, upstream, reply,
 * record. It owns the questions that are pending and knows neither sockets nor clocks nor threads:
 * what it needs of them are the functions of struct query_io, so tests drive the same code on a
 * fake network and a fake clock.
 *
 * A client's query stays with the worker that received it. A question that another worker is
 * already asking is not mailed away: this worker subscribes there, and gets a copy of the answer by
 * letter.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mailbox.h"
#include "lib/dns/request.h"
#include "policy/policy.h"
#include "resolver/cache.h"
#include "resolver/counters.h"
#include "resolver/rate_limit.h"
#include "resolver/rebinding.h"
#include "resolver/site.h"
#include "resolver/telemetry/identity.h"
#include "resolver/telemetry/transaction.h"

#define QUERY_WORKERS_MAX 64

/* Where a reply has to go: opaque to this module, copied with the query. */
struct reply_path {
	uint32_t listener;    /* index of the address that was asked */
	uint32_t connection;  /* TCP: slot + 1; 0: UDP */
	uint32_t serial;      /* TCP: which connection of that slot */
	uint32_t interface;   /* UDP on a wildcard address: where the query came in */
	struct address local; /* UDP on a wildcard address: the address that was asked */
};

struct notify_zones;

struct query_client {
	struct endpoint peer;   /* where the reply goes */
	struct endpoint origin; /* who asks: the peer, unless a PROXY header named another */
	struct reply_path path;
};

/* What a reload can change: the policy in force with the zones' numbers in telemetry, and whom to
 * serve. Immutable; outlives its use by the worker. */
struct query_policy {
	struct policy_view view;
	uint16_t zone_id[POLICY_ZONES_MAX];
	struct policy_groups *groups; /* those of the view, freed with the policy; NULL: none */
	const struct identity_shared *neighbours; /* where groups have MAC addresses; NULL: not looked at */
	const struct site *site;    /* hosts files and sections forward; NULL: none */
	enum ede_code reason[POLICY_ZONES_MAX]; /* of what the zone blocks */
	const struct prefix *allow; /* clients outside are refused */
	size_t allow_count;
	const struct prefix *proxies; /* each of their datagrams and connections begins with a PROXY header */
	size_t proxy_count;
	const struct prefix *forwarders; /* what they say of their clients is believed (lib/dns/forwarded.h) */
	size_t forwarder_count;
	uint32_t block_ttl_s;  /* of denials made here */
	int64_t stale_wait_us; /* how long a client waits before it gets an expired answer; below
				  0: it never does */
	int64_t wait_max_us; /* then a client has given up, and gets no answer; 0: no such time */
	struct answer_limits limits; /* TTLs of what is cached */
	struct rebinding_rules rebinding;
	bool trust_ad; /* AD of upstream is passed on */
	bool keep_dnssec; /* no rule changes a signed answer to who asks for signatures */
	const struct name *subnet_zones; /* in lower case: below them a client's subnet is passed on */
	size_t subnet_zone_count;
	struct cookie_secrets cookies; /* none: cookies are off */
	struct notify_zones *notify; /* whose primaries may say that they changed; NULL: none */
	struct rate rate;     /* at which each client may ask */
	const struct prefix *rate_exempt; /* but for these */
	size_t rate_exempt_count;
};

/* A reply on its way out. The listener keeps it until the system has taken the reply, then calls
 * query_sent. */
struct query_slot {
	struct transaction transaction;
	struct request request;
	char rule[NAME_TEXT_MAX];
	const struct redirect *redirect; /* of judge.c, while the query is judged; NULL: none */
	bool waits; /* set by query_handle: io.respond is or was called for it, once */
};

struct query_flight;

/* Carries a subscription to, or an answer from, another worker. */
struct query_letter {
	struct letter letter;
	bool is_result;
	unsigned from; /* worker */
	struct cache_key key;
	struct upstream_question question;
	enum td_error error;   /* result: TD_OK, TD_NOT_FOUND (look again), or why there is none */
	uint16_t rcode;        /* result: of an upstream's refusal */
	struct answer *answer; /* result with TD_OK: given to the receiver */
};

struct query_io {
	void *context;
	/* Starts an upstream question; query_answered is called later with this flight. The handle,
	 * or NULL and *error. */
	void *(*ask)(void *context, const struct upstream_question *question,
		struct query_flight *flight, enum td_error *error);
	void (*cancel)(void *context, void *handle);
	/* True when all servers that could be asked are known to be silent. */
	bool (*unreachable)(void *context, const struct upstream_question *question);
	/* Sends a reply that was pending. TD_OK, TD_NOT_FOUND (the TCP client is gone), TD_IO.
	 * Length 0: there will be none, which only gives the query's place among those of its
	 * connection back. */
	enum td_error (*respond)(void *context, const struct query_client *client,
		const uint8_t *reply, size_t length);
	/* Gives the letter to that worker's query_receive. */
	void (*mail)(void *context, unsigned worker, struct query_letter *letter);
	/* A packet of an opcode that is none of ours: the length of its reply, 0 where it gets the
	 * usual one (NULL: always). */
	size_t (*notify)(void *context, const struct query_policy *policy, const uint8_t *packet,
		size_t size, const struct query_client *client, const struct now *now,
		uint8_t *reply, size_t capacity);
	/* This reply has left. */
	void (*record)(void *context, const struct transaction *transaction, const struct now *now);
};

struct query_config {
	unsigned worker; /* 0 … QUERY_WORKERS_MAX-1 */
	struct cache *cache;
	struct rate_limit *rate_limit; /* of all workers; NULL: nobody is limited */
	struct worker_counters *counters;
	struct query_io io;
	uint16_t keepalive_ds; /* how long a TCP client may be idle, in tenths of a second; 0: untold */
	struct loop_watch *loops; /* hears of clients' questions that are our own; NULL: none */
	bool keep_queries; /* transactions carry the client's own bytes and where they came in */
	const struct endpoint *listen; /* by a path's listener; outlives the engine */
	size_t listen_count;
	size_t waiters_max;            /* queries pending at once */
	size_t questions_max;          /* asked for them at once; 0: as many */
	size_t waiters_per_client_max; /* of one client, so that it leaves room for the others */
	struct hash_seed seed;
};

struct query_engine;

struct query_engine *query_engine_new(const struct query_config *config); /* NULL: out of memory */

/* Pending queries are counted as dropped_gone; marks and upstream requests are given back. */
void query_engine_free(struct query_engine *engine);

/* Between two queries. The policy before it is not used any more when this returns. */
void query_set_policy(struct query_engine *engine, const struct query_policy *policy);

/* True when peer has to begin with a PROXY header. */
bool query_is_proxy(const struct query_engine *engine, const struct address *peer);

/*
 * Takes a PROXY header of client->peer off: *length octets at the front, and client->origin. TD_OK;
 * TD_TRUNCATED (of a stream: wait for more), TD_MALFORMED. What is then dropped is counted by
 * query_drop_proxied.
 */
enum td_error query_read_proxy(
	struct query_client *client, const uint8_t *data, size_t size, size_t *length);
void query_drop_proxied(struct query_engine *engine);

/*
 * A packet from a client. Returns the length of the reply put into reply (capacity at least 1232,
 * for TCP 65535); then call query_sent or query_unsent with the same slot. 0: nothing to send now
 * (pending, or dropped and counted).
 */
size_t query_handle(struct query_engine *engine, const uint8_t *packet, size_t size,
	const struct query_client *client, const struct now *now, struct query_slot *slot,
	uint8_t *reply, size_t capacity);
void query_sent(struct query_engine *engine, struct query_slot *slot, const struct now *now);
void query_unsent(struct query_engine *engine);

/* How long it took to send so many of the replies that query_handle gave; each is to be told of once. */
void query_took(struct query_engine *engine, unsigned replies, int64_t took_us);

/* What upstream said to a flight. TD_OK with the message and its server, or why there is none. */
void query_answered(struct query_engine *engine, struct query_flight *flight, enum td_error error,
	const uint8_t *reply, size_t size, const struct endpoint *server, const struct now *now);

/*
 * Asks upstream for no client, into the cache, whatever is there; unless somebody is asking, or too
 * much is asked like that. The name is folded.
 */
void query_learn(struct query_engine *engine, const struct name *name, uint16_t type,
	const struct now *now);

/*
 * Servers answer again, of which all were silent: what they left unanswered is asked anew, for those
 * who wait still and for the cache.
 */
void query_upstream_back(struct query_engine *engine, const struct now *now);

/* There are other servers to ask: the same, and no failure is held any more. */
void query_upstream_changed(struct query_engine *engine, const struct now *now);

/*
 * Time: query_tick is to be called at query_next_due (mono, INT64_MAX: not at all), which may have
 * changed after every other call. It may leave more for a next call at once.
 */
int64_t query_next_due(const struct query_engine *engine);
void query_tick(struct query_engine *engine, const struct now *now);

/* A letter for this worker; taken over. */
void query_receive(struct query_engine *engine, struct query_letter *letter, const struct now *now);

/* From now on only what is known is answered: no question goes upstream for a client any more. */
void query_stop(struct query_engine *engine);

size_t query_pending(const struct query_engine *engine); /* queries without a reply yet */
