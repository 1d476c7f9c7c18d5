/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Adblock lists, as far as they speak of names: what AdGuard Home, Pi-hole and uBlock's makers
 * write for DNS.
 *
 *   ||x^       x and all below it            |x^  x.y   that name alone
 *   ||*.x^     all below x                   x^         what ends in x, within a label too
 *   ||a*.x^    patterns                      @@…        an exception
 *   0.0.0.0 x  a hosts line                  $important, $badfilter, $all
 *
 * Everything else in such a list is for pages: parts of addresses, elements, rules for scripts or
 * for third parties. They are counted and not reported; a modifier that is for DNS and cannot be
 * honoured here is reported, since its rule would mean something else without it.
 *
 * A `*` stays within its label unless it begins or ends the name; AdGuard lets it run over dots. An
 * exception with one comes before all names of the zone (zone_match.c), so it is refused beside
 * $important rules, which would have to win. A
 * rule `||x` without its `^` is read as if it had one: that it goes for x.y.z as well is what
 * nobody means by it.
 *
 * The text is read twice: exceptions and `$important` first (list_exceptions.h).
 */
#include <stdio.h>
#include <string.h>

#include "policy/list.h"
#include "policy/list_exceptions.h"

#define PATTERN_MAX (NAME_WIRE_MAX + 8)

enum kind { KIND_NONE, KIND_FOREIGN, KIND_FAULT, KIND_HOSTS, KIND_NAME, KIND_PATTERN };
enum anchor { ANCHOR_NONE, ANCHOR_LABEL /* || */, ANCHOR_START /* | */ };

struct rule {
	enum kind kind;
	enum list_level level;
	enum anchor anchor;
	bool important, badfilter;
	bool ends;        /* in ^ or | */
	bool longer;      /* a pattern: it goes on behind its end */
	struct span body; /* between the anchors; of KIND_HOSTS the line */
	unsigned where;   /* KIND_NAME: RULE_ITSELF, RULE_BELOW */
	struct name name;
	enum policy_fault fault; /* KIND_FAULT */
	const char *words;
};

struct adblock {
	struct list *list;
	bool important; /* some name is blocked with $important */
	struct list_exceptions exceptions;
};

static void rule_fault(struct rule *rule, enum policy_fault fault, const char *words)
{
	rule->kind = KIND_FAULT;
	rule->fault = fault;
	rule->words = words;
}

/* --- lines that are no rules for names --- */

/* Whether one of the second characters stands behind the first somewhere, with no blank in front.
 */
static bool has_pair(struct span line, char first, const char *second)
{
	const char *at = line.text, *end = line.text + line.length;

	for (; at < end && (at = memchr(at, first, (size_t)(end - at))); at++)
		if (at + 1 < end && at[1] && strchr(second, at[1]) &&
			(at == line.text || !list_is_blank(at[-1])))
			return true;
	return false;
}

/* "x##.ad", "x#@#…", "x#?#…", "x$$…": rules for elements of a page. */
static bool is_cosmetic(struct span line)
{
	return has_pair(line, '#', "#@?$%") || has_pair(line, '$', "$@");
}

static bool is_comment(struct span line)
{
	return line.text[0] == '!' || line.text[0] == '#' ||
	       (line.text[0] == '[' && line.text[line.length - 1] == ']');
}

/* Part of the address of a page; where names are meant there is none of these. */
static bool is_for_pages(struct span body)
{
	static const bool signs[256] = {['/'] = true,
		['?'] = true,
		['='] = true,
		['&'] = true,
		[':'] = true,
		['%'] = true,
		[','] = true,
		[';'] = true,
		['@'] = true,
		['!'] = true,
		['('] = true,
		[')'] = true,
		['['] = true,
		[']'] = true,
		['{'] = true,
		['}'] = true,
		['<'] = true,
		['>'] = true,
		['"'] = true,
		['\''] = true,
		['+'] = true,
		['~'] = true,
		['|'] = true,
		['^'] = true,
		['$'] = true};

	for (size_t i = 0; i < body.length; i++)
		if (signs[(unsigned char)body.text[i]])
			return true;
	return false;
}

