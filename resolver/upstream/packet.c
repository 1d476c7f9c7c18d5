/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet that was sent is kept and the reply's question compared with its octets: what has to
 * come back is by construction what went out, and nothing of it is kept twice. Parsing the reply
 * first and comparing fields was rejected, because most of what an attacker sends would then be
 * taken apart before it is thrown away.
 */
#include "resolver/upstream/packet.h"

#include <string.h>

#include "lib/dns/edns.h"
#include "lib/dns/message.h"
#include "lib/dns/wire.h"

#define LABEL_POINTER 0xc0

/* --- composing --- */

static bool is_letter(uint8_t octet)
{
	uint8_t folded = octet | 0x20;

	return folded >= 'a' && folded <= 'z';
}

/* Lengths of labels are below any letter, so the name is a string of octets here. */
static void name_vary(uint8_t *name, size_t length, const uint8_t *bits)
{
	for (size_t i = 0; i < length; i++) {
		if (bits[i / 8] >> i % 8 & 1 && is_letter(name[i]))
			name[i] ^= 0x20;
	}
}

static void write_opt(struct packet *packet, struct wire_writer *writer,
	const struct upstream_question *question, const struct packet_form *form)
{
	edns_write(writer, question->dnssec_ok, 0, EDE_NONE, NULL);
	size_t options = writer->position;

	if (form->cookie_length) {
		wire_write_u16(writer, EDNS_OPTION_COOKIE);
		wire_write_u16(writer, form->cookie_length);
		packet->cookie_offset = (uint16_t)writer->position;
		packet->cookie_length = form->cookie_length;
		wire_write_bytes(writer, form->cookie, form->cookie_length);
	}
	if (question->subnet.sent_length) {
		wire_write_u16(writer, EDNS_OPTION_ECS);
		wire_write_u16(writer, question->subnet.sent_length);
		wire_write_bytes(writer, question->subnet.sent, question->subnet.sent_length);
	}
	if (writer->position > options)
		wire_put_u16(writer->data, writer->size, options - 2,
			(uint16_t)(writer->position - options));
}

void packet_compose(struct packet *packet, const struct upstream_question *question,
	const struct packet_form *form)
{
	struct wire_writer writer = wire_writer_init(packet->octets, sizeof packet->octets);

	packet->cookie_offset = packet->cookie_length = 0;
	packet->without_edns = form->without_edns;
	packet->case_varied = form->vary_case;
	wire_write_u16(&writer, form->id);
	/* AD: what is cached is also for those who ask for AD alone (RFC 6840, 5.7). */
	wire_write_u16(&writer, DNS_FLAG_RD | DNS_FLAG_AD |
					(question->checking_disabled ? DNS_FLAG_CD : 0));
	wire_write_u16(&writer, 1);
	wire_write_u16(&writer, 0);
	wire_write_u16(&writer, 0);
	wire_write_u16(&writer, form->without_edns ? 0 : 1);
	wire_write_bytes(&writer, question->qname.wire, question->qname.length);
	if (form->vary_case)
		name_vary(
			packet->octets + DNS_HEADER_SIZE, question->qname.length, form->case_bits);
	wire_write_u16(&writer, question->qtype);
	wire_write_u16(&writer, CLASS_IN);
	packet->question_end = (uint16_t)writer.position;
	if (!form->without_edns)
		write_opt(packet, &writer, question, form);
	packet->length = (uint16_t)writer.position;
}

uint16_t packet_id(const struct packet *packet)
{
	return (uint16_t)(packet->octets[0] << 8 | packet->octets[1]);
}

void packet_set_id(struct packet *packet, uint16_t id)
{
	wire_put_u16(packet->octets, sizeof packet->octets, 0, id);
}

/* --- matching --- */

bool packet_refuses_edns(const struct packet *sent, uint16_t rcode)
{
	return !sent->without_edns &&
	       (rcode == RCODE_FORMERR || rcode == RCODE_NOTIMP || rcode == RCODE_BADVERS);
}

/* Type and class are compared octet by octet, the name's letters may differ in case. */
static bool question_match(
	const struct packet *sent, const uint8_t *question, struct packet_reply *out)
{
	const uint8_t *asked = sent->octets + DNS_HEADER_SIZE;
	size_t length = sent->question_end - DNS_HEADER_SIZE;
	size_t name = length - 4;

	out->case_kept = memcmp(question, asked, length) == 0;
	return out->case_kept || (memcmp(question + name, asked + name, 4) == 0 &&
					 name_wire_equal(asked, name, question, name));
}

