/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sentences by case. Each has its condition in one place and its figures in parentheses, so that a
 * reader can check what she is told. Templates with placeholders were rejected: singular, plural
 * and "nothing known" would have become conditions in a language of their own.
 */
#include "resolver/control/who_story.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "resolver/control/output.h"
#include "resolver/control/say.h"

#define LISTED_MAX 4 /* words of a list that are named */

const char *who_verdict_name(enum who_verdict verdict)
{
	static const char *const names[] = {[VERDICT_NONE] = "none",
		[VERDICT_WATCH] = "watch",
		[VERDICT_BLOCK] = "block",
		[VERDICT_LOCAL] = "local",
		[VERDICT_PASS] = "pass"};
	return names[verdict];
}

static const char *action_words(const char *action)
{
	static const char *const words[][2] = {{"nxdomain", "answered NXDOMAIN"},
		{"nodata", "answered without data"}, {"drop", "not answered"},
		{"tcp-only", "sent to TCP"}, {"local-data", "answered with data of the zone"}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i][0], action) == 0)
			return words[i][1];
	return "answered as the rule says";
}

const char *who_verdict_words(const struct who_rule *rule)
{
	if (rule->refused)
		return "refused";
	switch (rule->verdict) {
	case VERDICT_WATCH:
		return "answered truthfully and recorded";
	case VERDICT_BLOCK:
	case VERDICT_LOCAL:
		return action_words(rule->action);
	case VERDICT_PASS:
		return "let through";
	case VERDICT_NONE:
		break;
	}
	return "answered truthfully";
}

/* --- parts of sentences --- */

/* The sentence that begins at start gets its capital. */
static void capitalize(struct strbuf *out, size_t start)
{
	if (!out->failed && out->length > start)
		out->data[start] = (char)toupper((unsigned char)out->data[start]);
}

static void append_word(struct strbuf *out, const char *word, bool name)
{
	if (name)
		say_name(out, word);
	else
		output_text(out, word);
}

/* "a", "a and b", "a, b, c and three more" */
static void append_list(struct strbuf *out, const struct who_list *list, bool names)
{
	size_t shown = list->count <= LISTED_MAX ? list->count : LISTED_MAX - 1;

	for (size_t i = 0; i < shown; i++) {
		bool last = i + 1 == shown && shown == list->count && !list->cut;
		strbuf_append_text(out, i == 0 ? "" : last ? " and " : ", ");
		append_word(out, list->words[i], names);
	}
	if (shown < list->count) {
		strbuf_append_text(out, " and ");
		say_number(out, list->count - shown);
		strbuf_append_text(out, " more");
	}
	if (list->cut)
		strbuf_append_text(out, " and others");
}

/* "one host (a)", "three hosts (a, b and c)" */
static void append_hosts(const struct who_facts *facts, struct strbuf *out)
{
	strbuf_append_text(out, facts->hosts.cut ? "at least " : "");
	say_count(out, facts->hosts.count, "host");
	if (facts->hosts.count == 0)
		return;
	strbuf_append_text(out, " (");
	append_list(out, &facts->hosts, false);
	strbuf_append_char(out, ')');
}

static bool is_alike(const struct period *a, const struct period *b)
{
	return a->ms <= b->ms + b->ms / 4 && b->ms <= a->ms + a->ms / 4;
}

/* ", each about every 30 seconds" */
static void append_period(const struct who_facts *facts, struct strbuf *out)
{
	const struct period *often = &facts->often, *seldom = &facts->seldom;
	bool mean = often->source == PERIOD_MEAN || seldom->source == PERIOD_MEAN;

	if (often->source == PERIOD_UNKNOWN)
		return;
	strbuf_append_text(out, facts->hosts.count > 1 && is_alike(often, seldom) ? ", each" : ",");
	strbuf_append_text(out, mean ? " on average every " : " about every ");
	say_period(out, often->ms);
	if (is_alike(often, seldom))
		return;
	strbuf_append_text(out, " to every ");
	say_period(out, seldom->ms);
	strbuf_append_text(out, ", depending on the host");
}

static bool has_duration(const struct who_facts *facts)
{
	return facts->first_ms > 0 && facts->last_ms - facts->first_ms >= 1000;
}

/* ", for seven days" */
static void append_duration(const struct who_facts *facts, struct strbuf *out)
{
	if (!has_duration(facts) || facts->lookups < 2)
		return;
	strbuf_append_text(out, ", for ");
	say_span(out, facts->last_ms - facts->first_ms);
}

/* "1 query", "5 queries" */
static void append_queries(struct strbuf *out, uint64_t count, const char *one)
{
	size_t length = strlen(one);

	if (count == 1 || one[length - 1] != 'y')
		output_count(out, count, one);
	else
		strbuf_printf(out, "%" PRIu64 " %.*sies", count, (int)length - 1, one);
}

