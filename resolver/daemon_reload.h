/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading configuration and zones again, on request, by SIGHUP, and when a zone file changes. The
 * zones are read and compiled by a thread of their own (compiler.h), meanwhile everything goes on;
 * then modes, site and options of the moment go to the workers with the new rules. There is one
 * compilation at a time: whatever is asked for while it runs is done together in one more behind
 * it. Main thread.
 */
#pragma once

#include "resolver/daemon.h"

/* Starts the compiler, begins to watch zone files. False: out of memory, descriptors or threads;
 * logged. */
bool daemon_reload_start(struct daemon *daemon);
/* Waits for the compiler. Nobody who waits for a reload hears of it any more. */
void daemon_reload_stop(struct daemon *daemon);

/*
 * Reads configuration and zones again. A fault of the configuration leaves everything as it was; a
 * zone that cannot be read keeps its rules. The reply is ended when every worker has what was read;
 * NULL: by signal, the log says it. Replies:
 *   zones, rules, skipped  counts, of all zones
 *   read                   how many zones were read; the others had not changed
 *   took_us                from the request on
 *   restart                options that take effect at a restart
 *   fault                  "<zone> <words>": of each zone that keeps its old rules
 */
void daemon_reload(struct daemon *daemon, struct control_reply *reply);

/* Zones may hold something else than they did, the options are the same. What did not change is not
 * read. */
void daemon_zones_changed(struct daemon *daemon);

/* For `status`: whether zones are being read, and those whose rules are not what their sources say.
 */
void daemon_reload_status(const struct daemon *daemon, struct control_reply *reply);
