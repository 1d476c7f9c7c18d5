/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a thread keeps from one request to the next: the configuration it holds, and connections to
 * Redis, a few fleets of them (ours, all, and those a request named; the one not used for longest
 * makes room). A connection that was left alone for a while is asked for the time before it is used
 * again, so that a restart of Redis costs nobody an error.
 *
 * A Redis that does not answer would cost each request its timeout, and soon hold all threads. So
 * whoever finds it away says so in the gate, and for a second everyone repeats that at once; then
 * one thread tries, while the others go on repeating it. That timeout is paid once a request: the
 * connection that was kept, the one opened in its place and those of the other resolvers share it.
 */
#include "resolver/control/dashboard/context.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/control/dashboard/dashboard.h"

#define FLEETS_KEPT 4
#define UNASKED_MS 1000  /* a connection that was used since is believed to be there */
#define RENEW_MS 30000   /* all resolvers are looked up anew, there may be more */
#define RETRY_MS 5000    /* the same, where one of them is missing */
#define GATE_MS 1000     /* so long nobody tries again */
#define COVERAGE_MS 5000 /* how old "recording since" may be */

struct kept_fleet {
	struct fleet *fleet;                    /* NULL: this place is free */
	char name[64];                          /* of the resolver; "*" all */
	int64_t opened_ms, used_ms, covered_ms; /* monotonic; covered 0: not yet */
	struct cli_coverage coverage;
};

struct api_fleets {
	struct dashboard_options *held;
	struct redis_patience patience; /* of this request; all connections here draw on it */
	char *said; /* what cli->errors writes to */
	size_t said_size;
	struct kept_fleet kept[FLEETS_KEPT];
};

/* --- life --- */

static void close_fleets(struct api_fleets *fleets)
{
	for (size_t i = 0; i < FLEETS_KEPT; i++)
		fleet_close(&fleets->kept[i].fleet);
}

struct api_context *api_context_new(struct dashboard *dashboard)
{
	struct api_context *context = calloc(1, sizeof(*context));
	struct api_fleets *fleets = calloc(1, sizeof(*fleets));
	struct cli *cli = calloc(1, sizeof(*cli));
	FILE *errors = fleets ? open_memstream(&fleets->said, &fleets->said_size) : NULL;

	if (!context || !cli || !errors) {
		if (errors)
			fclose(errors);
		free(fleets ? fleets->said : NULL);
		free(context);
		free(fleets);
		free(cli);
		return NULL;
	}
	*cli = (struct cli){.program = dashboard->program,
		.config = dashboard->config,
		.config_given = dashboard->config_given,
		.json = true,
		.has_passwords = true,
		.file = stdout,
		.errors = errors};
	strbuf_init(&cli->out);
	arena_init(&cli->arena);
	*context = (struct api_context){.cli = cli, .shared = dashboard, .fleets = fleets};
	return context;
}

void api_context_free(struct api_context *context)
{
	if (!context)
		return;
	close_fleets(context->fleets);
	fclose(context->cli->errors);
	free(context->fleets->said);
	strbuf_deinit(&context->cli->out);
	arena_deinit(&context->cli->arena);
	dashboard_options_drop(context->fleets->held);
	free(context->fleets);
	free(context->cli);
	free(context);
}

/* Connections belong to the configuration that they were opened by. */
static void take_options(struct api_context *context)
{
	struct api_fleets *fleets = context->fleets;
	struct dashboard_options *now = dashboard_options_hold(context->shared);

	if (now == fleets->held) {
		dashboard_options_drop(now);
		return;
	}
	close_fleets(fleets);
	dashboard_options_drop(fleets->held);
	fleets->held = now;
	context->cli->options = now->options;
}

bool api_context_begin(struct api_context *context, struct api_reply *reply)
{
	struct cli *cli = context->cli;

	take_options(context);
	context->fleets->patience.left_ms = CLI_READER_TIMEOUT_MS;
	arena_deinit(&cli->arena);
	arena_init(&cli->arena);
	strbuf_clear(&cli->out);
	memset(cli->option, 0, sizeof(cli->option));
	cli->now_ms = dashboard_wall_ms();
	fflush(cli->errors);
	rewind(cli->errors);
	*reply = (struct api_reply){.status = 200, .type = "application/json"};
	strbuf_init(&reply->body);
	return true;
}

