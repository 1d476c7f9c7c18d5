/* SPDX-License-Identifier: BSD-3-Clause */
/* `teredown reload`: answered with what was read. */
#include <stdio.h>
#include <string.h>

#include "resolver/control/cli.h"

#define RELOAD_MS (10 * 60 * 1000) /* lists may be long, and another reload under way */

/* What is true of the answer but for a fault it tells of is printed all the same. */
static int run_request(struct cli *cli, unsigned count, const char *const words[],
	void (*print)(struct cli *, const struct control_answer *))
{
	struct control_answer answer;
	enum control_outcome outcome = cli_ask(cli, count, words, &answer);
	bool good = outcome == CONTROL_OK;

	if (good) {
		print(cli, &answer);
		good = !control_answer_value(&answer, "fault");
	}
	control_answer_free(&answer);
	return good ? CLI_OK : CLI_ERROR;
}

/* --- reload --- */

/* "ads /etc/lists/ads: No such file or directory": a zone, and why it keeps its old rules. */
static void print_fault(struct cli *cli, const char *value)
{
	size_t length = strcspn(value, " ");
	char zone[64];

	snprintf(zone, sizeof(zone), "%.*s", (int)length, value);
	value += length + (value[length] == ' ');
	if (cli->json) {
		output_json_next(&cli->out);
		strbuf_append_char(&cli->out, '{');
		strbuf_json_text(&cli->out, "zone", zone);
		strbuf_json_text(&cli->out, "error", value);
		strbuf_append_char(&cli->out, '}');
		return;
	}
	strbuf_append_text(&cli->out, "Not read, its rules stay as they were: ");
	output_text(&cli->out, zone);
	strbuf_append_text(&cli->out, ": ");
	output_text(&cli->out, value);
	strbuf_append_char(&cli->out, '\n');
}

static void print_faults(struct cli *cli, const struct control_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++)
		if (strcmp(answer->lines[i].key, "fault") == 0)
			print_fault(cli, answer->lines[i].value);
}

static void print_reload_json(struct cli *cli, const struct control_answer *answer)
{
	static const char *const counts[] = {"zones", "rules", "skipped", "read", "took_us"};
	const char *restart = control_answer_value(answer, "restart");
	struct strbuf *out = &cli->out;

	strbuf_append_char(out, '{');
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		strbuf_json_u64(out, counts[i], control_answer_u64(answer, counts[i], 0));
	strbuf_json_text(out, "restart", restart && *restart ? restart : NULL);
	strbuf_append_text(out, ",\"faults\":[");
	print_faults(cli, answer);
	strbuf_append_text(out, "]}\n");
}

static void print_reload(struct cli *cli, const struct control_answer *answer)
{
	struct strbuf *out = &cli->out;
	uint64_t skipped = control_answer_u64(answer, "skipped", 0);
	uint64_t took_us = control_answer_u64(answer, "took_us", 0);
	const char *restart = control_answer_value(answer, "restart");

	if (cli->json) {
		print_reload_json(cli, answer);
		return;
	}
	strbuf_append_text(out, "Reloaded: ");
	output_count(out, control_answer_u64(answer, "rules", 0), "rule");
	strbuf_append_text(out, " in ");
	output_count(out, control_answer_u64(answer, "zones", 0), "zone");
	strbuf_append_text(out, ", of which ");
	strbuf_append_u64(out, control_answer_u64(answer, "read", 0));
	strbuf_append_text(out, " had changed, in ");
	strbuf_append_u64(out, (took_us + 500) / 1000);
	strbuf_append_text(out, " ms.\n");
	if (skipped > 0) {
		output_count(out, skipped, "line");
		strbuf_append_text(out, " could not be used; teredownd's messages name each one "
					"with file and line.\n");
	}
	print_faults(cli, answer);
	if (restart && *restart) {
		strbuf_append_text(
			out, "Changed, but in effect only after a restart of teredownd: ");
		output_text(out, restart);
		strbuf_append_char(out, '\n');
	}
}

static int reload_run(struct cli *cli, int count, char **words)
{
	const char *const request[] = {"reload"};

	(void)words;
	if (count > 0)
		return cli_usage(cli, &command_reload, "takes no arguments");
	cli->patience_ms = RELOAD_MS;
	return run_request(cli, 1, request, print_reload);
}

const struct command command_reload = {
	.name = "reload",
	.arguments = "",
	.summary = "read configuration and zones again",
	.help = "The daemon reads its configuration again, and the zones whose files changed. A "
		"fault of the configuration leaves everything as it was; a zone that cannot be "
		"read keeps its rules, and the status is 1. When the command ends, every worker "
		"has the new rules. SIGHUP does the same.\n\n"
		"Examples:\n"
		"  teredown reload",
	.run = reload_run,
};
