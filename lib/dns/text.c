/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text and wire. ldns knows the presentation format of some seventy types, which nobody should
 * write again; it is given as little as possible. From zone text it gets the RDATA alone, behind an
 * owner, TTL and class of our own making, cut into well-formed tokens with single spaces; what it
 * returns is read again from its wire form. From a message it gets one RDATA, and what it prints is
 * checked to be plain ASCII. Names, addresses, CNAMEs and the form of RFC 3597 are our own code:
 * they are nine tenths of all lines and records.
 */
#include "lib/dns/text.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/hex.h"
#include "lib/dns/address.h"

#define LINE_MAX_LENGTH 65535
#define TTL_MAX UINT32_C(0x7fffffff) /* RFC 2181, 8 */

/* Types. */

static const struct {
	uint16_t type;
	const char *name;
} meta_types[] = {
	{TYPE_IXFR, "IXFR"},
	{TYPE_AXFR, "AXFR"},
	{253, "MAILB"},
	{254, "MAILA"},
	{TYPE_ANY, "ANY"},
};

/* The row of a type that ldns knows by name; NULL for others. */
static const ldns_rr_descriptor *known_type(uint16_t type)
{
	const ldns_rr_descriptor *descriptor = ldns_rr_descript(type);
	if (type == 0 || !descriptor || descriptor->_type != (ldns_rr_type)type)
		return NULL;
	return descriptor;
}

/*
 * Types left to the form of RFC 3597: those without a presentation format, and WKS, for which ldns
 * asks the services database of the system.
 */
static bool is_opaque(uint16_t type)
{
	switch (type) {
	case LDNS_RR_TYPE_NULL:
	case LDNS_RR_TYPE_WKS:
	case LDNS_RR_TYPE_OPT:
	case LDNS_RR_TYPE_TKEY:
	case LDNS_RR_TYPE_TSIG:
		return true;
	default:
		return !known_type(type);
	}
}

const char *type_to_text(uint16_t type, char *out)
{
	const ldns_rr_descriptor *descriptor = known_type(type);
	const char *name = descriptor ? descriptor->_name : NULL;
	for (size_t i = 0; i < sizeof(meta_types) / sizeof(meta_types[0]); i++) {
		if (meta_types[i].type == type)
			name = meta_types[i].name;
	}
	if (name)
		snprintf(out, TYPE_TEXT_MAX, "%s", name);
	else
		snprintf(out, TYPE_TEXT_MAX, "TYPE%u", type);
	return out;
}

/* All of text, one to five digits, up to 65535. */
static bool u16_from_text(uint16_t *out, const char *text)
{
	unsigned value = 0;
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 5 || text[digits] != '\0')
		return false;
	for (; *text; text++)
		value = value * 10 + (unsigned)(*text - '0');
	*out = (uint16_t)value;
	return value <= UINT16_MAX;
}

bool type_from_text(uint16_t *out, const char *text)
{
	if (strncasecmp(text, "TYPE", 4) == 0)
		return u16_from_text(out, text + 4);
	for (size_t i = 0; i < sizeof(meta_types) / sizeof(meta_types[0]); i++) {
		if (strcasecmp(text, meta_types[i].name) == 0) {
			*out = meta_types[i].type;
			return true;
		}
	}
	if (strlen(text) >= TYPE_TEXT_MAX)
		return false;
	unsigned type = (unsigned)ldns_get_rr_type_by_name(text);
	if (type == 0 || type > UINT16_MAX || !known_type((uint16_t)type))
		return false;
	*out = (uint16_t)type;
	return true;
}

const char *rcode_to_text(uint16_t rcode)
{
	static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",
		"REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"};
	static _Thread_local char unnamed[12];
	if (rcode < sizeof(names) / sizeof(names[0]))
		return names[rcode];
	if (rcode == RCODE_BADVERS)
		return "BADVERS";
	snprintf(unnamed, sizeof(unnamed), "RCODE%u", rcode);
	return unnamed;
}

/* Types whose text ldns 1.8.3 must not read: it leaks memory when it finds a fault. */
static bool is_leaky(uint16_t type)
{
	return type == LDNS_RR_TYPE_IPSECKEY || type == LDNS_RR_TYPE_CERT;
}

/* Wire to text. */

/* Reads length octets of RDATA at offset (its RDLENGTH stands before it). NULL when they do not fit
 * the type. */
