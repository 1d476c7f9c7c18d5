/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small numbers for the names of zones, so that a tally or a record carries two octets instead of
 * text. A number is never given twice and a name never goes away: what refers to one stays readable
 * after a reload dropped the zone.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define ZONE_TEREDO "teredo" /* the zone of the names and addresses of Teredo servers, as shipped */

#define ZONE_IDS_MAX 255
#define ZONE_IDS_NAME_SIZE 64 /* of what is kept; a longer name is cut there */

struct zone_ids {
	char *_Atomic names[ZONE_IDS_MAX]; /* filled from 0 on, never changed */
	unsigned count;                    /* the writer's own */
	char (*kept)[ZONE_IDS_NAME_SIZE];  /* copies of the names that outlive the process, or NULL
					    */
};

void zone_ids_init(struct zone_ids *ids);
void zone_ids_deinit(struct zone_ids *ids);

/* The writer's thread: from now on every name, also those there are, is in table as well, which has
 * ZONE_IDS_MAX places and outlives ids. */
void zone_ids_keep(struct zone_ids *ids, char (*table)[ZONE_IDS_NAME_SIZE]);

/* One thread. The number of name, a new one if it has none; ZONE_ID_NONE when all are used up. */
uint16_t zone_ids_add(struct zone_ids *ids, const char *name);

/* Any thread. NULL for ZONE_ID_NONE and for numbers never given. */
const char *zone_ids_name(const struct zone_ids *ids, uint16_t id);
