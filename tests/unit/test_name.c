/* SPDX-License-Identifier: BSD-3-Clause */
/* Names: reading with compression, folding, comparing, presentation format; ldns is the oracle for
 * text. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "lib/dns/name.h"

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct name name_of(const char *text)
{
	struct name name;
	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	return name;
}

/* A valid name of random octets. */
static struct name random_name(uint64_t *random)
{
	struct name name = {0};
	size_t wanted = next_random(random) % 255 + 1;
	while (name.length + 2u < wanted) {
		size_t label = next_random(random) % 63 + 1;
		if (name.length + 1 + label + 1 > wanted)
			label = wanted - name.length - 2u;
		if (label == 0)
			break;
		name.wire[name.length++] = (uint8_t)label;
		for (; label > 0; label--)
			name.wire[name.length++] = (uint8_t)next_random(random);
	}
	name.wire[name.length++] = 0;
	return name;
}

static enum td_error read_at(
	const uint8_t *message, size_t size, size_t at, struct name *out, size_t *behind)
{
	struct wire_reader reader = wire_reader_init(message, size);
	reader.position = at;
	name_read(&reader, out);
	*behind = reader.position;
	return reader.error;
}

static void reads_and_leaves_cursor_behind(void **state)
{
	static const uint8_t message[] = "\003www\007example\000\004mail\xc0\x04\xc0\x0d!";
	struct name name;
	size_t behind;
	(void)state;
	assert_int_equal(read_at(message, sizeof(message) - 1, 0, &name, &behind), TD_OK);
	assert_int_equal(behind, 13);
	assert_true(name_equal(&name, &(struct name){.length = 13, .wire = "\003www\007example"}));
	assert_int_equal(read_at(message, sizeof(message) - 1, 13, &name, &behind), TD_OK);
	assert_int_equal(behind, 20);
	assert_memory_equal(name.wire, "\004mail\007example", 14);
	assert_int_equal(read_at(message, sizeof(message) - 1, 20, &name, &behind), TD_OK);
	assert_int_equal(behind, 22);
	assert_int_equal(name.length, 14);
}

static void refuses_bad_pointers_and_labels(void **state)
{
	static const struct {
		const char *message;
		size_t size, at;
		enum td_error error;
	} cases[] = {
		{"", 0, 0, TD_TRUNCATED}, {"\001", 1, 0, TD_TRUNCATED},
		{"\001a", 2, 0, TD_TRUNCATED}, {"\xc0", 1, 0, TD_TRUNCATED},
		{"\xc0\x00", 2, 0, TD_LOOP},             /* itself */
		{"\xc0\x02\x00", 3, 0, TD_LOOP},         /* forward */
		{"\001a\xc0\x00", 4, 0, TD_LOOP},        /* the name's own start */
		{"\xc0\x02\xc0\x00\x00", 5, 2, TD_LOOP}, /* back, then forward */
		{"\x00\xc0\x03\xc0\x00", 5, 1, TD_LOOP}, /* forward to a pointer back */
		{"\001a\001b\xc0\x02", 6, 2, TD_LOOP}, {"\x40\x00", 2, 0, TD_MALFORMED},
		{"\x80\x00", 2, 0, TD_MALFORMED},
		{"\001a\xc1\x00", 4, 2, TD_LOOP}, /* beyond the end */
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct name name = {.length = 7};
		size_t behind;
		enum td_error error = read_at((const uint8_t *)cases[i].message, cases[i].size,
			cases[i].at, &name, &behind);
		assert_int_equal(error, cases[i].error);
		assert_int_equal(name.length, 0);
		assert_int_equal(behind, cases[i].at);
	}
}

/* 127 labels of one octet are 255 octets; one more octet is too long, compressed or not. */
static void reads_up_to_255_octets(void **state)
{
	uint8_t message[300];
	struct name name;
	size_t behind;
	(void)state;
	for (size_t i = 0; i < 127; i++)
		memcpy(message + 2 * i, "\001x", 2);
	message[254] = 0;
	assert_int_equal(read_at(message, 255, 0, &name, &behind), TD_OK);
	assert_int_equal(name.length, 255);
	assert_int_equal(name_label_count(name.wire), 127);
	assert_int_equal(name_wire_length(message, 255), 255);
	memcpy(message + 255, "\001y\xc0\x00", 4);
	assert_int_equal(read_at(message, 259, 255, &name, &behind), TD_TOO_LONG);
	memcpy(message + 255, "\001y\xc0\x02", 4);
	assert_int_equal(read_at(message, 259, 255, &name, &behind), TD_OK);
	assert_int_equal(name.length, 255);
	message[252] = 2;
	message[255] = 0;
	assert_int_equal(read_at(message, 256, 0, &name, &behind), TD_TOO_LONG);
	assert_int_equal(name_wire_length(message, 256), 0);
}

