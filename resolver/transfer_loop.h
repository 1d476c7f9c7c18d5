/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The zones that come by transfer: their copies (transfer_copy.h), the machines that keep them like
 * their primaries' (transfer.h), the connections and timers those ask for, and the feed through
 * which the compiler gets what they hold. Main thread, but for the feed's fill.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "resolver/compile.h"
#include "resolver/options.h"
#include "resolver/transfer.h"

struct event_base;
struct transfers;

/* A zone holds something else than the rules in force: compile. */
typedef void transfers_changed_fn(void *context);

/* No zones, no network yet. NULL: out of memory. */
struct transfers *transfers_new(transfers_changed_fn *changed, void *context);
void transfers_free(struct transfers *transfers); /* NULL is fine */

/*
 * Takes the zones with primaries that the options name, and only those: one whose settings are as
 * they were goes on undisturbed, the copy of a new one is opened. False: out of memory, some are
 * missing.
 */
bool transfers_follow(struct transfers *transfers, const struct options *options);

/* From now on primaries are asked. */
void transfers_start(struct transfers *transfers, struct event_base *base);

const struct zone_feed *transfers_feed(struct transfers *transfers);

/* These rules are in force. */
void transfers_in_force(struct transfers *transfers, const struct rules *rules);

/* Asks the primaries of this zone, or of all (NULL), now. Returns how many zones that are. */
size_t transfers_refresh(struct transfers *transfers, const char *zone);

/* What workers hear from primaries is put there (notify.h). */
struct notify_box *transfers_box(struct transfers *transfers);

/* The zone in this place; NULL behind the last. */
const char *transfers_status(
	const struct transfers *transfers, size_t place, struct transfer_status *out);
