/* SPDX-License-Identifier: BSD-3-Clause */
/* `teredown policy list`: the zones in order, and what became of the lines of their files. */
#include <inttypes.h>
#include <string.h>

#include "resolver/control/attributes.h"
#include "resolver/control/command_policy.h"

#define WORD_MAX 64

static bool is_key(const struct control_line *line, const char *key)
{
	return strcmp(line->key, key) == 0;
}

/* --- for people --- */

static void grid_word(struct grid *grid, const char *text, const char *key)
{
	char word[WORD_MAX];

	grid_cell(grid, attribute_word(text, key, word, sizeof(word)));
}

static void append_zones(struct cli *cli, const struct control_answer *answer)
{
	struct grid grid;

	grid_init(&grid, "ZONE|KIND|MODE|FORMAT|>RULES|READ");
	for (size_t i = 0; i < answer->count; i++) {
		const char *zone = answer->lines[i].value;
		if (!is_key(&answer->lines[i], "zone"))
			continue;
		grid_word(&grid, zone, "name");
		grid_word(&grid, zone, "kind");
		grid_word(&grid, zone, "mode");
		grid_word(&grid, zone, "format");
		grid_cell_u64(&grid, (uint64_t)attribute_number(zone, "rules"));
		grid_cell_time(&grid, attribute_number(zone, "read_us") / 1000);
	}
	grid_print(&grid, &cli->out, 0, cli->colour);
	grid_deinit(&grid);
}

/* The files, each with its lines, and what is wrong with the zone. */
static void append_sources(struct strbuf *out, const struct control_answer *answer)
{
	char zone[WORD_MAX] = "";

	for (size_t i = 0; i < answer->count; i++) {
		const struct control_line *line = &answer->lines[i];
		if (is_key(line, "zone"))
			attribute_word(line->value, "name", zone, sizeof(zone));
		if (!is_key(line, "fault") && !is_key(line, "path") && !is_key(line, "lines"))
			continue;
		strbuf_append_text(out, is_key(line, "lines") ? "    " : "\n");
		if (is_key(line, "fault")) {
			output_text(out, zone);
			strbuf_append_text(out, " has the rules of an earlier reading: ");
		}
		output_text(out, line->value);
		strbuf_append_text(out, is_key(line, "path") ? "\n" : ".\n");
	}
}

/* --- for programs --- */

static void json_numbers(struct strbuf *out, const char *text, const char *const *keys)
{
	for (; *keys; keys++)
		strbuf_json_u64(out, *keys, (uint64_t)attribute_number(text, *keys));
}

static void json_words(struct strbuf *out, const char *text, const char *const *keys)
{
	char word[WORD_MAX];

	for (; *keys; keys++)
		strbuf_json_text(out, *keys, attribute_word(text, *keys, word, sizeof(word)));
}

/* The file described at this place, and its path behind it. */
static void json_source(struct strbuf *out, const struct control_answer *answer, size_t at)
{
	static const char *const words[] = {"format", NULL};
	static const char *const numbers[] = {
		"read", "used", "skipped", "repeated", "foreign", "overruled", NULL};
	bool has_path = at + 1 < answer->count && is_key(&answer->lines[at + 1], "path");

	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "path", has_path ? answer->lines[at + 1].value : NULL);
	json_words(out, answer->lines[at].value, words);
	json_numbers(out, answer->lines[at].value, numbers);
	strbuf_append_char(out, '}');
}

void policy_list_sources_json(
	struct strbuf *out, const struct control_answer *answer, size_t at)
{
	const char *fault = NULL;

	strbuf_json_key(out, "sources");
	strbuf_append_char(out, '[');
	for (size_t i = at + 1; i < answer->count && !is_key(&answer->lines[i], "zone"); i++) {
		if (is_key(&answer->lines[i], "source"))
			json_source(out, answer, i);
		if (is_key(&answer->lines[i], "fault"))
			fault = answer->lines[i].value;
	}
	strbuf_append_char(out, ']');
	strbuf_json_text(out, "fault", fault);
}

static void json_zone(struct strbuf *out, const struct control_answer *answer, size_t at)
{
	static const char *const words[] = {"name", "kind", "mode", "format", NULL};
	static const char *const numbers[] = {"rules", "version", NULL};
	const char *zone = answer->lines[at].value;

	output_json_next(out);
	strbuf_append_char(out, '{');
	json_words(out, zone, words);
	json_numbers(out, zone, numbers);
	output_json_time(out, "read", attribute_number(zone, "read_us") / 1000);
	policy_list_sources_json(out, answer, at);
	strbuf_append_char(out, '}');
}

static void print_json(struct strbuf *out, const struct control_answer *answer)
{
	strbuf_append_text(out, "{\"zones\":[");
	for (size_t i = 0; i < answer->count; i++)
		if (is_key(&answer->lines[i], "zone"))
			json_zone(out, answer, i);
	strbuf_append_text(out, "]}\n");
}

/* --- the command --- */

int policy_list_run(struct cli *cli)
{
	const char *const words[] = {"policy", "list", cli->option[CLI_ZONE]};
	struct control_answer answer;
	enum control_outcome outcome = cli_ask(cli, cli->option[CLI_ZONE] ? 3 : 2, words, &answer);

	if (outcome == CONTROL_OK && cli->json) {
		print_json(&cli->out, &answer);
	} else if (outcome == CONTROL_OK) {
		append_zones(cli, &answer);
		append_sources(&cli->out, &answer);
	}
	control_answer_free(&answer);
	return outcome == CONTROL_OK ? CLI_OK : CLI_ERROR;
}
