/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Response Policy Zones (draft-vixie-dnsop-dns-rpz) from master file text.
 *
 * Nearly every line of a block list is a plain name, and behind it what stood behind the one before:
 * short_read takes a line of that form as it stands in the text, in one pass. What is not of it
 * becomes a logical line first (lines.c); owner names are read here then, the rest is looked at for
 * `CNAME .` and its sisters, and everything else goes to text_parse_rr.
 *
 * What a line means must never depend on a line that could not be read: a faulty owner leaves no
 * owner to the lines below that have none of their own, a faulty $ORIGIN leaves no origin to
 * relative names. Guessing would block names nobody listed.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/dns/message.h"
#include "lib/dns/text.h"
#include "policy/builder.h"
#include "policy/lines.h"
#include "policy/plain_name.h"
#include "policy/rpz_rules.h"

#define HEAD_FAULTS_MAX 20 /* bad lines before the SOA after which the text is not a zone */
#define WHY_MAX 160
#define REST_MAX 48

struct rpz {
	struct rpz_rules rules;
	struct lines lines;
	struct name origin; /* length 0: unknown since a faulty $ORIGIN */
	struct name apex;   /* owner of the SOA; length 0 before it */
	struct name owner;  /* of the line before; length 0: there is none */
	bool origin_given;  /* by $ORIGIN */
	bool ttl_given;     /* by $TTL */
	uint32_t ttl_s;     /* for records that have none */
	/* What the last line of the short form had behind its name, and the action of that. */
	char rest[REST_MAX];
	size_t rest_length;
	enum policy_action rest_action;
	/* The name of that line as it stood there, and as it is. */
	char name_text[NAME_WIRE_MAX];
	size_t name_text_length; /* 0: there was none */
	struct name name;
};

struct token {
	const char *text;
	size_t length;
};

/* --- tokens --- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word, taken off *rest; length 0 at the end. A backslash takes the next character with
 * it. */
static struct token token_next(struct token *rest)
{
	const char *at = rest->text, *end = at + rest->length, *start;

	while (at < end && is_blank(*at))
		at++;
	start = at;
	while (at < end && !is_blank(*at))
		at += *at == '\\' && end - at > 1 ? 2 : 1;
	*rest = (struct token){at, (size_t)(end - at)};
	return (struct token){start, (size_t)(at - start)};
}

static bool all_blank(struct token text)
{
	size_t i = 0;

	while (i < text.length && is_blank(text.text[i]))
		i++;
	return i == text.length;
}

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

