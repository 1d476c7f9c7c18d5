/* SPDX-License-Identifier: BSD-3-Clause */
/* GET overview and GET hours. */
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/dashboard/hours_json.h"
#include "resolver/control/dashboard/overview.h"
#include "resolver/control/fleet_hours.h"

#define HOUR_MS INT64_C(3600000)
#define DAYS_MAX 366

void api_overview(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	overview_answer(context->shared->overviews, context, request, reply);
	if (reply->status == 200)
		strbuf_append_char(&reply->body, '\n');
}

void api_hours(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct cli *cli = context->cli;
	uint64_t days;

	if (!api_number(request, reply, "days", 7, 1, DAYS_MAX, &days))
		return;
	struct fleet *fleet = api_fleet(context, request, reply);
	if (!fleet)
		return;
	const struct reader_span span = {
		cli->now_ms / HOUR_MS - (int64_t)days * 24 + 1, (size_t)days * 24};
	struct reader_total *rows = arena_alloc(&cli->arena, span.count * sizeof(*rows));
	if (!rows || fleet_totals(fleet, span, rows) != TD_OK) {
		api_fleet_failed(context, fleet, reply);
		return;
	}
	api_begin(context, fleet, reply);
	strbuf_json_key(&reply->body, "hours");
	hours_json(&reply->body, span, rows, cli->now_ms);
	api_end(reply);
}
