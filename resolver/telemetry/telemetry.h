/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counting and recording, beside the packet path and never in its way. A worker adds up in a flat table of its own (tally.h)
 * and writes records into a ring; both go to the one collector thread, which merges, cuts numbered batches, sends them
 * to Redis and writes the query log. May lag or be off while DNS is answered.
 *
 *   worker: tally ──(ring of pointers, there and back)──→ collector: pending → batch n → Redis
 *   worker: records ──(ring)────────────────────────────→ collector: JSON lines → file, stream
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/strbuf.h"
#include "resolver/telemetry/gauges.h"
#include "resolver/telemetry/identity.h"
#include "resolver/telemetry/notes.h"
#include "resolver/telemetry/transaction.h"

enum query_log { QUERY_LOG_OFF, QUERY_LOG_WATCHED, QUERY_LOG_ALL };

/* When the journal's writes are forced to the disk. A killed process loses nothing in either case; a power cut what was not forced. */
enum journal_fsync { JOURNAL_FSYNC_NEVER, JOURNAL_FSYNC_BATCH, JOURNAL_FSYNC_SECOND };

struct redis_access;

/* A client that was marked as remediated asks again, in a zone; told once for each time it comes back, by the collector's thread. The
 * texts are what Redis holds: hostile. */
typedef void telemetry_returned_fn(void *context, const char *client, const char *zone, int64_t at_ms);

struct telemetry_config {
	const char *resolver_name; /* strings are copied */
	const char *version;
	const char *state_dir; /* of the journal; NULL: none is kept */
	const char *memory_dir; /* "auto", "" or a folder on tmpfs: where counts outlive a crash */
	enum journal_fsync journal_fsync;
	const char *redis;         /* a URL (redis_address.h), or "off"; "embedded" is given as the keeper's unix path */
	const struct redis_access *redis_access; /* what the URL does not say; NULL: nothing */
	enum query_log query_log;
	const char *query_log_file; /* NULL or "": none; "-": stdout */
	uint64_t query_log_size;    /* octets at which the file is turned; 0: never */
	unsigned query_log_keep;    /* old files kept then, and of dnstap's */
	const char *dnstap;         /* as dnstap_target_parse takes it; NULL or "": none */
	unsigned dnstap_messages;   /* DNSTAP_CLIENT_QUERY and so on, sink_target.h */
	unsigned workers;
	unsigned retention_days;      /* hours, names, timelines */
	unsigned pair_retention_days;
	size_t clients_max; /* distinct clients held while Redis is away; more go to "*other" */
	size_t details_max; /* distinct (client, name) and (address, client, name) held while Redis is away; more are dropped and counted */
	uint32_t stored_clients_max, stored_names_max; /* in Redis; 0: as schema.h has it */
	struct hash_seed seed;
	struct identity_config identity; /* all zero: a client is its address */
	struct notes_names names;        /* all zero: clients have none; its functions are called by the collector */
	telemetry_returned_fn *returned; /* NULL: nobody wants to know */
	void *returned_context;
};

struct record_packet;
/* Where memory_dir "auto" goes first; whoever may make it gives it to the user that the daemon becomes. */
#define TELEMETRY_RUN_DIR "/run/teredown"

struct telemetry;        /* all of it */
struct telemetry_worker; /* one worker's side: that thread only */

/* Main thread, before workers start. NULL and a logged error when the configuration or memory fails. */
struct telemetry *telemetry_new(const struct telemetry_config *config);

/* Starts the collector thread. */
enum td_error telemetry_start(struct telemetry *telemetry);

/*
 * After the workers ended: drains every ring, sends what is pending for at most timeout_ms, then ends the thread and frees all.
 * What could not be sent stays in the journal for the next start; what does not fit there is logged as a number of queries.
 */
void telemetry_stop(struct telemetry **telemetry, int timeout_ms);

/* Handles of worker 0 … workers-1; they live as long as the telemetry. */
struct telemetry_worker *telemetry_worker(struct telemetry *telemetry, unsigned worker);

/* Worker: the reply of this transaction leaves now. No allocation, no lock, no system call, no formatting. */
void telemetry_answer(struct telemetry_worker *worker, const struct transaction *transaction, const struct now *now);