/* --- modifiers --- */

static void modifier_read(struct rule *rule, struct span word)
{
	static const char *const for_dns[] = {
		"client", "ctag", "dnstype", "dnsrewrite", "denyallow"};
	const char *equals = word.length ? memchr(word.text, '=', word.length) : NULL;
	struct span name = {word.text, equals ? (size_t)(equals - word.text) : word.length};

	if (span_is(word, "important")) {
		rule->important = true;
	} else if (span_is(word, "badfilter")) {
		rule->badfilter = true;
	} else if (!span_is(word, "all")) {
		for (size_t i = 0; i < sizeof(for_dns) / sizeof(for_dns[0]); i++)
			if (span_is(name, for_dns[i])) {
				rule_fault(rule, FAULT_UNSUPPORTED,
					"the modifiers $client, $ctag, $dnstype, $dnsrewrite and "
					"$denyallow are not supported");
				return;
			}
		if (rule->kind != KIND_FAULT)
			rule->kind = KIND_FOREIGN;
	}
}

static void modifiers_read(struct rule *rule, struct span modifiers)
{
	for (bool more = true; more;) {
		const char *comma =
			modifiers.length ? memchr(modifiers.text, ',', modifiers.length) : NULL;
		size_t length = comma ? (size_t)(comma - modifiers.text) : modifiers.length;
		modifier_read(rule, span_trim((struct span){modifiers.text, length}));
		more = comma != NULL;
		modifiers = span_behind(modifiers, more ? length + 1 : length);
	}
}

/* --- what a rule is for --- */

static void anchors_read(struct rule *rule)
{
	struct span *body = &rule->body;

	if (span_starts(*body, "||")) {
		rule->anchor = ANCHOR_LABEL;
		*body = span_behind(*body, 2);
	} else if (span_starts(*body, "|")) {
		rule->anchor = ANCHOR_START;
		*body = span_behind(*body, 1);
	}
	for (unsigned i = 0; i < 2; i++) {
		char end = i ? '^' : '|';
		if (!body->length || body->text[body->length - 1] != end)
			continue;
		rule->ends = true;
		body->length--;
	}
}

static void name_rule(struct rule *rule, struct span text, unsigned where)
{
	const char *why = list_name(text, &rule->name);

	rule->kind = KIND_NAME;
	rule->where = where;
	if (why)
		rule_fault(rule, FAULT_NAME, why);
}

/* Without an anchor in front: a name, an end of names, or a part of something. */
static void loose_rule(struct rule *rule)
{
	struct span body = rule->body;
	bool below = body.text[0] == '.' || span_starts(body, "*.");
	struct span rest = span_behind(body, below ? (body.text[0] == '.' ? 1 : 2) : 0);

	if (below && !span_has(rest, '*') && (rule->ends || body.text[0] == '*'))
		name_rule(rule, rest, RULE_BELOW);
	else if (!rule->ends && body.text[body.length - 1] != '.' && span_has(body, '.') &&
		 !list_name(body, &rule->name))
		name_rule(rule, body, RULE_ITSELF);
	else if (!rule->ends || below)
		rule->kind = KIND_FOREIGN;
	else
		rule->kind = KIND_PATTERN;
}

static void body_read(struct rule *rule)
{
	struct span body = rule->body;
	size_t length = body.length;

	if (!length) {
		rule->kind = KIND_FOREIGN;
	} else if (rule->anchor == ANCHOR_NONE) {
		loose_rule(rule);
	} else if (length == 1 && body.text[0] == '*') {
		rule->name = (struct name){.length = 1};
		rule->kind = KIND_NAME;
		rule->where = RULE_BELOW;
	} else if (span_starts(body, "*.") && !span_has(span_behind(body, 2), '*')) {
		name_rule(rule, span_behind(body, 2), RULE_BELOW);
	} else if (span_has(body, '*') || (!rule->ends && body.text[length - 1] == '.')) {
		rule->kind = KIND_PATTERN;
		rule->longer = !rule->ends;
	} else {
		name_rule(rule, body,
			rule->anchor == ANCHOR_LABEL ? RULE_ITSELF | RULE_BELOW : RULE_ITSELF);
	}
}

