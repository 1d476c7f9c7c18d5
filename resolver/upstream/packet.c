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

void packet_compose(struct packet *packet, const struct upstream_question *question,
	const struct packet_form *form)
{
	struct wire_writer writer = wire_writer_init(packet->octets, sizeof packet->octets);

	wire_write_u16(&writer, form->id);
	/* AD: what is cached is also for those who ask for AD alone (RFC 6840, 5.7). */
	wire_write_u16(&writer, DNS_FLAG_RD | DNS_FLAG_AD |
					(question->checking_disabled ? DNS_FLAG_CD : 0));
	wire_write_u16(&writer, 1);
	wire_write_u16(&writer, 0);
	wire_write_u16(&writer, 0);
	wire_write_u16(&writer, form->without_edns ? 0 : 1);
	wire_write_bytes(&writer, question->qname.wire, question->qname.length);
	wire_write_u16(&writer, question->qtype);
	wire_write_u16(&writer, CLASS_IN);
	packet->question_end = (uint16_t)writer.position;
	packet->without_edns = form->without_edns;
	if (!form->without_edns)
		edns_write(&writer, question->dnssec_ok, 0, EDE_NONE, NULL);
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

bool packet_refuses_edns(const struct packet *sent, uint16_t flags)
{
	uint16_t rcode = flags & DNS_FLAG_RCODE;

	return !sent->without_edns && (rcode == RCODE_FORMERR || rcode == RCODE_NOTIMP);
}

/* Type and class are compared octet by octet, the name's letters may differ in case. */
static enum packet_match question_match(const struct packet *sent, const uint8_t *question)
{
	const uint8_t *asked = sent->octets + DNS_HEADER_SIZE;
	size_t length = sent->question_end - DNS_HEADER_SIZE;
	size_t name = length - 4;

	if (memcmp(question, asked, length) == 0)
		return PACKET_REPLY;
	if (memcmp(question + name, asked + name, 4) != 0 ||
		!name_wire_equal(asked, name, question, name))
		return PACKET_STRANGE;
	return PACKET_OTHER_CASE;
}

/*
 * Servers that know no EDNS may send a header alone back (RFC 6891, 7); it counts as a reason to
 * ask without, never as an answer.
 */
enum packet_match packet_match(
	const struct packet *sent, const uint8_t *reply, size_t size, uint16_t *flags)
{
	struct wire_reader reader = wire_reader_init(reply, size);
	struct message_header header = message_read_header(&reader);

	*flags = header.flags;
	if (reader.error != TD_OK || header.id != packet_id(sent) ||
		!(header.flags & DNS_FLAG_QR) || (header.flags & DNS_FLAG_OPCODE))
		return PACKET_STRANGE;
	if (header.qdcount == 0 && packet_refuses_edns(sent, header.flags))
		return PACKET_REPLY;
	if (header.qdcount != 1)
		return PACKET_STRANGE;
	const uint8_t *question = wire_read_bytes(&reader, sent->question_end - DNS_HEADER_SIZE);

	return question ? question_match(sent, question) : PACKET_STRANGE;
}
