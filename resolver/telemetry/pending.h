/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was counted and never sent: the collector merges tallies into it, batches are cut from it
 * (batch.h). While Redis is away everything here merges with its like, so it is bounded by the
 * number of clients and by details_max, not by time. Clients beyond the bound are counted under
 * "*other"; details beyond theirs are dropped and counted; of lines the oldest go. One thread.
 *
 * Names are counted in a sketch of known error, in generations: what is counted now (`sketch`), and
 * the generation before, which batches take (`tops`). When a generation is full, the name with the
 * smallest estimate makes room: its count goes to the day's "*other", and the newcomer's error is
 * the largest estimate that ever had to go (the day's floor), because that much it may have lost.
 * So the sum over a day stays exact, a name's true count lies between its count and its count plus
 * error, and a name with more than 1/limit of a generation's queries is never missing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/hash.h"
#include "lib/base/strbuf.h"
#include "lib/base/table.h"
#include "lib/dns/address.h"
#include "lib/dns/name.h"
#include "resolver/telemetry/gauges.h"
#include "resolver/telemetry/sketch.h"
#include "resolver/telemetry/tally.h"
#include "resolver/telemetry/transaction.h"
#include "resolver/telemetry/zone_ids.h"

enum pending_kind {
	PENDING_CLIENT,   /* client, hour: the counters */
	PENDING_TOP,      /* name, day: queries, error; name length 0 stands for "*other": its error is
			     the floor */
	PENDING_QUERY,    /* client, name, hour: queries, hits */
	PENDING_PAIR,     /* address, client, name: told; owner */
	PENDING_TIMELINE, /* address, hour: told */
	PENDING_ZONE,     /* zone, client: hits */
	PENDING_FIELD,    /* client, which field (in `when`): the text in owner */
	PENDING_RULE,     /* zone, rule (its text as the labels of a name; length 0 stands for
			     "*other"): hits */
	PENDING_TOLD,     /* client that was told the address of a Teredo server: when, and which in
			     owner */
	PENDING_KINDS
};

/* Without padding, unused parts zero: hashed and compared as bytes, as far as the name reaches. */
struct pending_key {
	uint32_t when; /* hours since 1970; days for PENDING_TOP; 0 where time is not part of the
			  key */
	uint16_t zone;
	uint8_t kind;
	uint8_t name_length;
	struct address client; /* family 0: "*other" */
	struct address address;
	uint8_t name[NAME_WIRE_MAX];
};

enum pending_count {
	PENDING_COUNT_QUERIES,
	PENDING_COUNT_HITS,
	PENDING_COUNTS,
	/* of PENDING_TOP */
	PENDING_COUNT_ERROR = PENDING_COUNT_HITS,
	PENDING_COUNT_UNNAMED = PENDING_COUNTS, /* of "*other": queries whose name is not known, so
						   any name's they may be */
	PENDING_TOP_COUNTS
};

struct pending_item {
	union {
		struct pending_item *next; /* in its queue, oldest first */
		size_t place;              /* in the sketch */
	};
	uint64_t hash;
	int64_t first_us, last_us;
	uint8_t *owner;   /* PENDING_PAIR: a folded wire name, newest first told; PENDING_FIELD: the
			     newest text, PENDING_TOLD: the newest server, as the labels of a name;
			     else NULL */
	uint64_t *counts; /* CLIENT_COUNTER_COUNT of PENDING_CLIENT, PENDING_TOP_COUNTS of
			     PENDING_TOP, else PENDING_COUNTS; within the same allocation */
	/* For the log that outlives the process (pending_log.h). */
	struct pending_item *list_next, **list_link; /* of `changed` or of `unchanged` */
	uint64_t id;                                 /* in order of creation, never given twice */
	bool changed;                                /* since it was written to the log */
	bool logged;                                 /* the log knows what its id stands for */
	struct pending_key key; /* allocated as far as the name reaches */
};

/* What is known of a client beside its counters. */
enum pending_field { FIELD_NAME, FIELD_FORWARDER };

/* A line of JSON for a stream. */
enum pending_stream { STREAM_TRANSACTIONS, STREAM_EVENTS };
struct pending_line {
	struct pending_line *next;
	int64_t wall_us;
	enum pending_stream stream;
	uint32_t length;
	char json[]; /* no newline */
};

struct pending_limits {
	size_t clients; /* (client, hour) */
	size_t tops;    /* (name, day) of one generation; there are two */
	size_t details; /* all other items together */
	size_t lines, line_bytes;
};

struct pending_queue {
	struct pending_item *head;
	struct pending_item **tail;
	size_t count;
};

#define PENDING_FLOORS 4 /* days in one generation of which the error is exact, not only a bound */

struct pending {
	struct hash_seed seed;
	struct pending_limits limits;
	uint16_t teredo; /* the number of ZONE_TEREDO; ZONE_ID_NONE, as pending_init leaves it: nobody
			    is told of a server */
	struct table table;
	struct pending_queue clients, tops, details;
	struct sketch sketch;        /* names of this generation */
	struct pending_queue others; /* "*other" of each of its days */
	struct {
		uint32_t day;
		uint64_t floor;
	} floors[PENDING_FLOORS]; /* of the generation in `tops` */
	size_t floor_count;
	struct pending_item *changed, *unchanged; /* every item is in one of the two */
	uint64_t last_id;
	struct strbuf gone; /* ids of logged items that were taken since the log was written */
	struct pending_line *lines;
	struct pending_line **lines_tail;
	size_t line_count, line_bytes;
	struct gauges gauges;      /* the newest; none when its count is 0 */
	bool gauges_changed;       /* since a batch took them */
	uint64_t queries;         /* in the client items held */
	uint64_t details_dropped; /* ever: answered queries whose detail is incomplete, here or
				     already in a tally */
	uint64_t lines_dropped;   /* ever */
	uint64_t queries_lost;    /* ever; only when memory runs out */
};

void pending_init(
	struct pending *pending, const struct pending_limits *limits, const struct hash_seed *seed);
void pending_deinit(struct pending *pending);

/* Adds everything in the tally. */
void pending_merge(struct pending *pending, const struct tally *tally);

/* Adds to the item of this key what another process counted, whatever the limits say; as many
 * counts as its kind has. first_us INT64_MAX: no times; owner: a wire name or NULL. */
void pending_put(struct pending *pending, const struct pending_key *key, const uint64_t *counts,
	int64_t first_us, int64_t last_us, const uint8_t *owner);
size_t pending_counts_of(enum pending_kind kind);

/* Moves an item to this list. */
void pending_list_put(struct pending_item **list, struct pending_item *item);

/* Frees all items and keeps lines and counters. */
void pending_drop_items(struct pending *pending);

/* An answer of 64 KiB can be made into megabytes of text, by one long name that all its records point
 * to: a batch with it would find no place in the journal, and a stream of them none in Redis. */
#define PENDING_LINE_MAX ((size_t)64 << 10)

/* Appends a line, without its newline; the oldest are dropped and counted where it exceeds the
 * bounds, and so is one beyond PENDING_LINE_MAX. */
void pending_add_line(struct pending *pending, enum pending_stream stream, int64_t wall_us,
	const char *json, size_t length);

#define PENDING_FIELD_MAX 240

/* The text of a client's field, "" none, cut to PENDING_FIELD_MAX octets; the newest is what will
 * be sent. False when there is no room, which counts nothing as dropped: the caller says it again
 * later. */
bool pending_set_field(struct pending *pending, const struct address *client,
	enum pending_field field, const char *text);

/* The text of a PENDING_FIELD or PENDING_TOLD item, and that of a PENDING_RULE. */
void pending_field_text(const struct pending_item *item, char out[PENDING_FIELD_MAX + 1]);
void pending_rule_text(const struct pending_item *item, char out[PENDING_FIELD_MAX + 1]);

/* These go with the next batch, in place of any that none has taken yet. They are no counts: what
 * ends here with the process is of no use to the next one. */
void pending_set_gauges(struct pending *pending, const struct gauges *gauges);

/* But for gauges. */
bool pending_is_empty(const struct pending *pending);

/* The generation of names that is being counted becomes the one to be taken, if that is empty. */
void pending_turn_tops(struct pending *pending);

/* What a name taken from `tops` adds to its estimate over a day, less what `missed` of that day's
 * "*other" adds to every name's; and that. */
uint64_t pending_top_weight(const struct pending *pending, const struct pending_item *item);
uint64_t pending_top_missed(const struct pending_item *other);

/* Takes the oldest out; the caller frees with pending_item_free / free. NULL when there is none. */
struct pending_item *pending_take(struct pending *pending, struct pending_queue *queue);
struct pending_line *pending_take_line(struct pending *pending);
void pending_item_free(struct pending_item *item);
