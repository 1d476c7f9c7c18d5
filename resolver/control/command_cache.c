/* SPDX-License-Identifier: BSD-3-Clause */
/* `teredown cache` and `teredown flush`: what is cached, and taking it out. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/name.h"
#include "lib/dns/text.h"
#include "resolver/control/attributes.h"
#include "resolver/control/change_words.h"
#include "resolver/control/cli.h"

#define WORD_MAX 80

/* --- names and types --- */

/* As the daemon takes it: one word. False when text is no name. */
static bool name_word(const char *text, char out[NAME_TEXT_MAX])
{
	struct name name;

	if (name_from_text(&name, text, strlen(text)) != TD_OK)
		return false;
	name_to_text(name.wire, out);
	return true;
}

static bool type_word(const char *text, char out[TYPE_TEXT_MAX])
{
	uint16_t type;

	if (!text) {
		memcpy(out, "*", 2);
		return true;
	}
	if (!type_from_text(&type, text))
		return false;
	type_to_text(type, out);
	return true;
}

static const char *attribute(const char *text, const char *key, char out[WORD_MAX])
{
	return attribute_word(text, key, out, WORD_MAX);
}

static bool is_key(const struct control_line *line, const char *key)
{
	return strcmp(line->key, key) == 0;
}

/* --- cache NAME --- */

/* The values of one key between this entry and the next, as an array. */
static void append_json_lines(struct strbuf *out, const char *name, const char *key,
	const struct control_answer *answer, size_t from)
{
	strbuf_json_key(out, name);
	strbuf_append_char(out, '[');
	for (size_t i = from; i < answer->count && !is_key(&answer->lines[i], "entry"); i++) {
		if (!is_key(&answer->lines[i], key))
			continue;
		output_json_next(out);
		strbuf_json_string(out, answer->lines[i].value, strlen(answer->lines[i].value));
	}
	strbuf_append_char(out, ']');
}

static void append_json_number(
	struct strbuf *out, const char *name, const char *text, const char *key)
{
	strbuf_json_key(out, name);
	strbuf_printf(out, "%" PRId64, attribute_number(text, key));
}

static void append_json_entry(struct strbuf *out, const struct control_answer *answer, size_t at)
{
	const char *text = answer->lines[at].value;
	char word[WORD_MAX];

	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "type", attribute(text, "type", word));
	strbuf_json_text(out, "rcode", attribute(text, "rcode", word));
	strbuf_json_text(out, "kind", attribute(text, "kind", word));
	strbuf_json_text(out, "state", attribute(text, "state", word));
	strbuf_json_bool(out, "dnssec_ok", attribute_number(text, "dnssec-ok") != 0);
	strbuf_json_bool(
		out, "checking_disabled", attribute_number(text, "checking-disabled") != 0);
	append_json_number(out, "left_s", text, "left_s");
	append_json_number(out, "age_s", text, "age_s");
	append_json_number(out, "hits", text, "hits");
	strbuf_json_text(out, "upstream", attribute(text, "upstream", word));
	append_json_lines(out, "records", "record", answer, at + 1);
	append_json_lines(out, "rules", "match", answer, at + 1);
	strbuf_append_char(out, '}');
}

static void append_json_entries(struct strbuf *out, const struct control_answer *answer)
{
	size_t first = 0;

	strbuf_append_text(out, "{\"entries\":[");
	for (size_t i = 0; i < answer->count; i++)
		if (is_key(&answer->lines[i], "entry"))
			append_json_entry(out, answer, i);
	strbuf_append_char(out, ']');
	for (size_t i = 0; i < answer->count; i++)
		first = is_key(&answer->lines[i], "entry") ? i + 1 : first;
	append_json_lines(out, "failures", "failure", answer, first);
	const char *more = control_answer_value(answer, "more");
	strbuf_json_bool(out, "more", more && strcmp(more, "yes") == 0);
	strbuf_append_text(out, "}\n");
}

