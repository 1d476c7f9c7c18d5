/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The folder of memory.h: private, on tmpfs, one process at a time. Its name is the journal's
 * instance id, so each state directory finds its own again.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#define MEMORY_LOG_NAME "pending.log"
#define MEMORY_TALLIES_NAME "tallies"
#define MEMORY_KERNEL_LENGTH 36 /* of the kernel's boot id */

struct memory_place {
	int dir_fd, lock_fd; /* -1: none */
	char path[PATH_MAX];
	char kernel[MEMORY_KERNEL_LENGTH + 1];
};

/*
 * Finds or makes the folder in `dir`, or for "auto" in /run/teredown or /dev/shm (first where there
 * is one already), and locks it. False and a warning when that cannot be.
 */
bool memory_place_open(struct memory_place *place, const char *dir, const char *instance);
void memory_place_close(struct memory_place *place);

/* Removes the files and the folder. */
void memory_place_empty(const struct memory_place *place);

/* Out of the way of the next ones, for somebody to look at. */
void memory_place_set_aside(const struct memory_place *place, const char *name);
