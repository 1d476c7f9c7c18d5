/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What comes in: a worker's tally, cut into the items that Redis will count, and items that another
 * life of the daemon left. Whatever finds no room is counted, under "*other" or as dropped.
 */
#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/pending_private.h"

/* --- texts --- */

/* Text as labels of a name, which is what an owner and the end of a key are: the log of what is
 * pending need not know. At most PENDING_FIELD_MAX octets of it. */
static size_t text_to_wire(const void *text, size_t size, uint8_t *wire)
{
	const uint8_t *at = text;
	size_t left = size < PENDING_FIELD_MAX ? size : PENDING_FIELD_MAX, length = 0;

	while (left > 0) {
		size_t part = left < NAME_LABEL_MAX ? left : NAME_LABEL_MAX;
		wire[length++] = (uint8_t)part;
		memcpy(wire + length, at, part);
		length += part;
		at += part;
		left -= part;
	}
	wire[length++] = 0;
	return length;
}

static void wire_to_text(const uint8_t *wire, char *out)
{
	while (wire && *wire) {
		memcpy(out, wire + 1, *wire);
		out += *wire;
		wire += 1 + *wire;
	}
	*out = '\0';
}

/* --- merging a tally --- */

/* True when the client has an item of its own, false when it is counted under "*other": it found no
 * room, or (forced) no memory. */
static bool add_client(struct pending *pending, const struct pending_key *key, bool force,
	const uint64_t *counts, int64_t first_us, int64_t last_us)
{
	struct pending_item *item = pending_upsert(pending, key, force);
	bool own = item != NULL;

	if (!item) {
		struct pending_key other = {.kind = PENDING_CLIENT, .when = key->when};
		item = pending_upsert(pending, &other, true);
	}
	if (!item) {
		pending->queries_lost += counts[COUNTER_queries];
		return false;
	}
	for (size_t i = 0; i < CLIENT_COUNTER_COUNT; i++)
		item->counts[i] += counts[i];
	pending_item_seen(item, first_us, last_us);
	pending->queries += counts[COUNTER_queries];
	return own;
}

static bool merge_client(
	struct pending *pending, const struct tally *tally, const struct tally_client *from)
{
	struct pending_key key = {
		.kind = PENDING_CLIENT, .when = (uint32_t)tally->hour, .client = from->address};

	return add_client(pending, &key, false, from->counters, from->first_us, from->last_us);
}

static bool add_detail(
	struct pending *pending, const struct pending_key *key, const struct tally_detail *from)
{
	struct pending_item *item = pending_upsert(pending, key, false);
	if (!item)
		return false;
	item->counts[PENDING_COUNT_QUERIES] += from->queries;
	if (from->action != TRANSACTION_NONE)
		item->counts[PENDING_COUNT_HITS] += from->queries;
	pending_item_seen(item, from->first_us, from->last_us);
	return true;
}

static void set_owner(struct pending_item *item, const uint8_t *owner, size_t length)
{
	if (item->owner && name_wire_length(item->owner, NAME_WIRE_MAX) == length &&
		memcmp(item->owner, owner, length) == 0)
		return;
	uint8_t *copy = malloc(length);
	if (!copy)
		return;
	free(item->owner);
	item->owner = memcpy(copy, owner, length);
}

static bool add_told(struct pending *pending, const struct tally *tally,
	const struct tally_detail *from, struct pending_key *key)
{
	const struct tally_told *told = (const void *)(tally->bytes + from->told);
	struct pending_key timeline = {.kind = PENDING_TIMELINE, .when = (uint32_t)tally->hour};
	bool complete = true;

	key->kind = PENDING_PAIR;
	for (unsigned i = 0; i < from->told_count; i++) {
		key->address = told[i].address;
		struct pending_item *pair = pending_upsert(pending, key, false);
		if (pair) {
			pair->counts[PENDING_COUNT_QUERIES] += from->queries;
			pending_item_seen(pair, from->first_us, from->last_us);
			set_owner(pair, tally->bytes + told[i].owner, told[i].owner_length);
		}
		timeline.address = told[i].address;
		complete = add_detail(pending, &timeline, from) && pair && complete;
	}
	return complete;
}