/* A chain of pointers to pointers: 127 are followed, 128 are not. */
static void follows_127_pointers(void **state)
{
	uint8_t message[1 + 2 * 200] = {0};
	struct name name;
	size_t behind;
	(void)state;
	for (size_t i = 0; i < 200; i++) {
		size_t target = i ? 1 + 2 * (i - 1) : 0;
		message[1 + 2 * i] = (uint8_t)(0xc0 | target >> 8);
		message[2 + 2 * i] = (uint8_t)target;
	}
	assert_int_equal(read_at(message, sizeof(message), 1 + 2 * 126, &name, &behind), TD_OK);
	assert_int_equal(name.length, 1);
	assert_int_equal(behind, 3 + 2 * 126);
	assert_int_equal(read_at(message, sizeof(message), 1 + 2 * 127, &name, &behind), TD_LOOP);
}

/* RFC 1035, 4.1.4, label by label and octet by octet. */
static enum td_error read_slowly(
	const uint8_t *message, size_t size, size_t at, struct name *out, size_t *behind)
{
	size_t limit = at, used = 0, end = 0;
	unsigned pointers = 0;
	for (;;) {
		if (at >= size)
			return TD_TRUNCATED;
		uint8_t octet = message[at++];
		if (octet >= 0xc0) {
			end = end ? end : at + 1;
			if (++pointers > NAME_POINTERS_MAX)
				return TD_LOOP;
			if (at >= size)
				return TD_TRUNCATED;
			at = (octet & 0x3fu) * 256u + message[at];
			if (at >= limit)
				return TD_LOOP;
			limit = at;
			continue;
		}
		if (octet > NAME_LABEL_MAX)
			return TD_MALFORMED;
		if (used + 1 + octet + (octet ? 1 : 0) > NAME_WIRE_MAX)
			return TD_TOO_LONG;
		out->wire[used++] = octet;
		for (uint8_t label = octet; label > 0; label--) {
			if (at >= size)
				return TD_TRUNCATED;
			out->wire[used++] = message[at++];
		}
		if (octet == 0)
			break;
	}
	out->length = (uint8_t)used;
	*behind = end ? end : at;
	return TD_OK;
}

/* Messages of what names are made of: short and long labels, ends and pointers; or of long names.
 */
static void fill_with_labels(uint8_t *message, size_t size, uint64_t *random)
{
	bool is_long = next_random(random) % 2;
	for (size_t i = 0; i < size; i++) {
		uint64_t dice = next_random(random);
		uint8_t octet = (uint8_t)(dice >> 8);
		if (is_long) {
			message[i] = dice % 32 ? octet % 16 + 1 : 0xc0;
			continue;
		}
		switch (dice % 8) {
		case 0:
			message[i] = 0;
			break;
		case 1:
			message[i] = 0xc0;
			break;
		case 2:
			message[i] = octet & 0x3f;
			break;
		case 3:
			message[i] = octet;
			break;
		default:
			message[i] = octet & 7;
		}
	}
}

static void reads_as_label_by_label(void **state)
{
	uint64_t random = 31;
	unsigned results[TD_ERROR_COUNT] = {0};
	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t size = next_random(&random) % 600 + 1, behind, expected_behind = 0;
		uint8_t message[600];
		struct name name, expected = {.length = 0};
		fill_with_labels(message, size, &random);
		size_t at = next_random(&random) % size;
		enum td_error error = read_slowly(message, size, at, &expected, &expected_behind);
		/* Memory of exactly this size, so that a sanitizer sees a read beyond it. */
		uint8_t *copy = memcpy(malloc(size), message, size);
		assert_int_equal(read_at(copy, size, at, &name, &behind), error);
		free(copy);
		results[error]++;
		assert_int_equal(name.length, error == TD_OK ? expected.length : 0);
		assert_int_equal(behind, error == TD_OK ? expected_behind : at);
		assert_memory_equal(name.wire, expected.wire, name.length);
	}
	/* Each outcome was met. */
	assert_true(results[TD_OK] > 1000 && results[TD_TRUNCATED] > 100);
	assert_true(results[TD_LOOP] > 1000 && results[TD_MALFORMED] > 100);
	assert_true(results[TD_TOO_LONG] > 20);
}

