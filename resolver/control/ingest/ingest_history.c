/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last questions in a ring, looked through from the newest: a serial number comes again when
 * the server was restarted, and then means the newer one. An index was rejected: an answer follows
 * its question by a few lines, so the search is short.
 */
#include "resolver/control/ingest/ingest_history.h"

#include <stdlib.h>
#include <string.h>

struct query {
	int64_t at_ms;
	struct address client;
	uint32_t serial;
	uint32_t length;
	char name[NAME_TEXT_MAX];
};

struct history {
	size_t count, next;
	struct query queries[HISTORY_QUERIES_MAX];
};

struct history *history_new(void)
{
	return calloc(1, sizeof(struct history));
}

void history_free(struct history **history)
{
	free(*history);
	*history = NULL;
}

void history_asked(struct history *history, const struct log_entry *entry)
{
	struct query *query = &history->queries[history->next];
	size_t length = strlen(entry->name);

	if (length == 0 || entry->source.family == ADDRESS_NONE)
		return;
	query->at_ms = entry->at_ms;
	query->client = entry->source;
	query->serial = entry->serial;
	query->length = (uint32_t)length;
	memcpy(query->name, entry->name, length + 1);
	history->next = (history->next + 1) % HISTORY_QUERIES_MAX;
	if (history->count < HISTORY_QUERIES_MAX)
		history->count++;
}

/* The newest first; NULL behind the oldest. */
static const struct query *query_at(const struct history *history, size_t age)
{
	if (age >= history->count)
		return NULL;
	return &history->queries[(history->next + HISTORY_QUERIES_MAX - 1 - age) %
				 HISTORY_QUERIES_MAX];
}

static size_t told_by_serial(
	const struct history *history, const struct log_entry *entry, struct history_told *out)
{
	const struct query *query;

	*out = (struct history_told){entry->source, entry->name, entry->serial == 0};
	for (size_t age = 0; entry->serial && (query = query_at(history, age)); age++) {
		if (query->serial != entry->serial ||
			!address_equal(&query->client, &entry->source))
			continue;
		out->name = query->name;
		out->certain = true;
		break;
	}
	return 1;
}

static bool is_listed(const struct history_told *told, size_t count, const struct address *client)
{
	for (size_t i = 0; i < count; i++)
		if (address_equal(&told[i].client, client))
			return true;
	return false;
}

static size_t told_by_name(const struct history *history, const struct log_entry *entry,
	struct history_told out[GATHER_NAMES_MAX])
{
	size_t count = 0, length = strlen(entry->name);
	const struct query *query;

	for (size_t age = 0; (query = query_at(history, age)) && count < GATHER_NAMES_MAX; age++) {
		if (entry->at_ms - query->at_ms > HISTORY_WINDOW_MS)
			break;
		if (query->length != length || memcmp(query->name, entry->name, length) != 0 ||
			is_listed(out, count, &query->client))
			continue;
		out[count++] = (struct history_told){query->client, entry->name, false};
	}
	if (count == 0)
		out[count++] = (struct history_told){{.family = ADDRESS_NONE}, entry->name, false};
	return count;
}

size_t history_told(const struct history *history, const struct log_entry *entry,
	struct history_told out[GATHER_NAMES_MAX])
{
	if (entry->certain && entry->source.family != ADDRESS_NONE)
		return told_by_serial(history, entry, out);
	return told_by_name(history, entry, out);
}
