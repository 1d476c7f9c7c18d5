/* SPDX-License-Identifier: BSD-3-Clause */
/* How many dropped packets there are for each lookup. */
#pragma once

#include <stdint.h>

#include "lib/base/strbuf.h"

#define RATIO_MAX 32

/* "9.0"; "-" where there is no lookup. Returns out. */
const char *ratio_text(uint64_t drops, uint64_t lookups, char out[RATIO_MAX]);
/* A number, or null. */
void ratio_json(struct strbuf *out, const char *key, uint64_t drops, uint64_t lookups);
