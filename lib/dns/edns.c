/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The OPT record. Options are checked for being well formed, and those that a reply answers are
 * noted: the client's are never passed on, and none of them changes the records of an answer.
 */
#include "lib/dns/edns.h"

#include <string.h>

#define EDE_TEXT_MAX 64
#define OPT_EMPTY_SIZE 11 /* root owner, type, class, TTL, RDLENGTH */

/* RFC 7873, 5.2.2: the client's 8 octets alone, or with a server cookie of 8 to 32. */
static bool cookie_length_valid(size_t length)
{
	return length == 8 || (length >= 16 && length <= 40);
}

/* Checks each option's length, and notes those that are answered. Of two cookies the first counts
 * (RFC 7873, 5.2). */
static bool options_read(const uint8_t *message, struct wire_reader *options, struct edns *out)
{
	while (wire_left(options) > 0) {
		uint16_t code = wire_read_u16(options);
		uint16_t length = wire_read_u16(options);
		const uint8_t *data = wire_read_bytes(options, length);
		if (!data)
			return false;
		if (code == EDNS_OPTION_COOKIE) {
			if (!cookie_length_valid(length))
				return false;
			if (out->cookie_length == 0) {
				out->cookie_offset = (uint16_t)(data - message);
				out->cookie_length = (uint8_t)length;
			}
		} else if (code == EDNS_OPTION_ECS && out->subnet_length == 0) {
			out->subnet_offset = (uint16_t)(data - message);
			out->subnet_length = length;
		} else if (code == EDNS_OPTION_KEEPALIVE && length == 0) {
			out->keepalive = true;
		}
	}
	return true;
}

enum td_error edns_parse(
	const uint8_t *message, size_t size, const struct message_rr *rr, struct edns *out)
{
	*out = (struct edns){0};
	if (rr->owner.length != 1)
		return TD_MALFORMED;
	struct wire_reader reader = wire_reader_init(message, size);
	wire_read_bytes(&reader, rr->rdata_offset);
	const uint8_t *rdata = wire_read_bytes(&reader, rr->rdata_length);
	struct wire_reader options = wire_reader_init(rdata, rr->rdata_length);
	if (!rdata || !options_read(message, &options, out)) {
		*out = (struct edns){0};
		return TD_MALFORMED;
	}
	out->present = true;
	out->options_offset = (uint16_t)rr->rdata_offset;
	out->options_length = rr->rdata_length;
	out->extended_rcode = (uint8_t)(rr->ttl >> 24);
	out->version = (uint8_t)(rr->ttl >> 16);
	out->dnssec_ok = rr->ttl & 0x8000;
	out->udp_payload = rr->rr_class;
	return TD_OK;
}

bool edns_find(const uint8_t *message, size_t size, struct edns *out)
{
	struct wire_reader reader = wire_reader_init(message, size);
	struct message_header header = message_read_header(&reader);
	unsigned count = (unsigned)header.ancount + header.nscount + header.arcount;
	struct name qname;
	uint16_t qtype, qclass;
	struct message_rr rr;

	for (unsigned i = 0; i < header.qdcount && reader.error == TD_OK; i++)
		message_read_question(&reader, &qname, &qtype, &qclass);
	while (reader.error == TD_OK && count-- > 0) {
		if (message_read_rr(&reader, &rr) && rr.type == TYPE_OPT)
			return edns_parse(message, size, &rr, out) == TD_OK;
	}
	return false;
}

/* EXTRA-TEXT is UTF-8 (RFC 8914, 2), so it is not cut within a character. */
static size_t text_length(const char *text)
{
	size_t length = text ? strnlen(text, EDE_TEXT_MAX + 1) : 0;
	if (length <= EDE_TEXT_MAX)
		return length;
	length = EDE_TEXT_MAX;
	while (length > 0 && (text[length] & 0xc0) == 0x80)
		length--;
	return length;
}

/* With its code and length; 0: there is none. */
static size_t ede_size(const struct edns_content *content)
{
	return content->ede == EDE_NONE ? 0 : 6 + text_length(content->ede_text);
}

size_t edns_content_size(const struct edns_content *content)
{
	return OPT_EMPTY_SIZE + ede_size(content) +
	       (content->cookie_length ? 4 + content->cookie_length : 0) +
	       (content->subnet_length ? 4 + content->subnet_length : 0) +
	       (content->keepalive_ds ? 6 : 0);
}

static void write_ede(struct wire_writer *writer, const struct edns_content *content)
{
	size_t length = text_length(content->ede_text);

	wire_write_u16(writer, EDNS_OPTION_EDE);
	wire_write_u16(writer, (uint16_t)(2 + length));
	wire_write_u16(writer, (uint16_t)content->ede);
	wire_write_bytes(writer, content->ede_text, length);
}

/* Nothing where there are no octets. */
static void write_option(
	struct wire_writer *writer, uint16_t code, const uint8_t *octets, size_t length)
{
	if (length == 0)
		return;
	wire_write_u16(writer, code);
	wire_write_u16(writer, (uint16_t)length);
	wire_write_bytes(writer, octets, length);
}

void edns_write_content(struct wire_writer *writer, bool dnssec_ok, uint8_t extended_rcode,
	const struct edns_content *content)
{
	wire_write_u8(writer, 0);
	wire_write_u16(writer, TYPE_OPT);
	wire_write_u16(writer, DNS_UDP_PAYLOAD);
	wire_write_u8(writer, extended_rcode);
	wire_write_u8(writer, 0);
	wire_write_u16(writer, dnssec_ok ? 0x8000 : 0);
	wire_write_u16(writer, (uint16_t)(edns_content_size(content) - OPT_EMPTY_SIZE));
	write_option(writer, EDNS_OPTION_ECS, content->subnet, content->subnet_length);
	write_option(writer, EDNS_OPTION_COOKIE, content->cookie, content->cookie_length);
	if (content->keepalive_ds) {
		wire_write_u16(writer, EDNS_OPTION_KEEPALIVE);
		wire_write_u16(writer, 2);
		wire_write_u16(writer, content->keepalive_ds);
	}
	if (content->ede != EDE_NONE)
		write_ede(writer, content);
}

void edns_write(struct wire_writer *writer, bool dnssec_ok, uint8_t extended_rcode,
	enum ede_code code, const char *text)
{
	edns_write_content(writer, dnssec_ok, extended_rcode,
		&(struct edns_content){.ede = code, .ede_text = text});
}

size_t edns_size(enum ede_code code, const char *text)
{
	return edns_content_size(&(struct edns_content){.ede = code, .ede_text = text});
}
