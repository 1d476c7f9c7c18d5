/* SPDX-License-Identifier: BSD-3-Clause */
/* `teredown mode`, `block` and `reload`: changes to what the running daemon does, each answered
 * with what changed. */
#include <stdio.h>
#include <string.h>

#include "resolver/control/cli.h"

#define MODE_WORDS_MAX 3
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

/* The words of "teredo watch block"; what is missing is "". */
static void split3(const char *text, char parts[3][64])
{
	for (size_t i = 0; i < 3; i++) {
		size_t length = strcspn(text, " ");
		snprintf(parts[i], 64, "%.*s", (int)length, text);
		text += length + (text[length] == ' ');
	}
}

/* --- mode: listing --- */

static void print_zones(struct cli *cli, const struct control_answer *answer)
{
	struct grid grid;
	char parts[3][64];

	grid_init(&grid, "ZONE|MODE|RULES");
	if (cli->json)
		strbuf_append_text(&cli->out, "{\"zones\":[");
	for (size_t i = 0; i < answer->count; i++) {
		if (strcmp(answer->lines[i].key, "zone") != 0)
			continue;
		split3(answer->lines[i].value, parts);
		const char *rules = strncmp(parts[2], "rules=", 6) == 0 ? parts[2] + 6 : parts[2];
		if (cli->json) {
			output_json_next(&cli->out);
			strbuf_append_char(&cli->out, '{');
			strbuf_json_text(&cli->out, "zone", parts[0]);
			strbuf_json_text(&cli->out, "mode", parts[1]);
			strbuf_append_char(&cli->out, '}');
		} else {
			grid_cell(&grid, parts[0]);
			grid_cell(&grid, parts[1]);
			grid_cell(&grid, rules);
		}
	}
	if (cli->json)
		strbuf_append_text(&cli->out, "]}\n");
	else if (grid.cells == 0)
		strbuf_append_text(&cli->out,
			"No zones are loaded: is zone-dir right in the configuration?\n");
	grid_print(&grid, &cli->out, 0, cli->colour);
	grid_deinit(&grid);
}

/* --- mode: changing --- */

static void print_change(struct cli *cli, const char *value)
{
	char parts[3][64];

	split3(value, parts);
	if (cli->json) {
		output_json_next(&cli->out);
		strbuf_append_char(&cli->out, '{');
		strbuf_json_text(&cli->out, "zone", parts[0]);
		strbuf_json_text(&cli->out, "from", parts[1]);
		strbuf_json_text(&cli->out, "to", parts[2]);
		strbuf_append_char(&cli->out, '}');
		return;
	}
	for (size_t i = 0; i < 3; i++) {
		strbuf_append_text(&cli->out, i == 0 ? "" : i == 1 ? ": " : " -> ");
		output_text(&cli->out, parts[i]);
	}
	strbuf_append_char(&cli->out, '\n');
}

static void print_changes(struct cli *cli, const struct control_answer *answer)
{
	size_t changes = 0;

	if (cli->json)
		strbuf_append_text(&cli->out, "{\"changed\":[");
	for (size_t i = 0; i < answer->count; i++) {
		if (strcmp(answer->lines[i].key, "changed") != 0)
			continue;
		print_change(cli, answer->lines[i].value);
		changes++;
	}
	if (cli->json)
		strbuf_append_text(&cli->out, "]}\n");
	else if (changes == 0)
		cli_next(cli, &cli->out, "mode", "Nothing changed, it was so already. All zones");
	else
		strbuf_append_text(&cli->out,
			"For all clients, until the next change or a restart of teredownd;"
			" the option `mode` in its configuration makes it last.\n");
}

static bool is_mode(const char *word)
{
	return strcmp(word, "watch") == 0 || strcmp(word, "block") == 0 ||
	       strcmp(word, "ignore") == 0;
}

static int mode_run(struct cli *cli, int count, char **words)
{
	const char *request[MODE_WORDS_MAX] = {
		"mode", count ? words[0] : NULL, cli->option[CLI_ZONE]};

	if (count > 1 || (count == 1 && !is_mode(words[0])))
		return cli_usage(cli, &command_mode, "takes one of watch, block, ignore");
	if (count == 0 && cli->option[CLI_ZONE])
		return cli_usage(cli, &command_mode, "--zone needs a mode: watch, block or ignore");
	if (count == 0)
		return run_request(cli, 1, request, print_zones);
	return run_request(cli, cli->option[CLI_ZONE] ? 3 : 2, request, print_changes);
}

static int block_run(struct cli *cli, int count, char **words)
{
	const char *request[] = {"mode", "block"};

	if (count != 1 || (strcmp(words[0], "on") != 0 && strcmp(words[0], "off") != 0))
		return cli_usage(cli, &command_block, "takes on or off");
	if (strcmp(words[0], "off") == 0)
		request[1] = "watch";
	return run_request(cli, 2, request, print_changes);
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

const struct command command_mode = {
	.name = "mode",
	.arguments = "[watch|block|ignore]",
	.summary = "show or change what happens to matching names",
	.help = "Without a mode: the zones with the mode of each. With one: changes all tunnel "
		"zones, or the one of --zone.\n\n"
		"  watch   answer truthfully and record the hit\n"
		"  block   answer as the rule says (NXDOMAIN in the shipped zones) and record it\n"
		"  ignore  as if the zone were not there\n\n"
		"Examples:\n"
		"  teredown mode\n"
		"  teredown mode block --zone teredo\n"
		"  teredown mode watch",
	.takes = 1u << CLI_ZONE,
	.run = mode_run,
};

const struct command command_block = {
	.name = "block",
	.arguments = "on|off",
	.summary = "block the tunnel names, or go back to watching them",
	.help = "Short for `mode block` and `mode watch` on all tunnel zones. Other names resolve "
		"as before, no query is lost.\n\n"
		"Examples:\n"
		"  teredown block on\n"
		"  teredown block off",
	.run = block_run,
};

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
