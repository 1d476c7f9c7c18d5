/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of a name now, as the daemon itself decides it. The zone files could be read here
 * too, but modes change at run time and a file may not have been loaded yet: only the daemon knows.
 * It is asked once a name; where it does not answer, or records under another name than these
 * counts, nothing is said.
 */
#include <stdio.h>
#include <string.h>

#include "resolver/control/protocol.h"
#include "resolver/control/who.h"

static enum who_verdict parse_verdict(const char *word)
{
	for (int verdict = VERDICT_NONE; verdict <= VERDICT_PASS; verdict++)
		if (strcmp(who_verdict_name((enum who_verdict)verdict), word) == 0)
			return (enum who_verdict)verdict;
	return VERDICT_NONE;
}

/* The word behind "key=", up to the next blank. */
static void take_word(const char *text, const char *key, char *out, size_t size)
{
	const char *at = strstr(text, key);

	out[0] = '\0';
	if (!at)
		return;
	at += strlen(key);
	snprintf(out, size, "%.*s", (int)strcspn(at, " "), at);
}

/* "<zone> mode=… action=… rule=…" */
static void parse_decided(const char *text, struct who_rule *out)
{
	snprintf(out->zone, sizeof(out->zone), "%.*s", (int)strcspn(text, " "), text);
	take_word(text, " mode=", out->mode, sizeof(out->mode));
	take_word(text, " action=", out->action, sizeof(out->action));
	take_word(text, " rule=", out->rule, sizeof(out->rule));
}

/* These counts are of the resolver that answers the control socket. */
static bool is_ours(const struct who *who, const char *resolver)
{
	for (size_t i = 0; resolver && i < who->fleet->count; i++)
		if (strcmp(who->fleet->members[i].resolver, resolver) == 0)
			return true;
	return false;
}

static bool ask(struct who *who, const char *name, const char *client, struct who_rule *out)
{
	const char *const words[] = {"explain", name, client};
	struct control_answer answer;

	*out = (struct who_rule){.name = name};
	if (!protocol_is_word(name, NAME_TEXT_MAX) ||
		(client && !protocol_is_word(client, NAME_TEXT_MAX)))
		return false;
	enum control_outcome outcome = cli_ask_silently(who->cli, client ? 3 : 2, words, &answer);
	bool known =
		outcome == CONTROL_OK && is_ours(who, control_answer_value(&answer, "resolver"));
	const char *verdict = known ? control_answer_value(&answer, "verdict") : NULL;
	const char *decided = known ? control_answer_value(&answer, "decided") : NULL;
	const char *access = known ? control_answer_value(&answer, "access") : NULL;
	if (verdict)
		out->verdict = parse_verdict(verdict);
	if (decided)
		parse_decided(decided, out);
	out->refused = access && strcmp(access, "refused") == 0;
	who->silent = outcome != CONTROL_FAILED && !verdict;
	control_answer_free(&answer);
	return verdict != NULL;
}

/* The end of the chain that led from a name to an address, where it is another name. */
static const char *find_owner(const struct reader_pairs *pairs, const char *name)
{
	for (size_t i = 0; pairs && i < pairs->count; i++)
		if (strcmp(pairs->rows[i].name, name) == 0 && *pairs->rows[i].owner &&
			strcmp(pairs->rows[i].owner, name) != 0)
			return pairs->rows[i].owner;
	return NULL;
}

static bool ask_with_owner(struct who *who, const char *name, const struct reader_pairs *pairs,
	const char *client, struct who_rule *out)
{
	struct who_rule behind;

	if (!ask(who, name, client, out))
		return false;
	const char *owner = out->verdict == VERDICT_NONE ? find_owner(pairs, name) : NULL;
	if (owner && ask(who, owner, client, &behind) && behind.verdict != VERDICT_NONE) {
		*out = behind;
		out->name = name;
		out->owner = owner;
	}
	return true;
}

/* Of the rule, by whichever name it was hit: what was counted for certain. */
static enum td_error load_hits(struct who *who, struct who_rule *rule)
{
	int64_t hits = 0;
	enum td_error error = TD_OK;

	if (rule->verdict != VERDICT_NONE)
		error = fleet_score(who->fleet, &who->cli->arena, READER_RULES, rule->zone,
			rule->rule, &hits);
	rule->hits = hits > 0 ? (uint64_t)hits : 0;
	return error;
}

enum td_error who_load_rules(struct who *who, const struct who_list *names,
	const struct reader_pairs *pairs, const char *client, struct who_rules *out)
{
	size_t most = names->count < WHO_RULES_MAX ? names->count : WHO_RULES_MAX;

	*out = (struct who_rules){.known = false};
	out->rows = arena_alloc(&who->cli->arena, (most + 1) * sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	/* An owner of nobody's making, or what a bound of the store took: no name. */
	for (size_t i = 0; i < most && !who->silent; i++)
		if (names->words[i][0] != '*' &&
			ask_with_owner(who, names->words[i], pairs, client, &out->rows[out->count]))
			out->count++;
	out->known = out->count > 0;
	enum td_error error = TD_OK;
	for (size_t i = 0; i < out->count && error == TD_OK; i++)
		error = load_hits(who, &out->rows[i]);
	return error;
}

void who_append_rules(struct who *who, const struct who_rules *rules)
{
	struct strbuf *out = &who->cli->out;
	char resolver[160];
	struct grid grid;

	if (!rules->known)
		return;
	strbuf_append_text(out, "\nWhat applies now");
	if (who->fleet->whole) {
		snprintf(resolver, sizeof(resolver), " at resolver %.128s",
			who->cli->options->resolver_name);
		output_text(out, resolver);
	}
	strbuf_append_text(out, ":\n");
	grid_init(&grid, "NAME|MODE|ZONE|RULE|>HITS|A QUESTION IS");
	for (size_t i = 0; i < rules->count; i++) {
		const struct who_rule *rule = &rules->rows[i];
		bool matches = rule->verdict != VERDICT_NONE;
		grid_cell(&grid, rule->name);
		grid_cell(&grid, matches ? rule->mode : "-");
		grid_cell(&grid, matches ? rule->zone : "-");
		grid_cell(&grid, matches ? rule->rule : "-");
		if (rule->hits)
			grid_cell_u64(&grid, rule->hits);
		else
			grid_cell(&grid, "-");
		grid_cell(&grid, who_verdict_words(rule));
	}
	grid_print(&grid, out, 0, who->cli->colour);
	grid_deinit(&grid);
}

static void append_known(struct strbuf *out, const char *key, const char *text)
{
	strbuf_json_text(out, key, *text ? text : NULL);
}

void who_append_rules_json(struct who *who, const struct who_rules *rules)
{
	struct strbuf *out = &who->cli->out;

	strbuf_json_key(out, "policy");
	if (!rules->known) {
		strbuf_append_text(out, "null");
		return;
	}
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < rules->count; i++) {
		const struct who_rule *rule = &rules->rows[i];
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "name", rule->name);
		if (rule->owner)
			strbuf_json_text(out, "owner", rule->owner);
		strbuf_json_text(out, "verdict",
			rule->refused ? "refused" : who_verdict_name(rule->verdict));
		append_known(out, "mode", rule->mode);
		append_known(out, "zone", rule->zone);
		append_known(out, "rule", rule->rule);
		append_known(out, "action", rule->action);
		strbuf_json_u64(out, "hits", rule->hits);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}
