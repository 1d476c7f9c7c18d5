/* SPDX-License-Identifier: BSD-3-Clause */
/* A list that comes in pieces of any size makes the same rules, counts and complaints as the whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/input.h"
#include "tests/unit/policy_rules.h"

struct pieces {
	const char *text;
	size_t size, at, most; /* most: octets of a piece */
};

static size_t pieces_read(void *context, char *out, size_t size)
{
	struct pieces *pieces = context;
	size_t length = pieces->size - pieces->at;

	if (length > pieces->most)
		length = pieces->most;
	if (length > size)
		length = size;
	memcpy(out, pieces->text + pieces->at, length);
	pieces->at += length;
	return length;
}

static void pieces_rewind(void *context)
{
	((struct pieces *)context)->at = 0;
}

static struct policy_input input_of(struct pieces *pieces)
{
	return (struct policy_input){pieces, pieces_read, pieces_rewind};
}

/* --- lines --- */

static void expect_lines(const char *text, size_t size, size_t most)
{
	struct pieces pieces = {text, size, 0, most};
	const struct policy_input from = input_of(&pieces);
	struct input whole, cut;
	const char *line, *same;
	size_t length, same_length;

	list_input_init_text(&whole, text, size);
	list_input_init(&cut, &from);
	for (unsigned turn = 0; turn < 2; turn++) {
		while (list_input_line(&whole, &line, &length)) {
			assert_true(list_input_line(&cut, &same, &same_length));
			assert_int_equal(length, same_length);
			assert_memory_equal(line, same, length);
		}
		assert_false(list_input_line(&cut, &same, &same_length));
		assert_false(cut.failed);
		list_input_rewind(&whole);
		list_input_rewind(&cut);
	}
	list_input_deinit(&cut);
}

static void test_lines(void **state)
{
	static const char text[] = "one\n\ntwo\r\n\0three\nlast";

	(void)state;
	for (size_t most = 1; most < sizeof(text); most++) {
		expect_lines(text, sizeof(text) - 1, most);
		expect_lines(text, sizeof(text) - 5, most);
		expect_lines(text, 0, most);
	}
}

/* Longer than the window is at first, with short ones around it. */
static void test_long_line(void **state)
{
	const size_t size = (size_t)5 << 20;
	char *text = malloc(size);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < size; i++)
		text[i] = i % 100 == 99 ? '\n' : (char)('a' + i % 26);
	for (size_t i = 700000; i < 3900000; i++)
		text[i] = 'x';
	expect_lines(text, size, 4096);
	expect_lines(text, size, 1 << 20);
	expect_lines(text, size, 999983);
	free(text);
}

/* --- lists --- */

static const char *const texts[ZONE_FORMATS] = {
	[FORMAT_RPZ] = SOA "a.example CNAME .\n*.b.example CNAME *.\n$ORIGIN sub.example.\n"
			   "c CNAME rpz-passthru. ; words\nd TXT ( \"one\" ; first\n \"two\"\n )\n"
			   "  TXT three\nbroken\ne A ( 192.0.2.1\nf CNAME .\ng A 192.0.2.2\n",
	[FORMAT_PATTERNS] = "win*.a.example # words\n\nisatap.*\n***\nb.example",
	[FORMAT_HOSTS] = "\xef\xbb\xbf# words\n0.0.0.0 a.example b.example\n0.0.0.0 c.example\n"
			 "192.0.2.1 d.example\n192.0.2.1 e.example\n:: a.example\nnonsense\n",
	[FORMAT_DOMAINS] = "a.example\n*.b.example # words\na.example\r\nc d\n",
	[FORMAT_WILDCARDS] = ".a.example\n*.b.example\nc.example\n",
	[FORMAT_DNSMASQ] = "address=/a.example/b.example/\nlocal=/c.example/\nserver=1.1.1.1\n"
			   "address=/d.example/192.0.2.9\n",
	[FORMAT_ADBLOCK] =
		"[Adblock Plus]\n||a.example^\n@@||b.a.example^\n||c.example^$third-party\n"
		"||b.a.example^\n! words\n##.banner\n",
};

static struct policy_index *read_pieces(enum zone_format format, size_t most,
	struct policy_load *load, struct complaints *complaints)
{
	struct pieces pieces = {texts[format], strlen(texts[format]), 0, most};
	const struct policy_input from = input_of(&pieces);
	struct policy_builder *builder = policy_builder_new();

	*complaints = (struct complaints){.count = 0};
	strbuf_init(&complaints->text);
	add_zone(builder, "a", ZONE_LIST, NULL);
	assert_int_equal(
		policy_builder_read_input(builder, format, "t", &from, complain, complaints, load),
		TD_OK);
	strbuf_append(&complaints->text, "", 0);
	return policy_builder_finish(&builder);
}

static void names_to_text(const struct policy_index *index, struct strbuf *out)
{
	static const char *const names[] = {"a.example", "x.a.example", "b.example", "x.b.example",
		"b.a.example", "c.example", "x.c.example", "d.example", "e.example", "f.example",
		"win1.a.example", "isatap.x", "c.sub.example", "d.sub.example", "e.sub.example",
		"f.sub.example", "g.sub.example"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct policy_match matches[POLICY_MATCHES_MAX];
		struct name name = folded(names[i]);

		matches_to_text(index, matches,
			policy_match_name(index, name.wire, name.length, matches), out);
		strbuf_append_char(out, '\n');
	}
}

static void test_lists(void **state)
{
	(void)state;
	for (int format = 0; format < ZONE_FORMATS; format++) {
		struct strbuf expected;
		struct policy_load whole, cut;
		struct complaints said, again;
		struct policy_index *index =
			read_pieces((enum zone_format)format, SIZE_MAX, &whole, &said);

		assert_non_null(index);
		assert_true(whole.used > 0);
		strbuf_init(&expected);
		names_to_text(index, &expected);
		policy_index_free(index);
		for (size_t most = 1; most < 40; most++) {
			struct strbuf text;

			index = read_pieces((enum zone_format)format, most, &cut, &again);
			assert_non_null(index);
			assert_memory_equal(&whole, &cut, sizeof(whole));
			assert_string_equal(said.text.data, again.text.data);
			strbuf_init(&text);
			names_to_text(index, &text);
			strbuf_append(&text, "", 0);
			assert_int_equal(text.length, expected.length);
			assert_memory_equal(text.data, expected.data, text.length);
			strbuf_deinit(&text);
			strbuf_deinit(&again.text);
			policy_index_free(index);
		}
		strbuf_deinit(&expected);
		strbuf_deinit(&said.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
