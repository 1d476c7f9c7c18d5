/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time series (reader_hours.h) summed over a fleet. As in fleet.h: a resolver that cannot be read
 * is set aside with the reason. What is read of one that fails in the middle is left out, as far as
 * one of these calls goes; who makes several of them compares fleet_missing before and after.
 */
#pragma once

#include "resolver/control/fleet.h"
#include "resolver/telemetry/redis/reader_hours.h"
#include "resolver/telemetry/redis/reader_totals.h"

/* Sets counts to the sums. */
enum td_error fleet_timeline(
	struct fleet *fleet, const char *address, struct reader_span span, uint64_t *counts);
enum td_error fleet_hour_client(struct fleet *fleet, const char *counter, const char *client,
	struct reader_span span, uint64_t *counts);

/* Resolver by resolver: a member of one hour comes once for each that has it, and rows of one that
 * fails in the middle have been visited. */
enum td_error fleet_hour_rows(struct fleet *fleet, enum reader_hour_set set,
	struct reader_span span, reader_hour_fn *visit, void *context, bool *cut);

/* Sets rows to the sums: span.count of them. */
enum td_error fleet_totals(
	struct fleet *fleet, struct reader_span span, struct reader_total *rows);
