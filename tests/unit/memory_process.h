/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As much of a daemon as counts: pending, journal and memory over a folder, for tests that end it
 * at some instant and look what the next one finds. And the answered queries that it counts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/telemetry/batch.h"
#include "resolver/telemetry/clock_watch.h"
#include "resolver/telemetry/journal.h"
#include "resolver/telemetry/memory/memory.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/tally.h"
#include "tests/unit/answers.h"

#define NOON INT64_C(1700049600000000) /* 2023-11-15 12:00:00 UTC */
#define NOON_HOUR (NOON / US_PER_HOUR)
#define MONO (1000 * US_PER_S)
#define TALLIES 4

extern const struct hash_seed test_seed;
extern const struct pending_limits test_limits;

/* For the name of this number: every third has no address, every fifth is watched in zone 1. */
struct transaction question(struct answer *answer, unsigned client, unsigned name);
void add(struct tally *tally, unsigned client, unsigned name, int64_t wall_us);

struct process {
	char *dir; /* state, and memory in it */
	struct now now;
	struct clock_watch clock;
	struct zone_ids zones;
	struct pending pending;
	struct journal *journal;
	struct memory *memory;
	struct batcher batcher;
	struct strbuf octets;
	char boot[BOOT_TEXT_SIZE];
};

/* At noon, or at another time; with so many tallies. */
void start(struct process *process, const char *dir, size_t tallies);
void start_at(struct process *process, const char *dir, size_t tallies, int64_t wall_us);
void end(struct process *process);

struct tally *tally_of(struct process *process, size_t index);
void merge(struct process *process, size_t index); /* a tally into pending, all steps of it */
bool is_on(struct process *process);
uint64_t waiting(struct process *process); /* queries in the journal */
uint64_t healed(struct process *process);

/* For cmocka: *state is the path of an empty folder. */
int folder_setup(void **state);
int folder_teardown(void **state);

char *make_folder(void); /* its path, malloc'd */
void remove_folder(const char *path);
void copy_folder(const char *from, const char *to);
void copy_file(const char *from, const char *to);

/* Of a file of the memory of the process over dir. */
void path_of(const char *dir, const char *name, char out[600]);