/* The rule that was hit; one that finds no room, or has no text, is one of the zone's others. */
static bool add_rule(
	struct pending *pending, const struct tally *tally, const struct tally_detail *from)
{
	struct pending_key key = {.kind = PENDING_RULE, .zone = from->zone};

	if (from->rule_length) {
		key.name_length = (uint8_t)text_to_wire(
			tally->bytes + from->rule, from->rule_length, key.name);
		if (add_detail(pending, &key, from))
			return true;
		key.name_length = 0;
		memset(key.name, 0, sizeof(key.name));
	}
	struct pending_item *other = pending_upsert(pending, &key, true);
	if (!other)
		return false;
	other->counts[PENDING_COUNT_QUERIES] += from->queries;
	other->counts[PENDING_COUNT_HITS] += from->queries;
	pending_item_seen(other, from->first_us, from->last_us);
	return true;
}

/* The first address of IPv4 that the reply told; NULL: none. */
static const struct address *told_v4(const struct tally *tally, const struct tally_detail *from)
{
	const struct tally_told *told = (const void *)(tally->bytes + from->told);

	for (unsigned i = 0; i < from->told_count; i++)
		if (told[i].address.family == ADDRESS_V4)
			return &told[i].address;
	return NULL;
}

/* The server told last stands for all of them. */
static void set_server(struct pending_item *item, int64_t last_us, const uint8_t *server)
{
	if (last_us >= item->last_us)
		set_owner(item, server, name_wire_length(server, NAME_WIRE_MAX));
}

/* Answered truthfully while a rule of the zone of Teredo servers matched, by its name or by the
 * address itself, and an address of IPv4 was told: from here on the client knows a server. */
static bool add_told_teredo(struct pending *pending, const struct tally *tally,
	const struct tally_detail *from, struct address client)
{
	const struct pending_key key = {.kind = PENDING_TOLD, .client = client};
	const struct address *server =
		from->zone == pending->teredo && from->action == TRANSACTION_WATCH
			? told_v4(tally, from)
			: NULL;
	char text[ADDRESS_TEXT_MAX];
	uint8_t wire[NAME_WIRE_MAX];

	if (!server || client.family == ADDRESS_NONE)
		return true;
	struct pending_item *item = pending_upsert(pending, &key, false);
	if (!item)
		return false;
	address_to_text(server, text);
	text_to_wire(text, strlen(text), wire);
	set_server(item, from->last_us, wire);
	pending_item_seen(item, from->first_us, from->last_us);
	return item->owner != NULL;
}

static bool add_hit(struct pending *pending, const struct tally *tally,
	const struct tally_detail *from, struct address client)
{
	struct pending_key zone = {.kind = PENDING_ZONE, .zone = from->zone, .client = client};
	bool complete = add_detail(pending, &zone, from);

	complete = add_rule(pending, tally, from) && complete;
	return add_told_teredo(pending, tally, from, client) && complete;
}

static void merge_detail(struct pending *pending, const struct tally *tally,
	const struct tally_detail *from, struct address client)
{
	struct pending_key key = {.kind = PENDING_QUERY,
		.when = (uint32_t)tally->hour,
		.name_length = from->qname_length,
		.client = client};
	memcpy(key.name, tally->bytes + from->qname, from->qname_length);
	bool complete = add_detail(pending, &key, from);

	key.when = 0;
	complete = add_told(pending, tally, from, &key) && complete;
	if (from->action != TRANSACTION_NONE && from->zone != ZONE_ID_NONE)
		complete = add_hit(pending, tally, from, client) && complete;
	if (!complete)
		pending->details_dropped += from->queries;
}

/* What no detail names is "*other": some of it has no name at all, the rest may be any name's. */
static void merge_tops(struct pending *pending, const struct tally *tally)
{
	struct pending_key key = {.kind = PENDING_TOP, .when = (uint32_t)(tally->hour / 24)};
	uint64_t other = tally->queries, unnamed = tally->details_dropped;

	for (uint32_t i = 0; i < tally->detail_count; i++) {
		const struct tally_detail *from = &tally->details[i];
		key.name_length = from->qname_length;
		memcpy(key.name, tally->bytes + from->qname, from->qname_length);
		struct pending_item *item = pending_add_top(pending, &key, from->queries);
		if (item)
			pending_item_seen(item, from->first_us, from->last_us);
		if (item)
			other -= from->queries;
		else
			unnamed += from->queries;
	}
	if (other || unnamed)
		pending_add_other(pending, key.when, other, unnamed);
}

