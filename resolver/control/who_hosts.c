/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of clients beside their questions: the host name, what a Windows event log told
 * last, whether somebody marked them as remediated. Event logs name computers, not addresses, so
 * they are looked for under the client, its host name, and the first label of that, in lower case.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/json_view.h"
#include "resolver/control/who.h"

#define ALIASES 4 /* under which a client may stand in an event log */
#define ALIAS_MAX 256

struct hosts_load {
	struct who *who;
	struct who_hosts *hosts;
};

static const char *keep(struct arena *arena, const char *text)
{
	return *text ? arena_copy(arena, text, strlen(text) + 1) : NULL;
}

static const char *lower(struct arena *arena, const char *text, size_t length)
{
	char copy[ALIAS_MAX];

	if (length >= sizeof(copy))
		length = sizeof(copy) - 1;
	for (size_t i = 0; i < length; i++)
		copy[i] = (char)tolower((unsigned char)text[i]);
	copy[length] = '\0';
	return arena_copy(arena, copy, length + 1);
}

static enum td_error load_names(
	struct hosts_load *load, struct fleet_member *member, struct reader_value *values)
{
	struct who_hosts *hosts = load->hosts;

	for (size_t i = 0; i < hosts->count; i++)
		values[i] = (struct reader_value){hosts->rows[i].client, NULL};
	enum td_error error = reader_values(
		member->reader, &load->who->cli->arena, READER_ABOUT_NAME, values, hosts->count);
	for (size_t i = 0; i < hosts->count && error == TD_OK; i++)
		if (values[i].value)
			hosts->rows[i].name = values[i].value;
	return error;
}

/* The client, its name, that without the final dot, its first label. Unused places are "". */
static bool make_aliases(
	struct arena *arena, const struct who_host *host, struct reader_value out[ALIASES])
{
	const char *name = host->name ? host->name : "";
	size_t length = strlen(name);

	out[0].of = host->client;
	out[1].of = lower(arena, name, length);
	out[2].of = lower(arena, name, length && name[length - 1] == '.' ? length - 1 : 0);
	out[3].of = lower(arena, name, strcspn(name, "."));
	return out[1].of && out[2].of && out[3].of;
}

static void take_event(struct arena *arena, struct who_host *host, const char *json)
{
	char state[64], event[64], text[300], at[24];
	size_t size = strlen(json);

	json_field(json, size, "at", at, sizeof(at));
	int64_t ms = strtoll(at, NULL, 10);
	if (ms <= host->event_ms)
		return;
	json_field(json, size, "state", state, sizeof(state));
	json_field(json, size, "event", event, sizeof(event));
	json_field(json, size, "text", text, sizeof(text));
	host->event_ms = ms;
	host->event_state = keep(arena, state);
	host->event = keep(arena, event);
	host->event_text = keep(arena, text);
}

static void take_mark(struct arena *arena, struct who_host *host, const char *json)
{
	char by[64], method[64], at[24];
	size_t size = strlen(json);

	json_field(json, size, "at", at, sizeof(at));
	int64_t ms = strtoll(at, NULL, 10);
	if (ms <= host->remediated_ms)
		return;
	json_field(json, size, "by", by, sizeof(by));
	json_field(json, size, "method", method, sizeof(method));
	host->remediated_ms = ms;
	host->by = keep(arena, by);
	host->method = keep(arena, method);
}

static enum td_error load_told(
	struct hosts_load *load, struct fleet_member *member, struct reader_value *values)
{
	struct arena *arena = &load->who->cli->arena;
	struct who_hosts *hosts = load->hosts;

	for (size_t i = 0; i < hosts->count; i++)
		if (!make_aliases(arena, &hosts->rows[i], values + i * ALIASES))
			return TD_NOMEM;
	enum td_error error = reader_values(
		member->reader, arena, READER_ABOUT_EVENTLOG, values, hosts->count * ALIASES);
	for (size_t i = 0; i < hosts->count * ALIASES && error == TD_OK; i++)
		if (values[i].value && *values[i].of)
			take_event(arena, &hosts->rows[i / ALIASES], values[i].value);
	if (error == TD_OK)
		error = reader_values(member->reader, arena, READER_ABOUT_REMEDIATION, values,
			hosts->count * ALIASES);
	for (size_t i = 0; i < hosts->count * ALIASES && error == TD_OK; i++)
		if (values[i].value && *values[i].of)
			take_mark(arena, &hosts->rows[i / ALIASES], values[i].value);
	return error;
}

