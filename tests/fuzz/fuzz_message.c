/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole messages: every record read, printed, and compared with ldns. Our reader leaves RDATA alone
 * and ldns does not, so a copy is compared in which every record has a type that nobody knows: ldns
 * must take what we take, with the same contents. Known differences: we refuse and ldns takes
 * pointers that do not point backwards, more than 127 pointers in a name, octets behind the last
 * record; ldns refuses and we take a pointer to the very first octet.
 */
#include <ldns/ldns.h>
#include <string.h>

#include "lib/dns/edns.h"
#include "lib/dns/text.h"
#include "tests/fuzz/fuzz.h"

#define RECORDS_MAX 6000

struct walk {
	size_t count;
	struct message_rr *records;
	uint16_t sections[4];
};

/* Reads everything; false when any of it is malformed or something is left. */
static bool walk_message(const uint8_t *data, size_t size, struct walk *walk)
{
	struct wire_reader reader = wire_reader_init(data, size);
	struct message_header header = message_read_header(&reader);
	struct name qname;
	uint16_t qtype, qclass;
	size_t records = (size_t)header.ancount + header.nscount + header.arcount;
	for (unsigned i = 0; i < header.qdcount && reader.error == TD_OK; i++)
		message_read_question(&reader, &qname, &qtype, &qclass);
	walk->sections[0] = header.qdcount;
	walk->sections[1] = header.ancount;
	walk->sections[2] = header.nscount;
	walk->sections[3] = header.arcount;
	for (walk->count = 0; walk->count < records; walk->count++) {
		if (walk->count == RECORDS_MAX ||
			!message_read_rr(&reader, &walk->records[walk->count]))
			return false;
	}
	return reader.error == TD_OK && wire_left(&reader) == 0;
}

static void check_text(const uint8_t *data, size_t size, const struct message_rr *rr)
{
	struct strbuf text;
	struct name name;
	struct edns edns;
	strbuf_init(&text);
	rdata_to_text(&text, data, size, rr);
	FUZZ_CHECK(text.length > 0 || rr->rdata_length == 0);
	for (size_t i = 0; i < text.length; i++)
		FUZZ_CHECK(text.data[i] >= 0x20 && text.data[i] < 0x7f);
	for (size_t skip = 0; skip <= 6; skip += 2) {
		if (message_rdata_name(data, size, rr, skip, &name))
			FUZZ_CHECK(name_wire_length(name.wire, name.length) == name.length);
	}
	edns_parse(data, size, rr, &edns);
	strbuf_deinit(&text);
}

static void check_record(const uint8_t *data, const struct message_rr *ours, const ldns_rr *theirs)
{
	const ldns_rdf *rdf = ldns_rr_rdf(theirs, 0);
	FUZZ_CHECK(ldns_rdf_size(ldns_rr_owner(theirs)) == ours->owner.length);
	FUZZ_CHECK(!memcmp(
		ldns_rdf_data(ldns_rr_owner(theirs)), ours->owner.wire, ours->owner.length));
	FUZZ_CHECK(ldns_rr_ttl(theirs) == ours->ttl);
	FUZZ_CHECK(ldns_rr_get_class(theirs) == (ldns_rr_class)ours->rr_class);
	FUZZ_CHECK(ldns_rr_rd_count(theirs) == (ours->rdata_length > 0));
	if (rdf) {
		FUZZ_CHECK(ldns_rdf_size(rdf) == ours->rdata_length);
		FUZZ_CHECK(
			!memcmp(ldns_rdf_data(rdf), data + ours->rdata_offset, ours->rdata_length));
	}
}

/* data is a copy in which every type is unknown. */
static void check_against_ldns(const uint8_t *data, size_t size, const struct walk *walk)
{
	ldns_pkt *packet = NULL;
	ldns_status status = ldns_wire2pkt(&packet, data, size);
	if (status == LDNS_STATUS_INVALID_POINTER)
		return;
	FUZZ_CHECK(status == LDNS_STATUS_OK);
	ldns_rr_list *const lists[] = {
		ldns_pkt_answer(packet), ldns_pkt_authority(packet), ldns_pkt_additional(packet)};
	size_t at = 0;
	FUZZ_CHECK(ldns_rr_list_rr_count(ldns_pkt_question(packet)) == walk->sections[0]);
	for (size_t section = 0; section < 3; section++) {
		FUZZ_CHECK(ldns_rr_list_rr_count(lists[section]) == walk->sections[1 + section]);
		for (size_t i = 0; i < walk->sections[1 + section]; i++)
			check_record(
				data, &walk->records[at++], ldns_rr_list_rr(lists[section], i));
	}
	ldns_pkt_free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct message_rr records[RECORDS_MAX];
	struct walk walk = {.records = records};
	bool whole = walk_message(data, size, &walk);
	for (size_t i = 0; i < walk.count && i < 50; i++)
		check_text(data, size, &records[i]);
	if (!whole)
		return 0;
	uint8_t *copy = malloc(size);
	FUZZ_CHECK(copy);
	memcpy(copy, data, size);
	for (size_t i = 0; i < walk.count; i++)
		wire_put_u16(copy, size, records[i].ttl_offset - 4, 65280);
	/* A name may have led through a type, so the copy is read again. */
	if (walk_message(copy, size, &walk))
		check_against_ldns(copy, size, &walk);
	free(copy);
	return 0;
}
