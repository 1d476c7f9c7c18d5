/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading copies, by the thread that compiles. A zone with changes behind it is read without being
 * put together first: the changes, which are few, are sorted by record, the last word on each
 * counts; then the million records of the zone pass by and those that something was said of are
 * left out, and what the changes brought comes last.
 */
#include "resolver/transfer_copy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/dns/wire.h"
#include "resolver/transfer_copy_private.h"

#define WINDOW_SIZE ((size_t)1 << 18) /* holds the largest record */

_Static_assert(WINDOW_SIZE > ENTRY_HEAD_SIZE + NAME_WIRE_MAX + UINT16_MAX, "a record fits");

bool copy_sync(const struct copy_snapshot *snapshot)
{
	return fdatasync(snapshot->fd) == 0;
}

/* --- one segment --- */

struct window {
	const struct copy_snapshot *snapshot;
	uint64_t offset, left; /* in the file: what was not read yet */
	uint8_t *octets;
	size_t start, end;
};

/* So that as much as possible stands at the front. */
static bool window_fill(struct window *window)
{
	size_t size = window->end - window->start;

	memmove(window->octets, window->octets + window->start, size);
	window->start = 0;
	window->end = size;
	size_t room = WINDOW_SIZE - size;
	if (room > window->left)
		room = (size_t)window->left;
	if (!copy_pread(window->snapshot->fd, window->octets + size, room, window->offset))
		return false;
	window->offset += room;
	window->left -= room;
	window->end += room;
	return true;
}

/* The record at the front. TD_TRUNCATED: not all of it stands there. */
static enum td_error window_take(
	struct window *window, const struct name *apex, copy_record_fn *call, void *context)
{
	struct wire_reader reader =
		wire_reader_init(window->octets + window->start, window->end - window->start);
	bool removed = wire_read_u8(&reader);
	struct name trigger = {.length = (uint8_t)(wire_read_u8(&reader) + 1)};
	uint16_t type = wire_read_u16(&reader);
	uint32_t ttl_s = wire_read_u32(&reader);
	uint16_t length = wire_read_u16(&reader);
	const uint8_t *owner = wire_read_bytes(&reader, trigger.length - 1u);
	const uint8_t *rdata = wire_read_bytes(&reader, length);

	if (reader.error)
		return reader.error;
	if (trigger.length - 1 + apex->length > NAME_WIRE_MAX)
		return TD_MALFORMED;
	memcpy(trigger.wire, owner, trigger.length - 1u);
	trigger.wire[trigger.length - 1] = 0;
	if (name_wire_length(trigger.wire, trigger.length) != trigger.length)
		return TD_MALFORMED;
	window->start += reader.position;
	return call(context, removed, &trigger, type, ttl_s, rdata, length);
}

static enum td_error window_run(
	struct window *window, const struct name *apex, copy_record_fn *call, void *context)
{
	while (window->start < window->end || window->left > 0) {
		enum td_error error = window_take(window, apex, call, context);
		bool full = window->start == 0 && window->end == WINDOW_SIZE;
		if (error == TD_TRUNCATED && window->left > 0 && !full)
			error = window_fill(window) ? TD_OK : TD_IO;
		else if (error == TD_TRUNCATED)
			error = TD_MALFORMED;
		if (error != TD_OK)
			return error;
	}
	return TD_OK;
}

enum td_error copy_read(const struct copy_snapshot *snapshot, const struct copy_segment *segment,
	copy_record_fn *call, void *context)
{
	struct window window = {.snapshot = snapshot,
		.offset = segment->offset,
		.left = segment->length,
		.octets = malloc(WINDOW_SIZE)};
	enum td_error error = TD_NOMEM;

	if (window.octets)
		error = window_run(&window, &snapshot->apex, call, context);
	free(window.octets);
	return error;
}

/* --- all of them --- */

/* A record that changes speak of. */
struct change {
	struct change *next; /* as they are kept, the last one first */
	uint32_t number;
	uint32_t ttl_s;
	uint16_t type, rdata_length;
	uint8_t trigger_length;
	bool removed;
	uint8_t octets[]; /* the trigger folded, the RDATA, the trigger as it came */
};

struct changes {
	struct change *last;
	uint32_t count;
	struct change **sorted; /* by record; the last word on each */
	size_t sorted_count;
	copy_record_fn *call;
	void *context;
};

