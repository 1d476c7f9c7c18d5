/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One table of cells, whose keys are compared as bytes. Text is made when a chunk is written, not
 * when a line is read: most lines only raise a count. Rejected: counting a whole file first, which
 * would either need memory without a bound or a position that no single script call could write.
 */
#include "resolver/control/ingest/ingest_gather.h"

#include <string.h>

/* Of an item, in units of about 5 us that it takes of Redis (tests/live/test_ingest_script.py). */
#define COST_TIMELINE 3
#define COST_DROP 1
#define COST_HISTORY 5
#define COST_EVENT 4
#define COST_HOUR 9 /* the first drop of an hour */
#define COST_MAX 400
#define COST_ENTRY (GATHER_NAMES_MAX * COST_HISTORY) /* the most that an entry adds */
#define SUM_MAX (UINT64_C(100) * GATHER_COUNT_MAX)   /* 15 digits are what the script takes */
#define TEXT_MAX ((size_t)128 << 10)                 /* of names and events */

struct gather_wanted {
	struct gather_key key;
	const char *name;
	size_t length;
};

static bool is_wanted(const void *item, const void *key)
{
	const struct gather_cell *cell = item;
	const struct gather_wanted *wanted = key;

	return memcmp(&cell->key, &wanted->key, sizeof(cell->key)) == 0 &&
	       cell->name_length == wanted->length &&
	       (wanted->length == 0 || memcmp(cell->name, wanted->name, wanted->length) == 0);
}

void gather_init(struct gather *gather, const struct hash_seed *seed)
{
	*gather = (struct gather){.seed = *seed};
	table_init(&gather->cells, COST_MAX + COST_ENTRY);
	arena_init(&gather->arena);
}

void gather_deinit(struct gather *gather)
{
	table_deinit(&gather->cells);
	arena_deinit(&gather->arena);
}

void gather_clear(struct gather *gather)
{
	while (table_take_any(&gather->cells))
		continue;
	arena_deinit(&gather->arena);
	arena_init(&gather->arena);
	gather->cost = 0;
	gather->hour_count = 0;
	gather->sum = 0;
	gather->failed = false;
}

bool gather_is_empty(const struct gather *gather)
{
	return gather->cells.count == 0;
}

bool gather_has_room(const struct gather *gather)
{
	return gather->cost + COST_ENTRY <= COST_MAX && gather->sum < SUM_MAX &&
	       gather->arena.used < TEXT_MAX;
}

static unsigned cost_of(enum gather_what what)
{
	static const unsigned costs[] = {[GATHER_TIMELINE] = COST_TIMELINE,
		[GATHER_NAME] = COST_TIMELINE,
		[GATHER_DROP] = COST_DROP,
		[GATHER_HISTORY] = COST_HISTORY,
		[GATHER_EVENT] = COST_EVENT};

	return costs[what];
}

/* More hours than are remembered cost again, which is no harm. */
static void count_hour(struct gather *gather, uint32_t hour)
{
	for (size_t i = 0; i < gather->hour_count; i++)
		if (gather->hours[i] == hour)
			return;
	gather->cost += COST_HOUR;
	if (gather->hour_count < GATHER_HOURS_MAX)
		gather->hours[gather->hour_count++] = hour;
}

static struct gather_cell *make_cell(
	struct gather *gather, uint64_t hash, const struct gather_wanted *wanted)
{
	struct gather_cell *cell = arena_alloc(&gather->arena, sizeof(*cell) + wanted->length + 1);

	if (!cell || table_insert(&gather->cells, hash, cell) != TD_OK) {
		gather->failed = true;
		return NULL;
	}
	*cell = (struct gather_cell){.first_ms = INT64_MAX, .name_length = wanted->length};
	memcpy(&cell->key, &wanted->key, sizeof(cell->key));
	if (wanted->length)
		memcpy(cell->name, wanted->name, wanted->length);
	cell->name[wanted->length] = '\0';
	gather->cost += cost_of(wanted->key.what);
	if (wanted->key.what == GATHER_DROP)
		count_hour(gather, wanted->key.hour);
	return cell;
}

/* The key's padding is zero: it was made by memset. */
static struct gather_cell *add(
	struct gather *gather, const struct gather_wanted *wanted, int64_t at_ms, uint64_t count)
{
	uint64_t hash = hash_bytes(&gather->seed, &wanted->key, sizeof(wanted->key));

	if (wanted->length)
		hash ^= hash_bytes(&gather->seed, wanted->name, wanted->length);
	struct gather_cell *cell = table_find(&gather->cells, hash, is_wanted, wanted);
	if (!cell)
		cell = make_cell(gather, hash, wanted);
	if (!cell)
		return NULL;
	cell->count += count;
	gather->sum += count;
	if (at_ms < cell->first_ms)
		cell->first_ms = at_ms;
	if (at_ms > cell->last_ms)
		cell->last_ms = at_ms;
	return cell;
}

static void want(struct gather_wanted *wanted, enum gather_what what, unsigned detail,
	int64_t at_ms, const char *name)
{
	memset(wanted, 0, sizeof(*wanted));
	wanted->key.what = (uint8_t)what;
	wanted->key.detail = (uint8_t)detail;
	wanted->key.hour = (uint32_t)(at_ms / MS_PER_HOUR);
	wanted->name = name;
	wanted->length = name ? strlen(name) : 0;
}