static ldns_rr *rdata_parse(
	uint16_t type, const uint8_t *wire, size_t size, size_t offset, size_t length)
{
	const ldns_rr_descriptor *descriptor = known_type(type);
	size_t position = offset - 2;
	ldns_rr *rr = ldns_rr_new();
	if (!rr)
		return NULL;
	ldns_rr_set_type(rr, (ldns_rr_type)type);
	bool fits = ldns_wire2rdf(rr, wire, size, &position) == LDNS_STATUS_OK &&
		    position == offset + length &&
		    ldns_rr_rd_count(rr) >= ldns_rr_descriptor_minimum(descriptor);
	for (size_t i = 0; fits && i < ldns_rr_rd_count(rr); i++)
		fits = ldns_rr_rdf(rr, i) != NULL;
	if (fits)
		return rr;
	ldns_rr_free(rr);
	return NULL;
}

static void name_append(struct strbuf *out, const uint8_t *wire)
{
	char text[NAME_TEXT_MAX];
	strbuf_append(out, text, name_to_text(wire, text));
}

/* One field: names as we write them, everything else as ldns does. */
static bool rdf_append(struct strbuf *out, const ldns_rdf *rdf)
{
	if (ldns_rdf_get_type(rdf) == LDNS_RDF_TYPE_DNAME) {
		if (name_wire_length(ldns_rdf_data(rdf), ldns_rdf_size(rdf)) != ldns_rdf_size(rdf))
			return false;
		name_append(out, ldns_rdf_data(rdf));
		return true;
	}
	ldns_buffer *text = ldns_buffer_new(LDNS_MIN_BUFLEN);
	if (!text)
		return false;
	bool printed = ldns_rdf2buffer_str(text, rdf) == LDNS_STATUS_OK;
	const uint8_t *bytes = ldns_buffer_begin(text);
	size_t length = ldns_buffer_position(text);
	while (length > 0 && bytes[length - 1] == ' ') /* after the types of an NSEC record */
		length--;
	for (size_t i = 0; printed && i < length; i++)
		printed = bytes[i] >= 0x20 && bytes[i] < 0x7f;
	if (printed)
		strbuf_append(out, bytes, length);
	ldns_buffer_free(text);
	return printed;
}

static bool rdata_append_by_ldns(
	struct strbuf *out, const uint8_t *message, size_t size, const struct message_rr *rr)
{
	if (is_opaque(rr->type))
		return false;
	ldns_rr *parsed = rdata_parse(rr->type, message, size, rr->rdata_offset, rr->rdata_length);
	if (!parsed)
		return false;
	bool printed = true;
	for (size_t i = 0; printed && i < ldns_rr_rd_count(parsed); i++) {
		if (i)
			strbuf_append_char(out, ' ');
		printed = rdf_append(out, ldns_rr_rdf(parsed, i));
	}
	ldns_rr_free(parsed);
	return printed;
}

/* A preference, where the type has one, then a name that ends with the RDATA. */
static bool rdata_append_name(struct strbuf *out, struct wire_reader *rdata, bool has_preference)
{
	struct name name;
	uint16_t preference = has_preference ? wire_read_u16(rdata) : 0;
	name_read(rdata, &name);
	if (rdata->error != TD_OK || wire_left(rdata) > 0)
		return false;
	if (has_preference) {
		strbuf_append_u64(out, preference);
		strbuf_append_char(out, ' ');
	}
	name_append(out, name.wire);
	return true;
}

static bool rdata_append_address(struct strbuf *out, struct wire_reader *rdata, size_t octets)
{
	char text[ADDRESS_TEXT_MAX];
	if (wire_left(rdata) != octets)
		return false;
	const uint8_t *bytes = wire_read_bytes(rdata, octets);
	struct address address = octets == 4 ? address_v4(bytes) : address_v6(bytes);
	strbuf_append_text(out, address_to_text(&address, text));
	return true;
}

/* The types of our own code; false for others, and when the RDATA does not fit its type. */
static bool rdata_append_common(struct strbuf *out, struct wire_reader rdata, uint16_t type)
{
	switch (type) {
	case TYPE_A:
		return rdata_append_address(out, &rdata, 4);
	case TYPE_AAAA:
		return rdata_append_address(out, &rdata, 16);
	case TYPE_CNAME:
	case TYPE_NS:
	case TYPE_PTR:
	case TYPE_DNAME:
		return rdata_append_name(out, &rdata, false);
	case TYPE_MX:
		return rdata_append_name(out, &rdata, true);
	default:
		return false;
	}
}

