/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of `teredown ingest`: a run, its sources one after the other (several at once where
 * they are followed), and what is reported.
 *
 *   input → records → entries → gather → (a chunk is full, or a second has passed) → Redis, with
 *                                                                  the position behind the chunk
 *
 * What was not written yet is nowhere but in memory, so an interruption at any place loses nothing:
 * the next run goes on behind the last chunk.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/control/cli.h"
#include "resolver/control/ingest/ingest_gather.h"
#include "resolver/control/ingest/ingest_history.h"
#include "resolver/control/ingest/ingest_input.h"
#include "resolver/control/ingest/ingest_join.h"
#include "resolver/control/ingest/log_format.h"
#include "resolver/telemetry/identity.h"

#define INGEST_SHOWN_MAX 5   /* unreadable lines that are shown, in all */
#define INGEST_FILES_MAX 256 /* of one command; that are followed: */
#define INGEST_FOLLOWED_MAX 32

/* Of one source, or all. lines is the sum of used, skipped and unreadable. */
struct ingest_counts {
	uint64_t lines, used, skipped, unreadable;
	uint64_t headers, old, future; /* of the skipped: headers of files, lines older than what
					  is kept, lines of a time to come */
	int64_t first_ms, last_ms;     /* of used lines; 0 none */
};

struct ingest_totals {
	struct ingest_counts counts;
	uint64_t drops, tunnel_drops, passes, tunnel_passes, proxy_hits,
		events;                    /* packets, requests */
	uint64_t answers, certain_answers; /* of DNS servers: pairs told */
	uint64_t dropped;                  /* details that a bound of the store turned away */
	uint64_t bytes;
};

/* The user is gone, or the machine is to stop: what was gathered is written, and that is all. */
extern volatile sig_atomic_t ingest_stopped;

struct ingest_run {
	struct cli *cli;
	const struct log_format *forced; /* --as; NULL: found by the first lines */
	const struct log_format *again;  /* of what was under a path before; NULL: nothing */
	const char *columns, *name;      /* --columns; --source, "" none */
	bool follow;
	struct ingest_store *store;
	struct gather gather;
	struct ingest_chunk chunk;
	struct join *join;
	struct identity_shared *shared;
	struct identity_rules *rules; /* NULL: every client is its address */
	struct identity identity;
	int64_t wall_ms;                   /* now; moves on while a log is read */
	int64_t key_ms;                    /* when the key of pseudonyms was looked at */
	int64_t oldest_ms, oldest_pair_ms; /* what is older is not kept */
	struct ingest_totals totals;
	unsigned shown;                       /* unreadable lines */
	bool has_said_pipe;                   /* that it is not known again */
	int64_t started_ms, next_progress_ms; /* monotonic */
	bool progress; /* a bar is wanted; it is drawn only when it takes a while */
	bool drawn;
};

struct ingest_source {
	struct ingest_run *run;
	const char *path; /* as it was given, or found beside it; the source's own */
	struct input input;
	const struct log_format *format;
	struct log_context context;
	struct history *history;
	char id[INPUT_ID_SIZE], former[INPUT_ID_SIZE];
	char oldest[INPUT_ID_SIZE];  /* other source, that was read longest ago */
	bool is_nameless;            /* a pipe: its position is of no use to another run */
	bool is_known;               /* Redis has a position of it */
	int64_t stored;              /* offset in Redis */
	int64_t resumed;             /* offset where this run began */
	int64_t header;              /* offset of the last header of columns; -1 none */
	bool in_header;              /* the last record was a part of one */
	int64_t flushed_ms, written; /* monotonic; offset of the last chunk */
	bool discards;               /* within something too long for a record */
	bool unfinished;             /* the last line has no end yet: it is read next time */
	bool was_read;               /* all of it had been read before */
	struct ingest_counts before, counts; /* by earlier runs; by this one */
};

/* --- the run (command_ingest.c) --- */

/* Takes the time, and what follows from it: a log may be followed for weeks. */
void ingest_look_at_clock(struct ingest_run *run);

/* --- a source (ingest_source.c) --- */

/* Opens it, finds format and position; false: said on stderr, or in JSON, and there is nothing to
 * close. */
bool ingest_source_open(struct ingest_source *source, struct ingest_run *run, const char *path);
void ingest_source_close(struct ingest_source *source);

/* Writes what was gathered, and the position. False: it could not be written, which has been said.
 */
bool ingest_source_flush(struct ingest_source *source);

/* Where the rest of what path was before its rotation is, malloc'd; NULL: it was not rotated, or
 * the rest is not found beside it. */
char *ingest_source_find_rest(struct ingest_run *run, const char *path);

/* --- reading (ingest_read.c) --- */

enum ingest_state { INGEST_MORE, INGEST_END, INGEST_FAILED /* said */ };

/*
 * Reads until there is nothing more at the moment (INGEST_END), the run is stopped, or a pipe was
 * silent for a while (INGEST_MORE). last: what has no end yet is whole all the same.
 */
enum ingest_state ingest_read(struct ingest_source *source, bool last);

/* Brings context and history to where the source begins: reads without counting up to offset. */
enum ingest_state ingest_read_before(struct ingest_source *source, int64_t offset);

/* --- following (ingest_follow.c) --- */

/* All that is there, and what it was before a rotation; false: not all could be read, which was
 * said. */
bool ingest_file(struct ingest_run *run, const char *path);
/* The same, and then what comes, until it is stopped. */
bool ingest_follow(struct ingest_run *run, char **paths, size_t count);

/* --- what is reported (ingest_report.c) --- */

void ingest_count_time(struct ingest_counts *counts, int64_t at_ms);
void ingest_counts_add(struct ingest_counts *sum, const struct ingest_counts *more);
void ingest_progress(struct ingest_source *source);
void ingest_progress_end(struct ingest_run *run);
/* FILE:LINE: what stands there. */
void ingest_show_unreadable(struct ingest_source *source, const char *line, size_t length);
/* "FILE: words" on stderr. */
void ingest_say(struct ingest_run *run, const char *path, const char *words);
/* A line, or an object of the array "sources", about a source that was read. */
void ingest_report_source(struct ingest_source *source);
void ingest_report_begin(struct ingest_run *run);
void ingest_report_end(struct ingest_run *run);
