/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands know nothing of HTTP. They take options from struct cli, print one object to its `out`,
 * and explain themselves to its `errors`; so the options are set from the request, and what was
 * explained is caught in memory. A second writer of the same JSON was rejected: two of them would
 * drift apart, and a test that compares them finds that out only where it looks.
 */
#include "resolver/control/dashboard/api_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/watch.h"

#define PREFIX "teredown: "

char *api_plain_words(char *text)
{
	char *to = text;

	for (char *from = text; *from;) {
		size_t length = strcspn(from, "\n");
		if (strncmp(from, PREFIX, strlen(PREFIX)) == 0) {
			from += strlen(PREFIX);
			length -= strlen(PREFIX);
		}
		if (to > text && length)
			*to++ = ' ';
		memmove(to, from, length);
		to += length;
		from += length + (from[length] == '\n');
	}
	*to = '\0';
	return text;
}

const char *api_optional(const struct api_request *request, const char *name)
{
	const char *value = api_parameter(request, name);

	return value && *value ? value : NULL;
}

/* The resolvers are those of the fleet; the words of some explanations depend on it. */
static void set_options(struct cli *cli, const struct api_call *call)
{
	memcpy(cli->option, call->option, sizeof(cli->option));
	if (!cli->fleet)
		return;
	if (cli->fleet->whole)
		cli->option[CLI_FLEET] = "";
	else if (strcmp(cli->fleet->members[0].resolver, cli->options->resolver_name) != 0)
		cli->option[CLI_RESOLVER] = cli->fleet->members[0].resolver;
}

/* Runs it; what it explains is in *words, to be freed. CLI_ERROR and NULL: out of memory. */
static int run(struct cli *cli, const struct api_call *call, char **words)
{
	const char *arguments[3] = {call->word, call->other, NULL};
	FILE *file = cli->file, *errors = cli->errors;
	size_t size = 0;

	*words = NULL;
	cli->errors = open_memstream(words, &size);
	cli->file = cli->errors; /* what is flushed early must not reach stdout */
	if (!cli->errors) {
		cli->errors = errors;
		cli->file = file;
		return CLI_ERROR;
	}
	cli->json = true;
	int code = call->command->run(
		cli, (call->word != NULL) + (call->other != NULL), (char **)arguments);
	fclose(cli->errors);
	cli->errors = errors;
	cli->file = file;
	memset(cli->option, 0, sizeof(cli->option));
	return code;
}

static bool is_answer(const struct api_call *call, int code)
{
	return (code == CLI_NOTHING && call->empty) || code == CLI_OK || code == CLI_PARTIAL ||
	       code == CLI_UNMET;
}

static void explain(struct api_context *context, struct fleet *fleet, struct api_reply *reply,
	const struct api_call *call, int code, const char *words)
{
	if (code == CLI_NOTHING)
		api_fail(reply, 404, "%s",
			call->nothing ? call->nothing
			: *words      ? words
				      : "nothing is recorded of it");
	else if (code == CLI_USAGE)
		api_fail(reply, 400, "%s", words);
	else if (fleet)
		api_fleet_failed(context, fleet, reply);
	else
		api_fail(reply, 503, "%s", *words ? words : "it could not be done");
}

bool api_run(struct api_context *context, const struct api_request *request,
	struct api_reply *reply, const struct api_call *call)
{
	struct cli *cli = context->cli;
	struct fleet *fleet = NULL;
	char *words;

	if (!call->alone) {
		fleet = api_fleet(context, request, reply);
		if (!fleet)
			return false;
	}
	if (fleet && context->shared->watch) {
		fleet->hours = context->shared->watch->hours;
		fleet->samples = context->shared->watch->samples;
	}
	cli->fleet = fleet;
	set_options(cli, call);
	int code = run(cli, call, &words);
	cli->fleet = NULL;
	bool good = is_answer(call, code) && !cli->out.failed;
	if (good)
		strbuf_append(&reply->body, cli->out.data, cli->out.length);
	else
		explain(context, fleet, reply, call, code, words ? api_plain_words(words) : "");
	strbuf_clear(&cli->out);
	free(words);
	return good;
}
