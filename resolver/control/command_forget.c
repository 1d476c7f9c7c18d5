/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown forget CLIENT`. The daemon does it, because it alone knows what is counted and not yet
 * stored; this command asks, shows how far it came, and says what is left elsewhere. Ending it
 * early stops nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/dns/address.h"
#include "resolver/control/cli.h"

#define LOOK_MS 200

static void pause_ms(long ms)
{
	struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	nanosleep(&wait, NULL);
}

/* True when it is meant. Without a terminal only --yes says so. */
static bool is_meant(struct cli *cli, const char *client)
{
	char answer[16];

	if (cli->option[CLI_YES])
		return true;
	if (!isatty(STDIN_FILENO)) {
		cli_error(cli, "forget: nothing is forgotten without --yes");
		return false;
	}
	fprintf(cli->errors, "Remove everything that Redis holds of %s? [y/N] ", client);
	fflush(cli->errors);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static void show_progress(struct cli *cli, const struct control_answer *answer)
{
	uint64_t keys = control_answer_u64(answer, "keys", 0);
	uint64_t scanned = control_answer_u64(answer, "scanned", 0);
	const char *state = control_answer_value(answer, "state");

	if (!isatty(fileno(cli->errors)) || !state)
		return;
	if (strcmp(state, "waiting") == 0)
		fputs("\rwaiting until all that was counted is stored ...", cli->errors);
	else
		fprintf(cli->errors, "\r\033[K%3u %% of %llu keys",
			keys ? (unsigned)(scanned * 100 / (scanned > keys ? scanned : keys)) : 0,
			(unsigned long long)keys);
	if (strcmp(state, "done") == 0 || strcmp(state, "failed") == 0)
		fputs("\r\033[K", cli->errors);
	fflush(cli->errors);
}

static bool is_over(const struct control_answer *answer)
{
	const char *state = control_answer_value(answer, "state");

	return !state || (strcmp(state, "waiting") != 0 && strcmp(state, "running") != 0);
}

static void append_result(struct cli *cli, const char *client, const struct control_answer *answer)
{
	struct strbuf *out = &cli->out;
	uint64_t deleted = control_answer_u64(answer, "deleted", 0);
	uint64_t removed = control_answer_u64(answer, "removed", 0);

	if (cli->json) {
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "client", client);
		strbuf_json_u64(out, "keys", deleted);
		strbuf_json_u64(out, "rows", removed);
		strbuf_json_u64(out, "scanned", control_answer_u64(answer, "scanned", 0));
		strbuf_append_text(out, "}\n");
		return;
	}
	if (deleted + removed == 0) {
		strbuf_append_text(out, "Nothing was recorded of ");
		output_text(out, client);
		strbuf_append_text(out, ". `teredown top` shows clients as they are recorded.\n");
		return;
	}
	output_text(out, client);
	strbuf_append_text(out, " is forgotten: ");
	output_count(out, deleted, "key");
	strbuf_append_text(out, " and ");
	output_count(out, removed, "row");
	strbuf_append_text(out,
		" of others removed from Redis. Totals keep what it counted for, under *other.\n"
		"Not touched: query log files, copies and backups of Redis, other resolvers. What "
		"it "
		"asks from now on is recorded;\n"
		"the option `exclude` stops that.\n");
}

static int finish(struct cli *cli, const char *client, const struct control_answer *answer)
{
	const char *state = control_answer_value(answer, "state");
	const char *words = control_answer_value(answer, "words");

	if (!state || strcmp(state, "done") != 0) {
		cli_error(cli, "forget: %s", words && *words ? words : "it did not end");
		fprintf(cli->errors, "Some of it may be removed; run it again to go on\n");
		return CLI_ERROR;
	}
	append_result(cli, client, answer);
	return control_answer_u64(answer, "deleted", 0) + control_answer_u64(answer, "removed", 0)
		       ? CLI_OK
		       : CLI_NOTHING;
}

static int forget_run(struct cli *cli, int count, char **words)
{
	struct address address;
	struct control_answer answer;
	char text[ADDRESS_TEXT_MAX];

	if (count != 1)
		return cli_usage(cli, &command_forget, "needs one client");
	const char *client = words[0];
	if (address_from_text(&address, client))
		client = address_to_text(&address, text);
	if (!is_meant(cli, client))
		return CLI_USAGE;
	const char *const start[] = {"forget", client}, *const look[] = {"forget"};
	enum control_outcome outcome = cli_ask(cli, 2, start, &answer);
	while (outcome == CONTROL_OK && !is_over(&answer)) {
		show_progress(cli, &answer);
		control_answer_free(&answer);
		pause_ms(LOOK_MS);
		outcome = cli_ask(cli, 1, look, &answer);
	}
	if (outcome == CONTROL_OK)
		show_progress(cli, &answer);
	int code = outcome == CONTROL_OK ? finish(cli, client, &answer) : CLI_ERROR;
	control_answer_free(&answer);
	return code;
}

const struct command command_forget = {
	.name = "forget",
	.arguments = "CLIENT",
	.summary = "remove everything recorded of a client",
	.help = "Removes what Redis holds of a client: its counters, names, pairs, hours, hits and "
		"records. What it counted for\n"
		"goes to *other, so that totals stay right. The running daemon does it, in small "
		"steps beside its work; it may be\n"
		"run again at any time. Query log files, backups and other resolvers are not "
		"touched.\n\n"
		"Examples:\n"
		"  teredown forget 192.168.1.40\n"
		"  teredown forget 2001:db8::40 --yes --json",
	.takes = 1u << CLI_YES,
	.run = forget_run,
};
