/* SPDX-License-Identifier: BSD-3-Clause */
/* The pieces of which handlers are made, and the answer to /healthz. */
#include "resolver/control/dashboard/api.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/handlers.h"

const char *api_parameter(const struct api_request *request, const char *name)
{
	for (size_t i = 0; i < request->parameter_count; i++)
		if (strcmp(request->parameters[i].name, name) == 0)
			return request->parameters[i].value;
	return NULL;
}

bool api_number(const struct api_request *request, struct api_reply *reply, const char *name,
	uint64_t missing, uint64_t least, uint64_t most, uint64_t *out)
{
	const char *text = api_parameter(request, name);
	char *end;

	*out = missing;
	if (!text)
		return true;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && value >= least && value <= most) {
		*out = value;
		return true;
	}
	api_fail(reply, 400, "%s: not a number from %llu to %llu", name, (unsigned long long)least,
		(unsigned long long)most);
	return false;
}

static const char *title_of(int status)
{
	static const struct {
		int status;
		const char *title;
	} titles[] = {
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{409, "Conflict"},
		{413, "Content Too Large"},
		{415, "Unsupported Media Type"},
		{421, "Misdirected Request"},
		{422, "Unprocessable Content"},
		{429, "Too Many Requests"},
		{500, "Internal Server Error"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
	};

	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Error";
}

void api_fail(struct api_reply *reply, int status, const char *format, ...)
{
	char words[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	reply->status = status;
	reply->type = "application/problem+json";
	strbuf_clear(&reply->body);
	strbuf_append_char(&reply->body, '{');
	strbuf_json_text(&reply->body, "type", "about:blank");
	strbuf_json_text(&reply->body, "title", title_of(status));
	strbuf_json_u64(&reply->body, "status", (uint64_t)status);
	strbuf_json_text(&reply->body, "detail", words);
	strbuf_append_text(&reply->body, "}\n");
}

/* --- the daemon --- */

bool api_ask(struct api_context *context, struct api_reply *reply, unsigned count,
	const char *const words[], struct control_answer *answer)
{
	switch (cli_ask_silently(context->cli, count, words, answer)) {
	case CONTROL_OK:
		return true;
	case CONTROL_FAILED:
		api_fail(reply, 502, "teredownd says: %s", answer->words);
		return false;
	case CONTROL_NO_DAEMON:
		api_fail(reply, 503,
			"teredownd is not running beside the dashboard: nobody listens at its "
			"control socket");
		return false;
	case CONTROL_DENIED:
		api_fail(reply, 503,
			"the control socket belongs to another user: run the dashboard as the user "
			"of teredownd, or it can only read what stands in Redis");
		return false;
	case CONTROL_SILENT:
		api_fail(reply, 503, "teredownd has not answered in time");
		return false;
	case CONTROL_BROKEN:
		break;
	}
	api_fail(reply, 503, "the control socket cannot be used: %s",
		*answer->words ? answer->words : "its path is too long, shorten state-dir");
	return false;
}

/* --- what every answer has --- */

void api_begin(struct api_context *context, struct fleet *fleet, struct api_reply *reply)
{
	struct strbuf *out = &reply->body;
	struct cli_coverage coverage;

	strbuf_append_char(out, '{');
	output_json_time(out, "time", context->cli->now_ms);
	if (!fleet)
		return;
	bool known = api_coverage(context, fleet, &coverage);
	cli_fleet_json(fleet, out);
	output_json_time(
		out, "recording_since", known && coverage.since_ms > 0 ? coverage.since_ms : 0);
}

void api_end(struct api_reply *reply)
{
	strbuf_append_text(&reply->body, "}\n");
}

void api_healthz(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	(void)context;
	(void)request;
	reply->type = "text/plain; charset=utf-8";
	strbuf_append_text(&reply->body, "ok\n");
}