static void wire_length_needs_a_whole_name(void **state)
{
	(void)state;
	assert_int_equal(name_wire_length((const uint8_t *)"", 1), 1);
	assert_int_equal(name_wire_length((const uint8_t *)"", 0), 0);
	assert_int_equal(name_wire_length((const uint8_t *)"\001a", 2), 0);
	assert_int_equal(name_wire_length((const uint8_t *)"\001a\0rest", 7), 3);
	assert_int_equal(name_wire_length((const uint8_t *)"\001a\xc0\x00", 4), 0);
	assert_int_equal(name_wire_length((const uint8_t *)"\x40", 100), 0);
}

static void fold_and_equal_match_octet_by_octet(void **state)
{
	uint64_t random = 11;
	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct name name = random_name(&random), folded = {.length = name.length},
			    other = name;
		name_fold(folded.wire, name.wire, name.length);
		for (size_t i = 0; i < name.length; i++) {
			uint8_t octet = name.wire[i];
			assert_int_equal(
				folded.wire[i], octet >= 'A' && octet <= 'Z' ? octet + 32 : octet);
		}
		assert_true(name_equal(&name, &folded));
		assert_int_equal(name_wire_length(folded.wire, folded.length), name.length);
		name_fold(other.wire, other.wire, other.length);
		assert_memory_equal(other.wire, folded.wire, name.length);
		size_t at = next_random(&random) % name.length;
		other.wire[at] ^= (uint8_t)(1 << next_random(&random) % 8);
		uint8_t was = folded.wire[at], is = other.wire[at];
		bool same = (is >= 'A' && is <= 'Z' ? is + 32 : is) == was;
		assert_int_equal(name_equal(&name, &other), same);
	}
	assert_false(name_wire_equal((const uint8_t *)"", 1, (const uint8_t *)"\001a", 3));
}

static bool within(const char *name, const char *ancestor)
{
	struct name a = name_of(name), b = name_of(ancestor);
	return name_is_within(&a, &b);
}

static void within_compares_whole_labels(void **state)
{
	const struct name none = {0};
	struct name root = name_of(".");
	(void)state;
	assert_true(within("a.Example.com", "eXample.COM"));
	assert_true(within("example.com", "example.com"));
	assert_true(within("example.com", "."));
	assert_true(within(".", "."));
	assert_false(within(".", "com"));
	assert_false(within("notexample.com", "example.com"));
	assert_false(within("example.com", "a.example.com"));
	/* The octets of "com." occur inside this label, after what looks like a length. */
	assert_false(within("x\\003com", "com"));
	assert_false(name_is_within(&none, &root));
	assert_false(name_is_within(&root, &none));
}

static void assert_text(const char *wire, const char *expected)
{
	char text[NAME_TEXT_MAX];
	assert_int_equal(name_to_text((const uint8_t *)wire, text), strlen(expected));
	assert_string_equal(text, expected);
}

static void text_is_escaped(void **state)
{
	char text[NAME_TEXT_MAX];
	struct name longest = {.length = 255};
	(void)state;
	assert_text("", ".");
	assert_text("\003WwW\002de", "WwW.de.");
	assert_text("\010a.b\\c\"d(\006);@$*_", "a\\.b\\\\c\\\"d\\(.\\)\\;\\@\\$*_.");
	assert_text("\005 \n\x7f\xff~", "\\032\\010\\127\\255~.");
	memset(longest.wire, 0xff, 255);
	for (size_t i = 0; i < 3; i++)
		longest.wire[64 * i] = 63;
	longest.wire[192] = 61;
	longest.wire[254] = 0;
	assert_int_equal(name_wire_length(longest.wire, 255), 255);
	assert_int_equal(name_to_text(longest.wire, text), 4 * 250 + 4);
}