static bool is_expression(struct span body)
{
	return body.length > 1 && body.text[0] == '/' && body.text[body.length - 1] == '/';
}

/* A line with neither blanks nor comment. */
static void rule_read(struct rule *rule, struct span line)
{
	bool exception = span_starts(line, "@@");
	struct span body = span_behind(line, exception ? 2 : 0);
	const char *sign = body.length ? memchr(body.text, '$', body.length) : NULL;
	size_t length = sign ? (size_t)(sign - body.text) : body.length;

	rule->body = (struct span){body.text, length};
	if (is_expression(rule->body)) {
		rule_fault(rule, FAULT_UNSUPPORTED, "regular expressions are not supported");
		return;
	}
	if (sign)
		modifiers_read(rule, span_behind(body, length + 1));
	anchors_read(rule);
	if (is_for_pages(rule->body))
		rule->kind = KIND_FOREIGN;
	if (rule->kind != KIND_NONE)
		return;
	rule->level = exception         ? rule->important ? LEVEL_ALLOW_IMPORTANT : LEVEL_ALLOW
		      : rule->important ? LEVEL_BLOCK_IMPORTANT
					: LEVEL_BLOCK;
	body_read(rule);
	if (rule->kind == KIND_PATTERN && (rule->level == LEVEL_BLOCK_IMPORTANT || rule->badfilter))
		rule_fault(rule, FAULT_UNSUPPORTED,
			"a * within a label is not supported with $important and $badfilter");
}

static void line_read(struct rule *rule, struct span line)
{
	rule->kind = KIND_NONE;
	rule->level = LEVEL_BLOCK;
	rule->anchor = ANCHOR_NONE;
	rule->important = rule->badfilter = rule->ends = rule->longer = false;
	if (is_cosmetic(line)) {
		rule->kind = KIND_FOREIGN;
		return;
	}
	if (is_comment(line))
		return;
	line = span_without_comment(line);
	struct span rest = line;
	span_word(&rest);
	if (rest.length) {
		rule->kind = KIND_HOSTS;
		rule->body = line;
		return;
	}
	rule_read(rule, line);
}

/* --- into the index --- */

static enum td_error name_add(struct adblock *adblock, const struct name *name, unsigned where,
	enum list_level level, const struct address *address)
{
	unsigned left = list_exceptions_leave(&adblock->exceptions, name, where, level);
	bool allow = level == LEVEL_ALLOW || level == LEVEL_ALLOW_IMPORTANT;

	if (!left) {
		adblock->list->reading.load->overruled++;
		return TD_OK;
	}
	if (address)
		return list_data(adblock->list, name, left, address);
	return list_rule(adblock->list, name, left, allow ? ACTION_PASSTHRU : ACTION_NXDOMAIN);
}

static enum td_error hosts_add(struct adblock *adblock, struct span rest)
{
	struct list *list = adblock->list;
	struct span word = span_word(&rest);
	struct address address;
	struct name name;
	enum td_error error = TD_OK;

	if (!list_address(list, word, &address)) {
		list_fault(list, FAULT_FORM, "neither a rule nor a line of a hosts file");
		return TD_OK;
	}
	for (word = span_word(&rest); !error && word.length; word = span_word(&rest)) {
		const char *why = list_name_is_local(word) ? NULL : list_name(word, &name);
		if (why)
			list_bad_name(list, why);
		else if (list_name_is_local(word))
			list_foreign(list);
		else
			error = name_add(adblock, &name, RULE_ITSELF, LEVEL_BLOCK,
				list_address_blocks(&address) ? NULL : &address);
	}
	return error;
}

/* What every form of the pattern has: x^ without an anchor is what ends in x, `||x.` what goes on.
 */
