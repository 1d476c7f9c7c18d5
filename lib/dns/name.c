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

/*
 * Steps over the labels at *at, up to the root label or a pointer. Together with the root label
 * they have to fit into room octets.
 */
static enum td_error skip_labels(const uint8_t *data, size_t size, size_t *at, size_t room)
{
	size_t start = *at;
	while (*at < size) {
		uint8_t length = data[*at];
		if (length == 0 || length >= 0xc0)
			return TD_OK;
		if (length > NAME_LABEL_MAX)
			return TD_MALFORMED;
		if (*at - start + 1u + length + 1u > room)
			return TD_TOO_LONG;
		if (length >= size - *at)
			return TD_TRUNCATED;
		*at += 1u + length;
	}
	return TD_TRUNCATED;
}

/* Follows the pointer at *at; it must lead before *limit. */
static enum td_error follow_pointer(const uint8_t *data, size_t size, size_t *at, size_t *limit)
{
	if (size - *at < 2)
		return TD_TRUNCATED;
	size_t target = (size_t)(data[*at] & 0x3f) << 8 | data[*at + 1];
	if (target >= *limit)
		return TD_LOOP;
	*limit = *at = target;
	return TD_OK;
}

static unsigned refuse_name(struct wire_reader *reader, struct name *out, enum td_error error)
{
	out->length = 0;
	reader->error = error;
	return 0;
}

unsigned name_read(struct wire_reader *reader, struct name *out)
{
	const uint8_t *data = reader->data;
	size_t at = reader->position, limit = at;
	size_t behind = 0; /* the place behind the first pointer */
	size_t used = 0;
	unsigned pointers = 0;
	enum td_error error = reader->error;
	while (error == TD_OK) {
		size_t start = at;
		error = skip_labels(data, reader->size, &at, NAME_WIRE_MAX - used);
		if (error != TD_OK)
			break;
		/* One copy for labels that stand together. */
		if (at > start)
			memcpy(out->wire + used, data + start, at - start);
		used += at - start;
		if (data[at] == 0) {
			out->wire[used] = 0;
			out->length = (uint8_t)(used + 1);
			reader->position = pointers ? behind : at + 1;
			return pointers;
		}
		if (pointers == 0)
			behind = at + 2;
		error = ++pointers > NAME_POINTERS_MAX
				? TD_LOOP
				: follow_pointer(data, reader->size, &at, &limit);
	}
	return refuse_name(reader, out, error);
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

/* Copies octets up to the next dot or backslash, at most room of them; returns how many. */
static size_t plain_from_text(uint8_t *out, const char *text, size_t size, size_t room)
{
	size_t most = size < room ? size : room, i = 0;
	for (; i < most && text[i] != '.' && text[i] != '\\'; i++)
		out[i] = (uint8_t)text[i];
	return i;
}

/* Reads one label at *at and steps over the dot behind it. */
static enum td_error label_from_text(struct name *out, const char *text, size_t size, size_t *at)
{
	uint8_t *length = &out->wire[out->length];
	/* The length octet before it and the root label behind have to fit as well. */
	size_t left = NAME_WIRE_MAX - out->length, room = left > 2 ? left - 2 : 0;
	if (room > NAME_LABEL_MAX)
		room = NAME_LABEL_MAX;
	size_t used = plain_from_text(length + 1, text + *at, size - *at, room);
	*at += used;
	while (*at < size && text[*at] != '.') {
		size_t taken;
		uint8_t octet = octet_from_text(text + *at, size - *at, &taken);
		if (!taken)
			return TD_MALFORMED;
		if (used == room)
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
