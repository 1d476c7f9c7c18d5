/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One zone that is kept like its primaries': when to look for a newer serial (RFC 1035, 4.3.5),
 * whom to ask, in which form to take the zone, what to do when that fails, and when the zone has
 * not been confirmed for too long. A passive machine: connections, octets and time go in; struct
 * transfer_io says what to do with the network and the copy. Nothing here does I/O or reads a
 * clock. One thread.
 *
 *   due → connect → SOA? → newer → IXFR? or AXFR? → records → commit → transfer_installed
 *                     └ the same → confirmed              └ a fault → the next primary, then
 * `retry`
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/dns/address.h"
#include "lib/dns/name.h"
#include "lib/dns/tsig.h"
#include "resolver/transfer_stream.h"

#define TRANSFER_PRIMARIES_MAX 8
#define TRANSFER_WHY_SIZE 320

/* Times of the SOA are held within these, seconds. */
#define TRANSFER_REFRESH_MIN_S 10
#define TRANSFER_REFRESH_MAX_S (7 * 86400)
#define TRANSFER_RETRY_MIN_S 5
#define TRANSFER_RETRY_MAX_S 86400
#define TRANSFER_EXPIRE_MAX_S (28 * 86400)

#define TRANSFER_FIRST_RETRY_S 5 /* of a zone that never came; doubles up to FIRST_RETRY_MAX_S */
#define TRANSFER_FIRST_RETRY_MAX_S 300
#define TRANSFER_NOTIFY_GAP_US US_PER_S /* between two looks that a NOTIFY asks for */
#define TRANSFER_CONNECT_US (10 * US_PER_S)
#define TRANSFER_MESSAGE_US (30 * US_PER_S)  /* for one message to arrive */
#define TRANSFER_INSTALL_US (600 * US_PER_S) /* for it to come into force */
#define TRANSFER_WHOLE_US (7200 * US_PER_S)  /* for all of them */

struct transfer_settings {
	struct name apex; /* folded */
	struct endpoint primaries[TRANSFER_PRIMARIES_MAX];
	size_t primary_count;
	bool has_key;
	struct tsig_key key;
	uint64_t octets_max; /* of one answer */
};

struct transfer_io {
	void *context;
	/* Begins to connect; transfer_connected or transfer_lost follow, not from within the call.
	 * NULL, or why it cannot, and nothing follows. */
	const char *(*connect)(void *context, const struct endpoint *primary);
	void (*send)(void *context, const uint8_t *octets, size_t size);
	void (*close)(void *context); /* the connection, if there is one; nothing follows from it */
	uint32_t (*random)(void *context, uint32_t bound); /* 0 … bound-1 */
	/* Of the copy: as its functions; their fault with `why`. */
	bool (*begin)(void *context, bool whole);
	bool (*record)(void *context, bool removed, const struct zone_record *record);
	bool (*takes_changes)(void *context);
	const char *(*why)(void *context);
	void (*abort)(void *context);
	/* What came is whole: it is to be put into force; transfer_installed follows, once, not
	 * from within the call. */
	bool (*commit)(void *context, const struct zone_soa *soa, const struct now *now);
	void (*checked)(void *context, const struct now *now);
};

struct transfer;

/* `have`: of the copy, checked_s when it was last known to be current; NULL: there is none. Due at
 * once. NULL: out of memory. */
struct transfer *transfer_new(const struct transfer_settings *settings,
	const struct transfer_io *io, const struct zone_soa *have, int64_t checked_s,
	const struct now *now);
void transfer_free(struct transfer *transfer); /* NULL is fine; closes, aborts */

/* --- what happened --- */

void transfer_connected(struct transfer *transfer, const struct now *now);
void transfer_input(
	struct transfer *transfer, const uint8_t *octets, size_t size, const struct now *now);
void transfer_lost(struct transfer *transfer, const char *why, const struct now *now);
/* What was committed is in force (why NULL), or cannot be; it then comes whole. */
void transfer_installed(struct transfer *transfer, const char *why, const struct now *now);
/* A primary says that there is something new. */
void transfer_notify(struct transfer *transfer, const struct address *from, const struct now *now);
/* A person asks: a zone with an older serial is taken too. */
void transfer_refresh(struct transfer *transfer, const struct now *now);

/* Mono, INT64_MAX: never. May change after any call. */
int64_t transfer_next_due(const struct transfer *transfer);
void transfer_tick(struct transfer *transfer, const struct now *now);

/* --- what is known --- */

enum transfer_state {
	TRANSFER_NEVER, /* nothing has come yet */
	TRANSFER_CURRENT,
	TRANSFER_REFRESHING, /* a primary is being asked */
	TRANSFER_RETRYING,   /* no primary could be asked, since */
	TRANSFER_EXPIRED,    /* for longer than the zone's expire time, since */
};
const char *transfer_state_name(enum transfer_state state);

enum transfer_form { FORM_NONE, FORM_AXFR, FORM_IXFR };

struct transfer_status {
	enum transfer_state state;
	int64_t since_us; /* wall: RETRYING, EXPIRED */
	bool has_zone;
	struct zone_soa soa;
	int64_t checked_us; /* wall: known to be current; 0: not yet */
	int64_t due_us;     /* wall: the next look; 0: under way */
	/* The last transfer that was put into force by this process. */
	enum transfer_form form;
	struct endpoint primary; /* that gave it; while it is being asked, that one */
	uint64_t octets, records, outside;
	int64_t took_us, done_us; /* done: wall */
	uint64_t transfers, checks, notifies, failures;
	char error[TRANSFER_WHY_SIZE]; /* the last one; "": all is well */
};
void transfer_status(
	const struct transfer *transfer, const struct now *now, struct transfer_status *out);

/* Whether the zone has not been confirmed for longer than it says (RFC 1035, expire). */
bool transfer_is_expired(const struct transfer *transfer, const struct now *now);
