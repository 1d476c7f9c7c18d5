/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A change is answered with what happened and for whom, because a mode that somebody set and forgot
 * is worse than one that was never set. One place says it, so a page and a command never differ.
 */
#include "resolver/control/change_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "resolver/control/attributes.h"
#include "resolver/control/output.h"

#define EVERYTHING "*"

/* --- mode --- */

static bool is_group(const char *text)
{
	return text[0] && strcmp(text, EVERYTHING) != 0;
}

static void json_change(struct strbuf *out, const char *value)
{
	char parts[4][ATTRIBUTE_PART_SIZE];

	attribute_split(value, parts, 4);
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "zone", parts[0]);
	if (is_group(parts[3]))
		strbuf_json_text(out, "group", parts[3]);
	strbuf_json_text(out, "from", parts[1]);
	strbuf_json_text(out, "to", parts[2]);
	strbuf_append_char(out, '}');
}

static void json_except(struct strbuf *out, const char *value)
{
	char parts[3][ATTRIBUTE_PART_SIZE];

	attribute_split(value, parts, 3);
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "group", parts[0]);
	strbuf_json_text(out, "zone", parts[1]);
	strbuf_json_text(out, "mode", parts[2]);
	strbuf_append_char(out, '}');
}

static void json_array(struct strbuf *out, const struct control_answer *answer, const char *key,
	const char *name, void (*item)(struct strbuf *, const char *))
{
	strbuf_json_key(out, name);
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < answer->count; i++)
		if (strcmp(answer->lines[i].key, key) == 0)
			item(out, answer->lines[i].value);
	strbuf_append_char(out, ']');
}

static int64_t until_ms(const struct control_answer *answer)
{
	return (int64_t)control_answer_u64(answer, "until", 0) * 1000;
}

void change_words_mode_json(struct strbuf *out, const struct control_answer *answer)
{
	json_array(out, answer, "changed", "changed", json_change);
	if (control_answer_value(answer, "except"))
		json_array(out, answer, "except", "except", json_except);
	if (until_ms(answer))
		output_json_time(out, "until", until_ms(answer));
	if (control_answer_value(answer, "warning"))
		strbuf_json_text(out, "warning", control_answer_value(answer, "warning"));
}

static void append_change(struct strbuf *out, const char *value)
{
	char parts[4][ATTRIBUTE_PART_SIZE];

	attribute_split(value, parts, 4);
	output_text(out, parts[0]);
	if (is_group(parts[3])) {
		strbuf_append_text(out, " for group ");
		output_text(out, parts[3]);
	}
	strbuf_append_text(out, ": ");
	output_text(out, parts[1]);
	strbuf_append_text(out, " -> ");
	output_text(out, parts[2]);
	strbuf_append_char(out, '\n');
}

/* "For all clients but those of group gaming (teredo: watch)" */
static void append_whom(struct strbuf *out, const struct control_answer *answer, const char *group)
{
	size_t count = 0;
	char parts[3][ATTRIBUTE_PART_SIZE];

	strbuf_append_text(out, group ? "For the clients of group " : "For all clients");
	if (group)
		output_text(out, group);
	for (size_t i = 0; i < answer->count; i++) {
		if (strcmp(answer->lines[i].key, "except") != 0)
			continue;
		attribute_split(answer->lines[i].value, parts, 3);
		strbuf_append_text(out, count++ ? ", " : " but those of group ");
		output_text(out, parts[0]);
		strbuf_append_text(out, " (");
		output_text(out, parts[1]);
		strbuf_append_text(out, ": ");
		output_text(out, parts[2]);
		strbuf_append_char(out, ')');
	}
}

static void append_how_long(
	struct strbuf *out, const struct control_answer *answer, const char *group)
{
	append_whom(out, answer, group);
	if (until_ms(answer)) {
		strbuf_append_text(out, ", until ");
		output_time(out, until_ms(answer));
		strbuf_append_text(out, "; a restart of teredownd changes nothing.\n");
	} else {
		strbuf_append_text(
			out, ", until the next change; a restart of teredownd is none.\n");
	}
}

/* What is so because the configuration says so needs nothing that could be taken back. */
bool change_words_mode(
	struct strbuf *out, const struct control_answer *answer, const char *group, bool reset)
{
	bool changed = control_answer_value(answer, "changed") != NULL;

