/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The option event-command: a program that is run when a remediated client asks for a tunnel again.
 * Whoever notices it only posts a letter; the main thread starts the program, one at a time and not
 * more often than the interval, and never waits for it. It runs as the daemon's user, in a process
 * group of its own, with these arguments and no shell, with standard input from /dev/null, output
 * to the daemon's standard error, no other descriptor, and an environment of nothing but PATH, LANG
 * and
 *
 *   TEREDOWN_EVENT     remediated-back
 *   TEREDOWN_RESOLVER  resolver-name
 *   TEREDOWN_CLIENT    the client as it is recorded
 *   TEREDOWN_ZONE      the zone of the hit
 *   TEREDOWN_TIME      when it asked, RFC 3339, UTC
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "resolver/options.h"
#include "resolver/telemetry/telemetry.h"

#define EVENT_COMMAND_INTERVAL_MS 1000
#define EVENT_COMMAND_PATIENCE_MS 60000 /* then it is killed, with its process group */
#define EVENT_COMMAND_WAITING_MAX 64    /* events; more are logged as lost */

struct event_base;
struct event_command;

struct event_command_settings {
	const struct options *options; /* outlives it; a reload may change it in place */
	int interval_ms, patience_ms;
};

/* NULL: out of memory or descriptors. */
struct event_command *event_command_new(const struct event_command_settings *settings);

/* From here on programs are started, in this loop. False: out of memory. */
bool event_command_start(struct event_command *command, struct event_base *base);

/* Any thread; context is the event_command. What is no client and no zone is dropped. */
telemetry_returned_fn event_command_returned;

/* When nobody posts any more, and before the loop is freed. A program that runs is left running;
 * events that wait are lost. NULL is fine. */
void event_command_free(struct event_command *command);
