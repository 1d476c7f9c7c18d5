/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading is for everyone who reaches the dashboard, and nobody is signed in: what changes
 * something is refused.
 */
#include "resolver/control/dashboard/session.h"

#include <stdlib.h>

struct sessions {
	struct dashboard *dashboard;
};

struct sessions *sessions_new(struct dashboard *dashboard)
{
	struct sessions *sessions = calloc(1, sizeof(*sessions));

	if (sessions)
		sessions->dashboard = dashboard;
	return sessions;
}

void sessions_free(struct sessions *sessions)
{
	free(sessions);
}

int session_check(
	struct dashboard *dashboard, const struct session_question *question, const char **words)
{
	(void)dashboard;
	*words = "changes cannot be made from here: use the command teredown";
	return question->changes ? 403 : 0;
}
