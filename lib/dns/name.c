/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names as bytes. Two facts carry the fast parts: the length octet of a label is at most 63 and 'A'
 * is 65, so a whole name, length octets included, is folded and compared without looking at its
 * labels; and eight octets are folded at once in an integer. Pointers of a compressed name must go
 * strictly backwards, so a loop cannot be written down at all; the bound on their number only
 * limits the work.
 */
#include "lib/dns/name.h"

#include <string.h>

#define EVERY_OCTET(value) (UINT64_C(0x0101010101010101) * (value))

/* Where to read on after a pointer whose first octet was read; it must lie before limit. */
static void follow_pointer(struct wire_reader *at, uint8_t first, size_t *limit)
{
	size_t target = (size_t)(first & 0x3f) << 8 | wire_read_u8(at);
	if (at->error != TD_OK)
		return;
	if (target >= *limit)
		at->error = TD_LOOP;
	*limit = target;
	at->position = target;
}

/* Copies one label of length octets with its length; the root label has none. */
static void read_label(struct wire_reader *at, uint8_t length, struct name *out)
{
	if (length > NAME_LABEL_MAX) {
		at->error = TD_MALFORMED;
		return;
	}
	/* One octet has to be left for the root label, unless this is it. */
	if (out->length + 1u + length + (length != 0) > NAME_WIRE_MAX) {
		at->error = TD_TOO_LONG;
		return;
	}
	const uint8_t *label = wire_read_bytes(at, length);
	if (!label)
		return;
	out->wire[out->length] = length;
	memcpy(out->wire + out->length + 1, label, length);
	out->length = (uint8_t)(out->length + 1 + length);
}

void name_read(struct wire_reader *reader, struct name *out)
{
	struct wire_reader at = *reader;
	size_t limit = at.position;
	size_t behind = 0; /* the place behind the first pointer */
	unsigned pointers = 0;
	uint8_t octet;
	out->length = 0;
	do {
		octet = wire_read_u8(&at);
		if (octet < 0xc0) {
			if (at.error == TD_OK)
				read_label(&at, octet, out);
			continue;
		}
		if (pointers == 0)
			behind = at.position + 1;
		if (++pointers > NAME_POINTERS_MAX)
			at.error = TD_LOOP;
		follow_pointer(&at, octet, &limit);
	} while (at.error == TD_OK && octet != 0);
	if (at.error != TD_OK) {
		out->length = 0;
		reader->error = at.error;
		return;
	}
	reader->position = pointers ? behind : at.position;
}

size_t name_wire_length(const uint8_t *wire, size_t size)
{
	size_t limit = size < NAME_WIRE_MAX ? size : NAME_WIRE_MAX;
	size_t at = 0;
	while (at < limit) {
		uint8_t label = wire[at];
		if (label == 0)
			return at + 1;
		if (label > NAME_LABEL_MAX)
			return 0;
		at += 1u + label;
	}
	return 0;
}

static inline uint8_t fold_octet(uint8_t octet)
{
	return octet >= 'A' && octet <= 'Z' ? octet | 0x20 : octet;
}

/* The same for eight octets: the top bit of each octet says that it is A to Z, and becomes the bit
 * of lower case. */
static inline uint64_t fold_word(uint64_t word)
{
	uint64_t low = word & EVERY_OCTET(0x7f);
	uint64_t from_a = low + EVERY_OCTET(0x80 - 'A');
	uint64_t above_z = low + EVERY_OCTET(0x7f - 'Z');
	uint64_t is_upper = (from_a ^ above_z) & ~word & EVERY_OCTET(0x80);
	return word | is_upper >> 2;
}

static inline uint64_t load_word(const uint8_t *octets)
{
	uint64_t word;
	memcpy(&word, octets, sizeof(word));
	return word;
}

/* Folds eight octets; octets that were folded before stay as they are. */
static inline void fold_eight(uint8_t *out, const uint8_t *octets)
{
	uint64_t word = fold_word(load_word(octets));
	memcpy(out, &word, sizeof(word));
}

void name_fold(uint8_t *out, const uint8_t *wire, size_t length)
{
	if (length < 8) {
		for (size_t at = 0; at < length; at++)
			out[at] = fold_octet(wire[at]);
		return;
	}
	for (size_t at = 0; at < length - 8; at += 8)
		fold_eight(out + at, wire + at);
	/* The last eight overlap those before instead of being done one by one. */
	fold_eight(out + length - 8, wire + length - 8);
}

static inline bool eight_equal(const uint8_t *a, const uint8_t *b)
{
	uint64_t one = load_word(a), other = load_word(b);
	return one == other || fold_word(one) == fold_word(other);
}

