/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The query log file: whole lines, appended in large writes. A reader that is slow or gone (pipe,
 * FIFO, stdout) and a full disk never make the caller wait: lines that do not fit the buffer
 * meanwhile are dropped and counted. A regular file never keeps a part of a line: what a full disk
 * or a power cut left of one is cut off again. Collector thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/strbuf.h"

#define QUERYLOG_BUFFER_MAX ((size_t)1 << 20) /* what waits for a reader at most */

struct querylog {
	char *path;        /* NULL: off; "-": stdout */
	uint64_t size_max; /* octets at which the file is turned, 0: never */
	unsigned keep;     /* old files then */
	int fd;            /* -1 while it could not be opened */
	bool regular;      /* write(2) does not wait for a reader */
	bool failing;      /* the last attempt failed and was logged */
	bool stuck;        /* it could not be turned, which was logged */
	bool torn;         /* it ends inside a line */
	int64_t retry_us;  /* monotonic: next attempt to open, write or turn after a failure */
	uint64_t size;     /* of the file, by our own count since it was opened */
	uint64_t turns;    /* files begun because the one before had its size */
	struct strbuf buffer;
	size_t sent;      /* octets of buffer already written */
	uint64_t written; /* lines handed to the system */
	uint64_t dropped;
	uint64_t buffered; /* lines in the buffer */
};

/* Copies path (NULL or "": off) and opens it; that it cannot be opened is logged and tried again
 * later. False when out of memory. */
bool querylog_init(struct querylog *log, const char *path, const struct now *now);

/* The file is turned (rotate.h) before it grows beyond size_max octets; keep old ones stay. */
void querylog_set_turn(struct querylog *log, uint64_t size_max, unsigned keep);
void querylog_deinit(struct querylog *log); /* writes what is buffered, once */

bool querylog_is_on(const struct querylog *log);

/* One line with its newline. Written when much has gathered, at the latest by querylog_flush. */
void querylog_append(struct querylog *log, const char *line, size_t length, const struct now *now);
void querylog_flush(struct querylog *log, const struct now *now);

/* After rotation: what is buffered goes to the old file. */
void querylog_reopen(struct querylog *log, const struct now *now);