void pending_merge(struct pending *pending, const struct tally *tally)
{
	bool own[TALLY_CLIENTS];

	for (uint32_t i = 0; i < tally->client_count; i++)
		own[i] = tally->clients[i].counters[COUNTER_queries] > 0 &&
			 merge_client(pending, tally, &tally->clients[i]);
	for (uint32_t i = 0; i < tally->detail_count; i++) {
		uint32_t client = tally->details[i].client;
		struct address address =
			own[client] ? tally->clients[client].address : (struct address){0};
		merge_detail(pending, tally, &tally->details[i], address);
	}
	if (tally->queries)
		merge_tops(pending, tally);
	pending->details_dropped += tally->details_dropped;
}

/* Two generations become one: of its errors a name keeps the larger one. */
static void put_top(struct pending *pending, const struct pending_key *key, const uint64_t *counts,
	int64_t first_us, int64_t last_us)
{
	struct pending_item *item =
		key->name_length ? pending_add_top(pending, key, counts[PENDING_COUNT_QUERIES])
				 : pending_other_of(pending, key->when);

	if (!item) {
		pending_add_other(pending, key->when, counts[PENDING_COUNT_QUERIES],
			counts[PENDING_COUNT_QUERIES]);
		return;
	}
	pending_item_seen(item, first_us, last_us);
	if (key->name_length == 0) {
		item->counts[PENDING_COUNT_QUERIES] += counts[PENDING_COUNT_QUERIES];
		item->counts[PENDING_COUNT_UNNAMED] += counts[PENDING_COUNT_UNNAMED];
	}
	if (counts[PENDING_COUNT_ERROR] > item->counts[PENDING_COUNT_ERROR])
		item->counts[PENDING_COUNT_ERROR] = counts[PENDING_COUNT_ERROR];
	if (key->name_length && pending_is_in_sketch(pending, item))
		sketch_raised(&pending->sketch, item);
}

static void put_detail(struct pending *pending, const struct pending_key *key,
	const uint64_t *counts, int64_t first_us, int64_t last_us, const uint8_t *owner)
{
	struct pending_item *item = pending_upsert(pending, key, true);

	if (!item) {
		pending->details_dropped += counts[PENDING_COUNT_QUERIES];
		return;
	}
	for (size_t i = 0; i < PENDING_COUNTS; i++)
		item->counts[i] += counts[i];
	if (owner && key->kind == PENDING_TOLD)
		set_server(item, last_us, owner);
	else if (owner)
		set_owner(item, owner, name_wire_length(owner, NAME_WIRE_MAX));
	pending_item_seen(item, first_us, last_us);
}

void pending_put(struct pending *pending, const struct pending_key *key, const uint64_t *counts,
	int64_t first_us, int64_t last_us, const uint8_t *owner)
{
	if (key->kind == PENDING_CLIENT)
		add_client(pending, key, true, counts, first_us, last_us);
	else if (key->kind == PENDING_TOP)
		put_top(pending, key, counts, first_us, last_us);
	else
		put_detail(pending, key, counts, first_us, last_us, owner);
}

bool pending_set_field(struct pending *pending, const struct address *client,
	enum pending_field field, const char *text)
{
	struct pending_key key = {.kind = PENDING_FIELD, .when = field, .client = *client};
	struct pending_item *item = pending_upsert(pending, &key, false);
	uint8_t wire[NAME_WIRE_MAX];

	if (!item)
		return false;
	set_owner(item, wire, text_to_wire(text, strlen(text), wire));
	return item->owner != NULL;
}

void pending_field_text(const struct pending_item *item, char out[PENDING_FIELD_MAX + 1])
{
	wire_to_text(item->owner, out);
}

void pending_rule_text(const struct pending_item *item, char out[PENDING_FIELD_MAX + 1])
{
	wire_to_text(item->key.name_length ? item->key.name : NULL, out);
}