static enum td_error keep_change(void *context, bool removed, const struct name *trigger,
	uint16_t type, uint32_t ttl_s, const uint8_t *rdata, uint16_t rdata_length)
{
	struct changes *changes = context;
	struct change *change =
		malloc(sizeof *change + 2u * trigger->length + (size_t)rdata_length);

	if (!change)
		return TD_NOMEM;
	*change = (struct change){.next = changes->last,
		.number = changes->count++,
		.ttl_s = ttl_s,
		.type = type,
		.rdata_length = rdata_length,
		.trigger_length = trigger->length,
		.removed = removed};
	name_fold(change->octets, trigger->wire, trigger->length);
	memcpy(change->octets + trigger->length, rdata, rdata_length);
	memcpy(change->octets + trigger->length + rdata_length, trigger->wire, trigger->length);
	changes->last = change;
	return TD_OK;
}

static int compare_octets(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length)
{
	if (a_length != b_length)
		return a_length < b_length ? -1 : 1;
	return memcmp(a, b, a_length);
}

static int compare_records(const struct change *a, const struct change *b)
{
	int order = compare_octets(a->octets, a->trigger_length, b->octets, b->trigger_length);

	if (order == 0)
		order = (a->type > b->type) - (a->type < b->type);
	if (order == 0)
		order = compare_octets(a->octets + a->trigger_length, a->rdata_length,
			b->octets + b->trigger_length, b->rdata_length);
	return order;
}

/* By record, the latest first. */
static int compare_changes(const void *a, const void *b)
{
	const struct change *const *x = a, *const *y = b;
	int order = compare_records(*x, *y);

	return order ? order : ((*x)->number < (*y)->number) - ((*x)->number > (*y)->number);
}

static int compare_found(const void *a, const void *b)
{
	const struct change *const *x = a, *const *y = b;

	return compare_records(*x, *y);
}

static enum td_error sort_changes(struct changes *changes)
{
	size_t count = 0, kept = 0;

	changes->sorted = calloc(changes->count + 1, sizeof changes->sorted[0]);
	if (!changes->sorted)
		return TD_NOMEM;
	for (struct change *change = changes->last; change; change = change->next)
		changes->sorted[count++] = change;
	qsort(changes->sorted, count, sizeof changes->sorted[0], compare_changes);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || compare_records(changes->sorted[i], changes->sorted[kept - 1]) != 0)
			changes->sorted[kept++] = changes->sorted[i];
	changes->sorted_count = kept;
	return TD_OK;
}

/* A record of the zone as it was: passed on unless something was said of it. */
static enum td_error pass_unchanged(void *context, bool removed, const struct name *trigger,
	uint16_t type, uint32_t ttl_s, const uint8_t *rdata, uint16_t rdata_length)
{
	struct changes *changes = context;
	union {
		struct change change;
		uint8_t room[sizeof(struct change) + NAME_WIRE_MAX + UINT16_MAX];
	} found;
	const struct change *key = &found.change;

	(void)removed;
	found.change.type = type;
	found.change.trigger_length = trigger->length;
	found.change.rdata_length = rdata_length;
	name_fold(found.change.octets, trigger->wire, trigger->length);
	memcpy(found.change.octets + trigger->length, rdata, rdata_length);
	if (bsearch(&key, changes->sorted, changes->sorted_count, sizeof changes->sorted[0],
		    compare_found))
		return TD_OK;
	return changes->call(changes->context, false, trigger, type, ttl_s, rdata, rdata_length);
}

static enum td_error pass_added(const struct changes *changes)
{
	enum td_error error = TD_OK;
	struct name trigger;

	for (size_t i = 0; error == TD_OK && i < changes->sorted_count; i++) {
		const struct change *change = changes->sorted[i];
		const uint8_t *rdata = change->octets + change->trigger_length;

		if (change->removed)
			continue;
		trigger.length = change->trigger_length;
		memcpy(trigger.wire, rdata + change->rdata_length, trigger.length);
		error = changes->call(changes->context, false, &trigger, change->type,
			change->ttl_s, rdata, change->rdata_length);
	}
	return error;
}

static void free_changes(struct changes *changes)
{
	struct change *next;

	for (struct change *change = changes->last; change; change = next) {
		next = change->next;
		free(change);
	}
	free(changes->sorted);
}

enum td_error copy_read_all(
	const struct copy_snapshot *snapshot, copy_record_fn *call, void *context)
{
	struct changes changes = {.call = call, .context = context};
	enum td_error error = TD_OK;

	if (snapshot->count == 1)
		return copy_read(snapshot, &snapshot->segments[0], call, context);
	for (size_t i = 1; error == TD_OK && i < snapshot->count; i++)
		error = copy_read(snapshot, &snapshot->segments[i], keep_change, &changes);
	if (error == TD_OK)
		error = sort_changes(&changes);
	if (error == TD_OK)
		error = copy_read(snapshot, &snapshot->segments[0], pass_unchanged, &changes);
	if (error == TD_OK)
		error = pass_added(&changes);
	free_changes(&changes);
	return error;
}
