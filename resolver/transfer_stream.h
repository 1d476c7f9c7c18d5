/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One question to a primary and its answer, which may be many messages: the SOA alone, the zone
 * whole (AXFR, RFC 5936), or what changed (IXFR, RFC 1995, over TCP). Passive: whole messages go
 * in, records come out as they are read. Each message is checked before it is believed: id,
 * question, rcode, signature. What came out is good only when the stream says that it has ended
 * well.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/name.h"
#include "lib/dns/tsig.h"

#define STREAM_QUESTION_MAX (12 + 2 * NAME_WIRE_MAX + 64 + TSIG_RECORD_MAX)
#define STREAM_WHY_SIZE 200

/* RFC 1982: whether a is later than b. Neither is where they are 2^31 apart. */
bool serial_is_later(uint32_t a, uint32_t b);

/* The figures of an SOA. */
struct zone_soa {
	uint32_t serial, refresh_s, retry_s, expire_s, minimum_s;
};

struct zone_record {
	const uint8_t *owner; /* uncompressed, within the zone, case as it came */
	uint8_t owner_length;
	uint16_t type;
	uint32_t ttl_s;
	const uint8_t *rdata; /* names in it are not compressed */
	uint16_t rdata_length;
};

/* Takes what comes. False: it cannot be kept; the stream ends with that. */
struct stream_sink {
	void *context;
	/* Once, before any record: the zone whole, or changes to what we have. */
	bool (*begin)(void *context, bool whole);
	/* Neither SOA nor anything about signatures; removed ones only among changes. */
	bool (*record)(void *context, bool removed, const struct zone_record *record);
};

enum stream_kind { STREAM_SOA, STREAM_AXFR, STREAM_IXFR };

enum stream_result {
	STREAM_MORE,
	STREAM_TOLD,    /* STREAM_SOA: soa is set. STREAM_IXFR: there is nothing newer */
	STREAM_WHOLE,   /* the zone has come, to be put in place of the old one */
	STREAM_CHANGED, /* the changes have come */
	STREAM_REFUSED, /* by an rcode, in why */
	STREAM_KEY,     /* a signature is missing or wrong, in why */
	STREAM_FAULT,   /* no answer to our question, in why */
	STREAM_SINK,    /* the sink did not take something */
};

enum stream_place {
	PLACE_START,   /* nothing has come */
	PLACE_FIRST,   /* of IXFR: the SOA of now; what kind it is, is not known yet */
	PLACE_ZONE,    /* the zone's records */
	PLACE_REMOVED, /* of changes: records that go */
	PLACE_ADDED,   /* that come */
	PLACE_END,
};

struct zone_stream {
	enum stream_kind kind;
	struct name apex; /* folded */
	uint16_t id;
	uint32_t have; /* the serial that we have; IXFR */
	enum stream_place place;
	struct zone_soa soa;       /* of the zone as it will be */
	uint32_t reached;          /* of changes: the serial that the part being read leads to */
	bool authoritative;        /* what the last answer claims */
	uint64_t records, outside; /* taken; left out because they belong to another zone */
	unsigned messages;
	struct tsig_stream *signatures; /* NULL: no key */
	struct tsig_mac request;
	int64_t skew_s; /* of a STREAM_KEY about times */
	char why[STREAM_WHY_SIZE];
};

/*
 * Begins, and writes the question into out (STREAM_QUESTION_MAX octets). key may be NULL, else it
 * outlives the stream. Returns the length; 0: it cannot be signed, in why. stream_end in any case.
 */
size_t stream_begin(struct zone_stream *stream, enum stream_kind kind, const struct name *apex,
	uint16_t id, uint32_t have, const struct tsig_key *key, uint64_t now_s, uint8_t *out);

/* The next message, without its length. sink may be NULL for STREAM_SOA. */
enum stream_result stream_take(struct zone_stream *stream, const uint8_t *message, size_t size,
	uint64_t now_s, const struct stream_sink *sink);

void stream_end(struct zone_stream *stream);
