/* SPDX-License-Identifier: BSD-3-Clause */
/* "type=A rcode=NOERROR left_s=12": how the daemon describes one thing on one line of a reply. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ATTRIBUTE_PART_SIZE 64

/* The first words of a line; what is missing is "", what is too long is cut. */
void attribute_split(const char *text, char parts[][ATTRIBUTE_PART_SIZE], size_t count);

/* The word behind "KEY=", up to the next blank; "" where there is none. Returns out. */
const char *attribute_word(const char *text, const char *key, char *out, size_t size);

/* The same as a number, 0 where there is none. */
int64_t attribute_number(const char *text, const char *key);

/* All that stands behind "KEY=", blanks too; "" where there is none. Points into text. */
const char *attribute_rest(const char *text, const char *key);
