/* SPDX-License-Identifier: BSD-3-Clause */
/* Figures as a person says them. All of them append to out; none reads a clock. */
#pragma once

#include <stdint.h>

#include "lib/base/strbuf.h"

/* "no", "one" … "twelve", then digits. */
void say_number(struct strbuf *out, uint64_t number);
/* "one host", "three hosts", "no hosts": the plural is one with an s. */
void say_count(struct strbuf *out, uint64_t count, const char *one);
/* "seven days", "one hour", "90 minutes", rounded to the unit of which there are two at least;
 * "less than a second". */
void say_span(struct strbuf *out, int64_t ms);
/* "30 seconds", "100 seconds", "20 minutes", "three hours", rounded: what stands behind "every". */
void say_period(struct strbuf *out, int64_t ms);
/* "nine drops for each lookup", "4.3 drops for each lookup", "one drop for 12 lookups". drops and
 * lookups are not 0. */
void say_ratio(struct strbuf *out, uint64_t drops, uint64_t lookups);
/* A name without its final dot, escaped. */
void say_name(struct strbuf *out, const char *name);
