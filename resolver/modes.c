/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An array that is looked through: there are few changes, and whoever looks for one does it once a
 * command. Its order is that in which they were set, so one with an end stands behind the one
 * without end that it covers, is found first, and leaves the other one when it ends. The text is one line a change between a line that names the form and one
 * that counts them, so a file that was cut is told from a whole one; half of what a person had set
 * would be neither what was wanted nor what is configured, so it counts for nothing.
 */
#include "resolver/modes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM "teredown modes 1"
#define EVERYBODY "*"
#define LINE_SIZE 512
#define FIELDS_LEAST 7 /* without via, which only some changes have */
#define FIELDS 8

void modes_init(struct modes *modes)
{
	*modes = (struct modes){0};
}

void modes_deinit(struct modes *modes)
{
	free(modes->items);
	modes_init(modes);
}

static bool is_of(const struct mode_change *change, const char *zone, const char *group)
{
	return strcmp(change->zone, zone) == 0 && strcmp(change->group, group) == 0;
}

static bool is_same_kind(const struct mode_change *a, const struct mode_change *b)
{
	return is_of(a, b->zone, b->group) && (a->until_s == 0) == (b->until_s == 0);
}

const struct mode_change *modes_find(const struct modes *modes, const char *zone, const char *group)
{
	for (size_t i = modes->count; i-- > 0;)
		if (is_of(&modes->items[i], zone, group))
			return &modes->items[i];
	return NULL;
}

/* One without end, or one with an end: each stands for itself. */
static struct mode_change *find_same_kind(struct modes *modes, const struct mode_change *change)
{
	for (size_t i = 0; i < modes->count; i++)
		if (is_same_kind(&modes->items[i], change))
			return &modes->items[i];
	return NULL;
}

static bool make_room(struct modes *modes)
{
	if (modes->count < modes->capacity)
		return true;
	size_t capacity = modes->capacity ? 2 * modes->capacity : 16;
	struct mode_change *items = reallocarray(modes->items, capacity, sizeof(*items));
	if (!items)
		return false;
	modes->items = items;
	modes->capacity = capacity;
	return true;
}

enum td_error modes_set(struct modes *modes, const struct mode_change *change)
{
	struct mode_change *same = find_same_kind(modes, change);

	for (size_t i = modes->count; change->until_s == 0 && i-- > 0;)
		if (is_of(&modes->items[i], change->zone, change->group) && modes->items[i].until_s)
			modes_remove(modes, i);
	if (same) {
		*same = *change;
		return TD_OK;
	}
	if (modes->count == MODES_MAX)
		return TD_FULL;
	if (!make_room(modes))
		return TD_NOMEM;
	modes->items[modes->count++] = *change;
	return TD_OK;
}

void modes_remove(struct modes *modes, size_t i)
{
	modes->count--;
	memmove(&modes->items[i], &modes->items[i + 1],
		(modes->count - i) * sizeof(modes->items[0]));
}

bool modes_take_ended(struct modes *modes, int64_t now_s, struct mode_change *out)
{
	for (size_t i = 0; i < modes->count; i++) {
		if (modes->items[i].until_s == 0 || modes->items[i].until_s > now_s)
			continue;
		*out = modes->items[i];
		modes_remove(modes, i);
		return true;
	}
	return false;
}

int64_t modes_next_end(const struct modes *modes)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < modes->count; i++)
		if (modes->items[i].until_s && modes->items[i].until_s < next)
			next = modes->items[i].until_s;
	return next;
}

/* --- text --- */

void modes_write(const struct modes *modes, struct strbuf *out)
{
	strbuf_append_text(out, FORM "\n");
	for (size_t i = 0; i < modes->count; i++) {
		const struct mode_change *change = &modes->items[i];
		strbuf_printf(out, "%s %s %s %" PRId64 " %" PRId64 " %u %s%s%s\n", change->zone,
			change->group[0] ? change->group : EVERYBODY,
			policy_mode_name(change->mode), change->since_s, change->until_s,
			change->uid, change->user[0] ? change->user : EVERYBODY,
			change->via[0] ? " " : "", change->via);
	}
	strbuf_printf(out, "end %zu\n", modes->count);
}