/* Steps over a name without following its pointer. */
static void skip_name(struct wire_reader *reader)
{
	while (reader->error == TD_OK) {
		uint8_t label = wire_read_u8(reader);

		if (label == 0)
			return;
		if (label >= LABEL_POINTER) {
			wire_read_u8(reader);
			return;
		}
		wire_read_bytes(reader, label);
	}
}

/* Leaves the reader of an OPT record's options behind; false when there is no such record. */
static bool find_opt(struct wire_reader *reader, const struct message_header *header,
	struct wire_reader *options, uint8_t *rcode_upper)
{
	unsigned before = (unsigned)header->ancount + header->nscount;
	unsigned count = before + header->arcount;

	for (unsigned i = 0; i < count && reader->error == TD_OK; i++) {
		skip_name(reader);
		uint16_t type = wire_read_u16(reader);
		wire_read_u16(reader);
		uint8_t upper = wire_read_u8(reader);
		wire_read_bytes(reader, 3);
		uint16_t length = wire_read_u16(reader);
		const uint8_t *rdata = wire_read_bytes(reader, length);

		if (!rdata || i < before || type != TYPE_OPT)
			continue;
		*options = wire_reader_init(rdata, length);
		*rcode_upper = upper;
		return true;
	}
	return false;
}

static void read_cookie(
	const struct packet *sent, const uint8_t *cookie, size_t length, struct packet_reply *out)
{
	size_t server = length - COOKIE_CLIENT_SIZE;

	out->cookie = PACKET_COOKIE_WRONG;
	if (length < COOKIE_CLIENT_SIZE || server > COOKIE_SERVER_MAX ||
		(server > 0 && server < COOKIE_SERVER_MIN) ||
		memcmp(cookie, sent->octets + sent->cookie_offset, COOKIE_CLIENT_SIZE) != 0)
		return;
	out->cookie = PACKET_COOKIE_RIGHT;
	out->server_cookie = cookie + COOKIE_CLIENT_SIZE;
	out->server_cookie_length = (uint8_t)server;
}

/* Of several cookies the first counts (RFC 7873, 5.3). */
static void read_options(
	const struct packet *sent, struct wire_reader *options, struct packet_reply *out)
{
	while (wire_left(options) > 0) {
		uint16_t code = wire_read_u16(options);
		uint16_t length = wire_read_u16(options);
		const uint8_t *body = wire_read_bytes(options, length);

		if (!body)
			return;
		if (code == EDNS_OPTION_COOKIE) {
			read_cookie(sent, body, length, out);
			return;
		}
	}
}

static void read_opt(const struct packet *sent, struct wire_reader *reader,
	const struct message_header *header, struct packet_reply *out)
{
	struct wire_reader options;
	uint8_t upper;

	if (header->arcount == 0 || !find_opt(reader, header, &options, &upper))
		return;
	out->rcode |= (uint16_t)(upper << 4);
	if (sent->cookie_length)
		read_options(sent, &options, out);
}

/*
 * Servers that know no EDNS may send a header alone back (RFC 6891, 7); it counts as a reason to
 * ask without, never as an answer.
 */
bool packet_match(
	const struct packet *sent, const uint8_t *reply, size_t size, struct packet_reply *out)
{
	struct wire_reader reader = wire_reader_init(reply, size);
	struct message_header header = message_read_header(&reader);

	*out = (struct packet_reply){
		.flags = header.flags, .rcode = header.flags & DNS_FLAG_RCODE, .case_kept = true};
	if (reader.error != TD_OK || header.id != packet_id(sent) ||
		!(header.flags & DNS_FLAG_QR) || (header.flags & DNS_FLAG_OPCODE))
		return false;
	if (header.qdcount == 0)
		return packet_refuses_edns(sent, out->rcode);
	if (header.qdcount != 1)
		return false;
	out->has_question = true;
	const uint8_t *question = wire_read_bytes(&reader, sent->question_end - DNS_HEADER_SIZE);

	if (!question || !question_match(sent, question, out))
		return false;
	if (!sent->without_edns)
		read_opt(sent, &reader, &header, out);
	return true;
}

void packet_restore_question(const struct upstream_question *question, uint8_t *reply, size_t size)
{
	struct wire_writer writer = wire_writer_init(reply, size);

	wire_write_room(&writer, DNS_HEADER_SIZE);
	wire_write_bytes(&writer, question->qname.wire, question->qname.length);
}
