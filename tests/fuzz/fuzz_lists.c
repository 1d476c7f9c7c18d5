/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists from anywhere: the first octet chooses the format. Whatever the text, each fault is
 * reported once, counts add up, and every rule has a text, a line of the list, and an apex above
 * the names it matches. The words of the list are then asked for as names.
 */
#include <string.h>

#include "lib/dns/message.h"
#include "policy/policy.h"
#include "tests/fuzz/fuzz.h"

static void count_report(
	void *context, const char *source, unsigned line, bool skipped, const char *words)
{
	FUZZ_CHECK(skipped && line > 0 && source && words && words[0]);
	++*(unsigned *)context;
}

static void check_load(const struct policy_load *load, unsigned reports)
{
	char text[LOAD_TEXT_MAX];
	unsigned faults = 0;

	for (unsigned i = 0; i < POLICY_FAULTS; i++)
		faults += load->faults[i];
	FUZZ_CHECK(load->skipped == reports && faults == reports);
	FUZZ_CHECK(strlen(policy_load_text(load, text)) < sizeof(text));
}

static struct policy_index *read_list(
	enum zone_format format, const char *text, size_t size, unsigned *lines)
{
	struct policy_builder *builder = policy_builder_new();
	struct policy_load load;
	unsigned reports = 0;

	if (!builder)
		return NULL;
	FUZZ_CHECK(policy_builder_zone(builder, "list", ZONE_LIST) == TD_OK);
	enum td_error error = policy_builder_read(
		builder, format, "fuzz", text, size, count_report, &reports, &load);
	FUZZ_CHECK(error == TD_OK || error == TD_MALFORMED || error == TD_FULL);
	if (format != FORMAT_RPZ && format != FORMAT_PATTERNS)
		check_load(&load, reports);
	*lines = load.lines;
	return policy_builder_finish(&builder);
}

static void ask(const struct policy_index *index, const struct name *name, unsigned lines)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	char text[NAME_TEXT_MAX];
	const char *source;
	struct name apex;
	uint32_t line;

	if (policy_match_name(index, name->wire, name->length, matches) == 0)
		return;
	size_t length = policy_rule_text(index, &matches[0], text);
	FUZZ_CHECK(length > 0 && length < sizeof(text) && strlen(text) == length);
	FUZZ_CHECK(policy_rule_source(index, &matches[0], &source, &line));
	FUZZ_CHECK(strcmp(source, "fuzz") == 0 && line >= 1 && line <= lines);
	policy_rule_apex(index, &matches[0], name->wire, name->length, &apex);
	FUZZ_CHECK(name_is_within(name, &apex));
}

/* Each word of the text as a name, alone and below another label. */
static void ask_words(
	const struct policy_index *index, const char *text, size_t size, unsigned lines)
{
	static const char separators[] = " \t\r\n#|^/=@$*,";

	for (size_t at = 0, end; at < size; at = end + 1) {
		struct name name, below = {.length = 2, .wire = "\001q"};
		end = at;
		while (end < size && !memchr(separators, text[end], sizeof(separators) - 1))
			end++;
		if (name_from_text(&name, text + at, end - at) != TD_OK)
			continue;
		name_fold(name.wire, name.wire, name.length);
		ask(index, &name, lines);
		if (name.length > NAME_WIRE_MAX - 2)
			continue;
		memcpy(below.wire + 2, name.wire, name.length);
		below.length = (uint8_t)(name.length + 2);
		ask(index, &below, lines);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned lines = 0;

	if (size < 1 || size > 65536)
		return 0;
	enum zone_format format = (enum zone_format)(data[0] % ZONE_FORMATS);
	const char *text = (const char *)data + 1;
	struct policy_index *index = read_list(format, text, size - 1, &lines);
	if (index)
		ask_words(index, text, size - 1, lines);
	policy_index_free(index);
	return 0;
}
