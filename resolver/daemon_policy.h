/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The request `policy`, for people who ask why: read only, main thread.
 *
 * `policy test NAME TYPE CLIENT ask|know`: TYPE as text, CLIENT an address, a MAC address or `-`;
 * with `know` nobody is asked for an answer that is not cached. Replies: resolver, name, type
 *   client, group, access   of a client; group: that it is in, where there is one
 *   verdict, decided        as in `explain`, answers judged too
 *   reply                   words for what a client is told
 *   data                    each record of it that a rule gives
 *   step                    each rule that matches, in the order they are looked at, and each zone
 *                           without one: "zone=… mode=… trigger=… action=… outcome=… line=… rule=…
 *                           source=…", source to the end; without a rule zone, mode and
 * outcome=none answer                  "from=cache|upstream|none why=… rcode=… cut=…": what was
 * judged record                  each record of that answer
 *
 * `policy list [ZONE]`: for each zone in order
 *   zone      "name=… kind=… mode=… format=… rules=… read_us=… version=…"
 *   fault     why its rules are not what its files say now
 *   source    each file that was read: "format=… read=… used=… skipped=… repeated=… foreign=…
 * overruled=…"; path      behind it where it is, lines     and the same in words
 */
#pragma once

#include "resolver/daemon.h"

void daemon_policy(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[]);

/* daemon_policy_test.c */
void daemon_policy_test(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[]);

/* Forgets those that wait for an answer; before the control socket is closed. */
void daemon_policy_forget(struct daemon *daemon);
