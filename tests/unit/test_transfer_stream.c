/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of primaries: what they are taken for, and every way in which one is no answer. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/transfer_stream.h"
#include "tests/unit/zone_answer.h"

#define ID 77

struct bed {
	struct zone_stream stream;
	struct stream_sink sink;
	struct zone_answer answer;
	char log[4096]; /* what the sink was given: "whole +a +b", "changes -a +c" */
	bool refuse;
};

static void put(struct bed *bed, const char *words)
{
	size_t used = strlen(bed->log);

	snprintf(bed->log + used, sizeof bed->log - used, "%s%s", used ? " " : "", words);
}

static bool on_begin(void *context, bool whole)
{
	put(context, whole ? "whole" : "changes");
	return true;
}

static bool on_record(void *context, bool removed, const struct zone_record *record)
{
	struct bed *bed = context;
	char text[NAME_TEXT_MAX + 1], *end;

	name_to_text(record->owner, text + 1);
	text[0] = removed ? '-' : '+';
	end = strstr(text, ".rpz.example.");
	if (end)
		*end = '\0';
	put(bed, text);
	return !bed->refuse;
}

static struct bed *bed_of(enum stream_kind kind, uint32_t have)
{
	static struct bed bed;
	uint8_t question[STREAM_QUESTION_MAX];

	memset(&bed, 0, sizeof bed);
	bed.sink = (struct stream_sink){&bed, on_begin, on_record};
	assert_true(stream_begin(&bed.stream, kind, &zone_apex, ID, have, NULL, 0, question) > 0);
	return &bed;
}

static enum stream_result take(struct bed *bed)
{
	return stream_take(&bed->stream, bed->answer.octets, bed->answer.size, 0, &bed->sink);
}

/* The answer in messages of these words each, divided by '|'. The result of the last. */
static enum stream_result run(struct bed *bed, const char *messages)
{
	static const uint16_t types[] = {TYPE_SOA, TYPE_AXFR, TYPE_IXFR};
	enum stream_result result = STREAM_MORE;
	char copy[1024], *rest;

	snprintf(copy, sizeof copy, "%s", messages);
	for (char *part = strtok_r(copy, "|", &rest); part; part = strtok_r(NULL, "|", &rest)) {
		assert_int_equal(result, STREAM_MORE);
		answer_of(&bed->answer, ID, types[bed->stream.kind], part);
		result = take(bed);
	}
	return result;
}

/* --- serials (RFC 1982, 5) --- */

static void test_serials(void **state)
{
	(void)state;
	assert_true(serial_is_later(1, 0));
	assert_true(serial_is_later(44, 0));
	assert_true(serial_is_later(100, 0));
	assert_true(serial_is_later(100, 44));
	assert_true(serial_is_later(200, 100));
	assert_true(serial_is_later(0, 4294967295u));
	assert_true(serial_is_later(5, 4294967290u));
	assert_true(serial_is_later(2147483647u, 0));
	assert_false(serial_is_later(7, 7));
	assert_false(serial_is_later(0, 1));
	assert_false(serial_is_later(4294967295u, 0));
	assert_false(serial_is_later(2147483648u, 0)); /* neither, RFC 1982, 3.2 */
	assert_false(serial_is_later(0, 2147483648u));
}

/* --- what an answer is --- */

