/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses as values. Reading text is inet_pton's work. Writing is our own: every record and key
 * of the telemetry holds addresses, inet_ntop goes through printf, and it writes ::/96 in dotted
 * form, which RFC 5952 does not ask for.
 */
#include "lib/dns/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "lib/base/decimal.h"
#include "lib/base/hex.h"

#define PREFIX_V6_MAX 120 /* octet 15 holds the length */

static const char excluded_text[] = "*excluded";
static const char pseudonym_start[] = "anon-";
static const char label_start[] = "id-";

size_t address_octets(const struct address *address)
{
	return address->family == 4 ? 4 : address->family == 6 ? 16 : 0;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

struct address address_v4(const uint8_t octets[4])
{
	struct address address = {.family = 4};
	memcpy(address.octets, octets, 4);
	return address;
}

struct address address_v6(const uint8_t octets[16])
{
	struct address address = {.family = 6};
	memcpy(address.octets, octets, 16);
	return address;
}

struct address address_v6_unmapped(const uint8_t octets[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (memcmp(octets, mapped, sizeof(mapped)) == 0)
		return address_v4(octets + sizeof(mapped));
	return address_v6(octets);
}

bool address_is_ip(const struct address *address)
{
	return address->family == ADDRESS_V4 || address->family == ADDRESS_V6;
}

struct address address_mac(const uint8_t octets[6])
{
	struct address address = {.family = ADDRESS_MAC};
	memcpy(address.octets, octets, 6);
	return address;
}

struct address address_prefix(const struct address *address, unsigned length)
{
	struct address prefix = {0};
	unsigned most = address->family == ADDRESS_V4 ? 32 : PREFIX_V6_MAX;
	if (!address_is_ip(address))
		return prefix;
	if (length > most)
		length = most;
	memcpy(prefix.octets, address->octets, length / 8);
	if (length % 8)
		prefix.octets[length / 8] =
			address->octets[length / 8] & (uint8_t)(0xff00 >> length % 8);
	prefix.octets[15] = (uint8_t)length;
	prefix.family = address->family == ADDRESS_V4 ? ADDRESS_PREFIX_V4 : ADDRESS_PREFIX_V6;
	return prefix;
}

struct address address_pseudonym(uint64_t number)
{
	struct address address = {.family = ADDRESS_PSEUDONYM};
	for (int i = 0; i < 8; i++)
		address.octets[i] = (uint8_t)(number >> (56 - 8 * i));
	return address;
}

static bool is_label_octet(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '.' || c == '_' || c == '-';
}

struct address address_label(const uint8_t *text, size_t length)
{
	struct address address = {.family = ADDRESS_LABEL};
	if (length == 0 || length > sizeof(address.octets))
		return (struct address){0};
	for (size_t i = 0; i < length; i++) {
		if (!is_label_octet(text[i]))
			return (struct address){0};
		address.octets[i] = text[i];
	}
	return address;
}

struct address address_excluded(void)
{
	return (struct address){.family = ADDRESS_EXCLUDED};
}

bool address_from_text(struct address *out, const char *text)
{
	uint8_t octets[16];
	if (inet_pton(AF_INET, text, octets) == 1) {
		*out = address_v4(octets);
		return true;
	}
	if (inet_pton(AF_INET6, text, octets) == 1) {
		*out = address_v6(octets);
		return true;
	}
	return false;
}

static char *put_v4(char *out, const uint8_t *octets)
{
	out = decimal_put_octet(out, octets[0]);
	for (int i = 1; i < 4; i++) {
		*out++ = '.';
		out = decimal_put_octet(out, octets[i]);
	}
	return out;
}

/* 16 bits in lower-case hexadecimal without zeros in front. */
static char *put_group(char *out, unsigned value)
{
	static const char hex[] = "0123456789abcdef";
	int shift = 12;
	while (shift > 0 && value >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*out++ = hex[value >> shift & 0xf];
	return out;
}

/* The longest run of at least two zero groups, the first of equals (RFC 5952, 4.2). */
static int longest_zero_run(const unsigned groups[8], int *run_length)
{
	int start = -1;
	*run_length = 1;
	for (int i = 0, run = 0; i < 8; i++) {
		run = groups[i] ? 0 : run + 1;
		if (run > *run_length) {
			*run_length = run;
			start = i - run + 1;
		}
	}
	return start;
}

static char *put_v6(char *out, const uint8_t *octets)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (memcmp(octets, mapped, sizeof(mapped)) == 0) {
		memcpy(out, "::ffff:", 7);
		return put_v4(out + 7, octets + 12);
	}
	unsigned groups[8];
	for (int i = 0; i < 8; i++)
		groups[i] = (unsigned)octets[2 * i] << 8 | octets[2 * i + 1];
	int run_length, run = longest_zero_run(groups, &run_length);
	for (int i = 0; i < 8; i++) {
		if (i == run) {
			*out++ = ':';
			*out++ = ':';
			i += run_length - 1;
			continue;
		}
		if (i && (run < 0 || i != run + run_length))
			*out++ = ':';
		out = put_group(out, groups[i]);
	}
	return out;
}

static char *put_text(char *out, const char *text, size_t length)
{
	memcpy(out, text, length);
	return out + length;
}

static char *put_hex(char *out, uint8_t octet)
{
	static const char hex[] = "0123456789abcdef";
	*out++ = hex[octet >> 4];
	*out++ = hex[octet & 0xf];
	return out;
}

static char *put_mac(char *out, const uint8_t *octets)
{
	out = put_hex(out, octets[0]);
	for (int i = 1; i < 6; i++) {
		*out++ = ':';
		out = put_hex(out, octets[i]);
	}
	return out;
}

static char *put_prefix(char *out, const struct address *prefix)
{
	uint8_t octets[16];
	memcpy(octets, prefix->octets, sizeof(octets));
	octets[15] = 0;
	out = prefix->family == ADDRESS_PREFIX_V4 ? put_v4(out, octets) : put_v6(out, octets);
	*out++ = '/';
	return decimal_put_octet(out, prefix->octets[15]);
}

/* Clients that are not addresses: apart, because the packet path writes few of them. */
static char *put_other(char *out, const struct address *address)
{
	switch (address->family) {
	case ADDRESS_MAC:
		return put_mac(out, address->octets);
	case ADDRESS_PREFIX_V4:
	case ADDRESS_PREFIX_V6:
		return put_prefix(out, address);
	case ADDRESS_PSEUDONYM:
		out = put_text(out, pseudonym_start, strlen(pseudonym_start));
		for (int i = 0; i < 8; i++)
			out = put_hex(out, address->octets[i]);
		return out;
	case ADDRESS_LABEL:
		out = put_text(out, label_start, strlen(label_start));
		return put_text(out, (const char *)address->octets,
			strnlen((const char *)address->octets, sizeof(address->octets)));
	case ADDRESS_EXCLUDED:
		return put_text(out, excluded_text, strlen(excluded_text));
	default:
		*out = '-';
		return out + 1;
	}
}

char *address_put(char *out, const struct address *address)
{
	if (address->family == ADDRESS_V4)
		return put_v4(out, address->octets);
	if (address->family == ADDRESS_V6)
		return put_v6(out, address->octets);
	return put_other(out, address);
}

const char *address_to_text(const struct address *address, char *out)
{
	*address_put(out, address) = '\0';
	return out;
}

/* All of text as a decimal number up to max, digits only. */
static bool number_from_text(uint32_t *out, const char *text, uint32_t max)
{
	uint64_t value = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return false;
	}
	*out = (uint32_t)value;
	return true;
}

/* The text up to end as an address. */
static bool address_from_part(struct address *out, const char *text, const char *end)
{
	char part[ADDRESS_TEXT_MAX];
	size_t length = (size_t)(end - text);
	if (length >= sizeof(part))
		return false;
	memcpy(part, text, length);
	part[length] = '\0';
	return address_from_text(out, part);
}

static bool host_bits_clear(const struct prefix *prefix)
{
	size_t octets = address_octets(&prefix->address);
	size_t whole = prefix->length / 8;
	if (prefix->length % 8) {
		if (prefix->address.octets[whole] & (0xff >> prefix->length % 8))
			return false;
		whole++;
	}
	for (; whole < octets; whole++) {
		if (prefix->address.octets[whole])
			return false;
	}
	return true;
}

enum td_error prefix_from_text(struct prefix *out, const char *text)
{
	struct prefix prefix;
	const char *slash = strchr(text, '/');
	const char *end = slash ? slash : text + strlen(text);
	if (!address_from_part(&prefix.address, text, end))
		return TD_INVALID;
	uint32_t length = (uint32_t)address_octets(&prefix.address) * 8;
	if (slash && !number_from_text(&length, slash + 1, length))
		return TD_INVALID;
	prefix.length = (uint8_t)length;
	if (!host_bits_clear(&prefix))
		return TD_INVALID;
	*out = prefix;
	return TD_OK;
}

/* Two hexadecimal digits. */
static bool octet_from_hex(uint8_t *out, const char *text)
{
	int high = hex_value(text[0]), low = high < 0 ? -1 : hex_value(text[1]);
	*out = (uint8_t)((unsigned)high << 4 | (unsigned)low);
	return low >= 0;
}

static bool mac_from_text(struct address *out, const char *text)
{
	uint8_t octets[6];
	if (strlen(text) != 17)
		return false;
	for (int i = 0; i < 6; i++) {
		if (!octet_from_hex(&octets[i], text + (size_t)i * 3) || (i < 5 && text[3 * i + 2] != ':'))
			return false;
	}
	*out = address_mac(octets);
	return true;
}

static bool pseudonym_from_text(struct address *out, const char *text)
{
	struct address address = {.family = ADDRESS_PSEUDONYM};
	size_t start = strlen(pseudonym_start);
	if (strncmp(text, pseudonym_start, start) != 0 || strlen(text) != start + 16)
		return false;
	for (size_t i = 0; i < 8; i++) {
		if (!octet_from_hex(&address.octets[i], text + start + 2 * i))
			return false;
	}
	*out = address;
	return true;
}

static bool label_from_text(struct address *out, const char *text)
{
	size_t start = strlen(label_start);
	if (strncmp(text, label_start, start) != 0)
		return false;
	struct address label = address_label((const uint8_t *)text + start, strlen(text + start));
	if (label.family != ADDRESS_NONE)
		*out = label;
	return label.family != ADDRESS_NONE;
}

bool client_from_text(struct address *out, const char *text)
{
	struct prefix prefix;
	if (address_from_text(out, text) || mac_from_text(out, text) ||
		pseudonym_from_text(out, text) || label_from_text(out, text))
		return true;
	if (strcmp(text, excluded_text) == 0) {
		*out = address_excluded();
		return true;
	}
	if (!strchr(text, '/') || prefix_from_text(&prefix, text) != TD_OK ||
		prefix.length > (prefix.address.family == ADDRESS_V4 ? 32 : PREFIX_V6_MAX))
		return false;
	*out = address_prefix(&prefix.address, prefix.length);
	return true;
}

bool prefix_contains(const struct prefix *prefix, const struct address *address)
{
	size_t whole = prefix->length / 8;
	unsigned rest = prefix->length % 8;
	if (prefix->address.family != address->family)
		return false;
	if (memcmp(prefix->address.octets, address->octets, whole) != 0)
		return false;
	return !rest || ((prefix->address.octets[whole] ^ address->octets[whole]) & 0xff00 >> rest &
				0xff) == 0;
}

static bool is_link_local(const struct address *address)
{
	return address->family == 6 && address->octets[0] == 0xfe &&
	       (address->octets[1] & 0xc0) == 0x80;
}

/* "address" or "address%scope" up to end. The scope is a number: a name would have to ask the
 * system. */
static bool scoped_from_part(struct endpoint *out, const char *text, const char *end)
{
	const char *percent = memchr(text, '%', (size_t)(end - text));
	if (!address_from_part(&out->address, text, percent ? percent : end))
		return false;
	if (!percent)
		return true;
	char scope[11];
	size_t length = (size_t)(end - percent - 1);
	if (length >= sizeof(scope) || !is_link_local(&out->address))
		return false;
	memcpy(scope, percent + 1, length);
	scope[length] = '\0';
	return number_from_text(&out->scope_id, scope, UINT32_MAX);
}

enum td_error endpoint_from_text(struct endpoint *out, const char *text, uint16_t default_port)
{
	struct endpoint endpoint;
	memset(&endpoint, 0, sizeof(endpoint));
	bool bracketed = text[0] == '[';
	const char *start = text + bracketed;
	const char *end = bracketed ? strchr(start, ']') : strchr(start, ':');
	if (bracketed && (!end || (end[1] != '\0' && end[1] != ':')))
		return TD_INVALID;
	/* A colon that is not the only one belongs to an IPv6 address. */
	if (!end || (!bracketed && strchr(end + 1, ':')))
		end = start + strlen(start);
	const char *after = end + (bracketed && *end);
	uint32_t port = default_port;
	if (!scoped_from_part(&endpoint, start, end) || (bracketed && endpoint.address.family != 6))
		return TD_INVALID;
	if (*after == ':' && !number_from_text(&port, after + 1, UINT16_MAX))
		return TD_INVALID;
	endpoint.port = (uint16_t)port;
	*out = endpoint;
	return TD_OK;
}

char *endpoint_put(char *out, const struct endpoint *endpoint)
{
	bool bracketed = endpoint->address.family == 6;
	if (bracketed)
		*out++ = '[';
	out = address_put(out, &endpoint->address);
	if (bracketed)
		*out++ = ']';
	*out++ = ':';
	return decimal_put(out, endpoint->port);
}

const char *endpoint_to_text(const struct endpoint *endpoint, char *out)
{
	*endpoint_put(out, endpoint) = '\0';
	return out;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && a->scope_id == b->scope_id &&
	       address_equal(&a->address, &b->address);
}

static void from_sockaddr_in6(struct endpoint *out, const struct sockaddr_in6 *in6)
{
	const struct in6_addr *address = &in6->sin6_addr;
	out->address = address_v6_unmapped(address->s6_addr);
	if (IN6_IS_ADDR_LINKLOCAL(address))
		out->scope_id = in6->sin6_scope_id;
	out->port = ntohs(in6->sin6_port);
}

bool endpoint_from_sockaddr(struct endpoint *out, const struct sockaddr *sa)
{
	/* Padding too: endpoints are compared and hashed as bytes. */
	memset(out, 0, sizeof(*out));
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
		out->address = address_v4((const uint8_t *)&in->sin_addr);
		out->port = ntohs(in->sin_port);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		from_sockaddr_in6(out, (const struct sockaddr_in6 *)(const void *)sa);
		return true;
	}
	return false;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *out)
{
	if (endpoint->address.family == 6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)out;
		*in6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6, .sin6_port = htons(endpoint->port)};
		in6->sin6_scope_id = endpoint->scope_id;
		memcpy(&in6->sin6_addr, endpoint->address.octets, 16);
		return sizeof(*in6);
	}
	assert(endpoint->address.family == 4);
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;
	*in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
	memcpy(&in->sin_addr, endpoint->address.octets, 4);
	return sizeof(*in);
}