/* Worker: a packet left for an upstream server, or its reply came (only if dnstap's messages ask for it). Costs as much as telemetry_answer. */
void telemetry_forwarded(struct telemetry_worker *worker, const struct record_packet *packet, const struct now *now);

/* Worker: once a loop turn, after the replies were sent: hands the tally over when it is time, wakes the collector when it sleeps. */
void telemetry_turn(struct telemetry_worker *worker, const struct now *now);

/* Worker: hands over whatever it holds; for a worker's end and for tests. */
void telemetry_flush(struct telemetry_worker *worker, const struct now *now);

/* Main thread: these rules, which are the telemetry's from now on, are what workers are to be told of. Returns those before, to be freed
 * when every worker has the new ones. */
struct identity_rules *telemetry_change_identity(struct telemetry *telemetry, struct identity_rules *rules);
/* Worker: from the next answer on. */
void telemetry_set_identity(struct telemetry_worker *worker, const struct identity_rules *rules);

/* A small number for a zone's name, the same for the life of the process; ZONE_ID_NONE when 255 are used up. Main thread; readers are any. */
uint16_t telemetry_zone_id(struct telemetry *telemetry, const char *name);

/* Any thread: an entry of the `events` stream, e.g. kind "mode", text "teredo watch → block by uid 0". Bounded; dropped ones are counted. */
void telemetry_event(struct telemetry *telemetry, const char *kind, const char *text);

/* Any thread: the daemon's own figures of now, for Redis's meta. Nothing is written where they are what they were. */
void telemetry_gauges(struct telemetry *telemetry, const struct gauges *gauges);

/* Main thread: reopens the query log file (SIGHUP, after rotation). */
void telemetry_reopen(struct telemetry *telemetry);

/* Where records go beside Redis. */
#define SINKS_MAX 3
struct sink_status {
	const char *name;  /* "query-log"; static storage */
	char target[128];  /* the path or address, as configured */
	const char *state; /* in a word or two with hyphens; static storage */
	uint64_t written;  /* lines or messages handed to the system */
	uint64_t dropped;  /* not written, here or on the way here */
};

/* Any thread, a consistent copy of the collector's own figures. */
struct telemetry_status {
	bool store_on;          /* redis is not "off" */
	bool store_connected;
	char store_error[256];  /* last failure in words, "" when none */
	int64_t store_since_us; /* wall: when it became connected or was lost */
	int64_t recording_since_us; /* wall: from Redis's meta, 0 unknown */
	uint64_t batches_applied, batches_waiting; /* waiting counts the one in flight */
	uint64_t queries_applied, queries_waiting; /* answered queries in batches acknowledged / not yet */
	bool journal_on;           /* frozen batches are written to the disk before they are sent */
	uint64_t journal_waiting, journal_queries; /* batches in it that were not acknowledged, and the queries in them */
	uint64_t journal_due;      /* of earlier boots, or lost by Redis: to be sent first */
	uint64_t journal_bytes, journal_failures;
	uint64_t journal_dropped;  /* acknowledged batches that neither the disk nor memory could keep: not to be sent again */
	bool memory_on;            /* counts outlive a crash */
	uint64_t memory_bytes, memory_failures; /* of the log of what is pending; writes that failed */
	uint64_t queries_healed;   /* that an earlier process had left in memory, at the start */
	uint64_t clock_steps;
	uint64_t batches_replayed; /* acknowledged out of the journal; not in batches_applied unless of this boot and for the first time */
	uint64_t details_dropped, events_dropped;
	uint64_t records_dropped; /* not written to the query log, and not in the stream either */
	uint64_t stream_dropped;  /* not kept for Redis's streams, while it was away or slower than they came */
	uint64_t records_written;
	struct notes_suspect suspects[NOTES_SUSPECTS]; /* clients that look like forwarders, the last ones */
	size_t suspect_count;
	uint64_t suspects_ever;
	struct sink_status sinks[SINKS_MAX];
	size_t sink_count;
};
void telemetry_status(struct telemetry *telemetry, struct telemetry_status *out);

/* Main thread: removes what Redis holds of a client (forget.h), beside all else. TD_UNSUPPORTED: Redis is off. TD_FULL: another one is
 * being forgotten. TD_INVALID: this can be no client. */
enum td_error telemetry_forget(struct telemetry *telemetry, const char *client);
struct forget_status;
void telemetry_forget_status(struct telemetry *telemetry, struct forget_status *out);
