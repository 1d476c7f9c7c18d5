/* SPDX-License-Identifier: BSD-3-Clause */
/* Records: from a transaction through a ring to one line of JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/dns/edns.h"
#include "lib/dns/message.h"
#include "lib/dns/reverse.h"
#include "tests/unit/record_bed.h"

static void the_example_of_the_design(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("teredo.ipv6.microsoft.com."), target = name_of("t.nsatc.net.");

	bed->writer.last_txn = 4710;
	begin(bed, &qname, TYPE_A, 0);
	compose_rr_name(&bed->compose, SECTION_ANSWER, &qname, TYPE_CNAME, 60, &target);
	add_address(bed, "t.nsatc.net.", "65.55.158.118");
	bed->transaction.source = SOURCE_UPSTREAM;
	bed->transaction.action = TRANSACTION_WATCH;
	bed->transaction.zone = 0;
	bed->transaction.rule = "teredo.ipv6.microsoft.com.";
	assert_int_equal(endpoint_from_text(&bed->transaction.upstream, "9.9.9.9:53", 0), TD_OK);
	assert_string_equal(finish(bed), "{\"ts\":\"2026-11-21T20:52:11.123456Z\",\"resolver\":"
					 "\"gw1\",\"txn\":4711,\"client\":\"192.0.2.7\","
					 "\"port\":53124,\"id\":52011,\"proto\":\"udp\",\"query\":"
					 "\"teredo.ipv6.microsoft.com.\",\"type\":\"A\","
					 "\"rcode\":\"NOERROR\",\"action\":\"watch\",\"policy\":"
					 "\"teredo\",\"rule\":\"teredo.ipv6.microsoft.com.\","
					 "\"source\":\"upstream\",\"upstream\":\"9.9.9.9:53\","
					 "\"duration_us\":1234,\"addresses\":[\"65.55.158.118\"],"
					 "\"answers\":[{\"name\":\"teredo.ipv6.microsoft.com.\","
					 "\"type\":\"CNAME\",\"ttl\":60,\"data\":\"t.nsatc.net.\"},"
					 "{\"name\":\"t.nsatc.net.\",\"type\":\"A\",\"ttl\":60,"
					 "\"data\":\"65.55.158.118\"}]}\n");
}

static void tunnels_are_decoded(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("host.example.");

	begin(bed, &qname, TYPE_AAAA, 0);
	add_address(bed, "host.example.", "2001:0:4136:e378:8000:63bf:3fff:fdd2");
	add_address(bed, "host.example.", "2002:c000:204::1");
	add_address(bed, "host.example.", "2001:db8:1:2:200:5efe:c000:204");
	add_address(bed, "host.example.", "2001:db8::1");
	const char *line = finish(bed);
	assert_non_null(strstr(line,
		"\"data\":\"2001:0:4136:e378:8000:63bf:3fff:fdd2\",\"teredo\":{\"server\":"
		"\"65.54.227.120\",\"client\":\"192.0.2.45\",\"port\":40000}}"));
	assert_non_null(strstr(line, "\"data\":\"2002:c000:204::1\",\"sixtofour\":\"192.0.2.4\"}"));
	assert_non_null(strstr(line,
		"\"data\":\"2001:db8:1:2:200:5efe:c000:204\",\"isatap\":\"192.0.2.4\"}"));
	assert_non_null(strstr(line, "\"data\":\"2001:db8::1\"}]}\n"));
}

/* The name of a tunnel's address in the question says as much as the address in an answer; only as
 * the question for a name. */
static void tunnels_in_the_question_are_decoded(void **state)
{
	static const struct {
		const char *address, *expected;
	} cases[] = {
		{"2001:0:4136:e378:8000:63bf:3fff:fdd2",
			"\"type\":\"PTR\",\"teredo\":{\"server\":\"65.54.227.120\",\"client\":"
			"\"192.0.2.45\",\"port\":40000},\"rcode\":"},
		{"2002:c000:204::1", "\"type\":\"PTR\",\"sixtofour\":\"192.0.2.4\",\"rcode\":"},
		{"fe80::5efe:c000:204", "\"type\":\"PTR\",\"isatap\":\"192.0.2.4\",\"rcode\":"},
		{"2001:1::1", "\"type\":\"PTR\",\"rcode\":"},
		{"192.88.99.1", "\"type\":\"PTR\",\"rcode\":"},
	};
	struct bed *bed = *state;
	struct address address;
	struct name qname;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(address_from_text(&address, cases[i].address));
		reverse_name(&address, &qname);
		strbuf_clear(&bed->out);
		begin(bed, &qname, TYPE_PTR, RCODE_NXDOMAIN);
		assert_non_null(strstr(finish(bed), cases[i].expected));
		strbuf_clear(&bed->out);
		begin(bed, &qname, TYPE_TXT, RCODE_NXDOMAIN);
		assert_non_null(strstr(finish(bed), "\"type\":\"TXT\",\"rcode\":"));
	}
}

