/* SPDX-License-Identifier: BSD-3-Clause */
/* GET clients: a page of the table of all clients, and of what was known last while Redis is away.
 */
#include <string.h>

#include "resolver/control/dashboard/api_command.h"
#include "resolver/control/client_table.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/told_teredo.h"

#define LIMIT_MISSING 100
#define LIMIT_MAX 1000
#define OFFSET_MAX 1000000
#define DAYS_MAX 31    /* of names, as of the command */
#define SEARCH_MAX 300 /* octets: longer than any host name */

static bool read_order(
	const struct api_request *request, struct api_reply *reply, struct client_query *query)
{
	const char *sort = api_parameter(request, "sort");
	const char *order = api_parameter(request, "order");

	query->column = CLIENT_BY_QUERIES;
	if (sort && !client_column_from_text(sort, &query->column)) {
		api_fail(reply, 400,
			"sort: not one of queries, watched, blocked, cached, nxdomain, last, "
			"client, name");
		return false;
	}
	/* Who asks for a name's order means from a to z. */
	query->ascending = query->column == CLIENT_BY_CLIENT || query->column == CLIENT_BY_NAME;
	if (order && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0) {
		api_fail(reply, 400, "order: not asc or desc");
		return false;
	}
	if (order)
		query->ascending = strcmp(order, "asc") == 0;
	return true;
}

static bool read_query(
	const struct api_request *request, struct api_reply *reply, struct client_query *query)
{
	const char *search = api_parameter(request, "search");
	uint64_t offset, limit;

	if (!read_order(request, reply, query) ||
		!api_number(request, reply, "offset", 0, 0, OFFSET_MAX, &offset) ||
		!api_number(request, reply, "limit", LIMIT_MISSING, 1, LIMIT_MAX, &limit))
		return false;
	query->search = search ? search : "";
	query->offset = offset;
	query->limit = limit;
	if (strlen(query->search) <= SEARCH_MAX)
		return true;
	api_fail(reply, 400, "search: longer than %d octets", SEARCH_MAX);
	return false;
}

static void append_row(struct strbuf *out, const struct reader_client_row *row)
{
	const struct told_teredo told = {row->told_ms, row->told_last_ms, row->told_server};

	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "client", row->client);
	strbuf_json_text(out, "name", row->name);
	strbuf_json_text(out, "forwarder", row->forwarder);
	told_teredo_json_or_null(&told, out);
	strbuf_json_u64(out, "queries", row->queries);
	strbuf_json_u64(out, "watched", row->watched);
	strbuf_json_u64(out, "blocked", row->blocked);
	strbuf_json_u64(out, "cached", row->cached);
	strbuf_json_u64(out, "nxdomain", row->nxdomain);
	output_json_time(out, "first", row->first_ms);
	output_json_time(out, "last", row->last_ms);
	strbuf_append_char(out, '}');
}

/* Behind what api_begin wrote. */
static void append_page(
	struct api_reply *reply, const struct client_query *query, const struct client_page *page)
{
	struct strbuf *out = &reply->body;

	strbuf_json_u64(out, "total", page->total);
	strbuf_json_u64(out, "matching", page->matching);
	strbuf_json_u64(out, "offset", query->offset);
	/* Each row is the sum over all resolvers, whatever is sorted by; only a bound can take some
	 * away. */
	strbuf_json_bool(out, "exact", page->beyond == 0);
	output_json_time(out, "as_of", page->as_of_ms);
	strbuf_json_bool(out, "stale", page->stale);
	strbuf_json_key(out, "rows");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < page->count; i++)
		append_row(out, &page->rows[i]);
	strbuf_append_char(out, ']');
	api_end(reply);
}

/* Where nothing is known of Redis: whom the request is about, as far as it says. */
static const char *name_of(const struct api_context *context, const struct api_request *request)
{
	const char *name = api_parameter(request, "resolver");

	if (name)
		return name;
	return context->shared->fleet ? "*" : context->cli->options->resolver_name;
}

/* Redis is away: what was read last, or the reply as it is, which says so. */
static void answer_last(struct api_context *context, const struct api_request *request,
	struct api_reply *reply, const struct client_query *query)
{
	const char *name = name_of(context, request);
	struct client_page page;

	if (reply->status != 503 || !client_table_last_page(context->shared->clients, name, query,
					    &context->cli->arena, &page))
		return;
	strbuf_clear(&reply->body);
	reply->status = 200;
	reply->type = "application/json";
	api_begin(context, NULL, reply);
	if (strcmp(name, "*") == 0)
		strbuf_append_text(&reply->body, ",\"resolvers\":[],\"missing\":[]");
	else
		strbuf_json_text(&reply->body, "resolver", name);
	output_json_time(&reply->body, "recording_since", 0);
	append_page(reply, query, &page);
}

void api_clients(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct client_query query;
	struct client_page page;

	if (!read_query(request, reply, &query))
		return;
	struct fleet *fleet = api_fleet(context, request, reply);
	if (!fleet) {
		answer_last(context, request, reply, &query);
		return;
	}
	enum td_error error = client_table_page(context->shared->clients, fleet, &query,
		dashboard_mono_ms(), context->cli->now_ms, &context->cli->arena, &page);
	if (page.failed || error != TD_OK) {
		api_fleet_failed(context, fleet, reply);
		answer_last(context, request, reply, &query);
		return;
	}
	api_begin(context, fleet, reply);
	append_page(reply, &query, &page);
}

void api_names(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct api_call call = {.command = &command_top, .word = "names", .empty = true};
	char days_text[24], limit_text[24];
	uint64_t days, limit;

	if (!api_number(request, reply, "days", 1, 1, DAYS_MAX, &days) ||
		!api_number(request, reply, "limit", LIMIT_MISSING, 1, LIMIT_MAX, &limit))
		return;
	snprintf(days_text, sizeof(days_text), "%llu", (unsigned long long)days);
	snprintf(limit_text, sizeof(limit_text), "%llu", (unsigned long long)limit);
	call.option[CLI_DAYS] = days_text;
	call.option[CLI_LINES] = limit_text;
	api_run(context, request, reply, &call);
}
