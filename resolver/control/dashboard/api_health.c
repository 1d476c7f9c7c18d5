/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET health: the daemon beside us as `teredown status` has it, Redis and the resolvers in it as
 * `teredown status --fleet` has them. Either may be away, and that is what this page is for: it
 * says which, in whose words, and shows the other. So nothing here makes a problem of the reply.
 */
#include <string.h>

#include "config.h"
#include "resolver/control/dashboard/api.h"
#include "resolver/control/dashboard/away.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/dashboard/session.h"
#include "resolver/control/dashboard/zones.h"
#include "resolver/control/status_fleet.h"

static void append_daemon(
	struct api_context *context, const struct fleet *fleet, struct strbuf *out)
{
	const char *const request[] = {"status"};
	struct control_answer answer;
	const char *words;
	enum control_outcome outcome = zones_ask(context->cli, 1, request, &answer, &words);
	bool here = outcome == CONTROL_OK, alone = away_is_alone(context, fleet, outcome);

	if (alone)
		words = AWAY_ALONE_WORDS;

	strbuf_json_key(out, "daemon");
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "state", here ? "ok" : alone ? "none" : "away");
	strbuf_json_text(out, "words", *words ? words : NULL);
	strbuf_json_key(out, "status");
	if (here)
		status_append_json(out, &answer);
	else
		strbuf_append_text(out, "null");
	strbuf_append_char(out, '}');
	control_answer_free(&answer);
}

/* --- Redis --- */

struct memory {
	struct cli *cli;
	bool known;
	int64_t used, max, pressure;
};

/* Resolvers may be on several nodes of a cluster: the one that is nearest to its bound counts. */
static enum td_error take_memory(void *context, struct fleet_member *member)
{
	struct memory *memory = context;
	struct reader_fields meta;
	enum td_error error = reader_meta(member->reader, &memory->cli->arena, &meta);
	int64_t used = reader_field_i64(&meta, "memory_used", 0);
	int64_t pressure = reader_field_i64(&meta, "pressure", 0);

	if (error != TD_OK || used <= 0 || (memory->known && pressure < memory->pressure) ||
		(memory->known && pressure == memory->pressure && used <= memory->used))
		return error;
	memory->known = true;
	memory->used = used;
	memory->pressure = pressure;
	memory->max = reader_field_i64(&meta, "memory_max", 0);
	return TD_OK;
}

static void append_number(struct strbuf *out, const char *key, bool known, int64_t value)
{
	if (known && value >= 0)
		strbuf_json_u64(out, key, (uint64_t)value);
	else
		strbuf_json_text(out, key, NULL);
}

static void append_redis(struct cli *cli, const struct memory *memory, const char *words,
	struct strbuf *out)
{
	bool off = strcmp(cli->options->redis, "off") == 0;

	strbuf_json_key(out, "redis");
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "state", off ? "off" : *words ? "away" : "ok");
	strbuf_json_text(out, "words", *words ? words : NULL);
	append_number(out, "memory_used", memory->known, memory->used);
	append_number(out, "memory_max", memory->known, memory->max);
	append_number(out, "pressure", memory->known, memory->pressure);
	strbuf_append_char(out, '}');
}

static void append_fleet(struct cli *cli, struct fleet *fleet, struct strbuf *out)
{
	size_t before;

	strbuf_json_key(out, "fleet");
	strbuf_append_char(out, '[');
	before = out->length;
	if (fleet && status_fleet_rows(cli, fleet, out) != TD_OK && before < out->length)
		out->data[out->length = before] = '\0';
	strbuf_append_char(out, ']');
}

/* Who signs in, and what was refused of those who did not. */
static void append_sessions(struct dashboard *dashboard, struct strbuf *out)
{
	struct access_counts counts;

	access_count(sessions_access(dashboard), &counts);
	strbuf_json_u64(out, "sessions", counts.open);
	strbuf_json_u64(out, "sessions_pushed_out", counts.pushed_out);
	strbuf_json_u64(out, "wrong_tokens", counts.wrong);
	strbuf_json_u64(out, "sign_ins_turned_away", counts.turned_away);
	strbuf_json_u64(out, "changes_refused", counts.refused);
}

static void append_dashboard(struct dashboard *dashboard, struct strbuf *out)
{
	const struct dashboard_figures *figures = &dashboard->figures;

	strbuf_json_key(out, "dashboard");
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "version", PACKAGE_VERSION);
	output_json_time(out, "started", dashboard->started_ms);
	strbuf_json_u64(out, "requests", atomic_load(&figures->requests));
	strbuf_json_u64(out, "refused", atomic_load(&figures->refused));
	strbuf_json_u64(out, "streams", atomic_load(&figures->streams));
	strbuf_json_u64(out, "connections", atomic_load(&figures->connections));
	append_sessions(dashboard, out);
	strbuf_append_char(out, '}');
}

/* It is opened anew the next time, however soon that is. */
static void drop_fleet(struct api_context *context, struct fleet *fleet)
{
	struct api_reply unused = {.status = 200};

	strbuf_init(&unused.body);
	api_fleet_failed(context, fleet, &unused);
	strbuf_deinit(&unused.body);
}

void api_get_health(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct memory memory = {.cli = context->cli};
	struct api_request all = *request;
	const char *words;

	/* All resolvers, unless one was named. */
	if (!api_parameter(request, "resolver") && all.parameter_count < API_PARAMETERS_MAX)
		all.parameters[all.parameter_count++] = (struct api_parameter){"resolver", "*"};
	struct fleet *fleet = away_fleet(context, &all, reply, &words);
	if (reply->status != 200)
		return;
	away_begin(context, fleet, reply);
	append_daemon(context, fleet, &reply->body);
	bool failed = fleet && fleet_each(fleet, take_memory, &memory) != TD_OK;
	append_redis(context->cli, &memory, failed ? fleet_words(fleet) : words, &reply->body);
	append_fleet(context->cli, fleet, &reply->body);
	append_dashboard(context->shared, &reply->body);
	api_end(reply);
	if (failed)
		drop_fleet(context, fleet);
}