static void text_is_read(void **state)
{
	struct name name;
	static const struct {
		const char *text;
		enum td_error error;
	} bad[] = {
		{"", TD_MALFORMED},
		{"..", TD_MALFORMED},
		{".a", TD_MALFORMED},
		{"a..b", TD_MALFORMED},
		{"a\\", TD_MALFORMED},
		{"a\\1", TD_MALFORMED},
		{"a\\12", TD_MALFORMED},
		{"a\\12x", TD_MALFORMED},
		{"a\\256", TD_MALFORMED},
		{"a\\999", TD_MALFORMED},
		{"0123456789012345678901234567890123456789012345678901234567890123", TD_TOO_LONG},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		name.length = 9;
		assert_int_equal(
			name_from_text(&name, bad[i].text, strlen(bad[i].text)), bad[i].error);
		assert_int_equal(name.length, 0);
	}
	name = name_of("a\\.b\\000\\255.C");
	assert_int_equal(name.length, 9);
	assert_memory_equal(name.wire, "\005a.b\0\xff\001C", 9);
	assert_int_equal(name_of(".").length, 1);
	assert_int_equal(name_of("a").length, name_of("a.").length);
	assert_int_equal(name_from_text(&name, "a.b.c", 3), TD_OK);
	assert_int_equal(name.length, 5);
}

static void text_of_255_octets_is_the_longest(void **state)
{
	char text[600];
	struct name name;
	(void)state;
	for (size_t i = 0; i < 200; i++)
		memcpy(text + 2 * i, "x.", 2);
	assert_int_equal(name_from_text(&name, text, 254), TD_OK);
	assert_int_equal(name.length, 255);
	assert_int_equal(name_from_text(&name, text, 253), TD_OK);
	assert_int_equal(name_from_text(&name, text, 255), TD_TOO_LONG);
	assert_int_equal(name_from_text(&name, text, 400), TD_TOO_LONG);
}

static void text_and_wire_are_inverse(void **state)
{
	uint64_t random = 5;
	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct name name = random_name(&random), again;
		char text[NAME_TEXT_MAX];
		size_t length = name_to_text(name.wire, text);
		assert_true(length < NAME_TEXT_MAX);
		assert_int_equal(name_from_text(&again, text, length), TD_OK);
		assert_int_equal(again.length, name.length);
		assert_memory_equal(again.wire, name.wire, name.length);
	}
}

/* ldns reads what we write as the same octets. */
static void ldns_reads_our_text(void **state)
{
	uint64_t random = 77;
	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct name name = random_name(&random);
		char text[NAME_TEXT_MAX];
		ldns_rdf *rdf = NULL;
		name_to_text(name.wire, text);
		assert_int_equal(ldns_str2rdf_dname(&rdf, text), LDNS_STATUS_OK);
		assert_int_equal(ldns_rdf_size(rdf), name.length);
		assert_memory_equal(ldns_rdf_data(rdf), name.wire, name.length);
		ldns_rdf_deep_free(rdf);
	}
}

static void writes_itself(void **state)
{
	uint8_t buffer[6];
	struct name name = name_of("ab.c");
	struct wire_writer writer = wire_writer_init(buffer, sizeof(buffer));
	(void)state;
	name_write(&writer, &name);
	assert_int_equal(writer.error, TD_OK);
	assert_int_equal(writer.position, 6);
	assert_memory_equal(buffer, "\002ab\001c", 6);
	name_write(&writer, &name);
	assert_int_equal(writer.error, TD_NO_SPACE);
	assert_int_equal(writer.position, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_leaves_cursor_behind),
		cmocka_unit_test(refuses_bad_pointers_and_labels),
		cmocka_unit_test(reads_up_to_255_octets),
		cmocka_unit_test(follows_127_pointers),
		cmocka_unit_test(reads_as_label_by_label),
		cmocka_unit_test(wire_length_needs_a_whole_name),
		cmocka_unit_test(fold_and_equal_match_octet_by_octet),
		cmocka_unit_test(within_compares_whole_labels),
		cmocka_unit_test(text_is_escaped),
		cmocka_unit_test(text_is_read),
		cmocka_unit_test(text_of_255_octets_is_the_longest),
		cmocka_unit_test(text_and_wire_are_inverse),
		cmocka_unit_test(ldns_reads_our_text),
		cmocka_unit_test(writes_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
