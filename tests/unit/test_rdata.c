/* SPDX-License-Identifier: BSD-3-Clause */
/* RDATA means the same without the message it came in, or is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/rdata.h"

#define PLAIN "\003rpz\007example" /* its root label is the NUL behind it */

/* A message that is a header and a name, then RDATA. */
struct bed {
	uint8_t message[256];
	size_t size;
	struct message_rr rr;
	uint8_t scratch[RDATA_SCRATCH];
	const uint8_t *rdata;
	size_t length;
};

static enum td_error take(struct bed *bed, uint16_t type, const void *rdata, size_t length)
{
	memset(bed->message, 0, DNS_HEADER_SIZE);
	memcpy(bed->message + 12, PLAIN, sizeof PLAIN);
	memcpy(bed->message + 12 + sizeof PLAIN, rdata, length);
	bed->size = 12 + sizeof PLAIN + length;
	bed->rr = (struct message_rr){
		.type = type, .rdata_offset = 12 + sizeof PLAIN, .rdata_length = (uint16_t)length};
	return rdata_plain(
		bed->message, bed->size, &bed->rr, bed->scratch, &bed->rdata, &bed->length);
}

#define assert_plain(bed, type, in, out)                                      \
	do {                                                                  \
		assert_int_equal(take(bed, type, in, sizeof(in) - 1), TD_OK); \
		assert_int_equal((bed)->length, sizeof(out) - 1);             \
		assert_memory_equal((bed)->rdata, out, sizeof(out) - 1);      \
	} while (0)

static void test_names(void **state)
{
	struct bed bed;

	(void)state;
	assert_plain(&bed, TYPE_CNAME, "\300\014", PLAIN "\000");
	assert_plain(&bed, TYPE_NS, "\002ns\300\014", "\002ns" PLAIN "\000");
	assert_plain(&bed, TYPE_MX, "\000\012\300\014", "\000\012" PLAIN "\000");
	assert_plain(&bed, TYPE_SRV, "123456\300\014", "123456" PLAIN "\000");
	assert_plain(&bed, TYPE_SOA, "\300\014\300\02012345678901234567890",
		PLAIN "\000\007example\00012345678901234567890");
	assert_plain(&bed, 35 /* NAPTR */, "1234\001a\000\001b\300\014",
		"1234\001a\000\001b" PLAIN "\000");
	assert_plain(&bed, TYPE_CNAME, "\000", "\000");
}

static void test_octets(void **state)
{
	struct bed bed;

	(void)state;
	assert_plain(&bed, TYPE_A, "1234", "1234");
	assert_plain(&bed, TYPE_TXT, "\002\300\014", "\002\300\014");
	assert_plain(&bed, 65280, "", "");
	assert_ptr_equal(bed.rdata, bed.message + bed.rr.rdata_offset);
}

static void test_faults(void **state)
{
	struct bed bed;

	(void)state;
	assert_int_equal(take(&bed, TYPE_A, "123", 3), TD_MALFORMED);
	assert_int_equal(take(&bed, TYPE_AAAA, "1234", 4), TD_MALFORMED);
	assert_int_equal(take(&bed, TYPE_CNAME, "", 0), TD_MALFORMED);
	assert_int_equal(take(&bed, TYPE_CNAME, "\300\014x", 3), TD_MALFORMED);
	assert_int_equal(take(&bed, TYPE_CNAME, "\003ab", 3), TD_MALFORMED);
	assert_int_equal(take(&bed, TYPE_CNAME, "\300\031", 2), TD_MALFORMED); /* to itself */
	assert_int_equal(
		take(&bed, TYPE_SOA, "\300\014\300\0201234567890123456789", 23), TD_MALFORMED);
	assert_int_equal(take(&bed, TYPE_MX, "\000", 1), TD_MALFORMED);
	assert_int_equal(take(&bed, 35, "1234\377", 5), TD_MALFORMED);
	bed.size--;
	assert_int_equal(
		rdata_plain(bed.message, bed.size, &bed.rr, bed.scratch, &bed.rdata, &bed.length),
		TD_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