static void test_answers(void **state)
{
	static const struct {
		enum stream_kind kind;
		uint32_t have;
		const char *messages;
		enum stream_result result;
		const char *log;
		uint32_t serial;
	} cases[] = {
		{STREAM_SOA, 0, "9", STREAM_TOLD, "", 9},
		{STREAM_AXFR, 0, "9 a b 9", STREAM_WHOLE, "whole +a +b", 9},
		{STREAM_AXFR, 0, "9|a|b|9", STREAM_WHOLE, "whole +a +b", 9},
		{STREAM_AXFR, 0, "9 9", STREAM_WHOLE, "whole", 9},
		{STREAM_AXFR, 0, "9 a other. x.rpz.example.org. 9", STREAM_WHOLE, "whole +a", 9},
		{STREAM_IXFR, 5, "5", STREAM_TOLD, "", 5},
		{STREAM_IXFR, 5, "4", STREAM_TOLD, "", 4},
		{STREAM_IXFR, 5, "6 5 a 6 b 6", STREAM_CHANGED, "changes -a +b", 6},
		{STREAM_IXFR, 5, "6|5|a|6|b|6", STREAM_CHANGED, "changes -a +b", 6},
		{STREAM_IXFR, 5, "6 5 6 b 6", STREAM_CHANGED, "changes +b", 6},
		{STREAM_IXFR, 5, "6 5 a 6 6", STREAM_CHANGED, "changes -a", 6},
		{STREAM_IXFR, 5, "8 5 a 6 b 6 b 8 c 8", STREAM_CHANGED, "changes -a +b -b +c", 8},
		{STREAM_IXFR, 4294967295u, "1 4294967295 a 1 b 1", STREAM_CHANGED, "changes -a +b",
			1},
		{STREAM_IXFR, 5, "6 a b 6", STREAM_WHOLE, "whole +a +b", 6},
		{STREAM_IXFR, 5, "6|a b|6", STREAM_WHOLE, "whole +a +b", 6},
		{STREAM_IXFR, 5, "6 6", STREAM_WHOLE, "whole", 6},
		{STREAM_IXFR, 5, "6|6", STREAM_WHOLE, "whole", 6},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bed *bed = bed_of(cases[i].kind, cases[i].have);
		assert_int_equal(run(bed, cases[i].messages), cases[i].result);
		assert_string_equal(bed->log, cases[i].log);
		assert_int_equal(bed->stream.soa.serial, cases[i].serial);
	}
}

static void test_outside_is_counted(void **state)
{
	struct bed *bed = bed_of(STREAM_AXFR, 0);

	(void)state;
	assert_int_equal(run(bed, "9 a other. 9"), STREAM_WHOLE);
	assert_int_equal(bed->stream.outside, 1);
	assert_int_equal(bed->stream.records, 1);
}

