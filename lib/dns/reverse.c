/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An address is written as labels of one step each, an octet (IPv4) or a nibble (IPv6), the last
 * one first; a network is the same without the steps that it leaves open. A network that ends
 * within a step has no name of its own: its names are those of all values which that step can have.
 */
#include "lib/dns/reverse.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static unsigned step_bits(const struct address *address)
{
	return address->family == ADDRESS_V4 ? 8 : 4;
}

static unsigned step_value(const struct address *address, unsigned step)
{
	if (address->family == ADDRESS_V4)
		return address->octets[step];
	return step % 2 ? address->octets[step / 2] & 0xf : address->octets[step / 2] >> 4;
}

static void append_label(struct name *out, const char *label)
{
	size_t length = strlen(label);

	out->wire[out->length] = (uint8_t)length;
	memcpy(out->wire + out->length + 1, label, length);
	out->length += (uint8_t)(1 + length);
}

/* The zone of the first steps of the address, with add put to the last of them. */
static void write_zone(
	const struct address *address, unsigned steps, unsigned add, struct name *out)
{
	bool v4 = address->family == ADDRESS_V4;
	char label[4];

	assert(address_is_ip(address));
	out->length = 0;
	for (unsigned step = steps; step-- > 0;) {
		unsigned value = step_value(address, step) + (step == steps - 1 ? add : 0);

		snprintf(label, sizeof(label), v4 ? "%u" : "%x", value & 0xff);
		append_label(out, label);
	}
	append_label(out, v4 ? "in-addr" : "ip6");
	append_label(out, "arpa");
	append_label(out, "");
}

void reverse_name(const struct address *address, struct name *out)
{
	write_zone(address, address->family == ADDRESS_V4 ? 4 : 32, 0, out);
}

/* The octet that a label of digits stands for, written as reverse_name writes it. */
static bool octet_from_label(const uint8_t *label, uint8_t *out)
{
	unsigned value = 0;

	if (label[0] < 1 || label[0] > 3 || (label[0] > 1 && label[1] == '0'))
		return false;
	for (unsigned i = 1; i <= label[0]; i++) {
		if (label[i] < '0' || label[i] > '9')
			return false;
		value = value * 10 + (label[i] - '0');
	}
	*out = (uint8_t)value;
	return value <= 0xff;
}

static bool nibble_from_label(const uint8_t *label, uint8_t *out)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit = label[0] == 1 && label[1] ? strchr(digits, label[1]) : NULL;

	if (!digit)
		return false;
	*out = (uint8_t)(digit - digits);
	return true;
}

static bool is_v4_name(const uint8_t *wire, size_t length)
{
	return length > sizeof("\7in-addr\4arpa") &&
	       !memcmp(wire + length - sizeof("\7in-addr\4arpa"), "\7in-addr\4arpa",
		       sizeof("\7in-addr\4arpa"));
}

/* Such a name has one length only. */
static bool is_v6_name(const uint8_t *wire, size_t length)
{
	return length == 32 * 2 + sizeof("\3ip6\4arpa") &&
	       !memcmp(wire + 32 * 2, "\3ip6\4arpa", sizeof("\3ip6\4arpa"));
}

bool reverse_to_address(const uint8_t *wire, size_t length, struct address *out)
{
	struct address address = {.family = ADDRESS_NONE};

	if (is_v6_name(wire, length)) {
		address.family = ADDRESS_V6;
		for (unsigned step = 32; step-- > 0; wire += 2) {
			uint8_t nibble;
			if (!nibble_from_label(wire, &nibble))
				return false;
			address.octets[step / 2] |= (uint8_t)(step % 2 ? nibble : nibble << 4);
		}
	} else if (is_v4_name(wire, length)) {
		const uint8_t *end = wire + length - sizeof("\7in-addr\4arpa");
		address.family = ADDRESS_V4;
		for (unsigned step = 4; step-- > 0; wire += 1 + wire[0])
			if (wire >= end || !octet_from_label(wire, &address.octets[step]))
				return false;
		if (wire != end)
			return false;
	}
	if (address.family == ADDRESS_NONE)
		return false;
	*out = address;
	return true;
}

unsigned reverse_zone_count(const struct prefix *prefix)
{
	unsigned bits = step_bits(&prefix->address), rest = prefix->length % bits;

	return rest ? 1U << (bits - rest) : 1;
}

void reverse_zone(const struct prefix *prefix, unsigned number, struct name *out)
{
	unsigned bits = step_bits(&prefix->address);

	assert(number < reverse_zone_count(prefix));
	write_zone(&prefix->address, (prefix->length + bits - 1) / bits, number, out);
}