static enum td_error load_member(void *context, struct fleet_member *member)
{
	struct hosts_load *load = context;
	struct reader_value *values = arena_alloc(
		&load->who->cli->arena, (load->hosts->count + 1) * ALIASES * sizeof(*values));

	if (!values)
		return TD_NOMEM;
	enum td_error error = load_names(load, member, values);
	return error == TD_OK ? load_told(load, member, values) : error;
}

enum td_error who_load_hosts(struct who *who, const struct who_list *clients, struct who_hosts *out)
{
	struct hosts_load load = {who, out};

	*out = (struct who_hosts){.count = 0};
	out->rows = arena_alloc(&who->cli->arena, (clients->count + 1) * sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	for (size_t i = 0; i < clients->count && out->count < WHO_HOSTS_MAX; i++)
		if (clients->words[i][0] != '*')
			out->rows[out->count++] = (struct who_host){.client = clients->words[i]};
	return out->count ? fleet_each(who->fleet, load_member, &load) : TD_OK;
}

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

void who_append_hosts(struct who *who, const struct who_hosts *hosts)
{
	struct grid grid;
	bool any = false;

	grid_init(&grid, "CLIENT|HOST|EVENT LOG SAYS|AT|REMEDIATED|BY|METHOD");
	for (size_t i = 0; i < hosts->count && i < who->limit; i++) {
		const struct who_host *host = &hosts->rows[i];
		if (!host->name && !host->event_ms && !host->remediated_ms)
			continue;
		any = true;
		grid_cell(&grid, host->client);
		grid_cell(&grid, or_dash(host->name));
		grid_cell(&grid, or_dash(host->event_state));
		grid_cell_time(&grid, host->event_ms);
		grid_cell_time(&grid, host->remediated_ms);
		grid_cell(&grid, or_dash(host->by));
		grid_cell(&grid, or_dash(host->method));
	}
	if (any)
		strbuf_append_text(&who->cli->out, "\nWhat is known of these hosts:\n");
	grid_print(&grid, &who->cli->out, 0, who->cli->colour);
	grid_deinit(&grid);
}

static void append_host_json(struct strbuf *out, const struct who_host *host)
{
	strbuf_json_text(out, "host", host->name);
	strbuf_json_key(out, "eventlog");
	if (host->event_ms) {
		strbuf_append_char(out, '{');
		output_json_time(out, "at", host->event_ms);
		strbuf_json_text(out, "state", host->event_state);
		strbuf_json_text(out, "event", host->event);
		strbuf_json_text(out, "text", host->event_text);
		strbuf_append_char(out, '}');
	} else {
		strbuf_append_text(out, "null");
	}
	strbuf_json_key(out, "remediated");
	if (host->remediated_ms) {
		strbuf_append_char(out, '{');
		output_json_time(out, "at", host->remediated_ms);
		strbuf_json_text(out, "by", host->by);
		strbuf_json_text(out, "method", host->method);
		strbuf_append_char(out, '}');
	} else {
		strbuf_append_text(out, "null");
	}
}

void who_append_hosts_json(struct who *who, const struct who_hosts *hosts)
{
	struct strbuf *out = &who->cli->out;

	strbuf_json_key(out, "hosts");
	strbuf_append_char(out, '{');
	for (size_t i = 0; i < hosts->count; i++) {
		const struct who_host *host = &hosts->rows[i];
		if (!host->name && !host->event_ms && !host->remediated_ms)
			continue;
		output_json_next(out);
		strbuf_json_string(out, host->client, strlen(host->client));
		strbuf_append_text(out, ":{");
		append_host_json(out, host);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, '}');
}