const char *api_said(struct api_context *context)
{
	struct api_fleets *fleets = context->fleets;

	long end = ftell(context->cli->errors);
	fflush(context->cli->errors);
	if (end <= 0 || !fleets->said)
		return "";
	char *text = arena_alloc(&context->cli->arena, (size_t)end + 1);
	if (!text)
		return "";
	memcpy(text, fleets->said, (size_t)end);
	text[end] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return strncmp(text, "teredown: ", 10) == 0 ? text + 10 : text;
}

/* --- the gate --- */

/* True: go and try. False: it was away just now, words say how. */
static bool pass_gate(struct dashboard_gate *gate, char words[READER_WORDS_MAX])
{
	pthread_mutex_lock(&gate->mutex);
	bool pass = !gate->away || (!gate->trying && dashboard_mono_ms() >= gate->until_ms);
	gate->trying = gate->trying || (gate->away && pass);
	memcpy(words, gate->words, READER_WORDS_MAX);
	pthread_mutex_unlock(&gate->mutex);
	return pass;
}

static void tell_gate(struct dashboard_gate *gate, bool away, const char *words)
{
	pthread_mutex_lock(&gate->mutex);
	gate->away = away;
	gate->trying = false;
	gate->until_ms = dashboard_mono_ms() + GATE_MS;
	snprintf(gate->words, sizeof(gate->words), "%s", away ? words : "");
	pthread_mutex_unlock(&gate->mutex);
}

/* --- fleets --- */

static enum td_error ask_time(void *context, struct fleet_member *member)
{
	return reader_time(member->reader, context);
}

/* Whether a fleet that was opened before can be used now. */
static bool is_good(struct kept_fleet *kept, int64_t now_ms)
{
	int64_t unused, age_ms = now_ms - kept->opened_ms;
	size_t before = fleet_missing(kept->fleet);

	if (kept->fleet->whole && (age_ms > RENEW_MS || (before && age_ms > RETRY_MS)))
		return false;
	if (now_ms - kept->used_ms < UNASKED_MS)
		return true;
	return fleet_each(kept->fleet, ask_time, &unused) == TD_OK &&
	       fleet_missing(kept->fleet) == before;
}

/* Where the fleet of that name is kept; NULL: nowhere. */
static struct kept_fleet *find_kept(struct api_fleets *fleets, const char *name)
{
	for (size_t i = 0; i < FLEETS_KEPT; i++)
		if (fleets->kept[i].fleet && strcmp(fleets->kept[i].name, name) == 0)
			return &fleets->kept[i];
	return NULL;
}

/* A place that is free, or that of what was not used for longest. */
static struct kept_fleet *make_place(struct api_fleets *fleets)
{
	struct kept_fleet *place = &fleets->kept[0];

	for (size_t i = 1; i < FLEETS_KEPT && place->fleet; i++)
		if (!fleets->kept[i].fleet || fleets->kept[i].used_ms < place->used_ms)
			place = &fleets->kept[i];
	return place;
}

static void fail_away(struct api_reply *reply, enum td_error error, const char *words)
{
	struct strbuf shown;

	strbuf_init(&shown);
	output_text(&shown, words);
	api_fail(reply, 503, "Redis %s: %s", error == TD_REFUSED ? "refuses us" : "does not answer",
		shown.failed || !shown.data ? "" : shown.data);
	strbuf_deinit(&shown);
}

/* Anybody may name a resolver that is not there: it is refused before anything is kept for it. Ours
 * is told of while it has recorded nothing yet, too. */
static bool is_known(struct api_context *context, struct fleet *fleet, struct api_reply *reply)
{
	struct reader *reader = fleet->members[0].reader;
	const char *name = fleet->members[0].resolver;
	bool known = true;

	if (strcmp(name, context->cli->options->resolver_name) == 0)
		return true;
	enum td_error error = reader_is_known(reader, &known);
	if (error != TD_OK)
		fail_away(reply, error, reader_words(reader));
	else if (!known)
		api_fail(reply, 404, "no resolver \"%s\" ever wrote to this Redis", name);
	return error == TD_OK && known;
}