static bool is_common(uint16_t type)
{
	return type == TYPE_A || type == TYPE_AAAA || type == TYPE_CNAME || type == TYPE_NS ||
	       type == TYPE_PTR || type == TYPE_DNAME || type == TYPE_MX;
}

/* "\# LENGTH HEX" (RFC 3597, 5). */
static void rdata_append_generic(struct strbuf *out, const uint8_t *rdata, size_t length)
{
	static const char hex[] = "0123456789abcdef";
	strbuf_append_text(out, "\\# ");
	strbuf_append_u64(out, length);
	if (length)
		strbuf_append_char(out, ' ');
	for (size_t i = 0; i < length; i++) {
		const char pair[2] = {hex[rdata[i] >> 4], hex[rdata[i] & 0xf]};
		strbuf_append(out, pair, sizeof(pair));
	}
}

/* Forgets what was appended since the text had this length. */
static void strbuf_cut(struct strbuf *buf, size_t length)
{
	if (buf->length <= length)
		return;
	buf->length = length;
	buf->data[length] = '\0';
}

void rdata_to_text(
	struct strbuf *out, const uint8_t *message, size_t size, const struct message_rr *rr)
{
	size_t start = out->length;
	struct wire_reader reader = wire_reader_init(message, size);
	wire_read_bytes(&reader, rr->rdata_offset);
	const uint8_t *rdata = wire_read_bytes(&reader, rr->rdata_length);
	if (!rdata)
		return;
	/* Names inside may point back, but nothing may run beyond the RDATA. */
	struct wire_reader inside = wire_reader_init(message, rr->rdata_offset + rr->rdata_length);
	inside.position = rr->rdata_offset;
	bool done = is_common(rr->type) ? rdata_append_common(out, inside, rr->type)
					: rdata_append_by_ldns(out, message, size, rr);
	if (done)
		return;
	strbuf_cut(out, start);
	rdata_append_generic(out, rdata, rr->rdata_length);
}

/* Text to wire. */

/* Where a line is being read, and where the reason goes when it cannot be. */
struct line {
	const char *text;
	size_t length, at;
	const struct name *origin;
	char *why;
	size_t why_size;
};

struct token {
	const char *text;
	size_t length; /* 0: the line has ended */
};

static bool fail(struct line *line, const char *reason, struct token token)
{
	int shown = token.length > 60 ? 60 : (int)token.length;
	if (shown)
		snprintf(line->why, line->why_size, "%s: %.*s", reason, shown, token.text);
	else
		snprintf(line->why, line->why_size, "%s", reason);
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next token, its quotes and escapes as they stand. Quotes are in pairs: text_check saw to
 * that. */
static struct token next_token(struct line *line)
{
	bool quoted = false;
	while (line->at < line->length && is_blank(line->text[line->at]))
		line->at++;
	struct token token = {.text = line->text + line->at};
	for (; line->at < line->length; line->at++) {
		char c = line->text[line->at];
		if (!quoted && is_blank(c))
			break;
		if (c == '"')
			quoted = !quoted;
		else if (c == '\\')
			line->at++;
	}
	token.length = (size_t)(line->text + line->at - token.text);
	return token;
}

/* Refuses what no zone line contains, before anything looks at it more closely. */
static bool text_check(struct line *line)
{
	const struct token none = {0};
	bool quoted = false;
	if (line->length > LINE_MAX_LENGTH)
		return fail(line, "the line is too long", none);
	for (size_t i = 0; i < line->length; i++) {
		unsigned char c = (unsigned char)line->text[i];
		if ((c < 0x20 && !is_blank((char)c)) || c == 0x7f)
			return fail(line, "the line contains a control character", none);
		if (c == '"')
			quoted = !quoted;
		if (c == '\\' && ++i == line->length)
			return fail(line, "the line ends with a backslash", none);
	}
	if (quoted)
		return fail(line, "a quote is not closed", none);
	return true;
}

/* True when a name in text ends with a dot that is no part of a label. */
static bool is_absolute(struct token token)
{
	size_t backslashes = 0;
	if (token.length == 0 || token.text[token.length - 1] != '.')
		return false;
	while (backslashes + 1 < token.length && token.text[token.length - 2 - backslashes] == '\\')
		backslashes++;
	return backslashes % 2 == 0;
}

static bool read_name(struct line *line, struct token token, struct name *out)
{
	const struct name *origin = line->origin;
	if (token.length == 1 && token.text[0] == '@') {
		*out = *origin;
		return true;
	}
	enum td_error error = name_from_text(out, token.text, token.length);
	if (error != TD_OK)
		return fail(
			line, error == TD_TOO_LONG ? "the name is too long" : "not a name", token);
	if (is_absolute(token))
		return true;
	size_t labels = out->length - 1u;
	if (labels + origin->length > NAME_WIRE_MAX)
		return fail(line, "the name is too long", token);
	memcpy(out->wire + labels, origin->wire, origin->length);
	out->length = (uint8_t)(labels + origin->length);
	return true;
}

static bool read_owner(struct line *line, const struct name *previous_owner, struct name *out)
{
	if (line->length > 0 && !is_blank(line->text[0]))
		return read_name(line, next_token(line), out);
	if (!previous_owner || previous_owner->length == 0)
		return fail(line, "there is no owner before this line", (struct token){0});
	*out = *previous_owner;
	return true;
}

static bool token_is(struct token token, const char *word)
{
	return token.length == strlen(word) && strncasecmp(token.text, word, token.length) == 0;
}

/* Seconds in a unit of a TTL, 0 for no unit. */
static uint32_t ttl_unit(char c)
{
	switch (c | 0x20) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	case 'w':
		return 604800;
	default:
		return 0;
	}
}

