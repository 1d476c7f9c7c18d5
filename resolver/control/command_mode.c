/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown mode` and `block`: what happens to names of a zone, for whom, and until when. The
 * daemon says what it did; a sentence behind it says for whom and how long that holds, because a
 * mode that somebody set and forgot is worse than one that was never set.
 */
#include <stdlib.h>
#include <string.h>

#include "resolver/control/attributes.h"
#include "resolver/control/change_words.h"
#include "resolver/control/cli.h"

#define PART_SIZE ATTRIBUTE_PART_SIZE
#define MODE_FOR_MAX_MS (UINT64_C(366) * 86400000)
#define EVERYTHING "*"

static int run_request(struct cli *cli, unsigned count, const char *const words[],
	void (*print)(struct cli *, const struct control_answer *))
{
	struct control_answer answer;
	enum control_outcome outcome = cli_ask(cli, count, words, &answer);

	if (outcome == CONTROL_OK)
		print(cli, &answer);
	control_answer_free(&answer);
	return outcome == CONTROL_OK ? CLI_OK : CLI_ERROR;
}

/* The value of name=value among the words of a line; "" where it is missing. */
static void find_value(const char *text, const char *name, char out[PART_SIZE])
{
	size_t length = strlen(name);

	out[0] = '\0';
	for (; *text; text += strcspn(text, " "), text += *text == ' ')
		if (strncmp(text, name, length) == 0 && text[length] == '=') {
			text += length + 1;
			snprintf(out, PART_SIZE, "%.*s", (int)strcspn(text, " "), text);
			return;
		}
}

static int64_t find_time_ms(const char *text, const char *name)
{
	char value[PART_SIZE];

	find_value(text, name, value);
	return (int64_t)strtoll(value, NULL, 10) * 1000;
}

static bool has_key(const struct control_line *line, const char *key)
{
	return strcmp(line->key, key) == 0;
}

/* --- listing --- */

/* One zone for everybody or for a group. */
struct cell {
	char zone[PART_SIZE], group[PART_SIZE], mode[PART_SIZE], origin[PART_SIZE];
	char uid[PART_SIZE], user[PART_SIZE]; /* of a command */
	char via[2 * PART_SIZE + 2];          /* "dashboard/192.0.2.1"; "" it was typed */
	int64_t until_ms, since_ms;           /* 0: none */
};

static void read_cell(const char *text, struct cell *cell)
{
	char parts[4][PART_SIZE];

	attribute_split(text, parts, 4);
	memcpy(cell->zone, parts[0], PART_SIZE);
	memcpy(cell->group, parts[1], PART_SIZE);
	memcpy(cell->mode, parts[2], PART_SIZE);
	memcpy(cell->origin, parts[3], PART_SIZE);
	find_value(text, "uid", cell->uid);
	find_value(text, "user", cell->user);
	attribute_word(text, "via", cell->via, sizeof(cell->via));
	cell->until_ms = find_time_ms(text, "until");
	cell->since_ms = find_time_ms(text, "since");
}

/* A daemon that says nothing of groups is an older one: its zones are for everybody. */
static bool find_cell(
	const struct control_answer *answer, const char *zone, const char *group, struct cell *cell)
{
	for (size_t i = 0; i < answer->count; i++) {
		if (!has_key(&answer->lines[i], "cell"))
			continue;
		read_cell(answer->lines[i].value, cell);
		if (strcmp(cell->zone, zone) == 0 && strcmp(cell->group, group) == 0)
			return true;
	}
	return false;
}

/* Splits "dashboard/192.0.2.1" into the program and where it was asked from, which is returned. */
static const char *split_via(const struct cell *cell, char program[PART_SIZE])
{
	size_t length = strcspn(cell->via, "/");

	snprintf(program, PART_SIZE, "%.*s", (int)length, cell->via);
	return cell->via + length + (cell->via[length] == '/');
}

/* "command of root at 2026-11-22 12:00:00, until 2026-11-22 12:30:00", or "dashboard from 192.0.2.1
 * (root) at …": the user is then only whom the dashboard runs as. */
static void append_origin(struct strbuf *out, const struct cell *cell)
{
	bool command = strcmp(cell->origin, "command") == 0, via = command && cell->via[0];
	const char *uid = cell->user[0] ? "" : "uid ";
	const char *user = cell->user[0] ? cell->user : cell->uid;
	char program[PART_SIZE];
	const char *from = split_via(cell, program);

	if (via)
		strbuf_printf(out, "%s from %s (%s%s) at ", program, from, uid, user);
	else
		strbuf_append_text(out, cell->origin);
	if (command && !via)
		strbuf_printf(out, " of %s%s at ", uid, user);
	if (command)
		output_time(out, cell->since_ms);
	if (cell->until_ms) {
		strbuf_append_text(out, ", until ");
		output_time(out, cell->until_ms);
	}
}

static void add_row(struct grid *grid, const struct cell *cell, const char *rules, bool with_group)
{
	struct strbuf from;

	grid_cell(grid, cell->zone);
	if (with_group)
		grid_cell(grid, strcmp(cell->group, EVERYTHING) == 0 ? "" : cell->group);
	grid_cell(grid, cell->mode);
	grid_cell(grid, rules);
	strbuf_init(&from);
	append_origin(&from, cell);
	grid_cell(grid, from.data && !from.failed ? from.data : "");
	strbuf_deinit(&from);
}

static bool has_groups(const struct control_answer *answer)
{
	return control_answer_value(answer, "group") != NULL;
}

/* A zone, then the groups that have a mode of their own for it. */
static void add_zone_rows(
	struct grid *grid, const struct control_answer *answer, const char *zone_line)
{
	char parts[2][PART_SIZE], rules[PART_SIZE];
	struct cell cell = {.group = EVERYTHING};
	bool groups = has_groups(answer);

	attribute_split(zone_line, parts, 2);
	find_value(zone_line, "rules", rules);
	if (!find_cell(answer, parts[0], EVERYTHING, &cell)) {
		memcpy(cell.zone, parts[0], PART_SIZE);
		memcpy(cell.mode, parts[1], PART_SIZE);
	}
	add_row(grid, &cell, rules, groups);
	for (size_t i = 0; groups && i < answer->count; i++) {
		if (!has_key(&answer->lines[i], "cell"))
			continue;
		read_cell(answer->lines[i].value, &cell);
		if (strcmp(cell.zone, parts[0]) == 0 && strcmp(cell.group, EVERYTHING) != 0 &&
			strcmp(cell.origin, "zone") != 0 && strcmp(cell.origin, "always") != 0)
			add_row(grid, &cell, "", true);
	}
}

static void append_groups(struct strbuf *out, const struct control_answer *answer)
{
	char name[1][PART_SIZE];

	if (!has_groups(answer))
		return;
	strbuf_append_text(out, "Groups:");
	for (size_t i = 0; i < answer->count; i++) {
		if (!has_key(&answer->lines[i], "group"))
			continue;
		attribute_split(answer->lines[i].value, name, 1);
		strbuf_append_char(out, ' ');
		output_text(out, name[0]);
	}
	strbuf_append_text(out, "\nA group without a line of its own has the mode of the zone.\n");
}

static void print_table(struct cli *cli, const struct control_answer *answer)
{
	struct grid grid;

	grid_init(
		&grid, has_groups(answer) ? "ZONE|GROUP|MODE|RULES|FROM" : "ZONE|MODE|RULES|FROM");
	for (size_t i = 0; i < answer->count; i++)
		if (has_key(&answer->lines[i], "zone"))
			add_zone_rows(&grid, answer, answer->lines[i].value);
	if (grid.cells == 0)
		strbuf_append_text(&cli->out,
			"No zones are loaded: is zone-dir right in the configuration?\n");
	grid_print(&grid, &cli->out, 0, cli->colour);
	grid_deinit(&grid);
	append_groups(&cli->out, answer);
}

/* --- listing as JSON --- */

static void json_cell(struct strbuf *out, const struct cell *cell)
{
	char program[PART_SIZE];

	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "zone", cell->zone);
	strbuf_json_text(out, "mode", cell->mode);
	if (cell->origin[0]) {
		strbuf_json_text(out, "from", cell->origin);
		output_json_time(out, "until", cell->until_ms);
	}
	if (cell->uid[0]) {
		output_json_time(out, "since", cell->since_ms);
		strbuf_json_u64(out, "uid", (uint64_t)strtoull(cell->uid, NULL, 10));
		strbuf_json_text(out, "user", cell->user[0] ? cell->user : NULL);
		const char *address = split_via(cell, program);
		strbuf_json_text(out, "via", *program ? program : NULL);
		strbuf_json_text(out, "address", *program ? address : NULL);
	}
	strbuf_append_char(out, '}');
}

static void json_zones(struct strbuf *out, const struct control_answer *answer)
{
	char parts[2][PART_SIZE];

	strbuf_json_key(out, "zones");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < answer->count; i++) {
		struct cell cell = {.group = EVERYTHING};
		if (!has_key(&answer->lines[i], "zone"))
			continue;
		attribute_split(answer->lines[i].value, parts, 2);
		if (!find_cell(answer, parts[0], EVERYTHING, &cell)) {
			cell = (struct cell){.group = EVERYTHING};
			memcpy(cell.zone, parts[0], PART_SIZE);
			memcpy(cell.mode, parts[1], PART_SIZE);
		}
		json_cell(out, &cell);
	}
	strbuf_append_char(out, ']');
}

static void json_group(
	struct strbuf *out, const struct control_answer *answer, const char *group_line)
{
	char name[1][PART_SIZE], clients[PART_SIZE];
	struct cell cell;

	attribute_split(group_line, name, 1);
	find_value(group_line, "clients", clients);
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "group", name[0]);
	strbuf_json_u64(out, "clients", (uint64_t)strtoull(clients, NULL, 10));
	strbuf_json_key(out, "zones");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < answer->count; i++) {
		if (!has_key(&answer->lines[i], "cell"))
			continue;
		read_cell(answer->lines[i].value, &cell);
		if (strcmp(cell.group, name[0]) == 0)
			json_cell(out, &cell);
	}
	strbuf_append_text(out, "]}");
}

static void print_json(struct cli *cli, const struct control_answer *answer)
{
	struct strbuf *out = &cli->out;

	strbuf_append_char(out, '{');
	json_zones(out, answer);
	if (has_groups(answer)) {
		strbuf_json_key(out, "groups");
		strbuf_append_char(out, '[');
		for (size_t i = 0; i < answer->count; i++)
			if (has_key(&answer->lines[i], "group"))
				json_group(out, answer, answer->lines[i].value);
		strbuf_append_char(out, ']');
	}
	strbuf_append_text(out, "}\n");
}

static void print_zones(struct cli *cli, const struct control_answer *answer)
{
	if (cli->json)
		print_json(cli, answer);
	else
		print_table(cli, answer);
}

/* --- changing --- */

static void print_any_change(struct cli *cli, const struct control_answer *answer, bool reset)
{
	const char *warning = control_answer_value(answer, "warning");

	if (cli->json) {
		strbuf_append_char(&cli->out, '{');
		change_words_mode_json(&cli->out, answer);
		strbuf_append_text(&cli->out, "}\n");
		return;
	}
	if (!change_words_mode(&cli->out, answer, cli->option[CLI_GROUP], reset))
		cli_next(cli, &cli->out, "mode", "Nothing changed, it was so already. All zones");
	if (warning)
		cli_error(cli, "%s", warning);
}

static void print_changes(struct cli *cli, const struct control_answer *answer)
{
	print_any_change(cli, answer, false);
}

static void print_reset(struct cli *cli, const struct control_answer *answer)
{
	print_any_change(cli, answer, true);
}

/* --- the commands --- */

/* The seconds of --for as digits, "0" without it. False: it is none. */
static bool read_for(const struct cli *cli, char out[PART_SIZE])
{
	uint64_t ms = 0;

	if (cli->option[CLI_FOR] && (!options_read_duration(cli->option[CLI_FOR], &ms) ||
					    ms < 1000 || ms > MODE_FOR_MAX_MS))
		return false;
	snprintf(out, PART_SIZE, "%llu", (unsigned long long)((ms + 999) / 1000));
	return true;
}

static int run_change(struct cli *cli, const struct command *command, const char *mode)
{
	char seconds[PART_SIZE];
	const char *zone = cli->option[CLI_ZONE], *group = cli->option[CLI_GROUP];
	const char *request[] = {
		"mode", mode, zone ? zone : EVERYTHING, group ? group : EVERYTHING, seconds};
	bool reset = strcmp(mode, "reset") == 0;
	unsigned count = cli->option[CLI_FOR] ? 5 : group ? 4 : zone ? 3 : 2;

	if (reset && cli->option[CLI_FOR])
		return cli_usage(cli, command, "reset has no --for");
	if (!read_for(cli, seconds))
		return cli_usage(cli, command,
			"--for takes a time such as 90s, 10m, 2h, 3d or 1w, at most 366d");
	return run_request(cli, count, request, reset ? print_reset : print_changes);
}

static bool is_mode(const char *word)
{
	return strcmp(word, "watch") == 0 || strcmp(word, "block") == 0 ||
	       strcmp(word, "ignore") == 0 || strcmp(word, "reset") == 0;
}

static int mode_run(struct cli *cli, int count, char **words)
{
	const char *const request[] = {"mode"};

	if (count > 1 || (count == 1 && !is_mode(words[0])))
		return cli_usage(cli, &command_mode, "takes one of watch, block, ignore, reset");
	if (count == 1)
		return run_change(cli, &command_mode, words[0]);
	if (cli->option[CLI_ZONE])
		return cli_usage(cli, &command_mode,
			"--zone needs a mode: watch, block or ignore, or reset");
	if (cli->option[CLI_GROUP] || cli->option[CLI_FOR])
		return cli_usage(cli, &command_mode, "--group and --for need a mode");
	return run_request(cli, 1, request, print_zones);
}

static int block_run(struct cli *cli, int count, char **words)
{
	if (count != 1 || (strcmp(words[0], "on") != 0 && strcmp(words[0], "off") != 0))
		return cli_usage(cli, &command_block, "takes on or off");
	return run_change(cli, &command_block, strcmp(words[0], "on") == 0 ? "block" : "watch");
}

const struct command command_mode = {
	.name = "mode",
	.arguments = "[watch|block|ignore|reset]",
	.summary = "show or change what happens to matching names",
	.help = "Without a mode: the zones with the mode of each, also for the groups that have "
		"one "
		"of their own, where it comes from and until when. With one: changes all tunnel "
		"zones, or the one of --zone, for all clients but those of groups with a mode of "
		"their own, or for those of --group; until the next change, also over a restart, "
		"or "
		"for the time of --for; then what was set before, or is configured, applies again.\n\n"
		"  watch   answer truthfully and record the hit\n"
		"  block   answer as the rule says (NXDOMAIN in the shipped zones) and record it\n"
		"  ignore  as if the zone were not there\n"
		"  reset   take back what was changed: as the configuration and its schedules say; "
		"all of it,\n          or what is for --zone, for --group\n\n"
		"Examples:\n"
		"  teredown mode\n"
		"  teredown mode block --zone teredo\n"
		"  teredown mode ignore --zone social --group kids --for 30m\n"
		"  teredown mode reset",
	.takes = CLI_TAKES(ZONE) | CLI_TAKES(GROUP) | CLI_TAKES(FOR),
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
		"  teredown block on --for 1h\n"
		"  teredown block off --group gaming",
	.takes = CLI_TAKES(GROUP) | CLI_TAKES(FOR),
	.run = block_run,
};
