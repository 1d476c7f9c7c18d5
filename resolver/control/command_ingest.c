/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown ingest`: logs of firewalls, proxies, sensors, event logs and other DNS servers, joined
 * with what was told. This file makes the parts (see ingest/ingest.h) and takes them apart; the
 * daemon is not needed, only its Redis, and its user there, because this command writes.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "resolver/control/cli.h"
#include "resolver/control/clock.h"
#include "resolver/control/ingest/ingest.h"
#include "resolver/telemetry/identity_key.h"

#define PROGRESS_AFTER_MS 1000
#define KEY_LOOK_MS 60000
#define MS_PER_DAY INT64_C(86400000)

volatile sig_atomic_t ingest_stopped;

static void on_signal(int number)
{
	(void)number;
	ingest_stopped = 1;
}

/* The first one ends in order, the second at once. A Redis that goes away is an error of write(2).
 */
static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	ingest_stopped = 0;
}

/* --- what was asked for --- */

/* NULL, or what is wrong. */
static const char *take_words(struct ingest_run *run, int count, char **words)
{
	struct cli *cli = run->cli;
	const char *as = cli->option[CLI_AS];
	bool has_pipe = false;

	for (int i = 0; i < count; i++)
		has_pipe = has_pipe || strcmp(words[i], "-") == 0;
	if (count < 1)
		return "needs a file, or - for standard input";
	if (count > (cli->option[CLI_FOLLOW] ? INGEST_FOLLOWED_MAX : INGEST_FILES_MAX))
		return "there are too many files at once";
	if (count > 1 && cli->option[CLI_SOURCE])
		return "--source is about one log";
	if (cli->option[CLI_FOLLOW] && has_pipe && count > 1)
		return "standard input cannot be followed together with files";
	run->forced = as ? log_format_find(as) : NULL;
	if (as && !run->forced)
		return "there is no such format; see the list";
	run->columns = cli->option[CLI_COLUMNS];
	if (run->columns && !as)
		run->forced = log_format_find("csv");
	if (run->columns && run->forced != log_format_find("csv"))
		return "--columns is for the format csv";
	if (!run->columns && run->forced && run->forced == log_format_find("csv"))
		return "the format csv needs --columns: which of them are what";
	run->name = cli->option[CLI_SOURCE] ? cli->option[CLI_SOURCE] : "";
	if (strlen(run->name) > 200)
		return "--source takes up to 200 octets";
	run->follow = cli->option[CLI_FOLLOW] && !has_pipe; /* a pipe is read to its end anyway */
	return NULL;
}

static int wrong_use(struct cli *cli, const char *fault)
{
	int code = cli_usage(cli, &command_ingest, fault);

	if (strstr(fault, "no such format"))
		for (size_t i = 0; log_format_at(i); i++)
			fprintf(cli->errors, "  %-18s %s\n", log_format_name(log_format_at(i)),
				log_format_summary(log_format_at(i)));
	return code;
}

/* --- parts --- */

static bool load_key(struct ingest_run *run)
{
	struct hash_seed key;
	bool renewed;

	run->key_ms = run->wall_ms;
	if (identity_key_load(
		    run->cli->options->state_dir, 0, run->wall_ms * 1000, &key, &renewed) != TD_OK)
		return false;
	identity_set_key(run->shared, &key);
	return true;
}

void ingest_look_at_clock(struct ingest_run *run)
{
	const struct options *options = run->cli->options;

	run->wall_ms = clock_wall_ms();
	run->oldest_ms = run->wall_ms - options->retention_days * MS_PER_DAY;
	run->oldest_pair_ms = run->wall_ms - options->pair_retention_days * MS_PER_DAY;
	/* The daemon may have taken a new one. */
	if (run->rules && options->anonymize == ANONYMIZE_HASH &&
		run->wall_ms - run->key_ms > KEY_LOOK_MS)
		load_key(run);
}

/* Clients are called here what the daemon calls them. */
static bool make_identity(struct ingest_run *run)
{
	const struct options *options = run->cli->options;
	struct identity_config config = {.anonymize = options->anonymize,
		.client = options->client_identity,
		.anonymize_v4 = options->anonymize_prefix_v4,
		.anonymize_v6 = options->anonymize_prefix_v6,
		.prefix_v6 = options->client_prefix,
		.exclude = (const char *const *)options->exclude,
		.exclude_count = options->exclude_count};

	run->shared = identity_shared_new(&run->gather.seed);
	if (!run->shared)
		return false;
	if (options->anonymize == ANONYMIZE_HASH && !load_key(run))
		return false;
	config.shared = run->shared;
	run->rules = identity_rules_new(&config);
	if (!run->rules)
		return false;
	identity_init(&run->identity, run->rules);
	if (!identity_is_on(run->rules)) {
		identity_rules_free(run->rules);
		run->rules = NULL;
	}
	return true;
}

static bool make_parts(struct ingest_run *run)
{
	struct cli *cli = run->cli;
	struct hash_seed seed;

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return false;
	gather_init(&run->gather, &seed);
	ingest_chunk_init(&run->chunk);
	run->join = join_new(&seed, run->follow);
	ingest_look_at_clock(run);
	run->started_ms = clock_mono_ms();
	run->next_progress_ms = run->started_ms + PROGRESS_AFTER_MS;
	run->progress = !run->follow && isatty(fileno(cli->errors)) == 1;
	if (run->join && make_identity(run))
		return true;
	cli_error(cli, "ingest: %s",
		run->join && run->shared ? "the key of pseudonyms cannot be read: run it as the "
					   "user of teredownd"
					 : error_text(TD_NOMEM));
	return false;
}

static void free_parts(struct ingest_run *run)
{
	join_free(&run->join);
	ingest_chunk_deinit(&run->chunk);
	gather_deinit(&run->gather);
	identity_rules_free(run->rules);
	identity_shared_free(run->shared);
}

static bool open_store(struct ingest_run *run, const char *url, const struct redis_access *access)
{
	struct cli *cli = run->cli;
	struct ingest_store_settings settings = {.url = url,
		.access = access,
		.resolver = cli->option[CLI_RESOLVER] ? cli->option[CLI_RESOLVER]
						      : cli->options->resolver_name,
		.timeout_ms = CLI_READER_TIMEOUT_MS,
		.retention_days = cli->options->retention_days,
		.pair_retention_days = cli->options->pair_retention_days,
		.addresses_max = cli->options->names_max};
	char words[INGEST_STORE_WORDS_MAX];
	enum td_error error;

	run->store = ingest_store_open(&settings, words, &error);
	if (!run->store)
		cli_error(cli, "ingest: Redis: %s", words);
	return run->store != NULL;
}

/* --- the run --- */

static bool read_files(struct ingest_run *run, char **paths, size_t count, size_t *failed)
{
	if (run->follow)
		return ingest_follow(run, paths, count);
	for (size_t i = 0; i < count && !ingest_stopped; i++)
		*failed += !ingest_file(run, paths[i]);
	return *failed == 0;
}

static int run_files(struct ingest_run *run, char **paths, size_t count)
{
	size_t failed = 0;

	ingest_report_begin(run);
	bool done = read_files(run, paths, count, &failed);
	ingest_report_end(run);
	if (run->follow)
		return done ? CLI_OK : CLI_ERROR;
	if (ingest_stopped || (failed && failed < count))
		return CLI_PARTIAL;
	if (!done)
		return CLI_ERROR;
	return run->totals.counts.unreadable && !run->totals.counts.used ? CLI_NOTHING : CLI_OK;
}

static int run_with_store(struct ingest_run *run, char **paths, size_t count)
{
	char *url = options_redis_url(run->cli->options);
	struct redis_access access = options_redis_access(run->cli->options);
	int code = CLI_ERROR;

	if (url && open_store(run, url, &access)) {
		catch_signals();
		code = run_files(run, paths, count);
	}
	ingest_store_close(&run->store);
	free(url);
	return code;
}

static int ingest_run(struct cli *cli, int count, char **words)
{
	struct ingest_run run = {.cli = cli};
	const char *fault = take_words(&run, count, words);

	if (fault)
		return wrong_use(cli, fault);
	struct fleet *fleet =
		cli_fleet(cli); /* explains what is wrong with Redis, if anything is */
	if (!fleet)
		return CLI_ERROR;
	cli_fleet_close(cli, &fleet);
	int code = make_parts(&run) ? run_with_store(&run, words, (size_t)count) : CLI_ERROR;
	free_parts(&run);
	return code;
}

const struct command command_ingest = {
	.name = "ingest",
	.arguments = "FILE...|-",
	.summary = "logs of firewalls and others, joined with what was told",
	.help = "Reads logs and adds them to what is recorded: drops and passes of firewalls, "
		"requests of proxies, connections, the\n"
		"state of Teredo in Windows event logs, and as history the answers of other DNS "
		"servers. The format is found by the\n"
		"first lines, or named with --as: netfilter, pf, asa, windows-firewall, squid, "
		"w3c, "
		"combined, zeek, zeek-json,\n"
		"eventlog-xml, windows-dns, dnsmasq, csv. A file is known by what it begins with: "
		"read twice it counts once, and\n"
		"after a rotation reading goes on where it stopped, as it does after an "
		"interruption. Files may be compressed\n"
		"by gzip. A log without time zone is read in that of TZ.\n\n"
		"Exit codes: 0 read (also when there was nothing new), 1 nothing could be read, 3 "
		"lines could not be read and none was used, 4 some\n"
		"of it could not be read, or it was interrupted.\n\n"
		"Examples:\n"
		"  teredown ingest /var/log/ufw.log\n"
		"  teredown ingest --follow /var/log/kern.log\n"
		"  journalctl -q -k -o short-iso | teredown ingest - --as netfilter --source kernel\n"
		"  teredown ingest drops.csv --columns "
		"'time=when,src=source,dst=destination,port=port,proto=protocol'",
	.takes = CLI_TAKES(AS) | CLI_TAKES(FOLLOW) | CLI_TAKES(COLUMNS) | CLI_TAKES(SOURCE) |
		 CLI_TAKES(RESOLVER),
	.run = ingest_run,
};
