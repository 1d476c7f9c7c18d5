/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From zone files, and what feeds deliver, to rules. A job says what to compile and holds all that
 * it takes, so compile_run may run on any one thread, beside everything else; at the start it is
 * the main thread, later the compiler's (compiler.h). Zones of an earlier set whose sources are as
 * they were are taken from it, not read again.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/mailbox.h"
#include "resolver/options.h"
#include "resolver/rules.h"

/* What a feed is asked to put into the index. */
struct zone_fill {
	struct policy_builder *builder;
	const char *zone;
	enum policy_zone_kind kind;
	/* The rules in force, for policy_builder_keep and policy_builder_patch; NULL: they have no
	 * zone of this name. */
	const struct policy_index *old;
	uint64_t old_version;     /* of the zone in old; 0: it was read from files */
	policy_report_fn *report; /* for lines that cannot be used; logs them */
	void *report_context;
	struct policy_load load;    /* to be set: of the whole zone */
	char why[RULES_FAULT_SIZE]; /* to be set where it fails */
};

/*
 * Where the rules of zones come from that are in no file. The compiler asks what a zone holds when
 * a compilation begins (main thread), has it filled (its own thread), and gives back what it was
 * told (main thread).
 */
struct zone_feed {
	void *context;
	/*
	 * Main thread. False: this zone is read from its file. Else *snapshot is what fill needs,
	 * immutable until it is released (NULL is fine), and *version, never 0, names it: where
	 * the rules in force have the same one the zone is kept, and fill is not called.
	 */
	bool (*snapshot)(void *context, const char *zone, void **snapshot, uint64_t *version);
	/*
	 * The compiler's thread. Opens the zone, once, with policy_builder_zone, _keep or _patch,
	 * and adds what it holds. On a failure the zone keeps the rules in force, and the fault
	 * is shown.
	 */
	enum td_error (*fill)(void *context, void *snapshot, struct zone_fill *fill);
	void (*release)(void *context, void *snapshot); /* main thread */
};

struct compile_zone {
	char name[POLICY_ZONE_NAME_MAX];
	enum policy_zone_kind kind;
	struct zone_source *sources; /* none: it is the feed's */
	size_t source_count;
	void *snapshot; /* of the feed */
	uint64_t version;
};

struct compile_job {
	struct letter letter; /* first */
	struct compile_zone *zones;
	size_t zone_count;
	const struct zone_feed *feed; /* NULL: all zones are read from files */
	struct rules *old;            /* NULL: none; a user of it until the job is freed */
	bool strict;   /* a zone that cannot be read is a fault of the whole: at a start */
	void *context; /* whoever made it */
	/* set by compile_run: */
	enum td_error error;
	struct rules *rules; /* whoever takes it sets NULL; NULL with TD_OK: all is as in old, its
				faults too */
	size_t read_count;   /* zones that were read or filled */
	bool same;           /* rules holds the very zones of old, in their order */
	int64_t took_us;
};

/* Main thread. The zones of the options; old and feed may be NULL. NULL: out of memory. */
struct compile_job *compile_job_new(
	const struct options *options, struct rules *old, const struct zone_feed *feed);

/*
 * Reads and compiles. Faults, and bad lines with file and line, are logged. A zone that cannot be
 * read keeps the rules of old, or has none, and says so; with strict the job fails with
 * TD_MALFORMED, after all zones were looked at. TD_NOMEM. TD_REFUSED: *cancelled (NULL: never) was
 * set meanwhile.
 */
void compile_run(struct compile_job *job, atomic_bool *cancelled);

/* Main thread, after compile_run or without it; with its rules where nobody took them. */
void compile_job_free(struct compile_job *job);

/* A job of these options, run here and now, for a start. NULL: it failed, and that was logged. */
struct rules *compile_now(
	const struct options *options, const struct zone_feed *feed, uint64_t generation);
