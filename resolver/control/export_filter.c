/* SPDX-License-Identifier: BSD-3-Clause */
/* What of the store `teredown export` is to write: times, clients, names, addresses. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolver/control/export.h"
#include "resolver/control/json_view.h"

/* --- times --- */

static bool ago(const char *text, int64_t now_ms, int64_t *out_ms)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
	char *end;
	unsigned long count = strtoul(text, &end, 10);

	if (end == text || *text < '0' || *text > '9' || count > 1000000 || !*end || end[1])
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].unit == *end) {
			*out_ms = now_ms - (int64_t)count * units[i].ms;
			return true;
		}
	}
	return false;
}

static bool unix_seconds(const char *text, int64_t *out_ms)
{
	size_t length = strlen(text);

	if (length < 9 || length > 11 || strspn(text, "0123456789") != length)
		return false;
	*out_ms = strtoll(text, NULL, 10) * 1000;
	return true;
}

static bool calendar(const char *text, int64_t *out_ms)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
		"%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm parts = {.tm_isdst = -1};
		const char *end = strptime(text, forms[i], &parts);
		if (!end || (*end && strcmp(end, "Z") != 0))
			continue;
		time_t seconds = *end ? timegm(&parts) : mktime(&parts);
		*out_ms = (int64_t)seconds * 1000;
		return true;
	}
	return false;
}

bool export_time(const char *text, int64_t now_ms, int64_t *out_ms)
{
	return ago(text, now_ms, out_ms) || unix_seconds(text, out_ms) || calendar(text, out_ms);
}

/* --- rows --- */

bool export_wants_name(const struct export_filter *filter, const char *text)
{
	struct name name;

	if (filter->name.length == 0)
		return true;
	if (name_from_text(&name, text, strlen(text)) != TD_OK)
		return false;
	bool same = name_equal(&name, &filter->name);
	return filter->below ? !same && name_is_within(&name, &filter->name) : same;
}

bool export_wants_pair(const struct export_filter *filter, const struct reader_pair *pair)
{
	return pair->last_ms >= filter->since_ms && pair->first_ms <= filter->until_ms &&
	       (!filter->client || strcmp(filter->client, pair->client) == 0) &&
	       (!filter->address || strcmp(filter->address, pair->address) == 0) &&
	       export_wants_name(filter, pair->name);
}

static bool field(const struct reader_record *record, const char *key, char *out, size_t size)
{
	return json_field(record->json, record->json_length, key, out, size);
}

static bool was_told(const struct reader_record *record, const char *address)
{
	struct json_span list, item;
	size_t position = 0;
	char text[64];

	if (!json_find(record->json, record->json_length, "addresses", &list))
		return false;
	while (json_each(list, &position, &item))
		if (strcmp(json_text(item, text, sizeof(text)), address) == 0)
			return true;
	return false;
}

bool export_wants_record(const struct export_filter *filter, const struct reader_record *record)
{
	char text[NAME_TEXT_MAX];
	bool timed = filter->since_ms != INT64_MIN || filter->until_ms != INT64_MAX;
	int64_t ms = timed ? json_time(record->json, record->json_length, "ts") : 0;

	if (timed && (!ms || ms < filter->since_ms || ms > filter->until_ms))
		return false;
	if (filter->client &&
		(!field(record, "client", text, sizeof(text)) || strcmp(text, filter->client) != 0))
		return false;
	if (filter->name.length &&
		(!field(record, "query", text, sizeof(text)) || !export_wants_name(filter, text)))
		return false;
	return !filter->address || was_told(record, filter->address);
}
