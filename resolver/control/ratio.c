/* SPDX-License-Identifier: BSD-3-Clause */
/* One digit behind the point: more would say more than is known. */
#include "resolver/control/ratio.h"

#include <stdio.h>

const char *ratio_text(uint64_t drops, uint64_t lookups, char out[RATIO_MAX])
{
	if (lookups)
		snprintf(out, RATIO_MAX, "%.1f", (double)drops / (double)lookups);
	else
		snprintf(out, RATIO_MAX, "-");
	return out;
}

void ratio_json(struct strbuf *out, const char *key, uint64_t drops, uint64_t lookups)
{
	char text[RATIO_MAX];

	strbuf_json_key(out, key);
	strbuf_append_text(out, lookups ? ratio_text(drops, lookups, text) : "null");
}