/* A Redis that hangs takes connections all the same: the gate has to know before a handler waits. */
static bool is_heard(struct fleet *fleet, char words[READER_WORDS_MAX])
{
	int64_t unused;

	if (fleet_each(fleet, ask_time, &unused) != TD_IO)
		return true;
	snprintf(words, READER_WORDS_MAX, "%s", fleet_words(fleet));
	return false;
}

/* NULL: the reply says why. */
static struct fleet *open_fleet(
	struct api_context *context, const char *name, struct api_reply *reply)
{
	const struct options *options = context->cli->options;
	struct redis_access access = options_redis_access(options);
	access.patience = &context->fleets->patience;
	const char *resolver = strcmp(name, "*") == 0 ? NULL : name;
	struct dashboard_gate *gate = &context->shared->gate;
	char words[READER_WORDS_MAX];
	enum td_error error = TD_NOMEM;

	if (!pass_gate(gate, words)) {
		fail_away(reply, TD_IO, words);
		return NULL;
	}
	char *url = options_redis_url(options);
	snprintf(words, sizeof(words), "%s", error_text(TD_NOMEM));
	struct fleet *fleet = url ? fleet_open(url, &access, resolver, CLI_READER_TIMEOUT_MS, words,
					    &error)
				  : NULL;
	free(url);
	if (fleet && !is_heard(fleet, words)) {
		fleet_close(&fleet);
		error = TD_IO;
	}
	tell_gate(gate, !fleet && error == TD_IO, words);
	if (!fleet)
		fail_away(reply, error, words);
	else if (resolver && !is_known(context, fleet, reply))
		fleet_close(&fleet);
	return fleet;
}

static bool is_resolver_name(const char *name)
{
	size_t length =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return length > 0 && length < 64 && !name[length];
}

/* Its name; NULL: the reply says what is wrong. */
static const char *wanted(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	const char *name = api_parameter(request, "resolver");

	if (strcmp(context->cli->options->redis, "off") == 0) {
		api_fail(reply, 503,
			"redis = \"off\" in the configuration: nothing is kept that could be read");
		return NULL;
	}
	if (!name)
		return context->shared->fleet ? "*" : context->cli->options->resolver_name;
	if (strcmp(name, "*") == 0 || is_resolver_name(name))
		return name;
	api_fail(reply, 400, "resolver: not the name of a resolver");
	return NULL;
}

struct fleet *api_fleet(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	const char *name = wanted(context, request, reply);

	if (!name)
		return NULL;
	struct kept_fleet *kept = find_kept(context->fleets, name);
	if (kept && !is_good(kept, dashboard_mono_ms()))
		fleet_close(&kept->fleet);
	if (!kept || !kept->fleet) {
		struct fleet *fleet = open_fleet(context, name, reply);
		if (!fleet)
			return NULL;
		kept = make_place(context->fleets);
		fleet_close(&kept->fleet);
		*kept = (struct kept_fleet){.fleet = fleet, .opened_ms = dashboard_mono_ms()};
		snprintf(kept->name, sizeof(kept->name), "%s", name);
	}
	kept->used_ms = dashboard_mono_ms();
	return kept->fleet;
}

static struct kept_fleet *place_holding(struct api_context *context, const struct fleet *fleet)
{
	for (size_t i = 0; fleet && i < FLEETS_KEPT; i++)
		if (context->fleets->kept[i].fleet == fleet)
			return &context->fleets->kept[i];
	return NULL;
}

void api_fleet_failed(struct api_context *context, struct fleet *fleet, struct api_reply *reply)
{
	struct kept_fleet *kept = place_holding(context, fleet);

	fail_away(reply, TD_IO, fleet ? fleet_words(fleet) : "");
	if (kept)
		fleet_close(&kept->fleet);
}

bool api_coverage(struct api_context *context, struct fleet *fleet, struct cli_coverage *coverage)
{
	struct kept_fleet *kept = place_holding(context, fleet);
	int64_t now_ms = dashboard_mono_ms();

	*coverage = (struct cli_coverage){.ever = false};
	if (!kept)
		return false;
	if (!kept->covered_ms || now_ms - kept->covered_ms > COVERAGE_MS) {
		if (cli_coverage(context->cli, fleet, coverage) != TD_OK)
			return false;
		kept->coverage = *coverage;
		kept->covered_ms = now_ms;
	}
	*coverage = kept->coverage;
	return true;
}
