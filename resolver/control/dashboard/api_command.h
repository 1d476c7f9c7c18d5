/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A command of `teredown` as the answer to a request: the same code as on the command line, with
 * the connections of the thread that answers, so that what a page shows and what a person types
 * never differ.
 */
#pragma once

#include "resolver/control/dashboard/api.h"

struct api_call {
	const struct command *command;
	const char *word, *other;             /* its arguments; NULL: none */
	const char *option[CLI_OPTION_COUNT]; /* as in struct cli, checked already */
	bool empty;                           /* finding nothing is an answer, too */
	bool alone;          /* it does not read Redis: no resolver is opened for it */
	const char *nothing; /* what is said where it finds nothing; NULL: its own words */
};

/*
 * The reply's body is the object that the command prints with --json. What it says on stderr
 * otherwise is the detail of a problem: 400 where it was used wrongly, 404 where it finds nothing,
 * 503 where it could not be done. False: the reply is a problem.
 */
bool api_run(struct api_context *context, const struct api_request *request,
	struct api_reply *reply, const struct api_call *call);

/* NULL also for a field of a form that was left empty. */
const char *api_optional(const struct api_request *request, const char *name);

/* What a command wrote to stderr as one sentence after another, without "teredown: ": text is
 * changed in place. Returns it. */
char *api_plain_words(char *text);
