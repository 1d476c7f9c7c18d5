/* SPDX-License-Identifier: BSD-3-Clause */
/* A problem is taken back where it says no more than that Redis is away: its sentence becomes a
 * part of the answer. */
#include "resolver/control/dashboard/away.h"

#include <stdio.h>
#include <string.h>

#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/json_view.h"

#define WORDS_MAX 600

static const char *take_detail(struct cli *cli, const struct api_reply *reply)
{
	char words[WORDS_MAX];
	const char *json = reply->body.length ? reply->body.data : "";

	if (!json_field(json, reply->body.length, "detail", words, sizeof(words)))
		snprintf(words, sizeof(words), "Redis cannot be read");
	const char *kept = arena_copy(&cli->arena, words, strlen(words) + 1);
	return kept ? kept : "Redis cannot be read";
}

struct fleet *away_fleet(struct api_context *context, const struct api_request *request,
	struct api_reply *reply, const char **words)
{
	const char *type = reply->type;
	struct fleet *fleet = api_fleet(context, request, reply);

	*words = "";
	if (fleet || reply->status != 503)
		return fleet;
	*words = take_detail(context->cli, reply);
	reply->status = 200;
	reply->type = type;
	strbuf_clear(&reply->body);
	return NULL;
}

bool away_is_alone(const struct api_context *context, const struct fleet *fleet,
	enum control_outcome outcome)
{
	const char *ours = context->cli->options->resolver_name;

	if (!context->shared->fleet || outcome != CONTROL_NO_DAEMON || !fleet || !fleet->whole)
		return false;
	for (size_t i = 0; i < fleet->count; i++)
		if (strcmp(fleet->members[i].resolver, ours) == 0)
			return false;
	return fleet->beyond == 0;
}

void away_begin(struct api_context *context, struct fleet *fleet, struct api_reply *reply)
{
	struct strbuf *out = &reply->body;

	if (fleet) {
		api_begin(context, fleet, reply);
		return;
	}
	strbuf_append_char(out, '{');
	output_json_time(out, "time", context->cli->now_ms);
	strbuf_json_text(out, "resolver", context->cli->options->resolver_name);
	strbuf_json_text(out, "recording_since", NULL);
}
