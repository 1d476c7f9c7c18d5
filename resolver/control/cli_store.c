/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Redis as commands meet it: opening one resolver or the fleet, and the sentences for everything
 * that can be missing there, each with the command to run next.
 */
#include <stdlib.h>
#include <string.h>

#include "resolver/control/cli.h"
#include "resolver/telemetry/redis/schema.h"

/* Without what stands before an '@': there may be a password, but for sentinels, which have a name
 * there. */
static void append_url(struct strbuf *out, const char *url)
{
	const char *at = strrchr(url, '@');
	const char *scheme = strstr(url, "://");

	if (at && scheme && scheme < at && strncmp(url, "sentinel:", 9) != 0) {
		strbuf_append(out, url, (size_t)(scheme - url) + 3);
		strbuf_append_text(out, "***");
		url = at;
	}
	output_text(out, url);
}

static const char *config_name(const struct cli *cli)
{
	return cli->config ? cli->config : options_default_path;
}

/* Redis is configured and cannot be read: says what the daemon knows about it. */
static void explain_store(struct cli *cli, const char *url, const char *words, enum td_error error,
	struct strbuf *out)
{
	bool embedded = strcmp(cli->options->redis, "embedded") == 0;
	struct control_answer status;
	bool running = cli_ask_status(cli, &status);

	if (embedded && !running) {
		strbuf_append_text(
			out, "teredownd is not running, and with it its private Redis (");
		append_url(out, url);
		strbuf_append_text(out, ": ");
		output_text(out, words);
		strbuf_append_text(out, ")\nStart it: ");
		cli_daemon_line(cli, out);
		strbuf_append_char(out, '\n');
	} else {
		strbuf_printf(out, "Redis %s ",
			error == TD_REFUSED ? "refuses us at" : "does not answer at");
		append_url(out, url);
		strbuf_append_text(out, ": ");
		output_text(out, words);
		strbuf_append_char(out, '\n');
		if (running)
			strbuf_printf(out,
				"teredownd runs and answers all the same; %llu queries wait in its "
				"memory to be counted.\n",
				(unsigned long long)control_answer_u64(
					&status, "queries_waiting", 0));
		if (embedded)
			cli_next(cli, out, "status", "See what it says");
		else
			strbuf_printf(out,
				"Check that this Redis runs, and the option `redis` in %s\n",
				config_name(cli));
	}
	control_answer_free(&status);
}

/* The resolver that was asked for; NULL: all of them. */
static const char *wanted_resolver(const struct cli *cli)
{
	if (cli->option[CLI_FLEET])
		return NULL;
	return cli->option[CLI_RESOLVER] ? cli->option[CLI_RESOLVER] : cli->options->resolver_name;
}

static bool explain_off(struct cli *cli)
{
	if (strcmp(cli->options->redis, "off") != 0)
		return false;
	cli_error(
		cli, "redis = \"off\" in %s: nothing is kept that could be read", config_name(cli));
	fprintf(cli->errors, "Set redis = \"embedded\" there and restart teredownd\n");
	return true;
}

struct fleet *cli_fleet(struct cli *cli)
{
	char words[READER_WORDS_MAX];
	enum td_error error = TD_NOMEM;
	struct strbuf out;

	if (cli->fleet)
		return cli->fleet;
	if (cli->option[CLI_FLEET] && cli->option[CLI_RESOLVER]) {
		cli_error(cli, "--fleet is all resolvers, --resolver one of them: give one option");
		return NULL;
	}
	if (!cli_load(cli, true) || explain_off(cli))
		return NULL;
	char *url = options_redis_url(cli->options);
	struct redis_access access = options_redis_access(cli->options);
	struct fleet *fleet = url ? fleet_open(url, &access, wanted_resolver(cli),
					    CLI_READER_TIMEOUT_MS, words, &error)
				  : NULL;
	if (!fleet) {
		strbuf_init(&out);
		explain_store(cli, url ? url : "", url ? words : error_text(TD_NOMEM), error, &out);
		cli_explain(cli, &out);
	}
	free(url);
	return fleet;
}

void cli_fleet_close(struct cli *cli, struct fleet **fleet)
{
	if (*fleet != cli->fleet)
		fleet_close(fleet);
	*fleet = NULL;
}

int cli_fleet_failed(struct cli *cli, const struct fleet *fleet)
{
	cli_error(cli, "Redis: %s", fleet_words(fleet));
	fprintf(cli->errors,
		"Try again in a moment; `teredown status` says how teredownd finds it\n");
	return CLI_ERROR;
}

int cli_fleet_code(struct cli *cli, const struct fleet *fleet, int code)
{
	for (size_t i = 0; i < fleet->count; i++) {
		const struct fleet_member *member = &fleet->members[i];
		if (!member->reader && fleet->whole)
			cli_error(cli, "resolver %s cannot be read and is missing here: %s",
				member->resolver, member->words);
	}
	if (fleet->beyond)
		cli_error(cli, "%zu more resolvers are registered and missing here: %d are read",
			fleet->beyond, FLEET_MAX);
	bool partial = fleet->beyond || (fleet->whole && fleet_missing(fleet));
	return partial && (code == CLI_OK || code == CLI_NOTHING) ? CLI_PARTIAL : code;
}

