/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Domain names in wire format, uncompressed (RFC 1035, 3.1): at most 255 octets with the root label,
 * labels of at most 63. Names are bytes; letters are compared without case (RFC 4343).
 * "Folded" means that A-Z became a-z in every label.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/wire.h"

#define NAME_WIRE_MAX 255
#define NAME_LABEL_MAX 63
#define NAME_TEXT_MAX 1025 /* presentation format, dots and NUL included: 4 characters an octet at worst */
#define NAME_POINTERS_MAX 127 /* compression pointers followed in one name */

struct name {
	uint8_t length; /* octets of wire in use, the root label included: 1 to 255; 0 = no name */
	uint8_t wire[NAME_WIRE_MAX];
};

/*
 * Reads a name at the cursor, follows compression pointers (each must point before the place where the
 * name or the previous jump started, RFC 1035 4.1.4) and leaves the cursor behind it. Case is kept.
 * On failure sets reader->error (TD_TRUNCATED, TD_LOOP, TD_TOO_LONG, TD_MALFORMED for label types 01 and 10)
 * and out->length is 0. Returns the number of pointers followed.
 */
unsigned name_read(struct wire_reader *reader, struct name *out);

/* Length of the uncompressed name at wire within size octets, 0 if it is not one (a pointer is not). */
size_t name_wire_length(const uint8_t *wire, size_t size);

/* Folds length octets of an uncompressed, valid wire name into out (may be the same memory). */
void name_fold(uint8_t *out, const uint8_t *wire, size_t length);

/* Equal without regard to case. The second compares valid wire names of known length. */
bool name_equal(const struct name *a, const struct name *b);
bool name_wire_equal(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length);

/* True when name is ancestor or below it. Without regard to case. */
bool name_is_within(const struct name *name, const struct name *ancestor);

/* Labels, the root not counted. */
unsigned name_label_count(const uint8_t *wire);

/*
 * Presentation format with the final dot (RFC 1035 5.1): a dot or backslash in a label, quote, parentheses, ;, @, $ are
 * escaped as \c, octets outside 0x21..0x7e as \DDD. out holds at least NAME_TEXT_MAX bytes. Returns the length written,
 * without the NUL. wire must be a valid name.
 */
size_t name_to_text(const uint8_t *wire, char *out);

/*
 * From presentation format, size bytes; with or without the final dot, always taken as absolute. Case is kept.
 * TD_OK, TD_MALFORMED (empty label, bad escape, empty text), TD_TOO_LONG.
 */
enum td_error name_from_text(struct name *out, const char *text, size_t size);

/* Appends the name uncompressed. */
void name_write(struct wire_writer *writer, const struct name *name);