void gather_timeline(struct gather *gather, const struct address *address, int64_t at_ms,
	enum gather_column column, uint64_t count)
{
	struct gather_wanted wanted;

	want(&wanted, GATHER_TIMELINE, column, at_ms, NULL);
	wanted.key.address = *address;
	add(gather, &wanted, at_ms, count);
}

void gather_name(struct gather *gather, const char *name, int64_t at_ms, uint64_t count)
{
	struct gather_wanted wanted;

	want(&wanted, GATHER_NAME, COLUMN_PROXY, at_ms, name);
	add(gather, &wanted, at_ms, count);
}

void gather_drop(struct gather *gather, const struct address *client, const struct address *address,
	int64_t at_ms, enum gather_tunnel tunnel, uint64_t count)
{
	struct gather_wanted wanted;

	want(&wanted, GATHER_DROP, tunnel, at_ms, NULL);
	wanted.key.client = *client;
	wanted.key.address = *address;
	add(gather, &wanted, at_ms, count);
}

void gather_history(struct gather *gather, const struct address *client, const char *name,
	const struct address *address, int64_t at_ms, bool certain)
{
	struct gather_wanted wanted;

	want(&wanted, GATHER_HISTORY, certain, at_ms, name);
	wanted.key.hour = 0;
	wanted.key.client = *client;
	wanted.key.address = *address;
	add(gather, &wanted, at_ms, 1);
}

/* A computer's events are cells of their own, in the order of their times: the script keeps the
 * newest, whichever comes first. */
void gather_event(struct gather *gather, const char *computer, int64_t at_ms, const char *json)
{
	struct gather_wanted wanted;
	size_t length = strlen(computer), json_length = strlen(json);
	char *both = arena_alloc(&gather->arena, length + 1 + json_length);

	if (!both) {
		gather->failed = true;
		return;
	}
	memcpy(both, computer, length + 1);
	memcpy(both + length + 1, json, json_length);
	want(&wanted, GATHER_EVENT, 0, at_ms, NULL);
	wanted.name = both;
	wanted.length = length + 1 + json_length;
	add(gather, &wanted, at_ms, 1);
}

/* --- writing --- */

static void put_address(struct ingest_chunk *chunk, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];

	ingest_chunk_put_text(chunk, address_to_text(address, text));
}

static void put_timeline(struct ingest_chunk *chunk, const struct gather_cell *cell)
{
	static const char *const columns[] = {[COLUMN_DROP] = "firewall-drop",
		[COLUMN_PASS] = "firewall-pass",
		[COLUMN_PROXY] = "proxy",
		[COLUMN_EVENTLOG] = "eventlog"};

	ingest_chunk_put_text(chunk, "t");
	if (cell->key.what == GATHER_NAME)
		ingest_chunk_put_text(chunk, cell->name);
	else
		put_address(chunk, &cell->key.address);
	ingest_chunk_put_u64(chunk, cell->key.hour);
	ingest_chunk_put_text(chunk, columns[cell->key.detail]);
	ingest_chunk_put_u64(chunk, cell->count);
	ingest_chunk_put_u64(chunk, (uint64_t)cell->last_ms);
}

static void put_drop(struct ingest_chunk *chunk, const struct gather_cell *cell)
{
	static const char *const kinds[] = {
		[TUNNEL_NONE] = "-", [TUNNEL_UDP3544] = "udp3544", [TUNNEL_PROTO41] = "proto41"};

	ingest_chunk_put_text(chunk, "d");
	ingest_chunk_put_u64(chunk, cell->key.hour);
	put_address(chunk, &cell->key.client);
	put_address(chunk, &cell->key.address);
	ingest_chunk_put_text(chunk, kinds[cell->key.detail]);
	ingest_chunk_put_u64(chunk, cell->count);
}

static void put_history(struct ingest_chunk *chunk, const struct gather_cell *cell)
{
	ingest_chunk_put_text(chunk, "h");
	put_address(chunk, &cell->key.address);
	put_address(chunk, &cell->key.client);
	ingest_chunk_put_text(chunk, cell->name);
	ingest_chunk_put_u64(chunk, (uint64_t)cell->first_ms);
	ingest_chunk_put_u64(chunk, (uint64_t)cell->last_ms);
	ingest_chunk_put_u64(chunk, cell->count);
	ingest_chunk_put_text(chunk, cell->key.detail ? "certain" : "ambiguous");
}

static void put_event(struct ingest_chunk *chunk, const struct gather_cell *cell)
{
	size_t length = strlen(cell->name);

	ingest_chunk_put_text(chunk, "e");
	ingest_chunk_put_text(chunk, cell->name);
	ingest_chunk_put_u64(chunk, (uint64_t)cell->last_ms);
	ingest_chunk_put(chunk, cell->name + length + 1, cell->name_length - length - 1);
}

void gather_write(const struct gather *gather, struct ingest_chunk *chunk)
{
	const struct gather_cell *cell;
	size_t position = 0;

	while ((cell = table_next(&gather->cells, &position)) != NULL) {
		switch ((enum gather_what)cell->key.what) {
		case GATHER_TIMELINE:
		case GATHER_NAME:
			put_timeline(chunk, cell);
			break;
		case GATHER_DROP:
			put_drop(chunk, cell);
			break;
		case GATHER_HISTORY:
			put_history(chunk, cell);
			break;
		case GATHER_EVENT:
			put_event(chunk, cell);
			break;
		}
	}
}
