/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The records of a zone's local data: lists, each found by its rule in a small table. Few rules
 * have any, so they take nothing in the nodes.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/message.h"
#include "policy/zone_private.h"

#define DATA_FIRST 16

struct record {
	uint32_t next; /* 0: the last one */
	uint32_t ttl_s;
	uint16_t type;
	uint16_t length;
	uint8_t rdata[];
};

static struct record *record_at(const struct policy_zone *zone, uint32_t record)
{
	return (struct record *)(void *)(zone->records.bytes + record);
}

static size_t data_home(size_t capacity, uint32_t rule)
{
	return (size_t)(((rule * UINT32_C(0x9e3779b1)) * (uint64_t)capacity) >> 32);
}

/* The slot of this rule, or the free one where it belongs. There is a free one. */
static struct data_slot *data_find(struct data_slot *slots, size_t capacity, uint32_t rule)
{
	size_t slot = data_home(capacity, rule);

	while (slots[slot].first && slots[slot].rule != rule)
		slot = slot + 1 == capacity ? 0 : slot + 1;
	return &slots[slot];
}

static bool data_reserve(struct policy_zone *zone)
{
	size_t capacity = zone->data_capacity ? zone->data_capacity * 2 : DATA_FIRST;

	if (zone->data_count + zone->data_count / 3 + 2 <= zone->data_capacity)
		return true;
	struct data_slot *slots = capacity > UINT32_MAX ? NULL : calloc(capacity, sizeof(*slots));
	if (!slots)
		return false;
	for (size_t i = 0; i < zone->data_capacity; i++)
		if (zone->data[i].first)
			*data_find(slots, capacity, zone->data[i].rule) = zone->data[i];
	free(zone->data);
	zone->data = slots;
	zone->data_capacity = capacity;
	return true;
}

static bool record_is(const struct record *at, const struct policy_record *record)
{
	return at->type == record->type && at->length == record->rdata_length &&
	       !memcmp(at->rdata, record->rdata, record->rdata_length);
}

/* May record stand beside those from first on? *last is the last of them, 0 where there is none. */
static enum td_error records_check(const struct policy_zone *zone, uint32_t first,
	const struct policy_record *record, uint32_t *last)
{
	unsigned count = 0;

	*last = 0;
	for (uint32_t i = first; i; i = record_at(zone, i)->next) {
		const struct record *other = record_at(zone, i);
		if (record_is(other, record))
			return TD_INVALID;
		if (other->type == TYPE_CNAME || record->type == TYPE_CNAME)
			return TD_REFUSED;
		if (++count == ZONE_RECORDS_MAX)
			return TD_FULL;
		*last = i;
	}
	return TD_OK;
}

static bool record_new(struct policy_zone *zone, const struct policy_record *record, uint32_t *out)
{
	/* Record 0 stands for none. */
	if (!zone->records.used && !pool_take(&zone->records, sizeof(struct record), out))
		return false;
	/* Rounded up, so that the next one is aligned. */
	size_t size = (offsetof(struct record, rdata) + record->rdata_length + 3) & ~(size_t)3;

	if (!pool_take(&zone->records, size, out))
		return false;
	struct record *at = record_at(zone, *out);
	at->next = 0;
	at->ttl_s = record->ttl_s;
	at->type = record->type;
	at->length = record->rdata_length;
	if (record->rdata_length)
		memcpy(at->rdata, record->rdata, record->rdata_length);
	return true;
}

enum td_error zone_record_add(
	struct policy_zone *zone, uint32_t rule, const struct policy_record *record)
{
	uint32_t last, added;

	assert(rule_kind(rule) == RULE_NAME && zone_rule_action(zone, rule) == ACTION_LOCAL_DATA);
	if (!data_reserve(zone))
		return TD_NOMEM;
	struct data_slot *slot = data_find(zone->data, zone->data_capacity, rule);
	enum td_error error = records_check(zone, slot->first, record, &last);
	if (error)
		return error;
	if (!record_new(zone, record, &added))
		return TD_NOMEM;
	if (last) {
		record_at(zone, last)->next = added;
	} else {
		*slot = (struct data_slot){rule, added};
		zone->data_count++;
	}
	return TD_OK;
}

/* Frees a slot; those behind it that were kept from their place by it move up. */
static void data_free(struct policy_zone *zone, size_t slot)
{
	size_t capacity = zone->data_capacity, at = slot;

	for (;;) {
		at = at + 1 == capacity ? 0 : at + 1;
		if (!zone->data[at].first)
			break;
		size_t home = data_home(capacity, zone->data[at].rule);
		if ((at + capacity - home) % capacity < (at + capacity - slot) % capacity)
			continue;
		zone->data[slot] = zone->data[at];
		slot = at;
	}
	zone->data[slot].first = 0;
	zone->data_count--;
}

void zone_records_drop(struct policy_zone *zone, uint32_t rule)
{
	struct data_slot *slot;

	if (!zone->data_capacity)
		return;
	slot = data_find(zone->data, zone->data_capacity, rule);
	if (slot->first)
		data_free(zone, (size_t)(slot - zone->data));
}

enum td_error zone_record_remove(
	struct policy_zone *zone, uint32_t rule, const struct policy_record *record)
{
	if (!zone->data_capacity)
		return TD_NOT_FOUND;
	struct data_slot *slot = data_find(zone->data, zone->data_capacity, rule);
	uint32_t *link = &slot->first;
	while (*link && !record_is(record_at(zone, *link), record))
		link = &record_at(zone, *link)->next;
	if (!*link)
		return TD_NOT_FOUND;
	uint32_t next = record_at(zone, *link)->next;
	if (link == &slot->first && !next) {
		data_free(zone, (size_t)(slot - zone->data));
		return TD_OK;
	}
	*link = next;
	zone->removed++; /* its octets stay until the zone is put together anew */
	return TD_OK;
}

/* *position is the record returned last, so that a call at the end stays at the end. */
bool zone_record_next(const struct policy_zone *zone, uint32_t rule, uint16_t type,
	size_t *position, struct policy_record *out)
{
	uint32_t at = 0;

	if (*position)
		at = record_at(zone, (uint32_t)*position)->next;
	else if (zone->data_capacity)
		at = data_find(zone->data, zone->data_capacity, rule)->first;
	for (; at; at = record_at(zone, at)->next) {
		const struct record *record = record_at(zone, at);
		*position = at;
		if (type != TYPE_ANY && type != record->type)
			continue;
		*out = (struct policy_record){
			.type = record->type,
			.ttl_s = record->ttl_s,
			.rdata = record->rdata,
			.rdata_length = record->length,
		};
		return true;
	}
	return false;
}
