/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zone text and pattern lists from anywhere. Whatever the input, every line is counted once, every
 * rule found has a text, an apex above the question and records that end, and no zone matches
 * twice. The octets that were rules are then asked for as names.
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

static void load_text(struct policy_builder *builder, const char *text, size_t size)
{
	struct policy_load load;
	unsigned reports = 0;

	(void)policy_builder_rpz(builder, "fuzz", text, size, count_report, &reports, &load);
	FUZZ_CHECK(load.skipped == reports && load.used + load.skipped <= load.lines);
	reports = 0;
	FUZZ_CHECK(policy_builder_patterns(
			   builder, "fuzz", text, size, count_report, &reports, &load) == TD_OK);
	FUZZ_CHECK(load.skipped == reports && load.used + load.skipped <= load.lines);
}

static void check_match(
	const struct policy_index *index, const struct policy_match *match, const struct name *name)
{
	char text[NAME_TEXT_MAX];
	struct policy_record record;
	struct name apex;
	size_t position = 0, records = 0, length = policy_rule_text(index, match, text);

	FUZZ_CHECK(length > 0 && length < sizeof(text) && strlen(text) == length);
	policy_rule_apex(index, match, name->wire, name->length, &apex);
	FUZZ_CHECK(name_wire_length(apex.wire, apex.length) == apex.length &&
		   name_is_within(name, &apex));
	while (policy_rule_record(index, match, TYPE_ANY, &position, &record))
		records++;
	FUZZ_CHECK((records > 0) == (match->action == ACTION_LOCAL_DATA));
}

static void ask(const struct policy_index *index, const struct name *name)
{
	struct policy_view view = {.index = index, .mode = {{MODE_WATCH, MODE_BLOCK}}};
	struct policy_match matches[POLICY_MATCHES_MAX];
	size_t count = policy_match_name(index, name->wire, name->length, matches);

	FUZZ_CHECK(count <= policy_zone_count(index));
	for (size_t i = 0; i < count; i++) {
		FUZZ_CHECK(matches[i].zone < policy_zone_count(index) &&
			   (i == 0 || matches[i].zone > matches[i - 1].zone));
		check_match(index, &matches[i], name);
	}
	struct policy_verdict verdict = policy_decide(&view, NULL, matches, count);
	FUZZ_CHECK((verdict.action == ACTION_NONE) == (verdict.enforced == NULL));
}

/* An address of the text as that of a client and as that of an answer. */
static void ask_address(const struct policy_index *index, const char *text, size_t size)
{
	static const struct name question = {.length = 3, .wire = "\001q"};
	struct policy_match matches[POLICY_MATCHES_MAX];
	char word[ADDRESS_TEXT_MAX];
	struct address address;

	if (size >= sizeof(word))
		return;
	memcpy(word, text, size);
	word[size] = '\0';
	if (!address_from_text(&address, word))
		return;
	for (enum policy_trigger trigger = TRIGGER_CLIENT; trigger <= TRIGGER_ADDRESS; trigger++) {
		if (trigger != TRIGGER_CLIENT && trigger != TRIGGER_ADDRESS)
			continue;
		size_t count = policy_match_addresses(index, trigger, &address, 1, matches);
		FUZZ_CHECK(count == 0 || policy_has_trigger(index, trigger));
		for (size_t i = 0; i < count; i++)
			check_match(index, &matches[i], &question);
	}
}

/* Each word of the text as an address, and as a name, alone and below another label. */
static void ask_words(const struct policy_index *index, const char *text, size_t size)
{
	static const char separators[] = " \t\r\n#;";

	for (size_t at = 0, end; at < size; at = end + 1) {
		struct name name, below = {.length = 2, .wire = "\001q"};
		end = at;
		while (end < size && !memchr(separators, text[end], sizeof(separators) - 1))
			end++;
		ask_address(index, text + at, end - at);
		if (name_from_text(&name, text + at, end - at) != TD_OK)
			continue;
		name_fold(name.wire, name.wire, name.length);
		ask(index, &name);
		if (name.length > NAME_WIRE_MAX - 2)
			continue;
		memcpy(below.wire + 2, name.wire, name.length);
		below.length = (uint8_t)(name.length + 2);
		ask(index, &below);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char soa[] = "@ SOA . . 1 2 3 4 5\n";
	static char text[sizeof(soa) + 65536];
	struct policy_builder *builder = policy_builder_new();

	if (!builder || size > 65536) {
		policy_builder_free(builder);
		return 0;
	}
	/* Once as it is, once behind a SOA, since few inputs have one. */
	memcpy(text, soa, sizeof(soa) - 1);
	if (size)
		memcpy(text + sizeof(soa) - 1, data, size);
	FUZZ_CHECK(policy_builder_zone(builder, "bare", ZONE_LIST) == TD_OK);
	load_text(builder, text + sizeof(soa) - 1, size);
	FUZZ_CHECK(policy_builder_zone(builder, "zone", ZONE_TUNNEL) == TD_OK);
	load_text(builder, text, sizeof(soa) - 1 + size);
	struct policy_index *index = policy_builder_finish(&builder);
	if (index)
		ask_words(index, text, sizeof(soa) - 1 + size);
	policy_index_free(index);
	return 0;
}
