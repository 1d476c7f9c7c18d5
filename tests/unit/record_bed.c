/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/dns/message.h"
#include "tests/unit/record_bed.h"

struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	return name;
}

int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	if (!bed || !ring_init(&bed->ring, 256 << 10))
		return -1;
	zone_ids_init(&bed->zones);
	zone_ids_add(&bed->zones, "teredo");
	record_writer_init(&bed->writer, "gw1", &bed->zones);
	strbuf_init(&bed->out);
	*state = bed;
	return 0;
}

int teardown(void **state)
{
	struct bed *bed = *state;

	ring_deinit(&bed->ring);
	zone_ids_deinit(&bed->zones);
	record_writer_deinit(&bed->writer);
	strbuf_deinit(&bed->out);
	free(bed);
	return 0;
}

void begin(struct bed *bed, const struct name *qname, uint16_t qtype, uint16_t flags)
{
	bed->qname = *qname;
	compose_begin(&bed->compose, bed->reply, sizeof(bed->reply), 52011,
		(uint16_t)(DNS_FLAG_QR | flags), qname->wire, qname->length, qtype, CLASS_IN);
	bed->transaction = (struct transaction){
		.id = 52011,
		.qname = bed->qname.wire,
		.qname_length = bed->qname.length,
		.qtype = qtype,
		.reply = bed->reply,
		.source = SOURCE_CACHE,
		.zone = ZONE_ID_NONE,
		.duration_us = 1234,
	};
	assert_int_equal(endpoint_from_text(&bed->transaction.client, "192.0.2.7:53124", 0), TD_OK);
}

void add_address(struct bed *bed, const char *owner, const char *text)
{
	struct name name = name_of(owner);
	struct address address;

	assert_true(address_from_text(&address, text));
	assert_true(compose_rr(&bed->compose, SECTION_ANSWER, &name,
			    address.family == 4 ? TYPE_A : TYPE_AAAA, 60, address.octets,
			    address_octets(&address)) != 0);
}

const char *finish(struct bed *bed)
{
	size_t length;

	if (bed->transaction.reply_length == 0)
		bed->transaction.reply_length = compose_finish(&bed->compose);
	assert_true(bed->transaction.reply_length > 0);
	assert_true(record_write(&bed->ring, &bed->transaction, WHEN));
	const struct record *record = ring_peek(&bed->ring, &length);
	assert_non_null(record);
	strbuf_clear(&bed->out);
	record_writer_append(&bed->writer, record, &bed->out);
	ring_release(&bed->ring);
	assert_false(bed->out.failed);
	return bed->out.data;
}