/* "3600", or with units: "1h30m". */
static bool read_ttl(struct line *line, struct token token, uint32_t *out)
{
	uint64_t sum = 0, number = 0;
	bool digits = false;
	for (size_t i = 0; i < token.length; i++) {
		char c = token.text[i];
		if (c >= '0' && c <= '9') {
			number = number * 10 + (uint64_t)(c - '0');
			digits = true;
		} else if (digits && ttl_unit(c)) {
			sum += number * ttl_unit(c);
			number = 0;
			digits = false;
		} else {
			return fail(line, "not a TTL", token);
		}
		if (sum + number > TTL_MAX)
			return fail(line, "the TTL is too large", token);
	}
	*out = (uint32_t)(sum + number);
	return true;
}

static bool is_class(struct token token)
{
	static const char *const words[] = {"IN", "CH", "CS", "HS", "NONE"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (token_is(token, words[i]))
			return true;
	}
	return token.length > 5 && strncasecmp(token.text, "CLASS", 5) == 0;
}

static bool read_type(struct line *line, struct token token, uint16_t *out)
{
	char text[TYPE_TEXT_MAX];
	if (token.length == 0)
		return fail(line, "the type is missing", token);
	if (token.length >= sizeof(text))
		return fail(line, "unknown type", token);
	memcpy(text, token.text, token.length);
	text[token.length] = '\0';
	if (!type_from_text(out, text))
		return fail(line, "unknown type", token);
	/* RFC 6895, 3.1: 128 to 255 are questions and the like, OPT is no data. */
	if (*out == 0 || *out == TYPE_OPT || (*out >= 128 && *out <= 255))
		return fail(line, "a type that cannot stand in a zone", token);
	return true;
}

/* TTL and class, each at most once and in any order, then the type. */
static bool read_ttl_class_type(struct line *line, struct text_rr *out)
{
	bool has_ttl = false, has_class = false;
	for (;;) {
		struct token token = next_token(line);
		if (!has_ttl && token.length && token.text[0] >= '0' && token.text[0] <= '9') {
			has_ttl = true;
			if (!read_ttl(line, token, &out->ttl_s))
				return false;
		} else if (!has_class && is_class(token)) {
			has_class = true;
			if (!token_is(token, "IN") && !token_is(token, "CLASS1"))
				return fail(line, "a class other than IN", token);
		} else {
			return read_type(line, token, &out->type);
		}
	}
}

static bool set_rdata(struct line *line, struct text_rr *out, const void *rdata, size_t length)
{
	out->rdata = malloc(length ? length : 1);
	if (!out->rdata)
		return fail(line, error_text(TD_NOMEM), (struct token){0});
	if (length)
		memcpy(out->rdata, rdata, length);
	out->rdata_length = (uint16_t)length;
	return true;
}

static bool read_address(struct line *line, struct token token, struct text_rr *out)
{
	char text[ADDRESS_TEXT_MAX];
	struct address address = {0};
	if (token.length < sizeof(text)) {
		memcpy(text, token.text, token.length);
		text[token.length] = '\0';
		if (!address_from_text(&address, text))
			address.family = 0;
	}
	if (address.family != (out->type == TYPE_A ? 4 : 6))
		return fail(line,
			out->type == TYPE_A ? "not an IPv4 address" : "not an IPv6 address", token);
	return set_rdata(line, out, address.octets, address_octets(&address));
}

