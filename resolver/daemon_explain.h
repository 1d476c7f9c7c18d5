/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What would become of a question, for the requests that explain it: `explain` (daemon_explain.c)
 * and `policy test` (daemon_policy_test.c). Main thread.
 */
#pragma once

#include "resolver/daemon.h"

/* A question for a name, and all that is known of it before anybody is asked. */
struct explained {
	const struct policy_view *view;
	struct name name;                /* folded */
	const struct policy_client *who; /* NULL: nobody in particular */
	struct policy_client client;     /* stands behind who */
	struct site_place place;
	struct policy_match matches[POLICY_MATCHES_MAX];
	size_t count;
};

/* client may be NULL. The policy in force has to stay, and out where it is. */
void explain_question(const struct daemon *daemon, const struct name *folded,
	const struct address *client, struct explained *out);

/* Adds "verdict" and "decided", as these matches (those of the question, or those of the answer
 * too) have it. */
void explain_verdict(struct control_reply *reply, const struct explained *explained,
	const struct policy_match *matches, size_t count);

/* Whether the question ends here, whatever an answer would be: by a rule, a host, or because such
 * names are never asked for. */
bool explain_is_settled(const struct explained *explained);

/* "always", or the zone's mode for who asks. */
const char *explain_mode(const struct explained *explained, size_t zone);

/* Adds "access": whether a client of that address is served at all. */
void explain_access(
	const struct daemon *daemon, struct control_reply *reply, const struct address *client);
