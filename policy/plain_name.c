/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A character at position n of the text lies at n + 1 of the wire, and a dot where the length of
 * the label behind it goes: so one pass copies, folds, checks and cuts.
 */
#include "policy/plain_name.h"

#include "lib/dns/name.h"

#define LETTER(c) [c] = (c), [(c) - 'a' + 'A'] = (c)
#define OTHER(c) [c] = (c)

static const uint8_t octets[256] = {LETTER('a'), LETTER('b'), LETTER('c'), LETTER('d'),
	LETTER('e'), LETTER('f'), LETTER('g'), LETTER('h'), LETTER('i'), LETTER('j'), LETTER('k'),
	LETTER('l'), LETTER('m'), LETTER('n'), LETTER('o'), LETTER('p'), LETTER('q'), LETTER('r'),
	LETTER('s'), LETTER('t'), LETTER('u'), LETTER('v'), LETTER('w'), LETTER('x'), LETTER('y'),
	LETTER('z'), OTHER('0'), OTHER('1'), OTHER('2'), OTHER('3'), OTHER('4'), OTHER('5'),
	OTHER('6'), OTHER('7'), OTHER('8'), OTHER('9'), OTHER('-'), OTHER('_')};

uint8_t plain_name_octet(char c)
{
	return octets[(unsigned char)c];
}

size_t plain_name_read(const char *text, size_t length, uint8_t *wire, size_t room, size_t *size)
{
	size_t end = length < room ? length : room - 1, at, label = 0;

	for (at = 0; at < end; at++) {
		uint8_t octet = octets[(unsigned char)text[at]];
		if (octet) {
			wire[at + 1] = octet;
			continue;
		}
		if (text[at] != '.')
			break;
		if (at == label || at - label > NAME_LABEL_MAX)
			return 0;
		wire[label] = (uint8_t)(at - label);
		label = at + 1;
	}
	if (at == end && end < length && (octets[(unsigned char)text[at]] || text[at] == '.'))
		return 0;
	if (at == 0 || at - label > NAME_LABEL_MAX)
		return 0;
	if (at > label) {
		if (at + 2 > room)
			return 0;
		wire[label] = (uint8_t)(at - label);
		label = at + 1;
	}
	wire[label] = 0;
	*size = label + 1;
	return at;
}
