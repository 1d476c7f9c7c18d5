/* SPDX-License-Identifier: BSD-3-Clause */
/* The action that stands in place of those of all rules of a zone: `override` of a section zone. */
#include <string.h>
#include <strings.h>

#include "resolver/options_private.h"

#define ALIAS_WORD "cname"

static const struct {
	const char *word;
	enum policy_action action;
} overrides[] = {
	{"none", ACTION_NONE},
	{"nxdomain", ACTION_NXDOMAIN},
	{"nodata", ACTION_NODATA},
	{"passthru", ACTION_PASSTHRU},
	{"drop", ACTION_DROP},
	{"tcp-only", ACTION_TCP_ONLY},
};

/* "*.", which is an action and no name. */
static bool is_any(const struct name *name)
{
	return name->length == 3 && name->wire[1] == '*';
}

/* The name behind "cname ". */
static bool alias_set(struct zone_options *zone, const char *text)
{
	size_t word = strlen(ALIAS_WORD);

	if (strncasecmp(text, ALIAS_WORD, word) != 0 || strspn(text + word, " \t") == 0)
		return false;
	text += word + strspn(text + word, " \t");
	if (name_from_text(&zone->alias, text, strlen(text)) != TD_OK ||
		zone->alias.length == 1 || is_any(&zone->alias)) {
		zone->alias.length = 0;
		return false;
	}
	zone->override = ACTION_LOCAL_DATA;
	return true;
}

bool option_set_override(struct zone_options *zone, const char *text)
{
	zone->override = ACTION_NONE;
	zone->alias.length = 0;
	for (size_t i = 0; i < sizeof(overrides) / sizeof(overrides[0]); i++) {
		if (strcmp(text, overrides[i].word) != 0)
			continue;
		zone->override = overrides[i].action;
		return true;
	}
	return alias_set(zone, text);
}

void option_print_override(const struct zone_options *zone, FILE *out)
{
	char name[NAME_TEXT_MAX], text[NAME_TEXT_MAX + sizeof(ALIAS_WORD) + 1];

	if (zone->override == ACTION_LOCAL_DATA) {
		name_to_text(zone->alias.wire, name);
		snprintf(text, sizeof(text), ALIAS_WORD " %s", name);
		option_print_quoted(text, out);
		return;
	}
	for (size_t i = 0; i < sizeof(overrides) / sizeof(overrides[0]); i++)
		if (zone->override == overrides[i].action)
			fputs(overrides[i].word, out);
}
