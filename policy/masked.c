/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Masked addresses. The name in the tree is one label, the octets of address and mask as they are,
 * so nothing has to be spelled and read again when the zone is sealed.
 */
#include "policy/masked.h"

#include <stdio.h>
#include <string.h>

static const char kind_label[] = "\6" MASKED_LABEL;

static bool address_read(const char *text, size_t size, struct address *out)
{
	char copy[ADDRESS_TEXT_MAX];

	if (size >= sizeof(copy))
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	return address_from_text(out, copy);
}

/* Is every bit of address one of mask, and has mask any? */
static bool is_within_mask(const struct masked *masked, bool *empty)
{
	uint8_t outside = 0, bits = 0;

	for (size_t i = 0; i < sizeof(masked->mask.octets); i++) {
		outside |= masked->address.octets[i] & (uint8_t)~masked->mask.octets[i];
		bits |= masked->mask.octets[i];
	}
	*empty = bits == 0;
	return outside == 0;
}

const char *masked_read(const char *text, size_t size, struct masked *out)
{
	const char *slash = memchr(text, '/', size);
	bool empty;

	if (!slash || !address_read(text, (size_t)(slash - text), &out->address) ||
		!address_read(slash + 1, size - (size_t)(slash + 1 - text), &out->mask) ||
		out->address.family != out->mask.family)
		return "an address and a mask of its kind stand behind @, as in "
		       "@::5efe:0:0/::fdff:ffff:0:0";
	if (!is_within_mask(out, &empty))
		return "the address has bits that the mask has not";
	return empty ? "a mask without a bit is every address" : NULL;
}

bool masked_matches(const struct masked *masked, const struct address *address)
{
	uint8_t different = 0;

	for (size_t i = 0; i < sizeof(address->octets); i++)
		different |= (uint8_t)((address->octets[i] ^ masked->address.octets[i]) &
				       masked->mask.octets[i]);
	return different == 0 && address->family == masked->address.family;
}

void masked_name(const struct masked *masked, struct name *out)
{
	size_t size = address_octets(&masked->address), at = 0;

	out->wire[at++] = (uint8_t)(2 * size);
	memcpy(out->wire + at, masked->address.octets, size);
	at += size;
	memcpy(out->wire + at, masked->mask.octets, size);
	at += size;
	memcpy(out->wire + at, kind_label, sizeof(kind_label));
	out->length = (uint8_t)(at + sizeof(kind_label));
}

bool masked_find(const struct name *name, struct masked *out)
{
	size_t size = name->wire[0] / 2;
	const uint8_t *octets = name->wire + 1;

	if ((size != 4 && size != 16) || name->length != 1 + 2 * size + sizeof(kind_label) ||
		memcmp(octets + 2 * size, kind_label, sizeof(kind_label)) != 0)
		return false;
	out->address = size == 4 ? address_v4(octets) : address_v6(octets);
	out->mask = size == 4 ? address_v4(octets + 4) : address_v6(octets + 16);
	return true;
}

size_t masked_to_text(const struct masked *masked, char *out)
{
	char address[ADDRESS_TEXT_MAX], mask[ADDRESS_TEXT_MAX];

	return (size_t)snprintf(out, NAME_TEXT_MAX, "@%s/%s",
		address_to_text(&masked->address, address), address_to_text(&masked->mask, mask));
}
