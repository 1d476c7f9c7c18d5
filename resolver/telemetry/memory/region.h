/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tallies of all workers, in one block that outlives the process: a file on tmpfs, mapped
 * shared, every page of it there before the first query, so that a full tmpfs fails at the start
 * and never as SIGBUS in a worker. Beside the tallies it holds what makes them readable to the next
 * process: the boot that filled them, and the names behind its zone numbers.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "resolver/telemetry/tally.h"
#include "resolver/telemetry/zone_ids.h"

#define REGION_ID_SIZE 17     /* 16 characters and a NUL: a boot */
#define REGION_KERNEL_SIZE 37 /* boot_id of the kernel: 36 characters and a NUL */

/* Begins the file; what a new version changes lies behind `tally_count`. */
struct region_header {
	uint32_t magic, version;
	uint32_t tallies_offset, tally_size, tally_count;
	uint32_t counters; /* of a client */
	char boot[REGION_ID_SIZE];
	char kernel[REGION_KERNEL_SIZE];
	/* How long the machine has slept: the clock that tallies know stands still meanwhile. */
	_Atomic int64_t slept_us;
	char zones[ZONE_IDS_MAX][ZONE_IDS_NAME_SIZE];
};

struct region {
	struct region_header *header; /* NULL: plain memory, which dies with the process */
	struct tally *tallies;
	size_t count;
	size_t size; /* mapped */
	void *block;
};

/* Plain memory for so many tallies, all empty. False when there is none. */
bool region_open_plain(struct region *region, size_t count);

/*
 * A new file `name` in the folder dir_fd, in place of any that has the name. TD_IO with errno when
 * that fails, a full tmpfs included; then nothing is left behind.
 */
enum td_error region_create(struct region *region, int dir_fd, const char *name, size_t count,
	const char *boot, const char *kernel);

/*
 * What another process left, private to this one: writing to it changes no file. TD_NOT_FOUND;
 * TD_UNSUPPORTED when its layout is another, TD_MALFORMED when it is none of ours, TD_IO with
 * errno. *lost: queries in tallies of another layout.
 */
enum td_error region_read(struct region *region, int dir_fd, const char *name, uint64_t *lost);

void region_close(struct region *region); /* the file stays */
