/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET who, timeline, drops, verify: what the commands of these names print with --json. Parameters
 * become their options as they came: the commands check them, and what they say of one is the
 * detail of a 400. What may be long is asked for in fewer rows where it would not fit.
 */
#include <stdio.h>
#include <string.h>

#include "lib/dns/address.h"
#include "resolver/control/dashboard/api_command.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/known.h"

#define ROWS_MAX 10000
#define NUMBER_MAX 24
#define NOTHING_MAX 1400

/* False, and the reply is a 400: it has to be there. */
static bool need(const struct api_request *request, struct api_reply *reply, const char *name,
	const char **out)
{
	*out = api_parameter(request, name);
	if (*out && **out)
		return true;
	api_fail(reply, 400, "the parameter \"%s\" is missing", name);
	return false;
}

/* Rows as text for --lines; false, and the reply is a 400. */
static bool take_rows(const struct api_request *request, struct api_reply *reply, uint64_t missing,
	char out[NUMBER_MAX], uint64_t *rows)
{
	if (!api_number(request, reply, "limit", missing, 1, ROWS_MAX, rows))
		return false;
	snprintf(out, NUMBER_MAX, "%llu", (unsigned long long)*rows);
	return true;
}

/* --- who --- */

/* What is known of a word that nobody asked for, nor was told. */
static const char *nothing_about(const char *word, char out[NOTHING_MAX])
{
	struct address address;
	struct strbuf text;

	strbuf_init(&text);
	strbuf_append_text(&text, "nothing is recorded of ");
	output_text(&text, word);
	if (address_from_text(&address, word) && known_place(&address)) {
		strbuf_append_text(&text, ". ");
		known_describe(&address, false, &text);
	}
	while (text.length && text.data[text.length - 1] == '\n')
		text.data[--text.length] = '\0';
	snprintf(out, NOTHING_MAX, "%s", text.failed ? "nothing is recorded of it" : text.data);
	strbuf_deinit(&text);
	return out;
}

/* Names may be long and hostile: fewer rows are better than none, and "cut" says so. */
static bool is_too_long(const struct api_reply *reply)
{
	return reply->status == 200 && reply->body.length > API_REPLY_MAX;
}

void api_get_who(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct api_call call = {.command = &command_who};
	char rows_text[NUMBER_MAX], nothing[NOTHING_MAX];
	uint64_t rows;

	if (!need(request, reply, "q", &call.word) ||
		!take_rows(request, reply, ROWS_MAX, rows_text, &rows))
		return;
	call.option[CLI_LINES] = rows_text;
	call.nothing = nothing_about(call.word, nothing);
	for (bool good = true; good; rows /= 10) {
		strbuf_clear(&reply->body);
		snprintf(rows_text, sizeof(rows_text), "%llu", (unsigned long long)rows);
		good = api_run(context, request, reply, &call) && is_too_long(reply) && rows >= 10;
	}
}

/* --- timeline, drops, verify --- */

static void take_times(const struct api_request *request, struct api_call *call)
{
	call->option[CLI_SINCE] = api_optional(request, "since");
	call->option[CLI_UNTIL] = api_optional(request, "until");
}

/* as=address: the word is an address that others were told, if it is a client, too. */
static bool take_kind(
	const struct api_request *request, struct api_reply *reply, struct api_call *call)
{
	const char *as = api_optional(request, "as");

	if (!as)
		return true;
	if (strcmp(as, "address") != 0) {
		api_fail(reply, 400, "the parameter \"as\" takes \"address\" only");
		return false;
	}
	call->option[CLI_ADDRESS] = call->word;
	call->word = NULL;
	return true;
}

void api_get_timeline(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct api_call call = {.command = &command_timeline};
	char nothing[NOTHING_MAX];

	if (!need(request, reply, "q", &call.word))
		return;
	call.nothing = nothing_about(call.word, nothing);
	if (!take_kind(request, reply, &call))
		return;
	take_times(request, &call);
	call.option[CLI_SPAN] = api_optional(request, "span");
	call.option[CLI_BY] = api_optional(request, "by");
	if (api_run(context, request, reply, &call) && is_too_long(reply))
		api_fail(reply, 400,
			"this is more than fits into one answer: ask for less time, or "
			"for longer spans");
}

void api_get_drops(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct api_call call = {.command = &command_drops,
		.nothing = "no dropped packet is recorded in that time; `teredown ingest FILE` "
			   "reads the log of a firewall"};
	char rows_text[NUMBER_MAX];
	uint64_t rows;

	if (!take_rows(request, reply, 20, rows_text, &rows))
		return;
	if (api_parameter(request, "limit"))
		call.option[CLI_LINES] = rows_text;
	take_times(request, &call);
	api_run(context, request, reply, &call);
}

void api_get_verify(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct api_call call = {
		.command = &command_verify, .option[CLI_CLIENT] = api_optional(request, "client")};

	call.nothing = call.option[CLI_CLIENT]
			       ? "this client was not marked as remediated"
			       : "nobody was marked as remediated yet; `teredown remediate "
				 "--mark` does that";
	api_run(context, request, reply, &call);
}