/* A name, or "" for a star; [a-z0-9-] as zones and groups have. */
static bool read_name(char *out, size_t size, const char *text, bool or_star)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	if (or_star && strcmp(text, EVERYBODY) == 0) {
		out[0] = '\0';
		return true;
	}
	if (length == 0 || length >= size || text[length])
		return false;
	memcpy(out, text, length + 1);
	return true;
}

static bool read_user(char *out, const char *text)
{
	size_t length = strlen(text);

	if (length >= MODE_USER_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7f)
			return false;
	memcpy(out, text, length + 1);
	if (strcmp(text, EVERYBODY) == 0)
		out[0] = '\0';
	return true;
}

/* As the control socket takes it: a program, a slash, from where. */
static bool read_via(char out[MODE_VIA_MAX], const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				     ".:%_-/");
	const char *slash = strchr(text, '/');

	if (length >= MODE_VIA_MAX || text[length] || !slash || slash == text || !slash[1] ||
		strchr(slash + 1, '/'))
		return false;
	memcpy(out, text, length + 1);
	return true;
}

static bool read_number(int64_t *out, const char *text, int64_t max)
{
	char *end;

	if (text[0] < '0' || text[0] > '9' || strlen(text) > 18)
		return false;
	*out = strtoll(text, &end, 10);
	return *end == '\0' && *out <= max;
}

static bool read_change(struct mode_change *out, char *line)
{
	char *fields[FIELDS], *at = line;
	size_t count = 0;
	int64_t uid;

	while (at && count < FIELDS)
		fields[count++] = strsep(&at, " ");
	*out = (struct mode_change){.mode = MODE_IGNORE};
	if (at || count < FIELDS_LEAST || !read_name(out->zone, sizeof(out->zone), fields[0], false) ||
		!read_name(out->group, sizeof(out->group), fields[1], true) ||
		!policy_mode_from_text(&out->mode, fields[2]) ||
		!read_number(&out->since_s, fields[3], INT64_MAX) ||
		!read_number(&out->until_s, fields[4], INT64_MAX) ||
		!read_number(&uid, fields[5], UINT32_MAX) || !read_user(out->user, fields[6]) ||
		(count == FIELDS && !read_via(out->via, fields[7])))
		return false;
	out->uid = (unsigned)uid;
	return true;
}

/* The next line without its end, cut at LINE_SIZE - 1; false when there is no whole one left. */
static bool take_line(const char **text, size_t *size, char line[LINE_SIZE])
{
	const char *end = memchr(*text, '\n', *size);
	size_t length = end ? (size_t)(end - *text) : 0;

	if (!end)
		return false;
	snprintf(line, LINE_SIZE, "%.*s", (int)(length < LINE_SIZE ? length : LINE_SIZE), *text);
	*text += length + 1;
	*size -= length + 1;
	return true;
}

static enum td_error read_lines(
	struct modes *modes, const char *text, size_t size, const char **why)
{
	struct mode_change change;
	char line[LINE_SIZE], last[32];

	*why = "it does not begin with \"" FORM "\"";
	if (!take_line(&text, &size, line) || strcmp(line, FORM) != 0)
		return TD_MALFORMED;
	for (;;) {
		*why = "its end is missing";
		if (!take_line(&text, &size, line))
			return TD_MALFORMED;
		if (strncmp(line, "end ", 4) == 0)
			break;
		*why = "a line of it is not understood";
		if (!read_change(&change, line) || find_same_kind(modes, &change))
			return TD_MALFORMED;
		enum td_error error = modes_set(modes, &change);
		if (error != TD_OK)
			return error == TD_FULL ? TD_MALFORMED : error;
	}
	*why = "lines of it are missing";
	snprintf(last, sizeof(last), "end %zu", modes->count);
	return size == 0 && strcmp(line, last) == 0 ? TD_OK : TD_MALFORMED;
}

enum td_error modes_read(struct modes *modes, const char *text, size_t size, const char **why)
{
	enum td_error error = read_lines(modes, text, size, why);

	if (error != TD_OK)
		modes_deinit(modes);
	return error;
}
