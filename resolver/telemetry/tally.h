/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one worker adds up for a second or so: counters by client, and details (who asked what,
 * which addresses were told). One flat block of fixed size with indexes instead of pointers, so
 * that it can lie in memory that outlives the process (region.h) and be read there by the next one:
 * an entry is filled before the count that publishes it, and the counters of one query are raised
 * in a fixed order, so whatever a kill at any instant leaves can be mended (tally_mend). All bytes
 * zero is an empty tally. Pages that no entry reached are never touched, by adding or by clearing.
 * Not locked: the worker that fills it, then the collector it was handed to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/hash.h"
#include "lib/dns/address.h"
#include "resolver/telemetry/transaction.h"

#define TALLY_CLIENTS 1024 /* entry 0 is "*other": what the table turned away */
#define TALLY_DETAILS 2048
#define TALLY_BYTES (128 * 1024)
#define TALLY_RULE_MAX 240 /* octets of a rule's text; a longer one is counted as one of the others */
#define TALLY_SLOTS(entries) (2 * (entries))

#define US_PER_HOUR INT64_C(3600000000)

struct tally_slot {
	uint32_t tag;   /* upper half of the hash */
	uint32_t entry; /* index + 1; 0: free */
};

struct tally_client {
	uint64_t counters[CLIENT_COUNTER_COUNT];
	int64_t first_us, last_us;
	uint32_t slot;
	struct address address; /* family 0: "*other" */
};

/*
 * One question of one client with one outcome. The key is (client, answer, zone, action, rule), and
 * the name where answer_id is 0; the type is not part of it, because nothing later keeps it apart:
 * addresses imply it.
 */
struct tally_detail {
	uint64_t answer_id;
	uint64_t queries;
	int64_t first_us, last_us;
	uint32_t client; /* index */
	uint32_t slot;
	uint32_t qname; /* offset in bytes[] */
	uint32_t told;  /* offset in bytes[] of told_count struct tally_told */
	uint32_t rule;  /* offset in bytes[] of its text */
	uint16_t told_count;
	uint16_t zone;
	uint8_t rule_length; /* 0: none, or too long */
	uint8_t qname_length;
	uint8_t action;
};

/* An address record of the answer section. */
struct tally_told {
	uint32_t owner; /* offset in bytes[] of its owner, folded */
	struct address address;
	uint8_t owner_length;
};

struct tally {
	uint64_t queries;    /* added since it was cleared; the sum over all clients. Stays first:
				whoever finds a tally of another layout counts what is lost by it */
	uint64_t generation; /* how often it was cleared */
	int64_t clock_us;    /* wall clock minus monotonic clock at the first addition; the adder's
				to set */
	int64_t hour;             /* hours since 1970, UTC, of the first addition */
	uint64_t details_dropped; /* additions whose detail found no room; their counters are in */
	uint32_t client_count;    /* entries in use, *other included; 0 in an empty tally */
	uint32_t detail_count;
	uint32_t bytes_used;
	struct tally_slot client_slots[TALLY_SLOTS(TALLY_CLIENTS)];
	struct tally_slot detail_slots[TALLY_SLOTS(TALLY_DETAILS)];
	struct tally_client clients[TALLY_CLIENTS];
	struct tally_detail details[TALLY_DETAILS];
	_Alignas(8) uint8_t bytes[TALLY_BYTES]; /* names and told addresses, appended */
};

/* An empty tally in pages not yet touched; NULL when out of memory. */
struct tally *tally_new(void);
void tally_free(struct tally *tally);

/* Counts one answered query. The hour is that of the first addition: a caller that minds asks
 * tally_is_hour first. */
void tally_add(struct tally *tally, const struct hash_seed *seed,
	const struct transaction *transaction, int64_t wall_us);

/* True when the tally is empty or wall_us lies in its hour. */
bool tally_is_hour(const struct tally *tally, int64_t wall_us);

/* True when some part is three quarters full: the next additions may lose detail. */
bool tally_wants_handover(const struct tally *tally);

/* Back to empty, in time proportional to the entries used; the generation is raised last. */
void tally_clear(struct tally *tally);

/*
 * For a tally found in memory after its process died: makes the sums agree again, where that died
 * amidst an addition, and cuts off details that are not sound (counted in details_dropped). False:
 * it cannot be a tally. Afterwards it can be merged and cleared, not added to.
 */
bool tally_mend(struct tally *tally);

/* Its clock was wrong by so much: moves all times, and the hour with them. */
void tally_shift(struct tally *tally, int64_t shift_us);