/* CNAME, A and AAAA. */
static bool read_rdata_fast(struct line *line, struct text_rr *out)
{
	struct token token = next_token(line);
	struct name target;
	if (token.length == 0)
		return fail(line, "the data are missing", token);
	struct token behind = next_token(line);
	if (behind.length)
		return fail(line, "more than was expected", behind);
	if (out->type != TYPE_CNAME)
		return read_address(line, token, out);
	return read_name(line, token, &target) && set_rdata(line, out, target.wire, target.length);
}

/* What ldns reads from this RDATA, written out again without compression, with its length before
 * it. The caller frees. */
static uint8_t *rdata_flatten(const ldns_rr *rr, size_t *length)
{
	size_t total = 0;
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++)
		total += ldns_rdf_size(ldns_rr_rdf(rr, i));
	uint8_t *wire = total <= UINT16_MAX ? malloc(2 + total) : NULL;
	if (!wire)
		return NULL;
	struct wire_writer writer = wire_writer_init(wire, 2 + total);
	wire_write_u16(&writer, (uint16_t)total);
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++)
		wire_write_bytes(&writer, ldns_rdf_data(ldns_rr_rdf(rr, i)),
			ldns_rdf_size(ldns_rr_rdf(rr, i)));
	*length = total;
	return wire;
}

/* True when the RDATA behind its length (wire) is one of this type, and ldns would write it the
 * same. */
static bool rdata_is_sound(uint16_t type, const uint8_t *wire, size_t length)
{
	size_t again_length = 0;
	if (is_opaque(type))
		return true;
	ldns_rr *rr = rdata_parse(type, wire, 2 + length, 2, length);
	if (!rr)
		return false;
	uint8_t *again = rdata_flatten(rr, &again_length);
	bool same = again && again_length == length && memcmp(again, wire, 2 + length) == 0;
	free(again);
	ldns_rr_free(rr);
	return same;
}

/* The hexadecimal digits of the rest of the line, blanks between them allowed. */
static bool read_hex(struct line *line, struct wire_writer *writer)
{
	int high = -1;
	for (struct token token = next_token(line); token.length; token = next_token(line)) {
		for (size_t i = 0; i < token.length; i++) {
			int value = hex_value(token.text[i]);
			if (value < 0)
				return fail(line, "not a hexadecimal number", token);
			if (high >= 0)
				wire_write_u8(writer, (uint8_t)(high << 4 | value));
			high = high < 0 ? value : -1;
		}
	}
	if (high >= 0 || writer->error != TD_OK || writer->position != writer->size)
		return fail(line, "the data have another length than they say", (struct token){0});
	return true;
}

/* Behind "\#": length and octets (RFC 3597, 5), for any type. */
static bool read_rdata_generic(struct line *line, struct text_rr *out)
{
	char digits[6] = "";
	uint16_t length;
	struct token token = next_token(line);
	if (token.length < sizeof(digits))
		memcpy(digits, token.text, token.length);
	if (!u16_from_text(&length, digits))
		return fail(line, "not a length", token);
	uint8_t *wire = malloc(2 + (size_t)length);
	if (!wire)
		return fail(line, error_text(TD_NOMEM), (struct token){0});
	struct wire_writer writer = wire_writer_init(wire, 2 + (size_t)length);
	wire_write_u16(&writer, length);
	bool done = read_hex(line, &writer);
	if (done && !rdata_is_sound(out->type, wire, length))
		done = fail(line, "the data do not fit the type", (struct token){0});
	if (done)
		done = set_rdata(line, out, wire + 2, length);
	free(wire);
	return done;
}

/* Fields that go on to the end of the line, however many tokens that is. */
static bool is_open_ended(const ldns_rr_descriptor *descriptor)
{
	size_t maximum = ldns_rr_descriptor_maximum(descriptor);
	if (maximum == 0 || maximum > 16)
		return true;
	switch (ldns_rr_descriptor_field_type(descriptor, maximum - 1)) {
	case LDNS_RDF_TYPE_A:
	case LDNS_RDF_TYPE_AAAA:
	case LDNS_RDF_TYPE_DNAME:
	case LDNS_RDF_TYPE_INT8:
	case LDNS_RDF_TYPE_INT16:
	case LDNS_RDF_TYPE_INT32:
	case LDNS_RDF_TYPE_PERIOD:
	case LDNS_RDF_TYPE_STR:
		return false;
	default:
		return true;
	}
}