static void pattern_base(const struct rule *rule, char base[PATTERN_MAX])
{
	bool open = rule->longer && rule->body.text[rule->body.length - 1] == '.';

	snprintf(base, PATTERN_MAX, "%s%.*s%s", rule->anchor == ANCHOR_NONE ? "*" : "",
		(int)rule->body.length, rule->body.text, open ? "*" : "");
}

/* A pattern of our own ends where a label does, and begins where one does: up to four of them. */
static enum td_error pattern_rule(struct adblock *adblock, const struct rule *rule)
{
	char base[PATTERN_MAX], text[PATTERN_MAX + 4];
	struct list *list = adblock->list;
	enum policy_action action = rule->level == LEVEL_BLOCK ? ACTION_NXDOMAIN : ACTION_PASSTHRU;
	enum td_error error = TD_OK;
	unsigned added = 0, forms = rule->anchor == ANCHOR_START ? 1 : 2;

	if (!list_is_pattern(rule->body)) {
		list_bad_name(list, "not a domain name");
		return TD_OK;
	}
	if (rule->level == LEVEL_ALLOW && adblock->important) {
		list_fault(list, FAULT_UNSUPPORTED,
			"an exception with a * within a label, in a list with $important rules");
		return TD_OK;
	}
	pattern_base(rule, base);
	size_t length = strlen(base);
	bool open = rule->longer && base[length - 1] == '*' && base[length - 2] != '.';
	for (unsigned i = 0; i < forms * (open ? 2 : 1); i++) {
		snprintf(text, sizeof(text), "%s%s%s", i % forms ? "*." : "", base,
			i / forms ? ".*" : "");
		error = list_pattern(list, (struct span){text, strlen(text)}, action);
		if (error && error != TD_INVALID)
			return error == TD_NOMEM ? error : TD_OK;
		added += !error;
	}
	list_count(list, added);
	return TD_OK;
}

static enum td_error rule_add(struct adblock *adblock, const struct rule *rule)
{
	struct list *list = adblock->list;

	switch (rule->kind) {
	case KIND_NONE:
		break;
	case KIND_FOREIGN:
		list_foreign(list);
		break;
	case KIND_FAULT:
		list_fault(list, rule->fault, rule->words);
		break;
	case KIND_HOSTS:
		return hosts_add(adblock, rule->body);
	case KIND_NAME:
		if (!rule->badfilter)
			return name_add(adblock, &rule->name, rule->where, rule->level, NULL);
		break;
	case KIND_PATTERN:
		return pattern_rule(adblock, rule);
	}
	return TD_OK;
}

/* Only these can be more than plain rules. */
static bool may_be_exception(struct span line)
{
	return line.text[0] == '@' || span_has(line, '$');
}

static enum td_error exceptions_read(struct adblock *adblock)
{
	struct list_exceptions *exceptions = &adblock->exceptions;
	enum td_error error = TD_OK;
	struct rule rule;

	while (!error && list_next(adblock->list)) {
		if (!may_be_exception(adblock->list->line))
			continue;
		line_read(&rule, adblock->list->line);
		if (rule.kind != KIND_NAME)
			continue;
		adblock->important |= rule.level == LEVEL_BLOCK_IMPORTANT;
		if (rule.badfilter)
			error = list_exceptions_disable(
				exceptions, &rule.name, rule.where, rule.level);
		else if (rule.level != LEVEL_BLOCK)
			error = list_exceptions_add(exceptions, &rule.name, rule.where, rule.level);
	}
	return error;
}

enum td_error list_read_adblock(struct list *list)
{
	struct adblock adblock = {.list = list};
	struct rule rule;

	list_exceptions_init(&adblock.exceptions);
	enum td_error error = exceptions_read(&adblock);
	list_rewind(list);
	while (!error && list_next(list)) {
		line_read(&rule, list->line);
		error = rule_add(&adblock, &rule);
	}
	list_exceptions_deinit(&adblock.exceptions);
	return error;
}