static bool octets_equal(const uint8_t *a, const uint8_t *b, size_t length)
{
	if (length < 8) {
		for (size_t at = 0; at < length; at++) {
			if (fold_octet(a[at]) != fold_octet(b[at]))
				return false;
		}
		return true;
	}
	for (size_t at = 0; at < length - 8; at += 8) {
		if (!eight_equal(a + at, b + at))
			return false;
	}
	return eight_equal(a + length - 8, b + length - 8);
}

bool name_wire_equal(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length)
{
	return a_length == b_length && octets_equal(a, b, a_length);
}

bool name_equal(const struct name *a, const struct name *b)
{
	return name_wire_equal(a->wire, a->length, b->wire, b->length);
}

bool name_is_within(const struct name *name, const struct name *ancestor)
{
	if (name->length < ancestor->length || ancestor->length == 0)
		return false;
	size_t skip = (size_t)(name->length - ancestor->length);
	size_t at = 0;
	while (at < skip)
		at += 1u + name->wire[at];
	return at == skip && octets_equal(name->wire + skip, ancestor->wire, ancestor->length);
}

unsigned name_label_count(const uint8_t *wire)
{
	unsigned count = 0;
	for (; *wire; wire += 1u + *wire)
		count++;
	return count;
}

static bool needs_backslash(uint8_t octet)
{
	switch (octet) {
	case '.':
	case '\\':
	case '"':
	case '(':
	case ')':
	case ';':
	case '@':
	case '$':
		return true;
	default:
		return false;
	}
}

/* One octet of a label in presentation format; what was written. */
static size_t octet_to_text(uint8_t octet, char *out)
{
	if (octet < 0x21 || octet > 0x7e) {
		out[0] = '\\';
		out[1] = (char)('0' + octet / 100);
		out[2] = (char)('0' + octet / 10 % 10);
		out[3] = (char)('0' + octet % 10);
		return 4;
	}
	size_t used = 0;
	if (needs_backslash(octet))
		out[used++] = '\\';
	out[used++] = (char)octet;
	return used;
}

size_t name_to_text(const uint8_t *wire, char *out)
{
	size_t used = 0;
	if (*wire == 0)
		out[used++] = '.';
	while (*wire) {
		uint8_t length = *wire++;
		for (; length > 0; length--)
			used += octet_to_text(*wire++, out + used);
		out[used++] = '.';
	}
	out[used] = '\0';
	return used;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The octet that text begins with, escapes undone; *taken characters of it, 0 when it is malformed.
 */
static uint8_t octet_from_text(const char *text, size_t size, size_t *taken)
{
	*taken = 0;
	if (text[0] != '\\') {
		*taken = 1;
		return (uint8_t)text[0];
	}
	if (size >= 2 && !is_digit(text[1])) {
		*taken = 2;
		return (uint8_t)text[1];
	}
	if (size < 4 || !is_digit(text[2]) || !is_digit(text[3]))
		return 0;
	int value = (text[1] - '0') * 100 + (text[2] - '0') * 10 + (text[3] - '0');
	if (value <= 255)
		*taken = 4;
	return (uint8_t)value;
}

/* Reads one label at *at and steps over the dot behind it. */
static enum td_error label_from_text(struct name *out, const char *text, size_t size, size_t *at)
{
	uint8_t *length = &out->wire[out->length];
	size_t used = 0;
	while (*at < size && text[*at] != '.') {
		size_t taken;
		uint8_t octet = octet_from_text(text + *at, size - *at, &taken);
		if (!taken)
			return TD_MALFORMED;
		/* The length octet before it and the root label behind have to fit as well. */
		if (used == NAME_LABEL_MAX || out->length + 1u + used + 2u > NAME_WIRE_MAX)
			return TD_TOO_LONG;
		out->wire[out->length + 1u + used++] = octet;
		*at += taken;
	}
	if (used == 0)
		return TD_MALFORMED;
	*length = (uint8_t)used;
	out->length = (uint8_t)(out->length + 1 + used);
	*at += *at < size;
	return TD_OK;
}

enum td_error name_from_text(struct name *out, const char *text, size_t size)
{
	size_t at = size == 1 && text[0] == '.' ? 1 : 0;
	enum td_error error = size ? TD_OK : TD_MALFORMED;
	out->length = 0;
	while (at < size && error == TD_OK)
		error = label_from_text(out, text, size, &at);
	if (error != TD_OK) {
		out->length = 0;
		return error;
	}
	out->wire[out->length++] = 0;
	return TD_OK;
}

void name_write(struct wire_writer *writer, const struct name *name)
{
	wire_write_bytes(writer, name->wire, name->length);
}
