/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names are those of the counters themselves, so whoever adds a counter has it here too. Rejected:
 * a structure with a member for each figure, which would have to be kept beside the counters.
 */
#include "resolver/telemetry/gauges.h"

#include <stdio.h>
#include <string.h>

void gauges_add(struct gauges *gauges, const char *name, uint64_t value)
{
	if (gauges->count == GAUGES_MAX)
		return;
	gauges->values[gauges->count].name = name;
	gauges->values[gauges->count++].value = value < GAUGE_VALUE_MAX ? value : GAUGE_VALUE_MAX;
}

void gauges_add_text(struct gauges *gauges, const char *name, const char *text)
{
	size_t size = strlen(text) + 1;

	if (gauges->text_count == GAUGE_TEXTS_MAX || size > GAUGE_TEXT_SIZE)
		return;
	struct gauge_text *added = &gauges->texts[gauges->text_count++];
	added->name = name;
	memcpy(added->text, text, size);
}

void gauges_add_upstream(struct gauges *gauges, const struct endpoint *server, const char *state)
{
	char text[ENDPOINT_TEXT_MAX + 32], address[ENDPOINT_TEXT_MAX];
	size_t used = strlen(gauges->upstreams);

	snprintf(text, sizeof(text), "%s%s=%s", used ? " " : "", endpoint_to_text(server, address),
		state);
	size_t size = strlen(text) + 1;
	if (used + size <= sizeof(gauges->upstreams))
		memcpy(gauges->upstreams + used, text, size);
}

static bool texts_equal(const struct gauges *a, const struct gauges *b)
{
	if (a->text_count != b->text_count)
		return false;
	for (size_t i = 0; i < a->text_count; i++) {
		if (strcmp(a->texts[i].name, b->texts[i].name) != 0 ||
			strcmp(a->texts[i].text, b->texts[i].text) != 0)
			return false;
	}
	return true;
}

bool gauges_equal(const struct gauges *a, const struct gauges *b)
{
	if (a->count != b->count || strcmp(a->upstreams, b->upstreams) != 0 || !texts_equal(a, b))
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (a->values[i].value != b->values[i].value ||
			strcmp(a->values[i].name, b->values[i].name) != 0)
			return false;
	}
	return true;
}