static void append_entry(struct strbuf *out, const char *text)
{
	int64_t left_s = attribute_number(text, "left_s");
	char word[WORD_MAX];

	output_text(out, attribute(text, "type", word));
	strbuf_append_text(out, ", ");
	output_text(out, attribute(text, "rcode", word));
	strbuf_append_text(out, attribute_number(text, "dnssec-ok") ? ", asked with DO" : "");
	strbuf_append_text(
		out, attribute_number(text, "checking-disabled") ? ", asked with CD" : "");
	strbuf_append_text(out, left_s < 0 || strcmp(attribute(text, "state", word), "stale") == 0
					? ": stale for "
					: ": for ");
	output_span(out, left_s < 0 ? -left_s : left_s);
	strbuf_append_text(out, left_s < 0 ? "; " : " more; ");
	output_span(out, attribute_number(text, "age_s"));
	strbuf_append_text(out, " old, from ");
	output_text(out, attribute(text, "upstream", word));
	strbuf_append_text(out, ", ");
	output_count(out, (uint64_t)attribute_number(text, "hits"), "hit");
	strbuf_append_char(out, '\n');
}

static void append_line(struct strbuf *out, const struct control_line *line)
{
	if (is_key(line, "entry")) {
		append_entry(out, line->value);
		return;
	}
	if (is_key(line, "more")) {
		if (strcmp(line->value, "yes") == 0)
			strbuf_append_text(out, "There are more entries of this name.\n");
		return;
	}
	strbuf_append_text(out, is_key(line, "record")    ? "  "
				: is_key(line, "match")   ? "  rule of "
				: is_key(line, "failure") ? "failed a moment ago: "
							  : "  ");
	output_text(out, line->value);
	strbuf_append_char(out, '\n');
}

static int look_up(struct cli *cli, const char *text, const char *type_text)
{
	char name[NAME_TEXT_MAX], type[TYPE_TEXT_MAX];
	const char *const words[] = {"cache", "lookup", type, name};
	struct control_answer answer;

	if (!name_word(text, name))
		return cli_usage(cli, &command_cache, "needs a name");
	if (!type_word(type_text, type))
		return cli_usage(cli, &command_cache, "does not know this type of records");
	enum control_outcome outcome = cli_ask(cli, 4, words, &answer);
	bool found =
		control_answer_value(&answer, "entry") || control_answer_value(&answer, "failure");
	if (outcome == CONTROL_OK && cli->json) {
		append_json_entries(&cli->out, &answer);
	} else if (outcome == CONTROL_OK && !found) {
		output_text(&cli->out, name);
		strbuf_append_text(&cli->out, " is not in the cache.\n");
	} else if (outcome == CONTROL_OK) {
		for (size_t i = 0; i < answer.count; i++)
			append_line(&cli->out, &answer.lines[i]);
	}
	control_answer_free(&answer);
	return outcome != CONTROL_OK ? CLI_ERROR : found ? CLI_OK : CLI_NOTHING;
}

/* --- cache --- */

static void append_share(struct strbuf *out, uint64_t part, uint64_t whole)
{
	if (whole)
		strbuf_printf(out, " (%.1f %%)", 100.0 * (double)part / (double)whole);
}

/* Of the last minute, where somebody has looked that long ago. */
static void append_recent(struct strbuf *out, const struct control_answer *answer)
{
	uint64_t hits = control_answer_u64(answer, "recent_hits", 0);
	uint64_t asked = hits + control_answer_u64(answer, "recent_misses", 0);

	if (!control_answer_value(answer, "recent_s"))
		return;
	strbuf_append_text(out, "; ");
	strbuf_append_u64(out, hits);
	append_share(out, hits, asked);
	strbuf_append_text(out, " in the last ");
	output_span(out, (int64_t)control_answer_u64(answer, "recent_s", 0));
}

static void append_figures(struct strbuf *out, const struct control_answer *answer)
{
	static const struct {
		const char *key, *words;
	} rows[] = {{"positive", "with records"}, {"nodata", "no such records"},
		{"nxdomain", "no such name"}, {"stale", "expired, kept in case the servers fail"},
		{"failures", "failed a moment ago"}, {"evicted", "left for want of room"},
		{"expired", "gone at their end"}, {"refreshed", "replaced by newer answers"},
		{"flushed", "flushed"}};
	uint64_t hits = control_answer_u64(answer, "hits", 0);
	uint64_t asked = hits + control_answer_u64(answer, "misses", 0);

	output_bytes(out, control_answer_u64(answer, "bytes", 0));
	strbuf_append_text(out, " of ");
	output_bytes(out, control_answer_u64(answer, "limit", 0));
	strbuf_append_text(out, ", ");
	strbuf_append_u64(out, control_answer_u64(answer, "entries", 0));
	strbuf_append_text(out, " entries. ");
	strbuf_append_u64(out, hits);
	strbuf_append_text(out, " hits");
	append_share(out, hits, asked);
	strbuf_append_text(out, " in ");
	output_span(out, (int64_t)control_answer_u64(answer, "uptime_s", 0));
	append_recent(out, answer);
	strbuf_append_text(out, ".\n\n");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		strbuf_printf(out, "%10" PRIu64 "  %s\n",
			control_answer_u64(answer, rows[i].key, 0), rows[i].words);
}