/* What is cut off is never taken for whole. */
static void test_unfinished(void **state)
{
	static const struct {
		enum stream_kind kind;
		const char *messages;
	} cases[] = {{STREAM_AXFR, "9"}, {STREAM_AXFR, "9 a b"}, {STREAM_IXFR, "6"},
		{STREAM_IXFR, "6 5"}, {STREAM_IXFR, "6 5 a"}, {STREAM_IXFR, "6 5 a 6"},
		{STREAM_IXFR, "6 5 a 6 b"}, {STREAM_IXFR, "8 5 a 6 b 6 c"},
		{STREAM_IXFR, "8 5 a 6 b 6"}, {STREAM_IXFR, "6 a b"}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(run(bed_of(cases[i].kind, 5), cases[i].messages), STREAM_MORE);
}

static void test_faults(void **state)
{
	static const struct {
		enum stream_kind kind;
		const char *messages, *why;
	} cases[] = {
		{STREAM_AXFR, "a 9", "an answer that does not begin with the SOA"},
		{STREAM_SOA, "a", "an answer that does not begin with the SOA"},
		{STREAM_AXFR, "9 a 8", "a zone that ends with another SOA than it began with"},
		{STREAM_AXFR, "9 a 9 b", "records behind the end"},
		{STREAM_SOA, "9 9", "records behind the end"},
		{STREAM_IXFR, "6 5 a 6 b 6 c", "records behind the end"},
		{STREAM_IXFR, "6 4 a 6 b 6", "changes to another version than ours"},
		{STREAM_IXFR, "6 5 a 5 b 6", "changes that lead to an older version"},
		{STREAM_IXFR, "6 5 a 3 b 6", "changes that lead to an older version"},
		{STREAM_IXFR, "9 5 a 6 b 7 c 9 9", "changes with a gap between them"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bed *bed = bed_of(cases[i].kind, 5);
		assert_int_equal(run(bed, cases[i].messages), STREAM_FAULT);
		assert_string_equal(bed->stream.why, cases[i].why);
	}
}

static void test_refusing_sink(void **state)
{
	struct bed *bed = bed_of(STREAM_AXFR, 0);

	(void)state;
	bed->refuse = true;
	assert_int_equal(run(bed, "9 a b 9"), STREAM_SINK);
	assert_string_equal(bed->log, "whole +a");
}

/* --- messages --- */

static struct bed *with_axfr(void)
{
	struct bed *bed = bed_of(STREAM_AXFR, 0);

	answer_of(&bed->answer, ID, TYPE_AXFR, "9 a 9");
	return bed;
}

static void test_heads(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
		enum stream_result result;
		const char *why;
	} cases[] = {
		{1, 78, STREAM_FAULT, "a message that is no answer to our question"},   /* id */
		{2, 0x04, STREAM_FAULT, "a message that is no answer to our question"}, /* QR */
		{2, 0xa4, STREAM_FAULT, "a message that is no answer to our question"}, /* NOTIFY */
		{2, 0x86, STREAM_FAULT, "an answer cut short over TCP"},
		{3, 5, STREAM_REFUSED, "REFUSED"},
		{3, 4, STREAM_REFUSED, "NOTIMP"},
		{3, 9, STREAM_REFUSED, "NOTAUTH"},
		{5, 0, STREAM_FAULT, "an answer without our question"},
		{5, 2, STREAM_FAULT, "an answer without our question"},
		{7, 0, STREAM_FAULT, "an answer without records"},
		{7, 4, STREAM_FAULT, "a record that cannot be read"},
		{13, 'x', STREAM_FAULT, "an answer to another question"},
		{26, TYPE_IXFR, STREAM_FAULT, "an answer to another question"},
		{28, 3, STREAM_FAULT, "an answer to another question"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bed *bed = with_axfr();
		bed->answer.octets[cases[i].offset] = cases[i].value;
		assert_int_equal(take(bed), cases[i].result);
		assert_string_equal(bed->stream.why, cases[i].why);
	}
}

static void test_later_messages_need_no_question(void **state)
{
	struct bed *bed = bed_of(STREAM_AXFR, 0);
	struct wire_writer writer = wire_writer_init(bed->answer.octets, sizeof bed->answer.octets);

	(void)state;
	assert_int_equal(run(bed, "9 a"), STREAM_MORE);
	wire_write_u16(&writer, ID);
	wire_write_u16(&writer, DNS_FLAG_QR);
	wire_write_u16(&writer, 0);
	wire_write_u16(&writer, 1);
	wire_write_u32(&writer, 0);
	name_write(&writer, &zone_apex);
	wire_write_u16(&writer, TYPE_SOA);
	wire_write_u16(&writer, CLASS_IN);
	wire_write_u32(&writer, 60);
	wire_write_u16(&writer, 22);
	wire_write_u16(&writer, 0); /* two names, both the root */
	wire_write_u32(&writer, 9);
	memset(wire_write_room(&writer, 16), 0, 16);
	bed->answer.size = writer.position;
	assert_int_equal(take(bed), STREAM_WHOLE);
}

static void test_every_length(void **state)
{
	struct bed *bed = with_axfr();
	struct zone_answer answer = bed->answer;

	(void)state;
	for (size_t size = 0; size < answer.size; size++) {
		bed = bed_of(STREAM_AXFR, 0);
		uint8_t *exact = test_malloc(size + 1);
		memcpy(exact, answer.octets, size);
		assert_int_equal(
			stream_take(&bed->stream, exact, size, 0, &bed->sink), STREAM_FAULT);
		test_free(exact);
	}
}

/* --- signatures --- */

#ifdef HAVE_TLS

#define NOW 1700000000

static struct tsig_key key_of(const char *secret)
{
	struct tsig_key key = {.name = name_of("feed"), .algorithm = TSIG_SHA256};

	key.secret_length = (uint16_t)strlen(secret);
	memcpy(key.secret, secret, key.secret_length);
	return key;
}

static struct tsig_mac begin_signed(struct bed *bed, const struct tsig_key *key)
{
	uint8_t question[STREAM_QUESTION_MAX];

	assert_true(stream_begin(&bed->stream, STREAM_AXFR, &zone_apex, ID, 0, key, NOW, question));
	return bed->stream.request;
}

static enum stream_result take_signed(struct bed *bed, const struct tsig_key *key,
	const struct tsig_mac *request, int64_t at_s, uint16_t error)
{
	struct zone_answer *answer = &bed->answer;

	answer_of(answer, ID, TYPE_AXFR, "9 a 9");
	assert_int_equal(tsig_sign(key, answer->octets, &answer->size, sizeof answer->octets,
				 request, (uint64_t)at_s, (uint64_t)at_s, error, NULL),
		TD_OK);
	return stream_take(&bed->stream, answer->octets, answer->size, NOW, &bed->sink);
}

static void test_signed(void **state)
{
	struct bed *bed = bed_of(STREAM_AXFR, 0);
	struct tsig_key key = key_of("secret");
	struct tsig_mac mac = begin_signed(bed, &key);

	(void)state;
	assert_int_equal(take_signed(bed, &key, &mac, NOW, 0), STREAM_WHOLE);
	stream_end(&bed->stream);
}

static void test_unsigned_answer(void **state)
{
	struct bed *bed = bed_of(STREAM_AXFR, 0);
	struct tsig_key key = key_of("secret");

	(void)state;
	begin_signed(bed, &key);
	answer_of(&bed->answer, ID, TYPE_AXFR, "9 a 9");
	assert_int_equal(take(bed), STREAM_KEY);
	assert_string_equal(bed->stream.why, "not signed, though a key is set");
	assert_string_equal(bed->log, "");
	stream_end(&bed->stream);
}

/* A refusal need not be signed. */
static void test_unsigned_refusal(void **state)
{
	struct bed *bed = bed_of(STREAM_AXFR, 0);
	struct tsig_key key = key_of("secret");

	(void)state;
	begin_signed(bed, &key);
	answer_of(&bed->answer, ID, TYPE_AXFR, "9 a 9");
	bed->answer.octets[3] = 5;
	assert_int_equal(take(bed), STREAM_REFUSED);
	stream_end(&bed->stream);
}

static void test_last_message_unsigned(void **state)
{
	struct bed *bed = bed_of(STREAM_AXFR, 0);
	struct tsig_key key = key_of("secret");
	struct tsig_mac mac = begin_signed(bed, &key);
	struct zone_answer *answer = &bed->answer;

	(void)state;
	answer_of(answer, ID, TYPE_AXFR, "9 a");
	assert_int_equal(tsig_sign(&key, answer->octets, &answer->size, sizeof answer->octets, &mac,
				 NOW, NOW, 0, NULL),
		TD_OK);
	assert_int_equal(stream_take(&bed->stream, answer->octets, answer->size, NOW, &bed->sink),
		STREAM_MORE);
	answer_of(answer, ID, TYPE_AXFR, "9");
	assert_int_equal(stream_take(&bed->stream, answer->octets, answer->size, NOW, &bed->sink),
		STREAM_KEY);
	assert_string_equal(bed->stream.why, "the last message is not signed");
	stream_end(&bed->stream);
}

static void test_wrong_signatures(void **state)
{
	static const struct {
		const char *secret;
		int64_t at_s;
		uint16_t error;
		const char *why;
	} cases[] = {
		{"other", NOW, 0, "the signature is wrong (BADSIG): the secrets differ"},
		{"secret", NOW - 1000, 0,
			"signed at another time (BADTIME): the clocks differ: the primary's is "
			"1000 s behind"},
		{"secret", NOW, 16,
			"the primary finds our signature wrong (BADSIG): the secrets differ"},
		{"secret", NOW, 17, "the primary does not know the key or its algorithm (BADKEY)"},
	};
	struct tsig_key key = key_of("secret");

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bed *bed = bed_of(STREAM_AXFR, 0);
		struct tsig_key other = key_of(cases[i].secret);
		struct tsig_mac mac = begin_signed(bed, &key);

		assert_int_equal(
			take_signed(bed, &other, &mac, cases[i].at_s, cases[i].error), STREAM_KEY);
		assert_string_equal(bed->stream.why, cases[i].why);
		assert_string_equal(bed->log, "");
		stream_end(&bed->stream);
	}
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serials),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_outside_is_counted),
		cmocka_unit_test(test_unfinished),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_refusing_sink),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_later_messages_need_no_question),
		cmocka_unit_test(test_every_length),
#ifdef HAVE_TLS
		cmocka_unit_test(test_signed),
		cmocka_unit_test(test_unsigned_answer),
		cmocka_unit_test(test_unsigned_refusal),
		cmocka_unit_test(test_last_message_unsigned),
		cmocka_unit_test(test_wrong_signatures),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
