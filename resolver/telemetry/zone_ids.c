/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers for zone names: an append-only array of atomic pointers. One thread appends, others only
 * read what was published; so no lock is needed and a reader never sees half a name.
 */
#include "resolver/telemetry/zone_ids.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/transaction.h"

void zone_ids_init(struct zone_ids *ids)
{
	ids->count = 0;
	ids->kept = NULL;
	for (unsigned i = 0; i < ZONE_IDS_MAX; i++)
		atomic_init(&ids->names[i], NULL);
}

void zone_ids_deinit(struct zone_ids *ids)
{
	for (unsigned i = 0; i < ids->count; i++)
		free(atomic_load(&ids->names[i]));
	zone_ids_init(ids);
}

static void keep_name(struct zone_ids *ids, unsigned id)
{
	if (ids->kept)
		snprintf(ids->kept[id], ZONE_IDS_NAME_SIZE, "%s", atomic_load(&ids->names[id]));
}

void zone_ids_keep(struct zone_ids *ids, char (*table)[ZONE_IDS_NAME_SIZE])
{
	ids->kept = table;
	for (unsigned i = 0; i < ids->count; i++)
		keep_name(ids, i);
}

uint16_t zone_ids_add(struct zone_ids *ids, const char *name)
{
	for (unsigned i = 0; i < ids->count; i++) {
		if (strcmp(atomic_load(&ids->names[i]), name) == 0)
			return (uint16_t)i;
	}
	if (ids->count == ZONE_IDS_MAX)
		return ZONE_ID_NONE;
	char *copy = strdup(name);
	if (!copy)
		return ZONE_ID_NONE;
	atomic_store(&ids->names[ids->count], copy);
	keep_name(ids, ids->count);
	return (uint16_t)ids->count++;
}

const char *zone_ids_name(const struct zone_ids *ids, uint16_t id)
{
	return id < ZONE_IDS_MAX ? atomic_load(&ids->names[id]) : NULL;
}
