/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients' queries. What is answered was understood to its last octet, by the general reader too.
 */
#include <string.h>

#include "lib/dns/request.h"
#include "tests/fuzz/fuzz.h"

/* The general reader comes to the same question and the same end. */
static void check_answer(const uint8_t *data, size_t size, const struct request *request)
{
	struct wire_reader reader = wire_reader_init(data, size);
	struct message_header header = message_read_header(&reader);
	unsigned records = (unsigned)header.ancount + header.nscount + header.arcount;
	struct name qname;
	uint16_t qtype, qclass;
	struct message_rr rr;
	message_read_question(&reader, &qname, &qtype, &qclass);
	while (records-- > 0)
		FUZZ_CHECK(message_read_rr(&reader, &rr));
	FUZZ_CHECK(reader.error == TD_OK && wire_left(&reader) == 0);
	FUZZ_CHECK(qtype == request->qtype && qclass == CLASS_IN);
	FUZZ_CHECK(qname.length == request->qname_length &&
		   !memcmp(qname.wire, request->qname, qname.length));
	FUZZ_CHECK(
		name_wire_equal(qname.wire, qname.length, request->folded, request->qname_length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request request;
	uint16_t rcode = 0;
	enum request_verdict verdict = request_parse(data, size, &request, &rcode);
	FUZZ_CHECK((verdict == REQUEST_DROP) == (size < DNS_HEADER_SIZE || data[2] & 0x80));
	FUZZ_CHECK((verdict == REQUEST_ERROR) == (rcode != 0));
	FUZZ_CHECK(verdict == REQUEST_DROP || request.edns.cookie_length == 0 ||
		   (request.edns.cookie_offset >= request.edns.options_offset + 4 &&
			   request.edns.cookie_offset + request.edns.cookie_length <= size));
	if (verdict == REQUEST_ANSWER)
		check_answer(data, size, &request);
	return 0;
}