/* The line for ldns: ". 1 IN TYPE" and the tokens, one space between them. */
static bool write_ldns_line(struct line *line, const struct text_rr *out, struct strbuf *text)
{
	char type[TYPE_TEXT_MAX];
	const ldns_rr_descriptor *descriptor = known_type(out->type);
	size_t tokens = 0;
	strbuf_append_text(text, ". 1 IN ");
	strbuf_append_text(text, type_to_text(out->type, type));
	for (struct token token = next_token(line); token.length; token = next_token(line)) {
		if (++tokens > ldns_rr_descriptor_maximum(descriptor) && !is_open_ended(descriptor))
			return fail(line, "more than was expected", token);
		strbuf_append_char(text, ' ');
		strbuf_append(text, token.text, token.length);
	}
	if (tokens < ldns_rr_descriptor_minimum(descriptor))
		return fail(line, "the data are missing or incomplete", (struct token){0});
	if (text->failed)
		return fail(line, error_text(TD_NOMEM), (struct token){0});
	return true;
}

/* Takes the RDATA from ldns's record. */
static bool take_rdata(struct line *line, const ldns_rr *rr, struct text_rr *out)
{
	size_t length = 0;
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
		if (!ldns_rr_rdf(rr, i))
			return fail(line, "the data do not fit the type", (struct token){0});
	}
	uint8_t *wire = rdata_flatten(rr, &length);
	if (!wire)
		return fail(line, "the data are too long", (struct token){0});
	bool done = rdata_is_sound(out->type, wire, length) &&
		    ldns_rr_get_type(rr) == (ldns_rr_type)out->type;
	if (done)
		done = set_rdata(line, out, wire + 2, length);
	else
		fail(line, "the data do not fit the type", (struct token){0});
	free(wire);
	return done;
}

static const char *ldns_words(ldns_status status)
{
	const char *words = status == LDNS_STATUS_OK ? NULL : ldns_get_errorstr_by_id(status);
	return words ? words : "the data do not fit the type";
}

static bool read_rdata_by_ldns(struct line *line, struct text_rr *out)
{
	struct strbuf text;
	ldns_rr *rr = NULL;
	bool done = false;
	if (is_opaque(out->type) || is_leaky(out->type))
		return fail(
			line, "this type can only be written as \\# LENGTH HEX", (struct token){0});
	strbuf_init(&text);
	ldns_rdf *origin = ldns_rdf_new_frm_data(
		LDNS_RDF_TYPE_DNAME, line->origin->length, line->origin->wire);
	if (!origin)
		fail(line, error_text(TD_NOMEM), (struct token){0});
	else if (write_ldns_line(line, out, &text)) {
		ldns_status status = ldns_rr_new_frm_str(&rr, text.data, 1, origin, NULL);
		if (status == LDNS_STATUS_OK && rr)
			done = take_rdata(line, rr, out);
		else
			fail(line, ldns_words(status), (struct token){0});
	}
	if (rr)
		ldns_rr_free(rr);
	ldns_rdf_deep_free(origin);
	strbuf_deinit(&text);
	return done;
}

static bool read_rdata(struct line *line, struct text_rr *out)
{
	struct line ahead = *line;
	if (token_is(next_token(&ahead), "\\#")) {
		*line = ahead;
		return read_rdata_generic(line, out);
	}
	if (out->type == TYPE_CNAME || out->type == TYPE_A || out->type == TYPE_AAAA)
		return read_rdata_fast(line, out);
	return read_rdata_by_ldns(line, out);
}

enum td_error text_parse_rr(const char *line, size_t length, const struct name *origin,
	const struct name *previous_owner, uint32_t default_ttl_s, struct text_rr *out, char *why,
	size_t why_size)
{
	static const struct name root = {.length = 1};
	struct line cursor = {.text = line, .length = length, .why = why, .why_size = why_size};
	cursor.origin = origin && origin->length ? origin : &root;
	out->rdata = NULL;
	out->rdata_length = 0;
	out->ttl_s = default_ttl_s;
	if (!text_check(&cursor) || !read_owner(&cursor, previous_owner, &out->owner))
		return TD_MALFORMED;
	if (!read_ttl_class_type(&cursor, out) || !read_rdata(&cursor, out))
		return TD_MALFORMED;
	return TD_OK;
}
