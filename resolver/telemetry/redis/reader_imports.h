/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `teredown ingest` and `teredown remediate` brought into Redis: history out of logs of other
 * DNS servers, what is said of a client, and which logs were read. As in reader.h: one thread,
 * TD_IO, TD_REFUSED, TD_NOMEM, TD_TOO_LONG; results live in the arena of the caller, and rows that
 * do not fit the schema are passed over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "resolver/telemetry/redis/reader.h"

#define READER_HISTORY_READ_MAX 1000000 /* rows looked at for one answer */

/* What another server's log says of who was told an address. */
struct reader_history {
	const char *resolver; /* set by the caller; NULL here */
	const char *address, *client, *name;
	int64_t first_ms, last_ms;
	uint64_t count;
	bool certain; /* the log itself says which client was told; else it may have been another */
};
struct reader_histories {
	struct reader_history *rows;
	size_t count;
	bool cut; /* there is more than the limit, or more than is looked at */
};

/* Which of them: NULL is any. */
struct reader_history_wanted {
	const char *address, *client, *name;
	size_t limit; /* rows of the answer */
};

/* By address, name, client. Without an address all of them are looked through. */
enum td_error reader_history(struct reader *reader, struct arena *arena,
	const struct reader_history_wanted *wanted, struct reader_histories *out);

/* One thing that is known of each of some clients. */
enum reader_about {
	READER_ABOUT_NAME,        /* its host name */
	READER_ABOUT_EVENTLOG,    /* JSON: "at", "state", "event", "text" */
	READER_ABOUT_REMEDIATION, /* JSON: "at", "by", "method" */
};
struct reader_value {
	const char *of;    /* the client */
	const char *value; /* NULL: nothing; not checked */
};
enum td_error reader_values(struct reader *reader, struct arena *arena, enum reader_about about,
	struct reader_value *rows, size_t count);
