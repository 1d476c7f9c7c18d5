/* SPDX-License-Identifier: BSD-3-Clause */
/* Zones by transfer (transfer_loop.h) in the daemon. Main thread. */
#pragma once

#include "resolver/daemon.h"
#include "resolver/transfer_loop.h"

/* Before the first compilation: opens the copies. False: out of memory, logged. */
bool daemon_transfer_open(struct daemon *daemon);
/* With the loop: primaries are asked from now on. */
void daemon_transfer_start(struct daemon *daemon);
void daemon_transfer_close(struct daemon *daemon);

/* The options are others now; those before have the secrets that cannot be read any more. */
void daemon_transfer_follow(struct daemon *daemon, const struct options *before);

/*
 * For `status`: a line `transfer` for each zone, "<zone> state=… since_s=… serial=… primary=…
 * last=… octets=… took_us=… checked_s=… next_s=… …", seconds since and until now, - where there is
 * none; and `transfer_error` "<zone>: <words>".
 */
void daemon_transfer_status(const struct daemon *daemon, struct control_reply *reply);

/* The request `refresh [ZONE]`: the primaries are asked now. Replies: `asked`, the number of zones.
 */
void daemon_refresh(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[]);