/* word is in lower case. */
static bool token_is(struct token token, const char *word)
{
	size_t i;

	for (i = 0; i < token.length; i++)
		if (to_lower(token.text[i]) != word[i] || !word[i])
			return false;
	return !word[i];
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Short enough that no range has to be checked. */
static bool token_is_number(struct token token)
{
	for (size_t i = 0; i < token.length; i++)
		if (!is_digit(token.text[i]))
			return false;
	return token.length > 0 && token.length <= 9;
}

/* --- names --- */

static bool token_ends_in_dot(struct token token)
{
	size_t backslashes = 0, i = token.length - 1;

	if (token.text[i] != '.')
		return false;
	while (backslashes < i && token.text[i - 1 - backslashes] == '\\')
		backslashes++;
	return backslashes % 2 == 0;
}

/* Completes a relative name. False when it gets too long. */
static bool name_extend(struct name *name, const struct name *origin)
{
	size_t length = (size_t)name->length - 1 + origin->length;

	if (length > NAME_WIRE_MAX)
		return false;
	memcpy(name->wire + name->length - 1, origin->wire, origin->length);
	name->length = (uint8_t)length;
	return true;
}

/* NULL, or what is wrong; name is then none. */
static const char *name_from_token(const struct rpz *rpz, struct token token, struct name *name)
{
	bool absolute = token_ends_in_dot(token);
	const char *why = NULL;

	if (!absolute && !rpz->origin.length) {
		why = "a relative name, and the $ORIGIN above could not be read";
	} else if (token.length == 1 && token.text[0] == '@') {
		*name = rpz->origin;
	} else {
		enum td_error error = name_from_text(name, token.text, token.length);
		if (error == TD_TOO_LONG ||
			(!error && !absolute && !name_extend(name, &rpz->origin)))
			why = "the name is too long";
		else if (error)
			why = "not a domain name";
	}
	if (why)
		name->length = 0;
	return why;
}

/*
 * The part of the owner before the zone's own name, folded. False when the owner is outside the
 * zone.
 */
static bool trigger_from_owner(const struct rpz *rpz, struct name *trigger)
{
	if (rpz->apex.length > 1 && !name_is_within(&rpz->owner, &rpz->apex))
		return false;
	size_t length = (size_t)rpz->owner.length - rpz->apex.length;
	name_fold(trigger->wire, rpz->owner.wire, length);
	trigger->wire[length] = 0;
	trigger->length = (uint8_t)(length + 1);
	return true;
}

/* --- actions --- */

/*
 * The short way: [TTL] [IN] CNAME and a target that is an action, nothing behind. ACTION_NONE for
 * everything else.
 */
static enum policy_action action_from_text(struct token rest)
{
	struct token token = token_next(&rest);
	bool ttl = false, in = false;

	for (; (!ttl && token_is_number(token)) || (!in && token_is(token, "in"));
		token = token_next(&rest)) {
		ttl |= token_is_number(token);
		in |= token_is(token, "in");
	}
	if (!token_is(token, "cname"))
		return ACTION_NONE;
	token = token_next(&rest);
	if (token_next(&rest).length)
		return ACTION_NONE;
	return rpz_action_find(token.text, token.length);
}

/*
 * The zone begins. Without $TTL its negative TTL is the default; without $ORIGIN relative names are
 * relative to the zone.
 */
static void soa_read(struct rpz *rpz, const struct text_rr *rr)
{
	rpz->apex = rpz->owner;
	if (!rpz->origin_given)
		rpz->origin = rpz->apex;
	if (!rpz->ttl_given && rr->rdata_length >= 4) {
		struct wire_reader minimum = wire_reader_init(rr->rdata + rr->rdata_length - 4, 4);
		rpz->ttl_s = message_ttl_s(wire_read_u32(&minimum));
	}
}

/* A record that is not of the short form. trigger has length 0 before the SOA. */
static enum td_error record_parse(struct rpz *rpz, struct token rest, const struct name *trigger)
{
	struct text_rr rr = {.rdata = NULL};
	char why[WHY_MAX] = "";
	enum td_error error;

	if (all_blank(rest)) {
		rpz_skip(&rpz->rules, "a name without a record");
		return TD_OK;
	}
	if (!rpz->origin.length) {
		rpz_skip(&rpz->rules, "the $ORIGIN above could not be read");
		return TD_OK;
	}
	error = text_parse_rr(rest.text, rest.length, &rpz->origin, &rpz->owner, rpz->ttl_s, &rr,
		why, sizeof(why));
	if (error == TD_NOMEM)
		return error;
	if (error) {
		rpz_skip(&rpz->rules, why[0] ? why : error_text(error));
		return TD_OK;
	}
	if (!rpz->apex.length && rr.type == TYPE_SOA)
		soa_read(rpz, &rr);
	else if (!rpz->apex.length)
		rpz_skip(&rpz->rules, "a record before the SOA of the zone");
	else if (trigger->length > 1)
		error = rpz_record_add(&rpz->rules, trigger, &rr);
	else if (rr.type == TYPE_CNAME)
		rpz_skip(&rpz->rules, "a CNAME at the zone's own name is not a rule");
	/* Other records at the zone's own name describe the zone. */
	free(rr.rdata);
	return error;
}

/* --- lines --- */

/* "3600" or "1h30m". */
static bool ttl_from_token(struct token token, uint32_t *ttl_s)
{
	static const char units[] = "smhdw";
	static const uint32_t unit_s[] = {1, 60, 3600, 86400, 604800};
	uint64_t total = 0, part = 0;
	bool open = false;

	for (size_t i = 0; i < token.length; i++) {
		char c = to_lower(token.text[i]);
		const char *unit = c ? strchr(units, c) : NULL;
		if (is_digit(c))
			part = part * 10 + (uint64_t)(c - '0');
		else if (unit && open)
			total += part * unit_s[unit - units];
		else
			return false;
		open = is_digit(c);
		if (!open)
			part = 0;
		if (part > INT32_MAX || total > INT32_MAX)
			return false;
	}
	total += part;
	*ttl_s = (uint32_t)total;
	return token.length > 0 && total <= INT32_MAX;
}

static void origin_read(struct rpz *rpz, struct token value)
{
	struct name origin;
	const char *why = value.length ? name_from_token(rpz, value, &origin)
				       : "a name is missing behind $ORIGIN";

	rpz->origin_given = true;
	if (why) {
		rpz->origin.length = 0;
		rpz_skip(&rpz->rules, why);
		return;
	}
	rpz->origin = origin;
}

static void directive_read(struct rpz *rpz, struct token rest, const char *fault)
{
	struct token word = token_next(&rest), value = token_next(&rest);
	bool origin = token_is(word, "$origin"), ttl = token_is(word, "$ttl");

	if (!fault && (origin || ttl) && token_next(&rest).length)
		fault = "too many words";
	if (fault && origin)
		rpz->origin.length = 0;
	if (fault)
		rpz_skip(&rpz->rules, fault);
	else if (origin)
		origin_read(rpz, value);
	else if (ttl && ttl_from_token(value, &rpz->ttl_s))
		rpz->ttl_given = true;
	else if (ttl)
		rpz_skip(&rpz->rules, "not a time behind $TTL");
	else if (token_is(word, "$include") || token_is(word, "$generate"))
		rpz_skip(&rpz->rules, "$INCLUDE and $GENERATE are not supported");
	else
		rpz_skip(&rpz->rules, "an unknown directive");
}

/* A line with an owner, its own or that of the line before. */
static enum td_error rule_read(struct rpz *rpz, struct token rest)
{
	struct name trigger;
	enum policy_action action;
	const char *why = NULL;

	trigger.length = 0; /* and not all of it cleared, a million times */
	if (rpz->apex.length && !trigger_from_owner(rpz, &trigger))
		why = "the name is outside the zone";
	else if (rpz->apex.length)
		why = policy_rpz_trigger(&trigger);
	if (why) {
		rpz_skip(&rpz->rules, why);
		return TD_OK;
	}
	action = trigger.length > 1 ? action_from_text(rest) : ACTION_NONE;
	if (action != ACTION_NONE)
		return rpz_trigger_add(&rpz->rules, &trigger, action);
	return record_parse(rpz, rest, &trigger);
}

static enum td_error line_read(struct rpz *rpz, const struct logical_line *line)
{
	struct token rest = {line->text, line->length};
	const char *why = line->fault;

	rpz->rules.line = line->number;
	if (!why && all_blank(rest))
		return TD_OK;
	if (rest.text[0] == '$') {
		directive_read(rpz, rest, why);
		return TD_OK;
	}
	/* A faulty line that begins with a name leaves no owner to those below. */
	if (!is_blank(rest.text[0])) {
		if (why)
			rpz->owner.length = 0;
		else
			why = name_from_token(rpz, token_next(&rest), &rpz->owner);
	} else if (!why && !rpz->owner.length) {
		why = "no name here, and none could be read above";
	}
	if (why) {
		rpz_skip(&rpz->rules, why);
		return TD_OK;
	}
	return rule_read(rpz, rest);
}

/* --- the short form --- */

/* What stands behind a name: mostly the same as behind the one before. */
static enum policy_action short_action(struct rpz *rpz, struct token rest)
{
	if (rest.length == rpz->rest_length && !memcmp(rest.text, rpz->rest, rest.length))
		return rpz->rest_action;
	enum policy_action action = action_from_text(rest);
	if (action != ACTION_NONE && rest.length <= sizeof(rpz->rest)) {
		memcpy(rpz->rest, rest.text, rest.length);
		rpz->rest_length = rest.length;
		rpz->rest_action = action;
	}
	return action;
}

/* Names that are no QNAME trigger end in a label like rpz-ip. */
static bool may_be_special(const uint8_t *folded, size_t length)
{
	for (size_t at = 0; at + sizeof("rpz-") <= length; at += (size_t)1 + folded[at])
		if (!memcmp(folded + at + 1, "rpz-", 4))
			return true;
	return false;
}

struct short_line {
	bool wildcard; /* `*.` stood before rpz->name */
	enum policy_action action;
};

/* A name that is read again, as those of block lists are (`x` and `*.x`). */
static bool name_is_last(const struct rpz *rpz, const char *text, size_t length)
{
	size_t last = rpz->name_text_length;

	return last && length > last && is_blank(text[last]) && !memcmp(text, rpz->name_text, last);
}

/*
 * A plain relative name that a rule can be for, folded and without what is above the zone, into
 * rpz->name. The characters read; 0: it is none of that kind.
 */
static size_t short_name(struct rpz *rpz, const char *text, size_t length)
{
	size_t size, taken;

	if (name_is_last(rpz, text, length))
		return rpz->name_text_length;
	taken = plain_name_read(text, length, rpz->name.wire, NAME_WIRE_MAX, &size);
	rpz->name_text_length = 0;
	if (!taken || text[taken - 1] == '.' || may_be_special(rpz->name.wire, size))
		return 0;
	rpz->name.length = (uint8_t)size;
	memcpy(rpz->name_text, text, taken);
	rpz->name_text_length = taken;
	return taken;
}

/*
 * Reads a line that is a plain relative name, with or without `*.`, blanks, and an action in a form
 * of action_from_text; none of its characters needs the thought of lines.c. False: it is another.
 */
static bool short_read(struct rpz *rpz, const char *text, size_t length, struct short_line *out)
{
	size_t start = length > 1 && text[0] == '*' && text[1] == '.' ? 2 : 0, end;

	/* Before the SOA a name has another meaning, and behind a faulty $ORIGIN none. */
	if (!rpz->apex.length || !name_equal(&rpz->origin, &rpz->apex))
		return false;
	end = start + short_name(rpz, text + start, length - start);
	if (end == start || end == length || !is_blank(text[end]) ||
		start + rpz->name.length - 1 + rpz->apex.length > NAME_WIRE_MAX)
		return false;
	out->wildcard = start > 0;
	out->action = short_action(rpz, (struct token){text + end, length - end});
	return out->action != ACTION_NONE;
}

/* A line below it may have no owner of its own. */
static void owner_from_short(struct rpz *rpz, const struct short_line *line)
{
	struct name *owner = &rpz->owner;
	size_t start = line->wildcard ? 2 : 0;

	memcpy(owner->wire, "\001*", start);
	memcpy(owner->wire + start, rpz->name.wire, rpz->name.length);
	owner->length = (uint8_t)(start + rpz->name.length);
	(void)name_extend(owner, &rpz->apex); /* it fits, as short_read has seen */
}

static enum td_error short_take(struct rpz *rpz, const struct short_line *line, size_t length)
{
	lines_take(&rpz->lines, length);
	rpz->rules.line = rpz->lines.count;
	owner_from_short(rpz, line);
	return rpz_rule_add(&rpz->rules, &rpz->name, line->wildcard, line->action);
}

/* --- the whole text --- */

static enum td_error long_take(struct rpz *rpz)
{
	struct logical_line line;

	if (!lines_next(&rpz->lines, &line))
		return TD_OK;
	return rpz->lines.join.failed ? TD_NOMEM : line_read(rpz, &line);
}

static enum td_error rpz_read(struct rpz *rpz)
{
	struct policy_load *load = rpz->rules.reading.load;
	struct short_line line;
	const char *text;
	size_t length;
	enum td_error error = TD_OK;

	while (!error && lines_look(&rpz->lines, &text, &length)) {
		error = short_read(rpz, text, length, &line) ? short_take(rpz, &line, length)
							     : long_take(rpz);
		load->lines = rpz->lines.count;
		if (!rpz->apex.length && load->skipped >= HEAD_FAULTS_MAX)
			break;
	}
	if (!error && !rpz->apex.length)
		error = TD_MALFORMED;
	return error;
}

/*
 * About how many nodes the text makes: one for each line that begins with a name, a wildcard having
 * the node of the name it stands below, which lists tend to have too; and two fifths more for what
 * names have above them.
 */
static size_t nodes_expected(struct input *input)
{
	const char *line;
	size_t names = 0, length;

	while (list_input_line(input, &line, &length))
		names += length > 0 && !memchr("*; \t\r$", line[0], 6);
	list_input_rewind(input);
	return names + names / 5 * 2;
}

enum td_error rpz_read_input(struct policy_builder *builder, const char *source,
	struct input *input, policy_report_fn *report, void *context, struct policy_load *load)
{
	struct rpz rpz = {.origin = {.length = 1}};

	enum td_error error = rpz_rules_begin(&rpz.rules, builder, source, report, context, load);
	if (error)
		return error;
	error = zone_reserve(rpz.rules.reading.zone, nodes_expected(input));
	if (error)
		return error;
	lines_init(&rpz.lines, input);
	error = rpz_read(&rpz);
	lines_deinit(&rpz.lines);
	return error ? error : reading_flush(&rpz.rules.reading);
}
