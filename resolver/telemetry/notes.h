/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the collector notes of each client beside its counters, from the tallies that pass: which
 * name was sent to Redis, and whether the client looks like a forwarder, that is, as if many hosts
 * asked through it. Bounded: who was noted longest ago makes room. One thread.
 *
 * A client looks like a forwarder when within an hour
 *   - it asked for about NOTES_NAMES different names or more (a busy desktop: some hundreds), or
 *   - it asked for the names by which NOTES_SYSTEMS different operating systems find out whether
 * they are online (Windows, Android, Apple's, Linux desktops, Nintendo's): one host runs one. Both
 * are seen in what is asked, which no forwarder can hide; port numbers, ids and flags say little,
 * since stub resolvers with a cache have those of a forwarder.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/tally.h"

#define NOTES_MAX 8192 /* clients */
#define NOTES_NAMES 4000
#define NOTES_SYSTEMS 3
#define NOTES_NAME_SIZE 256 /* of a client's name, with its NUL */
#define NOTES_SUSPECTS 16   /* shown at once; the newest */
#define NOTES_WHY_SIZE 128

/* Where names come from; any function may be NULL: none. */
struct notes_names {
	void *context;
	bool (*find)(void *context, const struct address *client, char *out);
	/* Another number whenever an answer of find may have changed. */
	uint32_t (*generation)(void *context);
};

struct notes_suspect {
	struct address client;
	unsigned names;   /* different ones in the last hour, about */
	char systems[64]; /* "Windows,Apple,Linux", or "-" */
};

struct notes;

struct notes *notes_new(const struct notes_names *names, const struct hash_seed *seed);
void notes_free(struct notes *notes); /* NULL is fine */

/* Called once for each client that looks like a forwarder. */
typedef void notes_suspect_fn(void *context, const struct notes_suspect *suspect);

/* Looks at a tally that has just been merged; what there is to say goes into pending. */
void notes_look(struct notes *notes, const struct tally *tally, struct pending *pending,
	const struct now *now, notes_suspect_fn *suspected, void *context);

/* "it asked for about 4200 names in an hour, hosts of these systems ask through it: …"; out holds
 * NOTES_WHY_SIZE. */
void notes_words(const struct notes_suspect *suspect, char *out);

/* Clients that look like forwarders, ever; the last of them in out, oldest first; returns how many
 * those are. */
size_t notes_suspects(
	const struct notes *notes, struct notes_suspect out[NOTES_SUSPECTS], uint64_t *total);
