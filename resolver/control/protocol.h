/* SPDX-License-Identifier: BSD-3-Clause */
/* What both ends of the control socket agree on (see server.h for the form of requests and
 * replies). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/strbuf.h"

#define CONTROL_LINE_MAX 4096       /* a request without its newline */
#define CONTROL_REPLY_MAX (1 << 20) /* a whole reply */
#define CONTROL_VIA "via="          /* what a request's first word begins with that names its origin */

/* Whether this can be a word of a request: printable ASCII without a blank, fewer than size octets
 * of it. What Redis holds need not be. */
bool protocol_is_word(const char *text, size_t size);

/* Appends value on one line: tab, newline, carriage return and backslash become \t \n \r \\. */
void protocol_escape(struct strbuf *out, const char *value);

/* Undoes protocol_escape in place. An unknown escape stays as it is. */
void protocol_unescape(char *value);
