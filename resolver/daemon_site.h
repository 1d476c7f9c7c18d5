/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps the site (site.h) up to date: watches resolv-conf and the hosts files, and hands what they
 * say now to the workers. Main thread.
 */
#pragma once

#include "resolver/daemon.h"

/* Begins to watch. False: out of memory or descriptors; logged. */
bool daemon_site_start(struct daemon *daemon);
void daemon_site_stop(struct daemon *daemon);

/* Watches the files that the options name by now. False: out of memory or descriptors. */
bool daemon_site_follow(struct daemon *daemon);

/*
 * The site of options that are about to be taken. Where their upstream servers are to come from
 * resolv-conf and it names none, they get the present ones. NULL: out of memory.
 */
struct site *daemon_site_reload(struct daemon *daemon, struct options *options);

/* Every worker has the new site by now: forgets what other servers said before of names that now
 * belong to a section. */
void daemon_site_in_force(
	struct daemon *daemon, const struct site *before, const struct site *after);

/* A server of a section, of the forward_count that workers have told, over all of them. */
struct server_state daemon_site_server(
	const struct daemon *daemon, const struct broadcast *broadcast, size_t number);

/* For `status`: where servers come from, the servers of the sections, what hosts files hold. */
void daemon_site_status(const struct daemon *daemon, const struct broadcast *broadcast,
	struct control_reply *reply);

/* For `explain`: what the site says of a folded name. */
void daemon_site_explain(
	const struct daemon *daemon, struct control_reply *reply, const struct name *folded);
