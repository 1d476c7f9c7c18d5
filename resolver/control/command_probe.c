/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown probe`: does a Teredo server listen there? Made for a list of a scanner's findings,
 * verified in one call before and after something was done about them. It needs no daemon, no
 * Redis and no configuration, and asks nothing.
 *
 * The exit code says what a script wants to branch on: whether any host answers. Refused and
 * silent count as one there, because after a firewall was closed silence is what there is to see;
 * who wants more than that reads the states from --json.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "resolver/control/cli.h"
#include "resolver/control/probe.h"
#include "resolver/control/probe_list.h"
#include "resolver/control/probe_loop.h"
#include "resolver/control/probe_report.h"

#define RATE_DEFAULT 50
#define TRIES_DEFAULT 3
#define WAIT_DEFAULT_US (2 * US_PER_S)
#define WAIT_MIN_US (10 * US_PER_MS)
#define WAIT_MAX_US (60 * US_PER_S)
#define DEADLINE_MAX_US (7 * 86400 * US_PER_S)

struct work {
	struct cli *cli;
	struct probe_list list;
	struct probe_plan plan;
	struct probe probe;
	int64_t deadline_us; /* after the start; INT64_MAX: none */
	struct probe_row *rows, **end;
	bool progress; /* stderr is a terminal */
};

/* --- options --- */

/* "300ms", "2s", "10m", "1h"; seconds without a unit. */
static bool read_span(const char *text, int64_t min_us, int64_t max_us, int64_t *out_us)
{
	static const struct {
		const char *word;
		int64_t us;
	} units[] = {{"ms", US_PER_MS}, {"s", US_PER_S}, {"m", 60 * US_PER_S},
		{"h", 3600 * US_PER_S}, {"d", 86400 * US_PER_S}, {"", US_PER_S}};
	char *end;
	unsigned long count = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || count > 1000000)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].word) != 0)
			continue;
		*out_us = (int64_t)count * units[i].us;
		return *out_us >= min_us && *out_us <= max_us;
	}
	return false;
}

static bool take_spans(struct cli *cli, struct work *work)
{
	work->plan.wait_us = WAIT_DEFAULT_US;
	work->deadline_us = INT64_MAX;
	if (cli->option[CLI_WAIT] &&
		!read_span(cli->option[CLI_WAIT], WAIT_MIN_US, WAIT_MAX_US, &work->plan.wait_us)) {
		cli_error(cli, "--wait: \"%s\" is not a time from 10ms to 60s",
			cli->option[CLI_WAIT]);
		return false;
	}
	if (cli->option[CLI_DEADLINE] && !read_span(cli->option[CLI_DEADLINE], WAIT_MIN_US,
						 DEADLINE_MAX_US, &work->deadline_us)) {
		cli_error(cli, "--deadline: \"%s\" is not a time from 10ms to 7d",
			cli->option[CLI_DEADLINE]);
		return false;
	}
	return true;
}

static bool take_options(struct cli *cli, struct work *work, uint16_t *port)
{
	size_t number, rate, tries;

	if (!cli_number(cli, CLI_PORT, TEREDO_PORT, 65535, &number) ||
		!cli_number(cli, CLI_RATE, RATE_DEFAULT, PROBE_RATE_MAX, &rate) ||
		!cli_number(cli, CLI_TRIES, TRIES_DEFAULT, PROBE_TRIES_MAX, &tries))
		return false;
	*port = (uint16_t)number;
	work->plan.rate = (unsigned)rate;
	work->plan.tries = (unsigned)tries;
	return take_spans(cli, work);
}

/* --- hosts --- */

static bool read_list(struct work *work, const char *path, uint16_t port)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *file = standard ? stdin : fopen(path, "re");

	if (!file) {
		cli_error(work->cli, "%s: %s", path, strerror(errno));
		return false;
	}
	bool read = probe_list_read(&work->list, file, standard ? "standard input" : path, port);
	if (!read)
		cli_error(work->cli, "%s: %s", path, strerror(errno));
	if (!standard)
		fclose(file);
	return read;
}

/* False: the faults were told. */
static bool check_list(struct work *work)
{
	const struct probe_list *list = &work->list;

	if (list->faults == 0)
		return true;
	if (!list->messages.failed)
		fprintf(work->cli->errors, "%s", list->messages.data);
	if (list->faults > PROBE_LIST_FAULTS_MAX)
		fprintf(work->cli->errors, "and %u more\n", list->faults - PROBE_LIST_FAULTS_MAX);
	cli_error(work->cli, "probe: nothing was sent; a list names hosts, HOST or HOST:PORT, with "
			     "blanks between them and comments behind #");
	return false;
}

/* Names that were given twice are shown once. */
static bool is_shown(const struct probe_target *target, const struct probe_host *host)
{
	for (const struct probe_row *row = target->owner; row; row = row->same)
		if (strcmp(row->host->name, host->name) == 0)
			return true;
	return false;
}

/* NULL: out of memory. */
static struct probe_row *add_row(struct work *work, const struct probe_host *host, const char *why)
{
	struct probe_row *row = arena_alloc(&work->list.arena, sizeof(*row));

	if (!row)
		return NULL;
	*row = (struct probe_row){.host = host, .why = why};
	*work->end = row;
	work->end = &row->next;
	return row;
}

static enum td_error add_addresses(struct work *work, const struct probe_host *host)
{
	struct endpoint endpoints[PROBE_ADDRESSES_MAX];
	const char *why;
	enum td_error error = TD_OK;
	size_t count = probe_list_resolve(host, endpoints, PROBE_ADDRESSES_MAX, &why);

	if (count == 0)
		return add_row(work, host, why) ? TD_OK : TD_NOMEM;
	for (size_t i = 0; i < count; i++) {
		struct probe_target *target = probe_add(&work->probe, &endpoints[i], &error);
		if (!target)
			return error;
		if (is_shown(target, host))
			continue;
		struct probe_row *row = add_row(work, host, NULL);
		if (!row)
			return TD_NOMEM;
		row->target = target;
		row->same = target->owner;
		target->owner = row;
	}
	return TD_OK;
}

static void clear_progress(const struct work *work)
{
	if (work->progress)
		fprintf(work->cli->errors, "\r\033[K");
}

static bool add_targets(struct work *work)
{
	enum td_error error = TD_OK;

	work->end = &work->rows;
	for (size_t i = 0; i < work->list.count && error == TD_OK; i++) {
		struct address number;
		if (work->progress && !address_from_text(&number, work->list.hosts[i].name))
			fprintf(work->cli->errors, "\rlooking up names: %zu of %zu\033[K", i + 1,
				work->list.count);
		error = add_addresses(work, &work->list.hosts[i]);
	}
	clear_progress(work);
	if (error == TD_FULL)
		cli_error(work->cli, "probe: these names have too many addresses; split the list");
	else if (error != TD_OK)
		cli_error(work->cli, "probe: %s", error_text(error));
	return error == TD_OK;
}

/* --- asking --- */

static void show_progress(void *context, const struct probe *probe)
{
	const struct work *work = context;

	if (work->progress)
		fprintf(work->cli->errors, "\r%zu of %zu hosts done, %zu answer\033[K",
			probe->finished, probe->targets, probe->answering);
}

static int ask(struct work *work)
{
	struct cli *cli = work->cli;

	if (work->deadline_us != INT64_MAX)
		work->probe.plan.deadline_us = probe_clock_us() + work->deadline_us;
	enum probe_end end = probe_run(&work->probe, show_progress, work);
	if (end == PROBE_BROKEN) {
		cli_error(cli, "probe: there is no UDP socket to be had: %s", strerror(errno));
		return CLI_ERROR;
	}
	clear_progress(work);
	(cli->json ? probe_report_json : probe_report_text)(
		cli, work->rows, end == PROBE_INTERRUPTED);
	struct probe_counts counts = probe_report_count(work->rows);
	if (counts.state[PROBE_ANSWERS])
		return CLI_UNMET;
	return counts.state[PROBE_UNTESTED] || end == PROBE_INTERRUPTED ? CLI_ERROR : CLI_OK;
}

static int run_list(struct work *work)
{
	if (!check_list(work))
		return CLI_USAGE;
	if (work->list.count == 0) {
		cli_error(work->cli, "probe: the list names no host");
		return CLI_NOTHING;
	}
	work->plan.deadline_us = INT64_MAX;
	if (getrandom(&work->plan.seed, sizeof(work->plan.seed), 0) !=
		(ssize_t)sizeof(work->plan.seed)) {
		cli_error(work->cli, "probe: the kernel gives no random numbers");
		return CLI_ERROR;
	}
	probe_init(&work->probe, &work->plan);
	int code = add_targets(work) ? ask(work) : CLI_ERROR;
	probe_deinit(&work->probe);
	return code;
}

static int probe_command_run(struct cli *cli, int count, char **words)
{
	struct work work = {.cli = cli, .progress = isatty(fileno(cli->errors)) == 1};
	const char *path = cli->option[CLI_FILE];
	uint16_t port;
	int code = CLI_ERROR;

	if (count == 0 && !path)
		return cli_usage(cli, &command_probe, "needs a host, or a list with -f");
	if (!take_options(cli, &work, &port))
		return CLI_USAGE;
	probe_list_init(&work.list);
	for (int i = 0; i < count; i++)
		probe_list_add(&work.list, words[i], port, NULL, 0);
	if (!path || read_list(&work, path, port))
		code = run_list(&work);
	probe_list_deinit(&work.list);
	return code;
}

const struct command command_probe = {
	.name = "probe",
	.arguments = "HOST...|-f FILE|-f -",
	.summary = "does a Teredo server listen there",
	.help = "Sends Teredo router solicitations (RFC 4380) to each host, UDP port 3544 unless "
		"HOST:PORT or --port say\n"
		"otherwise, and says whether it answers (with the prefix it advertises, how it "
		"sees us, its second address),\n"
		"refuses (ICMP), or neither, which is inconclusive. Works without a daemon; sends "
		"at most --rate packets a second.\n"
		"A list has hosts between blanks and comments behind #; - is standard input. "
		"Times are 300ms, 2s, 10m, 1h.\n\n"
		"Exit codes: 0 no host answers (refused or inconclusive), 5 at least one answers, "
		"1 none answers but\n"
		"something could not be asked, 2 wrong usage or a faulty list, 3 the list is "
		"empty.\n\n"
		"Examples:\n"
		"  teredown probe 203.0.113.7 teredo.example.net\n"
		"  teredown probe -f findings.txt\n"
		"  teredown probe -f findings.txt --json | jq -r '.hosts[] | select(.state == "
		"\"answers\") | .address'\n"
		"  teredown probe --tries 2 --wait 500ms 203.0.113.7 || echo \"still there, or not "
		"asked\"",
	.takes = CLI_TAKES(FILE) | CLI_TAKES(PORT) | CLI_TAKES(RATE) | CLI_TAKES(TRIES) |
		 CLI_TAKES(WAIT) | CLI_TAKES(DEADLINE),
	.run = probe_command_run,
};
