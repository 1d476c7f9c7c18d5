/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of counts from a worker's tally into Redis: what is pending, the memory that keeps it
 * over a crash, frozen batches, the journal that keeps those, the store that applies them. One
 * place knows the order in which a count passes them, so that at every instant each is in one of
 * them that outlives the process, and applied once. One thread, but for what says "any thread".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/tally.h"
#include "resolver/telemetry/telemetry.h"
#include "resolver/telemetry/zone_ids.h"

struct delivery;
struct event_base;
struct forget_status;
struct store_status;

struct delivery_callbacks {
	/* Redis takes the next batch: delivery_send should be called. */
	void (*ready)(void *context);
	/* Redis was found or lost, or failed in another way. */
	void (*changed)(void *context, const struct store_status *store);
	/* As that of store.h. */
	void (*returned)(void *context, const char *client, const char *zone, int64_t at_ms);
};

struct delivery_settings {
	const struct telemetry_config *config; /* during delivery_new */
	struct event_base *base;               /* all others outlive the delivery */
	struct zone_ids *zones;
	size_t tallies;
	const struct now *now; /* the loop's, kept right by its owner */
	int64_t slept_us;      /* see clock_watch.h */
	const struct delivery_callbacks *callbacks;
	void *context;
};

/* Recovers what an earlier process left. NULL and a logged error. */
struct delivery *delivery_new(const struct delivery_settings *settings);
/* What was not sent stays where the next process finds it; what does not is logged. */
void delivery_free(struct delivery **delivery);

/* False when Redis is "off": then nothing is counted. */
bool delivery_is_on(const struct delivery *delivery);

/* 0 … tallies-1; empty. They live as long as the delivery. */
struct tally *delivery_tally(const struct delivery *delivery, size_t index);

/* For lines of the streams, words about clients and gauges. */
struct pending *delivery_pending(struct delivery *delivery);

/* Adds a tally, which must not be cleared before delivery_commit. */
void delivery_merge(struct delivery *delivery, struct tally *tally);
void delivery_commit(struct delivery *delivery);

/* Sends what is next, if Redis takes anything now. */
void delivery_send(struct delivery *delivery);

/* Once a look, after sending. */
void delivery_settle(struct delivery *delivery);
/* Once a second. */
void delivery_tick(struct delivery *delivery);

/* How far the wall clock stepped, 0 as a rule; what was not sent has moved along. */
int64_t delivery_watch_clock(struct delivery *delivery, int64_t slept_us);

/* From now on nothing waits for a clock, and no client is forgotten any more. */
void delivery_begin_to_stop(struct delivery *delivery);
/* True when all is in Redis and the lease is given back, or Redis is off. */
bool delivery_is_finished(struct delivery *delivery);
/* At the end: all that could not be sent goes into the journal, as batches of this boot. */
void delivery_keep_the_rest(struct delivery *delivery);

/* Fills in what it knows. */
void delivery_status(const struct delivery *delivery, struct telemetry_status *out);

/* Any thread: see telemetry_forget. */
enum td_error delivery_forget(struct delivery *delivery, const char *client);
void delivery_forget_status(struct delivery *delivery, struct forget_status *out);
