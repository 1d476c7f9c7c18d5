/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown remediate`: the hosts that asked for tunnels, and what switches them off, as text for
 * other programs. It runs none of it: a person reads the list first. --mark writes down who was
 * remediated, so that `teredown verify` can ask whether it helped and the daemon notices who comes
 * back.
 */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "resolver/control/remediate/remediate.h"
#include "resolver/telemetry/redis/marks.h"
#include "resolver/telemetry/redis/schema.h"

struct way {
	enum cli_option option;
	const char *word;
	remedy_append_fn *append;
	bool names_hosts; /* it does nothing on hosts that it does not name */
	bool windows;
};

static const struct way ways[] = {
	{CLI_POWERSHELL, "powershell", remedy_append_powershell, true, true},
	{CLI_NETSH, "netsh", remedy_append_netsh, true, true},
	{CLI_REGISTRY, "registry", remedy_append_registry, false, true},
	{CLI_GPO, "gpo", remedy_append_gpo, false, true},
	{CLI_INTUNE, "intune", remedy_append_intune, false, true},
	{CLI_LINUX, "linux", remedy_append_linux, true, false},
	{CLI_FIREWALL, "firewall", remedy_append_firewall, false, false},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

struct job {
	struct cli *cli;
	struct fleet *fleet;
	const struct way *way; /* NULL: the list only */
	struct remedy_hosts hosts;
	struct remedy remedy;
	struct marks_result marked;
};

/* False when more than one is given. */
static bool choose_way(struct cli *cli, const struct way **way)
{
	unsigned given = 0;

	*way = NULL;
	for (size_t i = 0; i < WAYS; i++) {
		if (!cli->option[ways[i].option])
			continue;
		*way = &ways[i];
		given++;
	}
	return given <= 1;
}

/* --- the list --- */

static void append_hosts_json(struct job *job)
{
	struct strbuf *out = &job->cli->out;

	strbuf_json_key(out, "hosts");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < job->hosts.count; i++) {
		const struct remedy_host *host = &job->hosts.rows[i];
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "client", host->client);
		strbuf_json_text(out, "name", host->name);
		strbuf_json_text(out, "host", host->host);
		strbuf_json_bool(out, "in_script",
			job->way && job->way->names_hosts && remedy_wants(&job->remedy, host));
		strbuf_json_bool(out, "miredo", host->miredo);
		strbuf_json_bool(out, "forwarder", host->forwarder);
		strbuf_json_u64(out, "hits", host->hits);
		output_json_time(out, "last", host->last_ms);
		output_json_time(out, "remediated", host->mark ? host->mark->at_ms : 0);
		strbuf_json_text(out, "method", host->mark ? host->mark->method : NULL);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
	strbuf_json_u64(out, "beyond", job->hosts.beyond);
}

static void append_table(struct job *job)
{
	struct cli *cli = job->cli;
	struct grid grid;
	char note[160];

	grid_init(&grid, "CLIENT|NAME|>HITS|LAST|REMEDIATED|NOTE");
	for (size_t i = 0; i < job->hosts.count; i++) {
		const struct remedy_host *host = &job->hosts.rows[i];
		grid_cell(&grid, host->client);
		grid_cell(&grid, host->name ? host->name : "-");
		grid_cell_u64(&grid, host->hits);
		grid_cell_time(&grid, host->last_ms);
		grid_cell_time(&grid, host->mark ? host->mark->at_ms : 0);
		snprintf(note, sizeof(note), "%s%s%s", host->miredo ? "miredo " : "",
			host->forwarder ? "looks like a forwarder " : "",
			host->host ? "" : "cannot be named in scripts");
		grid_cell(&grid, note);
	}
	grid_print(&grid, &cli->out, 1, cli->colour);
	grid_deinit(&grid);
}

static void append_overview(struct job *job)
{
	struct cli *cli = job->cli;
	struct strbuf *out = &cli->out;

	output_count(out, job->hosts.count, "host");
	strbuf_append_text(out, " asked for tunnels (");
	cli_fleet_name(job->fleet, out);
	strbuf_append_text(out, "):\n\n");
	append_table(job);
	if (job->hosts.beyond)
		strbuf_printf(out, " and %llu more\n", (unsigned long long)job->hosts.beyond);
	strbuf_append_text(out,
		"\nOn one Windows host, as administrator, either of:\n"
		"  Set-NetTeredoConfiguration -Type Disabled\n"
		"  netsh interface teredo set state type=disabled\n"
		"On one Linux host, as root: systemctl disable --now miredo.service\n\n");
	cli_next(cli, out, "remediate --powershell >teredo-off.ps1",
		"A script for all Windows hosts");
	cli_next(cli, out, "remediate --linux >teredo-off.sh", "A script for all Linux hosts");
	cli_next(cli, out, "remediate --mark", "When it is done");
	cli_next(cli, out, "verify", "Whether it helped");
	strbuf_append_char(out, '\n');
	remedy_append_notes(out, "");
}

/* --- marking --- */

static bool is_to_mark(const struct job *job, const struct remedy_host *host)
{
	if (job->remedy.one)
		return true;
	if (host->forwarder || (job->remedy.windows && host->miredo))
		return false;
	return host->host || !job->way || !job->way->names_hosts;
}

static void append_mark(const struct job *job, struct strbuf *out)
{
	const struct passwd *user = getpwuid(getuid());
	const char *sudo = getuid() == 0 ? getenv("SUDO_USER") : NULL;

	strbuf_printf(out, "{\"at\":%lld", (long long)job->cli->now_ms);
	strbuf_json_text(out, "by", sudo ? sudo : user ? user->pw_name : "?");
	strbuf_json_text(out, "method", job->way ? job->way->word : "other");
	strbuf_json_key(out, "zones");
	remedy_zones_json(job->cli->options, out);
	strbuf_append_char(out, '}');
}

static int write_marks(struct job *job, const char *mark, const char *const clients[], size_t count)
{
	struct cli *cli = job->cli;
	char *url = options_redis_url(cli->options);
	struct redis_access access = options_redis_access(cli->options);
	struct marks_target target = {url, &access, job->remedy.resolver, CLI_READER_TIMEOUT_MS};
	char words[READER_WORDS_MAX] = "";
	enum td_error error = TD_NOMEM;

	if (url)
		error = marks_write(&target, mark, clients, count, &job->marked, words);
	free(url);
	if (error == TD_OK && job->marked.refused == 0)
		return CLI_OK;
	if (error == TD_OK)
		cli_error(cli, "remediate: %zu clients found no place: %d are marked already",
			job->marked.refused, SCHEMA_REMEDIATED_MAX);
	else
		cli_error(cli, "remediate: the marks cannot be written: %s",
			*words ? words : error_text(error));
	return CLI_ERROR;
}

static int mark_hosts(struct job *job)
{
	struct cli *cli = job->cli;
	const char **clients = arena_alloc(&cli->arena, (job->hosts.count + 1) * sizeof(*clients));
	struct strbuf mark;
	size_t count = 0;

	for (size_t i = 0; clients && i < job->hosts.count; i++)
		if (is_to_mark(job, &job->hosts.rows[i]))
			clients[count++] = job->hosts.rows[i].client;
	strbuf_init(&mark);
	append_mark(job, &mark);
	int code = CLI_ERROR;
	if (!clients || mark.failed)
		cli_error(cli, "%s", error_text(TD_NOMEM));
	else
		code = write_marks(job, job->remedy.undo ? NULL : mark.data, clients, count);
	strbuf_deinit(&mark);
	if (code == CLI_OK && !cli->json)
		fprintf(cli->errors,
			job->remedy.undo ? "%zu clients are no longer marked\n"
					 : "%zu clients are marked as remediated\n",
			job->marked.changed);
	return code;
}

/* --- all of it --- */

static void append_json(struct job *job)
{
	struct strbuf *out = &job->cli->out, script;

	strbuf_append_char(out, '{');
	cli_fleet_json(job->fleet, out);
	strbuf_json_text(out, "way", job->way ? job->way->word : NULL);
	strbuf_json_bool(out, "undo", job->remedy.undo);
	append_hosts_json(job);
	if (job->way) {
		strbuf_init(&script);
		job->way->append(&script, &job->remedy);
		strbuf_json_text(out, "script", script.failed ? "" : script.data);
		out->failed |= script.failed;
		strbuf_deinit(&script);
	}
	strbuf_json_u64(out, "marked", job->marked.changed);
	strbuf_append_text(out, "}\n");
}

static int explain_nobody(struct job *job)
{
	struct cli *cli = job->cli;
	struct cli_coverage coverage;
	struct strbuf out;

	if (cli->option[CLI_CLIENT]) {
		cli_error(cli,
			"remediate: %s was not seen asking for tunnels; `remediate` alone lists "
			"who was",
			cli->option[CLI_CLIENT]);
		return CLI_NOTHING;
	}
	strbuf_init(&out);
	strbuf_append_text(&out, "no host was seen asking for tunnels.\n");
	if (cli_coverage(cli, job->fleet, &coverage) == TD_OK)
		cli_coverage_text(cli, job->fleet, &coverage, &out);
	cli_explain(cli, &out);
	return CLI_NOTHING;
}

static int answer(struct job *job)
{
	struct cli *cli = job->cli;
	enum td_error error = remedy_read_hosts(
		cli, job->fleet, cli->option[CLI_CLIENT], job->remedy.undo, &job->hosts);
	int code = CLI_OK;

	if (error != TD_OK)
		return cli_fleet_failed(cli, job->fleet);
	bool useful = job->way && (!job->way->names_hosts || job->remedy.undo);
	if (job->hosts.count == 0 && (!useful || cli->option[CLI_CLIENT]))
		return explain_nobody(job);
	if (cli->option[CLI_MARK])
		code = mark_hosts(job);
	if (code != CLI_OK)
		return code;
	if (cli->json)
		append_json(job);
	else if (job->way)
		job->way->append(&cli->out, &job->remedy);
	else if (!cli->option[CLI_MARK])
		append_overview(job);
	return code;
}

static int remediate_run(struct cli *cli, int count, char **words)
{
	struct job job = {.cli = cli};

	(void)words;
	if (count > 0)
		return cli_usage(cli, &command_remediate, "takes options only");
	if (!choose_way(cli, &job.way))
		return cli_usage(cli, &command_remediate, "takes one way at a time");
	if (cli->option[CLI_UNDO] && !job.way && !cli->option[CLI_MARK])
		return cli_usage(cli, &command_remediate, "--undo needs a way, or --mark");
	if (cli->option[CLI_MARK] && cli->option[CLI_FLEET])
		return cli_usage(cli, &command_remediate,
			"--mark writes for one resolver: name it with --resolver");
	job.fleet = cli_fleet(cli);
	if (!job.fleet)
		return CLI_ERROR;
	job.remedy = (struct remedy){.hosts = &job.hosts,
		.resolver = job.fleet->count == 1 ? job.fleet->members[0].resolver : "",
		.now_ms = cli->now_ms,
		.undo = cli->option[CLI_UNDO] != NULL,
		.one = cli->option[CLI_CLIENT] != NULL,
		.windows = job.way && job.way->windows};
	int code = cli_fleet_code(cli, job.fleet, answer(&job));
	cli_fleet_close(cli, &job.fleet);
	return code;
}

const struct command command_remediate = {
	.name = "remediate",
	.arguments = "",
	.summary = "what switches Teredo off on the hosts that asked for it",
	.help = "Lists the hosts that asked for tunnels, by name where one is known, or prints "
		"what "
		"switches Teredo off on them:\n"
		"--powershell, one script for all Windows hosts that keeps what each had; --netsh; "
		"--registry; --gpo; --intune;\n"
		"--linux, a script for hosts with miredo; --firewall, lines for a network where "
		"Teredo has to stay on some host\n"
		"(--client names it). --undo prints what takes it back. Nothing is run: read it, "
		"then run it.\n"
		"--mark records the hosts as remediated, now, for teredown verify; the daemon "
		"tells "
		"when one of them comes back\n"
		"(teredown tail --events, and the option event-command).\n\n"
		"Examples:\n"
		"  teredown remediate\n"
		"  teredown remediate --powershell --mark >teredo-off.ps1\n"
		"  teredown remediate --powershell --undo >teredo-back.ps1\n"
		"  teredown remediate --linux --client 192.168.1.40\n"
		"  teredown remediate --json | jq -r '.hosts[].client'",
	.takes = CLI_READS | CLI_TAKES(CLIENT) | CLI_TAKES(POWERSHELL) | CLI_TAKES(NETSH) |
		 CLI_TAKES(REGISTRY) | CLI_TAKES(GPO) | CLI_TAKES(INTUNE) | CLI_TAKES(LINUX) |
		 CLI_TAKES(FIREWALL) | CLI_TAKES(UNDO) | CLI_TAKES(MARK),
	.run = remediate_run,
};
