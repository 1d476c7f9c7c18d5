/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown policy`, and its part `test`: why a name is blocked, watched or let through. The daemon
 * tells each step of its own decision; here they become sentences and a table. The order is the one
 * in which rules are looked at, so the first row that decides explains those below it.
 */
#include <string.h>

#include "lib/dns/name.h"
#include "lib/dns/text.h"
#include "resolver/control/attributes.h"
#include "resolver/control/command_policy.h"

#define WORD_MAX 64
#define WHERE_MAX 1200

/* --- words --- */

static const struct {
	const char *word, *sentence;
} verdicts[] = {
	{"block", "is blocked"},
	{"watch", "is watched: answered truthfully, and recorded"},
	{"local", "is answered from here, outside all modes"},
	{"pass", "is let through by a rule"},
	{"none", "is answered truthfully: no rule says otherwise"},
};

static const struct {
	const char *word, *effect;
} outcomes[] = {
	{"won", "decides"},
	{"recorded", "recorded, the search goes on"},
	{"watched", "watched, the search goes on"},
	{"exempt", "lets it through here, the search goes on"},
	{"ignored", "ignored"},
	{"behind", "behind the one that decides"},
	{"none", "no rule"},
};

static const struct {
	const char *word, *sentence;
} reasons[] = {
	{"not-needed", "No answer was needed: what is known of the question decides."},
	{"not-cached",
		"No answer is cached, and nobody was asked: rules on its addresses and on the "
		"names of its CNAME chain are not judged."},
	{"failed", "Upstream servers had no answer: only the question is judged."},
	{"timeout", "Upstream servers have not answered in time: only the question is judged."},
	{"not-kept", "The answer may not be kept (its TTL is 0): only the question is judged."},
};

static const char *effect_of(const char *word)
{
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
		if (strcmp(outcomes[i].word, word) == 0)
			return outcomes[i].effect;
	return word;
}

static bool is_key(const struct control_line *line, const char *key)
{
	return strcmp(line->key, key) == 0;
}

static const char *value_of(const struct control_answer *answer, const char *key)
{
	const char *value = control_answer_value(answer, key);

	return value ? value : "";
}

/* "FILE:12", the source alone where it has no lines. */
static const char *where_of(const char *step, char out[WHERE_MAX])
{
	const char *source = attribute_rest(step, "source");
	int64_t line = attribute_number(step, "line");

	if (line > 0)
		snprintf(out, WHERE_MAX, "%s:%lld", source, (long long)line);
	else
		snprintf(out, WHERE_MAX, "%s", *source ? source : "-");
	return out;
}

/* --- for people --- */

static void append_headline(struct strbuf *out, const struct control_answer *answer)
{
	const char *verdict = value_of(answer, "verdict"), *client = value_of(answer, "client");
	const char *group = value_of(answer, "group");

	output_text(out, value_of(answer, "name"));
	strbuf_append_char(out, ' ');
	output_text(out, value_of(answer, "type"));
	if (*client) {
		strbuf_append_text(out, ", asked by ");
		output_text(out, client);
	}
	if (*group) {
		strbuf_append_text(out, " of group ");
		output_text(out, group);
	}
	strbuf_append_text(out, ", ");
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (strcmp(verdicts[i].word, verdict) == 0)
			strbuf_append_text(out, verdicts[i].sentence);
	strbuf_append_text(out, ".\nReply: ");
	output_text(out, value_of(answer, "reply"));
	strbuf_append_text(out, ".\n");
	if (strcmp(value_of(answer, "access"), "refused") == 0)
		strbuf_append_text(out, "But this client is refused before any rule is looked at: "
					"the option `allow` does not have it.\n");
}

static void append_lines(struct strbuf *out, const struct control_answer *answer, const char *key)
{
	for (size_t i = 0; i < answer->count; i++) {
		if (!is_key(&answer->lines[i], key))
			continue;
		strbuf_append_text(out, "  ");
		output_text(out, answer->lines[i].value);
		strbuf_append_char(out, '\n');
	}
}

static void grid_attribute(struct grid *grid, const char *text, const char *key)
{
	char word[NAME_TEXT_MAX];

	attribute_word(text, key, word, sizeof(word));
	grid_cell(grid, *word ? word : "-");
}

static void append_steps(struct cli *cli, const struct control_answer *answer)
{
	char word[WORD_MAX], where[WHERE_MAX];
	struct grid grid;

	grid_init(&grid, "ZONE|MODE|RULE ON|RULE|ACTION|EFFECT|WHERE");
	for (size_t i = 0; i < answer->count; i++) {
		const char *step = answer->lines[i].value;
		if (!is_key(&answer->lines[i], "step"))
			continue;
		grid_attribute(&grid, step, "zone");
		grid_attribute(&grid, step, "mode");
		grid_attribute(&grid, step, "trigger");
		grid_attribute(&grid, step, "rule");
		grid_attribute(&grid, step, "action");
		grid_cell(&grid, effect_of(attribute_word(step, "outcome", word, sizeof(word))));
		grid_cell(&grid, where_of(step, where));
	}
	strbuf_append_char(&cli->out, '\n');
	grid_print(&grid, &cli->out, 0, cli->colour);
	grid_deinit(&grid);
}

static void append_evidence(struct strbuf *out, const struct control_answer *answer)
{
	const char *text = value_of(answer, "answer");
	char word[WORD_MAX];

	strbuf_append_char(out, '\n');
	attribute_word(text, "why", word, sizeof(word));
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(reasons[i].word, word) == 0)
			strbuf_append_text(out, reasons[i].sentence);
	attribute_word(text, "from", word, sizeof(word));
	if (strcmp(word, "none") != 0) {
		strbuf_append_text(out, strcmp(word, "cache") == 0
						? "The answer that was judged is cached: "
						: "The answer that was judged was asked for now: ");
		output_text(out, attribute_word(text, "rcode", word, sizeof(word)));
	}
	strbuf_append_char(out, '\n');
	append_lines(out, answer, "record");
}

static void print_text(struct cli *cli, const struct control_answer *answer)
{
	append_headline(&cli->out, answer);
	append_lines(&cli->out, answer, "data");
	append_steps(cli, answer);
	append_evidence(&cli->out, answer);
}

/* --- for programs --- */

static void json_value(struct strbuf *out, const char *key, const char *value)
{
	strbuf_json_text(out, key, value && *value ? value : NULL);
}

static void json_attribute(struct strbuf *out, const char *name, const char *text, const char *key)
{
	char word[NAME_TEXT_MAX];

	json_value(out, name, attribute_word(text, key, word, sizeof(word)));
}

static void json_step(struct strbuf *out, const char *step)
{
	int64_t line = attribute_number(step, "line");

	output_json_next(out);
	strbuf_append_char(out, '{');
	json_attribute(out, "zone", step, "zone");
	json_attribute(out, "mode", step, "mode");
	json_attribute(out, "trigger", step, "trigger");
	json_attribute(out, "rule", step, "rule");
	json_attribute(out, "action", step, "action");
	json_attribute(out, "outcome", step, "outcome");
	json_value(out, "source", attribute_rest(step, "source"));
	if (line > 0)
		strbuf_json_u64(out, "line", (uint64_t)line);
	else
		strbuf_json_text(out, "line", NULL);
	strbuf_append_char(out, '}');
}

static void json_lines(
	struct strbuf *out, const char *name, const struct control_answer *answer, const char *key)
{
	strbuf_json_key(out, name);
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < answer->count; i++) {
		if (!is_key(&answer->lines[i], key))
			continue;
		output_json_next(out);
		strbuf_json_string(out, answer->lines[i].value, strlen(answer->lines[i].value));
	}
	strbuf_append_char(out, ']');
}

static void print_json(struct strbuf *out, const struct control_answer *answer)
{
	static const char *const keys[] = {
		"resolver", "name", "type", "client", "group", "access", "verdict", "reply"};
	const char *evidence = value_of(answer, "answer");

	strbuf_append_char(out, '{');
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_value(out, keys[i], control_answer_value(answer, keys[i]));
	json_value(out, "decided", control_answer_value(answer, "decided"));
	json_lines(out, "data", answer, "data");
	strbuf_json_key(out, "steps");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < answer->count; i++)
		if (is_key(&answer->lines[i], "step"))
			json_step(out, answer->lines[i].value);
	strbuf_append_text(out, "]");
	strbuf_json_key(out, "answer");
	strbuf_append_char(out, '{');
	json_attribute(out, "from", evidence, "from");
	json_attribute(out, "why", evidence, "why");
	json_attribute(out, "rcode", evidence, "rcode");
	json_lines(out, "records", answer, "record");
	strbuf_append_text(out, "}}\n");
}

/* --- the command --- */

int policy_test_run(struct cli *cli, const char *text)
{
	char name[NAME_TEXT_MAX], type[TYPE_TEXT_MAX];
	const char *client = cli->option[CLI_CLIENT], *given = cli->option[CLI_TYPE];
	const char *const words[] = {"policy", "test", name, type, client ? client : "-",
		cli->option[CLI_NO_ASK] ? "know" : "ask"};
	struct control_answer answer;
	struct address parsed;
	struct name wire;
	uint16_t number;

	if (name_from_text(&wire, text, strlen(text)) != TD_OK)
		return cli_usage(cli, &command_policy, "test needs a name");
	name_to_text(wire.wire, name);
	if (!type_from_text(&number, given ? given : "A"))
		return cli_usage(cli, &command_policy, "does not know this type of records");
	type_to_text(number, type);
	if (client && !client_from_text(&parsed, client))
		return cli_usage(cli, &command_policy,
			"--client takes an address, or another client as `teredown top` shows it");
	enum control_outcome outcome = cli_ask(cli, 6, words, &answer);
	if (outcome == CONTROL_OK && cli->json)
		print_json(&cli->out, &answer);
	else if (outcome == CONTROL_OK)
		print_text(cli, &answer);
	control_answer_free(&answer);
	return outcome == CONTROL_OK ? CLI_OK : CLI_ERROR;
}

static int policy_run(struct cli *cli, int count, char **words)
{
	bool test = count > 0 && strcmp(words[0], "test") == 0;
	bool list = count > 0 && strcmp(words[0], "list") == 0;
	bool refresh = count > 0 && strcmp(words[0], "refresh") == 0;

	if (!test && !list && !refresh)
		return cli_usage(cli, &command_policy, "needs test, list or refresh");
	if (refresh && (count > 2 || cli->option[CLI_CLIENT] || cli->option[CLI_TYPE] ||
			       cli->option[CLI_NO_ASK] || cli->option[CLI_ZONE] ||
			       cli->option[CLI_RULES]))
		return cli_usage(cli, &command_policy, "refresh takes nothing but a zone");
	if (refresh)
		return policy_refresh_run(cli, count == 2 ? words[1] : NULL);
	if (list && (count > 1 || cli->option[CLI_CLIENT] || cli->option[CLI_TYPE] ||
			    cli->option[CLI_NO_ASK]))
		return cli_usage(cli, &command_policy, "list takes nothing but --zone and --rules");
	if (!cli->option[CLI_RULES] &&
		(cli->option[CLI_LINES] || cli->option[CLI_RESOLVER] || cli->option[CLI_FLEET]))
		return cli_usage(cli, &command_policy,
			"--lines, --resolver and --fleet are for list --rules");
	if (list)
		return cli->option[CLI_RULES] ? policy_rules_run(cli) : policy_list_run(cli);
	if (count != 2 || cli->option[CLI_ZONE] || cli->option[CLI_RULES])
		return cli_usage(
			cli, &command_policy, "test takes a name, and --client, --type, --no-ask");
	return policy_test_run(cli, words[1]);
}

const struct command command_policy = {
	.name = "policy",
	.arguments = "test NAME | list | refresh [ZONE]",
	.summary = "why a name is blocked, and what the lists hold",
	.help = "test explains what becomes of a question for NAME (type A unless --type says "
		"otherwise), as --client would ask it: every zone in order, the rule in it that "
		"matches, with file and line, and what it did. Rules on addresses and on later "
		"names of a CNAME chain need an answer: it is taken from the cache, or asked of "
		"the upstream servers, which is counted as nobody's query; --no-ask leaves that "
		"out.\n\n"
		"list shows the zones in order with mode, rules, and for each file how many lines "
		"were used, and why the others were not. With --rules it shows how often which rule was "
		"hit, as Redis has it.\n\n"
		"refresh asks the primaries of a zone by transfer, or of all of them, now; a zone "
		"whose serial is older than ours is taken too.\n\n"
		"Examples:\n"
		"  teredown policy test ads.example\n"
		"  teredown policy test teredo.ipv6.microsoft.com --client 192.168.1.40\n"
		"  teredown policy list --zone ads\n"
		"  teredown policy list --rules --zone teredo",
	.takes = CLI_TAKES(RULES) | CLI_TAKES(LINES) | CLI_READS | CLI_TAKES(CLIENT) | CLI_TAKES(TYPE) | CLI_TAKES(NO_ASK) | CLI_TAKES(ZONE),
	.run = policy_run,
};