static void a_hostile_name_forges_nothing(void **state)
{
	struct bed *bed = *state;
	static const char label[] = "a\"}\n{\"client\":\"1\\2\0\x7f\xff.";
	struct name hostile = {.length = 0};
	hostile.wire[0] = sizeof(label) - 1;
	memcpy(hostile.wire + 1, label, sizeof(label) - 1);
	hostile.length = sizeof(label) + 1;

	begin(bed, &hostile, 65280, 0);
	compose_rr_name(&bed->compose, SECTION_ANSWER, &hostile, TYPE_CNAME, 1, &hostile);
	bed->transaction.rule = "*.\"\n";
	bed->transaction.action = TRANSACTION_WATCH;
	const char *line = finish(bed);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	for (const char *at = line; *at; at++)
		assert_true(*at == '\n' || (*at >= 0x20 && *at < 0x7f));
	const char *query = strstr(line, "\"query\":\"");
	assert_non_null(query);
	static const char start[] =
		"a\\u005c\\u0022}\\u005c010{"; /* a \" } \010 {, then escaped as JSON */
	assert_int_equal(strncmp(query + 9, start, sizeof(start) - 1), 0);
	assert_null(strstr(line, "{\"client\":\"1"));
	assert_non_null(strstr(line, "\"type\":\"TYPE65280\""));
	assert_non_null(strstr(line, "\"policy\":null,\"rule\":\"*.\\u0022\\u000a\""));
}

static void blocked_carries_its_ede(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("teredo.example.");
	struct wire_writer *writer = &bed->compose.writer;

	begin(bed, &qname, TYPE_A, RCODE_NXDOMAIN);
	edns_write(writer, false, 0, EDE_BLOCKED, "rule");
	bed->compose.counts[3]++;
	bed->transaction.action = TRANSACTION_BLOCK;
	bed->transaction.zone = 0;
	bed->transaction.rule = "teredo.example.";
	bed->transaction.source = SOURCE_POLICY;
	bed->transaction.tcp = true;
	const char *line = finish(bed);
	assert_non_null(strstr(line, "\"proto\":\"tcp\""));
	assert_non_null(strstr(line, "\"rcode\":\"NXDOMAIN\",\"action\":\"block\""));
	assert_non_null(strstr(line, "\"source\":\"policy\",\"duration_us\":"));
	assert_non_null(strstr(line, "\"addresses\":[],\"answers\":[],\"ede\":15}\n"));
}

static void rcode_has_its_upper_bits(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("a.example.");

	begin(bed, &qname, TYPE_A, 0);
	edns_write(&bed->compose.writer, false, 1, EDE_NONE, NULL);
	bed->compose.counts[3]++;
	bed->transaction.source = SOURCE_ERROR;
	assert_non_null(strstr(
		finish(bed), "\"rcode\":\"BADVERS\",\"action\":\"none\",\"source\":\"error\""));
}

static void without_a_question(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("a.example.");

	begin(bed, &qname, TYPE_A, RCODE_FORMERR);
	bed->transaction.qname = NULL;
	bed->transaction.qname_length = 0;
	bed->transaction.reply_length = 12;
	memset(bed->reply + 4, 0, 8);
	bed->reply[3] = RCODE_FORMERR;
	assert_non_null(strstr(finish(bed), "\"query\":null,\"type\":null,\"rcode\":\"FORMERR\""));
}

static void every_prefix_of_a_reply_is_survived(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("a.example."), target = name_of("b.example.");

	begin(bed, &qname, TYPE_A, 0);
	compose_rr_name(&bed->compose, SECTION_ANSWER, &qname, TYPE_CNAME, 60, &target);
	add_address(bed, "b.example.", "192.0.2.1");
	compose_rr(&bed->compose, SECTION_ANSWER, &target, 16, 60, "\3abc", 4);
	edns_write(&bed->compose.writer, true, 0, EDE_STALE_ANSWER, "x");
	bed->compose.counts[3]++;
	size_t whole = compose_finish(&bed->compose);
	for (size_t length = 0; length <= whole; length++) {
		/* Memory of exactly this size, so that a sanitizer sees a read beyond it. */
		bed->transaction.reply = memcpy(malloc(length + 1), bed->reply, length);
		bed->transaction.reply_length = length;
		size_t size;
		assert_true(record_write(&bed->ring, &bed->transaction, WHEN));
		strbuf_clear(&bed->out);
		record_writer_append(&bed->writer, ring_peek(&bed->ring, &size), &bed->out);
		ring_release(&bed->ring);
		assert_int_equal(bed->out.data[bed->out.length - 1], '\n');
		if (length >= DNS_HEADER_SIZE)
			assert_int_equal(strstr(bed->out.data, "\"cut\":true") != NULL,
				length < whole - 18); /* the OPT */
		free((void *)bed->transaction.reply);
	}
}

static void a_full_ring_counts_and_does_not_wait(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("a.example.");
	unsigned written = 0;

	begin(bed, &qname, TYPE_A, 0);
	bed->transaction.reply_length = compose_finish(&bed->compose);
	while (record_write(&bed->ring, &bed->transaction, WHEN))
		written++;
	assert_true(written > 500);
	assert_int_equal(bed->ring.dropped, 1);
}

static void a_reply_too_large_for_the_ring_is_cut(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("a.example.");
	uint8_t *large = calloc(1, DNS_MESSAGE_MAX);

	begin(bed, &qname, TYPE_A, 0);
	memcpy(large, bed->reply, 12);
	large[7] = 1; /* ANCOUNT */
	bed->transaction.reply = large;
	bed->transaction.reply_length = DNS_MESSAGE_MAX;
	assert_non_null(strstr(finish(bed), "\"client\":\"192.0.2.7\""));
	free(large);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_example_of_the_design),
		TEST(tunnels_are_decoded),
		TEST(tunnels_in_the_question_are_decoded),
		TEST(a_hostile_name_forges_nothing),
		TEST(blocked_carries_its_ede),
		TEST(rcode_has_its_upper_bits),
		TEST(without_a_question),
		TEST(every_prefix_of_a_reply_is_survived),
		TEST(a_full_ring_counts_and_does_not_wait),
		TEST(a_reply_too_large_for_the_ring_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