/* " (5 queries, 2026-11-14 20:00:00 to 2026-11-21 20:00:00, 3 min ago)" */
static void append_figures(const struct who_facts *facts, const char *one, struct strbuf *out)
{
	strbuf_append_text(out, " (");
	append_queries(out, facts->lookups, one);
	if (facts->last_ms > 0) {
		strbuf_append_text(out, ", ");
		if (has_duration(facts)) {
			output_time(out, facts->first_ms);
			strbuf_append_text(out, " to ");
		}
		output_time(out, facts->last_ms);
		strbuf_append_text(out, ", ");
		output_ago(out, facts->now_ms, facts->last_ms);
	}
	strbuf_append_char(out, ')');
}

/* --- who asked for what --- */

static void tell_address(const struct who_facts *facts, struct strbuf *out)
{
	const struct who_list *names = &facts->names;

	output_text(out, facts->subject);
	strbuf_append_text(out, ": ");
	if (names->count == 1 && !names->cut) {
		say_name(out, names->words[0]);
		strbuf_append_text(out, ", and only that name.");
	} else {
		strbuf_append_text(out, names->cut ? "at least " : "");
		say_count(out, names->count, "name");
		strbuf_append_text(out, " led there: ");
		append_list(out, names, true);
		strbuf_append_char(out, '.');
	}
	if (facts->hosts.count == 0)
		return;
	strbuf_append_text(out, " Asked by ");
	append_hosts(facts, out);
	append_period(facts, out);
	append_duration(facts, out);
	append_figures(facts, "answer", out);
	strbuf_append_char(out, '.');
}

static void tell_name(const struct who_facts *facts, struct strbuf *out)
{
	say_name(out, facts->subject);
	strbuf_append_text(out, " was asked by ");
	append_hosts(facts, out);
	append_period(facts, out);
	append_duration(facts, out);
	append_figures(facts, "query", out);
	if (facts->addresses.count == 0) {
		strbuf_append_text(out, ". No address was told for it.");
		return;
	}
	strbuf_append_text(out, ". It led to ");
	strbuf_append_text(out, facts->addresses.cut ? "at least " : "");
	say_number(out, facts->addresses.count);
	strbuf_append_text(out, facts->addresses.count == 1 ? " address: " : " addresses: ");
	append_list(out, &facts->addresses, false);
	strbuf_append_char(out, '.');
}

static void tell_client(const struct who_facts *facts, struct strbuf *out)
{
	if (facts->names.count == 0 && facts->lookups == 0) {
		strbuf_append_text(out, "It asked for no name that a rule watches or blocks.");
		return;
	}
	if (facts->names.count == 0) {
		strbuf_append_text(out, "It asked for names that a rule watches or blocks");
		append_figures(facts, "query", out);
		strbuf_append_text(out, ", but for none in the hours that are kept.");
		return;
	}
	strbuf_append_text(out, "It asked for ");
	strbuf_append_text(out, facts->names.cut ? "at least " : "");
	say_number(out, facts->names.count);
	strbuf_append_text(out, facts->names.count == 1 ? " name that a rule watches or blocks: "
							: " names that a rule watches or blocks: ");
	append_list(out, &facts->names, true);
	append_period(facts, out);
	append_duration(facts, out);
	append_figures(facts, "query", out);
	strbuf_append_char(out, '.');
}

/* --- what logs say --- */

static void tell_drops(const struct who_facts *facts, struct strbuf *out)
{
	const struct who_logs *logs = &facts->logs;

	if (logs->dropped == 0) {
		strbuf_append_text(out, "no drops in the firewall logs that were read");
		return;
	}
	if (logs->lookups)
		say_ratio(out, logs->dropped, logs->lookups);
	else
		strbuf_append_text(out, "drops without any lookup");
	strbuf_append_text(out, " (");
	output_count(out, logs->dropped, "packet");
	strbuf_append_text(out, " dropped, ");
	if (logs->lookups)
		output_count(out, logs->lookups, "lookup");
	else
		strbuf_append_text(out, "no lookup");
	strbuf_append_text(out, " in the same hours");
	strbuf_append_text(out,
		logs->shared ? "; other names lead there too, and may be behind a part)" : ")");
}

static void tell_passes(const struct who_facts *facts, struct strbuf *out)
{
	if (facts->logs.passed == 0)
		return;
	strbuf_append_text(out, ", ");
	output_count(out, facts->logs.passed, "packet");
	strbuf_append_text(out, " let through");
}

