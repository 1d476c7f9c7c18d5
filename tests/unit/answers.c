/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lib/dns/compose.h"
#include "lib/dns/message.h"

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	return name;
}

void make_reply(struct answer *answer, const char *qname, unsigned rcode, const char *owner,
	unsigned first, unsigned addresses)
{
	struct name target = name_of(owner);
	struct compose compose;

	answer->qname = name_of(qname);
	compose_begin(&compose, answer->reply, sizeof(answer->reply), 1,
		(uint16_t)(DNS_FLAG_QR | rcode), answer->qname.wire, answer->qname.length, TYPE_A,
		CLASS_IN);
	if (strcmp(qname, owner) != 0)
		compose_rr_name(&compose, SECTION_ANSWER, &answer->qname, TYPE_CNAME, 60, &target);
	for (unsigned i = 0; i < addresses; i++) {
		uint8_t octets[4] = {192, 0, 2, (uint8_t)(first + i)};
		assert_true(
			compose_rr(&compose, SECTION_ANSWER, &target, TYPE_A, 60, octets, 4) != 0);
	}
	answer->length = compose_finish(&compose);
	assert_true(answer->length > 0);
}

void make_answer(struct answer *answer, const char *qname, unsigned address)
{
	make_reply(answer, qname, RCODE_NOERROR, qname, address, address ? 1 : 0);
}

struct transaction transaction_of(const struct answer *answer, uint32_t client, uint64_t answer_id)
{
	uint8_t octets[4] = {10, (uint8_t)(client >> 16), (uint8_t)(client >> 8), (uint8_t)client};

	return (struct transaction){
		.client = {.address = address_v4(octets), .port = 5353},
		.qname = answer->qname.wire,
		.qname_length = answer->qname.length,
		.qtype = TYPE_A,
		.reply = answer->reply,
		.reply_length = answer->length,
		.source = SOURCE_CACHE,
		.zone = ZONE_ID_NONE,
		.answer_id = answer_id,
	};
}
