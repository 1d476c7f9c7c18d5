/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Modes while the daemon runs: what commands change, what schedules change, what ends by itself,
 * and what of it is kept in state-dir/modes over a restart. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "resolver/daemon.h"

/* Reads what was kept. A file that is damaged is said and counts for nothing. False: out of memory;
 * logged. After telemetry, before the first policy. */
bool daemon_modes_open(struct daemon *daemon);

/* Once the loop is there: modes end and schedules change from now on. False: out of memory; logged.
 */
bool daemon_modes_start(struct daemon *daemon);
void daemon_modes_close(struct daemon *daemon);

/* The modes of this moment, for a policy with these rules. */
void daemon_modes_fill(const struct daemon *daemon, const struct rules *rules,
	uint8_t mode[POLICY_GROUPS_MAX][POLICY_ZONES_MAX]);

/* The options or the rules are others: changes of zones and groups that are gone are dropped and
 * said, and the timer follows the new schedules. After the policy was made. */
void daemon_modes_follow(struct daemon *daemon);

/* Lines of a reply: "zone", as status has them. */
void daemon_modes_add_zones(const struct daemon *daemon, struct control_reply *reply);

/*
 * The request `mode`. Replies:
 *   zone      as in status
 *   group     "<group> clients=…"
 *   cell      "<zone> <group> <mode> <origin> until=… [since=… uid=… user=…]" of each zone, for
 *             everybody (group *) and for each group; times in seconds since 1970, until=0: no end
 *
 * `mode MODE [ZONE [GROUP [SECONDS]]]`: MODE is watch, block, ignore, or reset, which takes changes
 * back; ZONE * is all tunnel zones (of reset: all), GROUP * everybody (of reset: all), SECONDS 0 no
 * end. The reply ends when every worker has it. Replies:
 *   changed   "<zone> <before> <after> <group>", of each that is another now
 *   set       how many changes are kept, or taken back by reset
 *   until     when they end, seconds since 1970; 0: not by themselves
 *   except    "<group> <zone> <mode>": a group with a mode of its own, to which this does not apply
 *   warning   what went wrong besides
 */
void daemon_modes_request(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[]);