void cli_fleet_name(const struct fleet *fleet, struct strbuf *out)
{
	if (fleet->whole) {
		output_count(out, fleet->count - fleet_missing(fleet), "resolver");
	} else {
		strbuf_append_text(out, "resolver ");
		output_text(out, fleet->members[0].resolver);
	}
}

void cli_fleet_json(const struct fleet *fleet, struct strbuf *out)
{
	if (!fleet->whole) {
		strbuf_json_text(out, "resolver", fleet->members[0].resolver);
		return;
	}
	for (int missing = 0; missing < 2; missing++) {
		strbuf_json_key(out, missing ? "missing" : "resolvers");
		strbuf_append_char(out, '[');
		for (size_t i = 0; i < fleet->count; i++) {
			const struct fleet_member *member = &fleet->members[i];
			if ((member->reader == NULL) != missing)
				continue;
			output_json_next(out);
			strbuf_json_string(out, member->resolver, strlen(member->resolver));
		}
		strbuf_append_char(out, ']');
	}
}

/* --- since when, and what is missing --- */

struct coverage_sum {
	struct arena *arena;
	struct cli_coverage *coverage;
};

static enum td_error add_coverage(void *context, struct fleet_member *member)
{
	struct coverage_sum *sum = context;
	struct reader_fields meta;
	enum td_error error = reader_meta(member->reader, sum->arena, &meta);
	int64_t since = reader_field_i64(&meta, "recording_since", 0);

	sum->coverage->ever = sum->coverage->ever || meta.count > 0;
	if (since > sum->coverage->since_ms)
		sum->coverage->since_ms = since;
	sum->coverage->dropped += reader_fields_sum(&meta, "dropped_");
	return error;
}

enum td_error cli_coverage(struct cli *cli, struct fleet *fleet, struct cli_coverage *coverage)
{
	struct coverage_sum sum = {&cli->arena, coverage};

	*coverage = (struct cli_coverage){.ever = false};
	return fleet_each(fleet, add_coverage, &sum);
}

/* Which others recorded here, where the one asked for did not. */
static void explain_others(struct cli *cli, struct fleet *fleet, struct strbuf *out)
{
	struct reader *reader = fleet->members[0].reader;
	struct reader_ranks others;

	strbuf_append_text(out, "Resolver \"");
	output_text(out, fleet->members[0].resolver);
	strbuf_append_text(out, "\" has not recorded anything in this Redis yet.\n");
	if (!reader || reader_resolvers(reader, &cli->arena, 10, &others) != TD_OK ||
		others.count == 0)
		return;
	strbuf_append_text(out, "It holds the records of: ");
	for (size_t i = 0; i < others.count; i++) {
		strbuf_append_text(out, i ? ", " : "");
		output_text(out, others.rows[i].member);
	}
	if (cli->option[CLI_RESOLVER])
		strbuf_append_text(out, ". Name one of them with --resolver\n");
	else
		strbuf_printf(out, ". If one of them is meant, check resolver-name in %s\n",
			config_name(cli));
}

static void explain_never(struct cli *cli, struct fleet *fleet, struct strbuf *out)
{
	struct control_answer status;

	if (fleet->whole)
		strbuf_append_text(out, "No resolver has recorded anything in this Redis yet.\n");
	else
		explain_others(cli, fleet, out);
	if (cli->option[CLI_RESOLVER])
		return;
	if (cli_ask_status(cli, &status)) {
		strbuf_append_text(out, "teredownd is running; what it answers appears here about "
					"a second later. Try: ");
		cli_query_line(cli, out, "teredo.ipv6.microsoft.com");
	} else {
		strbuf_append_text(out, "teredownd is not running. Start it: ");
		cli_daemon_line(cli, out);
	}
	strbuf_append_char(out, '\n');
	control_answer_free(&status);
}

void cli_coverage_text(struct cli *cli, struct fleet *fleet, const struct cli_coverage *coverage,
	struct strbuf *out)
{
	if (!coverage->ever) {
		explain_never(cli, fleet, out);
		return;
	}
	if (coverage->since_ms > 0) {
		strbuf_append_text(
			out, fleet->whole ? "All are recording since " : "Recording since ");
		output_time(out, coverage->since_ms);
		strbuf_append_text(out, " (");
		output_ago(out, cli->now_ms, coverage->since_ms);
		strbuf_append_text(out, ").\n");
	}
	if (coverage->dropped > 0)
		strbuf_printf(out,
			"%llu times a bound was reached and a detail counted under %s only: totals "
			"are right, some rows "
			"are missing.\n",
			(unsigned long long)coverage->dropped, SCHEMA_OTHER);
}
