/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table by key and a list in order of arrival. Failures end at different times (each length
 * doubles by itself), so the list is in no order of ends; that matters only at the bound, where the
 * oldest one is as good a choice as any and a heap would buy nothing. What has ended is taken out
 * when it is met.
 */
#include "resolver/failures.h"

#include <stdlib.h>
#include <string.h>

struct failure_entry {
	TAILQ_ENTRY(failure_entry) later;
	struct failure failure;
	uint64_t hash;
	int64_t until_us; /* held until then */
	int64_t hold_us;
	uint16_t key_length;
	uint8_t key[];
};

static bool entry_equal(const void *item, const void *key)
{
	const struct failure_entry *entry = item;
	const struct failure_key *wanted = key;

	return entry->key_length == wanted->length &&
	       memcmp(entry->key, wanted->octets, wanted->length) == 0;
}

static void entry_remove(struct failures *failures, struct failure_entry *entry)
{
	struct failure_key key = {entry->hash, entry->key, entry->key_length};

	table_remove(&failures->table, key.hash, entry_equal, &key);
	TAILQ_REMOVE(&failures->order, entry, later);
	free(entry);
}

static bool is_over(const struct failure_entry *entry, int64_t now_us)
{
	return now_us >= entry->until_us + FAILURE_MEMORY_US;
}

/* Still known to be failing, or NULL. */
static struct failure_entry *entry_find(
	struct failures *failures, const struct failure_key *key, int64_t now_us)
{
	struct failure_entry *entry = table_find(&failures->table, key->hash, entry_equal, key);

	if (!entry || !is_over(entry, now_us))
		return entry;
	entry_remove(failures, entry);
	return NULL;
}

static struct failure_entry *entry_new(struct failures *failures, const struct failure_key *key)
{
	struct failure_entry *entry = malloc(sizeof *entry + key->length);

	if (!entry)
		return NULL;
	if (failures->table.count == failures->table.limit) {
		entry_remove(failures, TAILQ_FIRST(&failures->order));
		failures->displaced++;
	}
	entry->hash = key->hash;
	entry->hold_us = 0;
	entry->key_length = (uint16_t)key->length;
	memcpy(entry->key, key->octets, key->length);
	if (table_insert(&failures->table, key->hash, entry) != TD_OK) {
		free(entry);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&failures->order, entry, later);
	return entry;
}

void failures_init(struct failures *failures, size_t limit)
{
	table_init(&failures->table, limit);
	TAILQ_INIT(&failures->order);
	failures->displaced = 0;
}

void failures_deinit(struct failures *failures)
{
	failures_forget_chosen(failures, NULL, NULL);
	table_deinit(&failures->table);
}

void failures_note(struct failures *failures, const struct failure_key *key,
	const struct failure *failure, int64_t first_us, int64_t again_max_us, int64_t now_us)
{
	struct failure_entry *entry = entry_find(failures, key, now_us);
	int64_t hold_us = first_us;

	if (entry && first_us == 0)
		return;
	if (entry && 2 * entry->hold_us > hold_us)
		hold_us = 2 * entry->hold_us;
	if (hold_us > again_max_us)
		hold_us = again_max_us > first_us ? again_max_us : first_us;
	if (!entry && !(entry = entry_new(failures, key)))
		return;
	entry->failure = *failure;
	entry->hold_us = hold_us;
	entry->until_us = now_us + hold_us;
}

bool failures_find(struct failures *failures, const struct failure_key *key, int64_t now_us,
	struct failure *out)
{
	const struct failure_entry *entry = entry_find(failures, key, now_us);

	if (!entry)
		return false;
	*out = entry->failure;
	out->held = now_us < entry->until_us;
	return true;
}

void failures_forget(struct failures *failures, const struct failure_key *key)
{
	struct failure_entry *entry = table_find(&failures->table, key->hash, entry_equal, key);

	if (entry)
		entry_remove(failures, entry);
}

size_t failures_forget_chosen(struct failures *failures, failures_choose_fn *choose, void *context)
{
	struct failure_entry *entry = TAILQ_FIRST(&failures->order), *later;
	size_t forgotten = 0;

	for (; entry; entry = later) {
		later = TAILQ_NEXT(entry, later);
		if (choose && !choose(context, entry->key, entry->key_length))
			continue;
		entry_remove(failures, entry);
		forgotten++;
	}
	return forgotten;
}

void failures_sweep(struct failures *failures, int64_t now_us)
{
	struct failure_entry *entry = TAILQ_FIRST(&failures->order), *later;

	for (; entry; entry = later) {
		later = TAILQ_NEXT(entry, later);
		if (is_over(entry, now_us))
			entry_remove(failures, entry);
	}
}

void failures_forget_silence(struct failures *failures)
{
	struct failure_entry *entry = TAILQ_FIRST(&failures->order), *later;

	for (; entry; entry = later) {
		later = TAILQ_NEXT(entry, later);
		if (entry->failure.error == TD_TIMEOUT || entry->failure.error == TD_IO)
			entry_remove(failures, entry);
	}
}