	for (size_t i = 0; i < answer->count; i++)
		if (strcmp(answer->lines[i].key, "changed") == 0)
			append_change(out, answer->lines[i].value);
	if (!changed && control_answer_u64(answer, "set", 0) == 0) {
		if (reset)
			strbuf_append_text(
				out, "Nothing to take back: the modes are as configured.\n");
		return reset;
	}
	if (!reset)
		append_how_long(out, answer, group);
	else if (!changed)
		strbuf_append_text(out, "Taken back; the modes are what they were.\n");
	return true;
}

/* --- flush --- */

void change_words_flush(struct strbuf *out, const struct control_answer *answer)
{
	uint64_t entries = control_answer_u64(answer, "entries", 0);
	uint64_t failures = control_answer_u64(answer, "failures", 0);

	strbuf_printf(out, "Flushed: %" PRIu64 " %s", entries, entries == 1 ? "entry" : "entries");
	if (failures) {
		strbuf_append_text(out, " and ");
		output_count(out, failures, "failure");
	}
	strbuf_append_text(out, ".\n");
}

void change_words_flush_json(struct strbuf *out, const struct control_answer *answer)
{
	strbuf_json_u64(out, "entries", control_answer_u64(answer, "entries", 0));
	strbuf_json_u64(out, "failures", control_answer_u64(answer, "failures", 0));
}

/* --- refresh --- */

bool change_words_refresh(struct strbuf *out, const struct control_answer *answer)
{
	uint64_t asked = control_answer_u64(answer, "asked", 0);

	if (asked == 0)
		return false;
	strbuf_append_text(out, "The primaries of ");
	output_count(out, asked, "zone");
	strbuf_append_text(out, " are being asked.");
	return true;
}

void change_words_refresh_json(struct strbuf *out, const struct control_answer *answer)
{
	strbuf_json_u64(out, "asked", control_answer_u64(answer, "asked", 0));
}

/* --- reload --- */

/* "ads /etc/lists/ads: No such file or directory": a zone, and why it keeps its old rules. */
static const char *take_fault(const char *value, char zone[ATTRIBUTE_PART_SIZE])
{
	size_t length = strcspn(value, " ");

	snprintf(zone, ATTRIBUTE_PART_SIZE, "%.*s", (int)length, value);
	return value + length + (value[length] == ' ');
}

static void append_fault(struct strbuf *out, const char *value)
{
	char zone[ATTRIBUTE_PART_SIZE];

	value = take_fault(value, zone);
	strbuf_append_text(out, "Not read, its rules stay as they were: ");
	output_text(out, zone);
	strbuf_append_text(out, ": ");
	output_text(out, value);
	strbuf_append_char(out, '\n');
}

void change_words_reload(struct strbuf *out, const struct control_answer *answer)
{
	uint64_t skipped = control_answer_u64(answer, "skipped", 0);
	uint64_t took_us = control_answer_u64(answer, "took_us", 0);
	const char *restart = control_answer_value(answer, "restart");

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
	for (size_t i = 0; i < answer->count; i++)
		if (strcmp(answer->lines[i].key, "fault") == 0)
			append_fault(out, answer->lines[i].value);
	if (restart && *restart) {
		strbuf_append_text(
			out, "Changed, but in effect only after a restart of teredownd: ");
		output_text(out, restart);
		strbuf_append_char(out, '\n');
	}
}

static void json_fault(struct strbuf *out, const char *value)
{
	char zone[ATTRIBUTE_PART_SIZE];

	value = take_fault(value, zone);
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "zone", zone);
	strbuf_json_text(out, "error", value);
	strbuf_append_char(out, '}');
}

void change_words_reload_json(struct strbuf *out, const struct control_answer *answer)
{
	static const char *const counts[] = {"zones", "rules", "skipped", "read", "took_us"};
	const char *restart = control_answer_value(answer, "restart");

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		strbuf_json_u64(out, counts[i], control_answer_u64(answer, counts[i], 0));
	strbuf_json_text(out, "restart", restart && *restart ? restart : NULL);
	json_array(out, answer, "fault", "faults", json_fault);
}