static void tell_proxies(const struct who_facts *facts, struct strbuf *out)
{
	if (facts->logs.proxied) {
		strbuf_append_text(out, ", ");
		output_count(out, facts->logs.proxied, "proxy hit");
	} else if (facts->sources[WHO_LOG_PROXY].files) {
		strbuf_append_text(out, ", no proxy hits");
	} else {
		strbuf_append_text(out, ", no proxy hits (no log of a proxy was read)");
	}
}

static void tell_logs(const struct who_facts *facts, struct strbuf *out)
{
	const struct who_logs *logs = &facts->logs;
	bool firewall = facts->sources[WHO_LOG_FIREWALL].files || logs->dropped || logs->passed;
	bool proxy = facts->sources[WHO_LOG_PROXY].files || logs->proxied;

	if (facts->kind == WHO_CLIENT && !firewall) {
		strbuf_append_text(out, " No log of a firewall has been read here yet.");
		return;
	}
	if (!firewall && !proxy) {
		strbuf_append_text(out, " No log of a firewall or a proxy has been read here yet.");
		return;
	}
	strbuf_append_char(out, ' ');
	size_t start = out->length;
	if (firewall)
		tell_drops(facts, out);
	else
		strbuf_append_text(out, "no log of a firewall has been read");
	/* Of clients only dropped packets are kept. */
	if (facts->kind != WHO_CLIENT) {
		tell_passes(facts, out);
		tell_proxies(facts, out);
	}
	strbuf_append_char(out, '.');
	capitalize(out, start);
}

/* --- what applies now --- */

static size_t count_verdicts(const struct who_facts *facts, enum who_verdict verdict)
{
	size_t count = 0;

	for (size_t i = 0; i < facts->rule_count; i++)
		count += facts->rules[i].verdict == verdict;
	return count;
}

static void append_rule(const struct who_rule *rule, struct strbuf *out)
{
	strbuf_append_text(out, " (rule ");
	output_text(out, rule->rule);
	strbuf_append_text(out, " of zone ");
	output_text(out, rule->zone);
	strbuf_append_char(out, ')');
}

static const char *state_words(enum who_verdict verdict)
{
	static const char *const words[] = {[VERDICT_NONE] = "left alone",
		[VERDICT_WATCH] = "watched",
		[VERDICT_BLOCK] = "blocked",
		[VERDICT_LOCAL] = "answered from local data",
		[VERDICT_PASS] = "let through"};
	return words[verdict];
}

static void tell_one_rule(const struct who_rule *rule, struct strbuf *out)
{
	if (rule->refused) {
		strbuf_append_text(
			out, " Its questions are refused now: it is not allowed to ask.");
		return;
	}
	if (rule->verdict == VERDICT_NONE) {
		strbuf_append_text(
			out, " No rule matches the name now: it is answered truthfully.");
		return;
	}
	strbuf_append_text(out, " The name is ");
	strbuf_append_text(out, state_words(rule->verdict));
	strbuf_append_text(out, " now");
	if (rule->verdict == VERDICT_WATCH || rule->verdict == VERDICT_BLOCK) {
		strbuf_append_text(out, ": ");
		strbuf_append_text(out, who_verdict_words(rule));
	}
	append_rule(rule, out);
	strbuf_append_char(out, '.');
}

static void tell_rules(const struct who_facts *facts, struct strbuf *out)
{
	const char *before = " Of the names ";

	if (facts->rule_count == 0)
		return;
	if (facts->rule_count == 1 && facts->names.count <= 1) {
		tell_one_rule(&facts->rules[0], out);
		return;
	}
	for (int verdict = VERDICT_PASS; verdict >= VERDICT_NONE; verdict--) {
		size_t count = count_verdicts(facts, (enum who_verdict)verdict);
		if (count == 0)
			continue;
		strbuf_append_text(out, before);
		say_number(out, count);
		strbuf_append_text(out, count == 1 ? " is " : " are ");
		strbuf_append_text(out, state_words((enum who_verdict)verdict));
		before = ", ";
	}
	strbuf_append_text(out, " now.");
}

static void tell_asked(const struct who_facts *facts, struct strbuf *out)
{
	if (facts->kind == WHO_CLIENT)
		tell_client(facts, out);
	else if (facts->kind == WHO_ADDRESS && facts->names.count)
		tell_address(facts, out);
	else if (facts->kind == WHO_NAME && facts->hosts.count)
		tell_name(facts, out);
}

void who_tell(const struct who_facts *facts, struct strbuf *out)
{
	size_t start = out->length;

	tell_asked(facts, out);
	bool asked = out->length > start;
	if (asked || facts->logs.dropped || facts->logs.passed || facts->logs.proxied)
		tell_logs(facts, out);
	tell_rules(facts, out);
	if (out->failed || out->length == start)
		return;
	if (out->data[start] == ' ') {
		memmove(out->data + start, out->data + start + 1, out->length - start);
		out->length--;
	}
	strbuf_append_char(out, '\n');
}