static int show_figures(struct cli *cli)
{
	const char *const words[] = {"cache"};
	struct control_answer answer;
	enum control_outcome outcome = cli_ask(cli, 1, words, &answer);

	if (outcome == CONTROL_OK && cli->json) {
		strbuf_append_char(&cli->out, '{');
		for (size_t i = 0; i < answer.count; i++)
			strbuf_json_u64(&cli->out, answer.lines[i].key,
				strtoull(answer.lines[i].value, NULL, 10));
		strbuf_append_text(&cli->out, "}\n");
	} else if (outcome == CONTROL_OK) {
		append_figures(&cli->out, &answer);
	}
	control_answer_free(&answer);
	return outcome == CONTROL_OK ? CLI_OK : CLI_ERROR;
}

static int cache_run(struct cli *cli, int count, char **words)
{
	if (count > 2)
		return cli_usage(cli, &command_cache, "takes a name and a type");
	if (count == 0)
		return show_figures(cli);
	return look_up(cli, words[0], count == 2 ? words[1] : cli->option[CLI_TYPE]);
}

/* --- flush --- */

static void print_flushed(struct cli *cli, const struct control_answer *answer)
{
	if (!cli->json) {
		change_words_flush(&cli->out, answer);
		return;
	}
	strbuf_append_char(&cli->out, '{');
	change_words_flush_json(&cli->out, answer);
	strbuf_append_text(&cli->out, "}\n");
}

static int flush_run(struct cli *cli, int count, char **words)
{
	char name[NAME_TEXT_MAX], type[TYPE_TEXT_MAX];
	bool all = cli->option[CLI_ALL] != NULL, suffix = cli->option[CLI_SUFFIX] != NULL;
	const char *request[] = {"flush", all ? "all" : suffix ? "suffix" : "name", type, name};
	struct control_answer answer;

	if (all ? count != 0 || suffix : count != 1)
		return cli_usage(
			cli, &command_flush, "takes a name, --suffix and a name, or --all");
	if (!all && !name_word(words[0], name))
		return cli_usage(cli, &command_flush, "needs a name");
	if (!type_word(cli->option[CLI_TYPE], type))
		return cli_usage(cli, &command_flush, "does not know this type of records");
	enum control_outcome outcome = cli_ask(cli, all ? 3 : 4, request, &answer);
	if (outcome == CONTROL_OK)
		print_flushed(cli, &answer);
	control_answer_free(&answer);
	return outcome == CONTROL_OK ? CLI_OK : CLI_ERROR;
}

const struct command command_cache = {
	.name = "cache",
	.arguments = "[NAME [TYPE]]",
	.summary = "what is cached, or what is cached of one name",
	.help = "Without a name: how much is cached, of which kind, how often it served, and what "
		"left. With one: every entry of that name (one for each type, and for each of the "
		"flags DO and CD it was asked with), its records with the TTLs they have now, "
		"where it came from, and the rules that match. Exit code 3: nothing is cached of "
		"it.\n\n"
		"Examples:\n"
		"  teredown cache\n"
		"  teredown cache www.example.org\n"
		"  teredown cache www.example.org AAAA --json",
	.takes = CLI_TAKES(TYPE),
	.run = cache_run,
};

const struct command command_flush = {
	.name = "flush",
	.arguments = "NAME|--suffix NAME|--all",
	.summary = "take a name, or all names, out of the cache",
	.help = "Takes out what is cached of this name, of this name and all below it "
		"(--suffix), or everything (--all), failures too, and says how many entries that "
		"was. When it returns, no client is served what was cached before, and answers "
		"that are still on their way from before are not cached when they come.\n\n"
		"Examples:\n"
		"  teredown flush www.example.org\n"
		"  teredown flush --suffix example.org --type A\n"
		"  teredown flush --all",
	.takes = CLI_TAKES(ALL) | CLI_TAKES(SUFFIX) | CLI_TAKES(TYPE),
	.run = flush_run,
};
