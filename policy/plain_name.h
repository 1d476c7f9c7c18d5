/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: names as nearly all of them are written in lists, of letters, digits, `-`
 * and `_`, without a backslash: read and folded in one go.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The character as it stands in such a name; 0: it cannot. A dot is none of them. */
uint8_t plain_name_octet(char c);

/*
 * Reads a name as far as its characters and dots go, a final dot too, into wire, folded and with
 * the root behind it: *size octets, at most room (2 or more). Returns how many characters were
 * read; 0 where this is no name: an empty label, one over 63 octets, or too many in all. What is in
 * wire is then undefined.
 */
size_t plain_name_read(const char *text, size_t length, uint8_t *wire, size_t room, size_t *size);
