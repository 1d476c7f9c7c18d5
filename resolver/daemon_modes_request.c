/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The request `mode` of the control socket. A change works on a copy of the table of changes, which
 * takes the place of the old one only with the policy that was made from it; what is said of it
 * comes from a look at both, so it is what happened and not what was asked for.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "resolver/daemon_modes_private.h"

#define EVERYTHING "*"

void daemon_modes_add_zones(const struct daemon *daemon, struct control_reply *reply)
{
	static const char *const kinds[] = {
		[ZONE_TUNNEL] = "tunnel", [ZONE_LIST] = "list", [ZONE_LOCAL] = "local"};
	const struct policy_view *view = &daemon->policy->view;
	char text[POLICY_ZONE_NAME_MAX + 64];

	for (size_t i = 0; i < policy_zone_count(view->index); i++) {
		enum policy_zone_kind kind = policy_zone_kind(view->index, i);
		snprintf(text, sizeof text, "%s %s rules=%zu kind=%s state=%s",
			policy_zone_name(view->index, i),
			kind == ZONE_LOCAL ? "always"
					   : policy_mode_name((enum policy_mode)view->mode[0][i]),
			policy_zone_rules(view->index, i), kinds[kind],
			rules_zone_state(&daemon->rules->zones[i]));
		control_reply_add(reply, "zone", text);
	}
}

static void add_cell(
	const struct daemon *daemon, struct control_reply *reply, size_t zone, size_t group)
{
	const struct policy_index *index = daemon->rules->index;
	const char *name = policy_zone_name(index, zone);
	const char *shown = group ? mode_table_group_name(daemon->options, group) : EVERYTHING;
	int64_t now_s = daemon_modes_now();
	struct mode_cell cell =
		mode_table_cell(daemon->options, &daemon->modes->changes, name, group, now_s);
	int64_t until_s =
		mode_table_until(daemon->options, &daemon->modes->changes, name, group, now_s);
	char text[MODES_WORDS_SIZE];

	if (policy_zone_kind(index, zone) == ZONE_LOCAL) {
		snprintf(text, sizeof text, "%s %s always always until=0", name, shown);
	} else {
		int used = snprintf(text, sizeof text, "%s %s %s %s until=%" PRId64, name, shown,
			policy_mode_name(cell.mode), mode_origin_name(cell.origin),
			until_s == INT64_MAX ? 0 : until_s);
		const struct mode_change *change = cell.change;
		if (change)
			snprintf(text + used, sizeof text - (size_t)used,
				" since=%" PRId64 " uid=%u user=%s%s%s", change->since_s,
				change->uid, change->user, change->via[0] ? " via=" : "",
				change->via);
	}
	control_reply_add(reply, "cell", text);
}

static void show(struct daemon *daemon, struct control_reply *reply)
{
	char text[POLICY_ZONE_NAME_MAX + 32];

	tzset();
	daemon_modes_add_zones(daemon, reply);
	for (size_t i = 0; i < daemon->options->group_count; i++) {
		snprintf(text, sizeof text, "%s clients=%zu", daemon->options->groups[i].name,
			daemon->options->groups[i].client_count);
		control_reply_add(reply, "group", text);
	}
	for (size_t zone = 0; zone < policy_zone_count(daemon->rules->index); zone++)
		for (size_t group = 0; group <= daemon->options->group_count; group++)
			add_cell(daemon, reply, zone, group);
	control_reply_end(reply);
}

/* --- changing --- */

struct wish {
	bool reset;
	bool any_zone, any_group;
	size_t zone, group;        /* where it is not any */
	struct mode_change change; /* without zone and group */
};

static bool fail_unknown(struct control_reply *reply, const char *what, const char *name,
	const struct daemon *daemon)
{
	bool zones = what[0] == 'z';
	size_t count =
		zones ? policy_zone_count(daemon->rules->index) : daemon->options->group_count;
	char words[512];
	int length = snprintf(words, sizeof words, "no %s named %.32s; %ss:%s", what, name, what,
		count ? "" : " none");

	for (size_t i = 0; i < count && length < (int)sizeof words; i++)
		length += snprintf(words + length, sizeof words - (size_t)length, " %s",
			zones ? policy_zone_name(daemon->rules->index, i)
			      : mode_table_group_name(daemon->options, i + 1));
	control_reply_fail(reply, words);
	return false;
}

static bool fail(struct control_reply *reply, const char *words)
{
	control_reply_fail(reply, words);
	return false;
}

static bool read_seconds(const char *text, int64_t *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9' || strlen(text) > 12)
		return false;
	*out = strtoll(text, &end, 10);
	return *end == '\0' && *out <= MODE_FOR_MAX_S;
}

/* False: the reply has failed. */
static bool read_wish(const struct daemon *daemon, struct control_reply *reply, unsigned count,
	char *const words[], struct wish *out)
{
	const struct policy_index *index = daemon->rules->index;
	int64_t now_s = daemon_modes_now(), seconds = 0;

	*out = (struct wish){.any_zone = count < 3 || strcmp(words[2], EVERYTHING) == 0,
		.any_group = count < 4 || strcmp(words[3], EVERYTHING) == 0,
		.reset = strcmp(words[1], "reset") == 0};
	if (!out->reset && !policy_mode_from_text(&out->change.mode, words[1]))
		return fail(reply, "the mode is one of watch, block, ignore, reset");
	if (!out->any_zone && !policy_zone_find(index, words[2], &out->zone))
		return fail_unknown(reply, "zone", words[2], daemon);
	if (!out->any_zone && policy_zone_kind(index, out->zone) == ZONE_LOCAL)
		return fail(reply, "this zone is local data outside all modes");
	if (!out->any_group && (words[3][0] == '\0' || !mode_table_find_group(daemon->options,
							       words[3], &out->group)))
		return fail_unknown(reply, "group", words[3], daemon);
	if (count > 4 && !read_seconds(words[4], &seconds))
		return fail(reply, "a mode can be set for 1 second to 366 days");
	out->change.since_s = now_s;
	out->change.until_s = seconds ? now_s + seconds : 0;
	out->change.uid = (unsigned)control_reply_uid(reply);
	snprintf(out->change.via, sizeof out->change.via, "%s", control_reply_behalf(reply));
	snprintf(out->change.user, sizeof out->change.user, "%s",
		out->change.uid == 0           ? "root"
		: out->change.uid == geteuid() ? daemon->modes->user
					       : "");
	return true;
}

/* What the configuration itself says without a schedule needs no change: so block on and block off
 * leave nothing behind that would hide what the file says tomorrow. */
static bool is_as_configured(const struct daemon *daemon, const struct mode_change *change)
{
	static const struct modes none;
	size_t group;

	mode_table_find_group(daemon->options, change->group, &group);
	struct mode_cell cell =
		mode_table_cell(daemon->options, &none, change->zone, group, change->since_s);
	return change->until_s == 0 && cell.origin == MODE_CONFIGURED && !cell.schedule &&
	       cell.mode == change->mode;
}

static void take_back(struct modes *changes, const char *zone, const char *group)
{
	for (size_t i = changes->count; i-- > 0;)
		if ((!zone || strcmp(changes->items[i].zone, zone) == 0) &&
			(!group || strcmp(changes->items[i].group, group) == 0))
			modes_remove(changes, i);
}

static enum td_error set_one(
	const struct daemon *daemon, struct modes *changes, const struct mode_change *change)
{
	if (!is_as_configured(daemon, change))
		return modes_set(changes, change);
	take_back(changes, change->zone, change->group);
	return TD_OK;
}

static bool is_meant(const struct policy_index *index, const struct wish *wish, size_t zone)
{
	return wish->any_zone ? policy_zone_kind(index, zone) == ZONE_TUNNEL : zone == wish->zone;
}

static void name_change(
	const struct daemon *daemon, struct mode_change *change, size_t zone, size_t group)
{
	snprintf(change->zone, sizeof change->zone, "%s",
		policy_zone_name(daemon->rules->index, zone));
	snprintf(change->group, sizeof change->group, "%s",
		mode_table_group_name(daemon->options, group));
}

static enum td_error grant(
	const struct daemon *daemon, const struct wish *wish, struct modes *changes)
{
	const struct policy_index *index = daemon->rules->index;
	struct mode_change change = wish->change;
	enum td_error error = TD_OK;

	if (wish->reset) {
		take_back(changes, wish->any_zone ? NULL : policy_zone_name(index, wish->zone),
			wish->any_group ? NULL
					: mode_table_group_name(daemon->options, wish->group));
		return TD_OK;
	}
	for (size_t zone = 0; error == TD_OK && zone < policy_zone_count(index); zone++) {
		if (!is_meant(index, wish, zone))
			continue;
		name_change(daemon, &change, zone, wish->group);
		error = set_one(daemon, changes, &change);
	}
	return error;
}

static enum td_error copy_changes(const struct modes *from, struct modes *to)
{
	enum td_error error = TD_OK;

	modes_init(to);
	for (size_t i = 0; error == TD_OK && i < from->count; i++)
		error = modes_set(to, &from->items[i]);
	return error;
}

/* --- saying what was changed --- */

static bool is_same(const struct mode_change *a, const struct mode_change *b)
{
	return a == b || (a && b && a->mode == b->mode && a->since_s == b->since_s &&
				 a->until_s == b->until_s && a->uid == b->uid);
}

static void tell_command(struct daemon *daemon, const struct mode_change *change,
	enum policy_mode before, enum policy_mode after, bool taken_back)
{
	char words[MODES_WORDS_SIZE], who[MODES_WORDS_SIZE], until[MODES_TIME_SIZE];

	daemon_modes_describe(words, change->zone, change->group, before, after);
	daemon_modes_append(words, " by %s", daemon_modes_who(change, who));
	if (taken_back)
		daemon_modes_append(words, ", as configured");
	else if (change->until_s)
		daemon_modes_append(words, ", until %s", daemon_modes_time(change->until_s, until));
	daemon_modes_tell(daemon, words);
}

/* A cell is told where a command touched it, or it is another now without being just its zone's. */
static void say_cell(struct daemon *daemon, struct control_reply *reply, const struct wish *wish,
	const struct modes *old, enum policy_mode before, size_t zone, size_t group, size_t *set)
{
	const struct modes *changes = &daemon->modes->changes;
	struct mode_change change = wish->change;
	char text[3 * POLICY_ZONE_NAME_MAX];

	name_change(daemon, &change, zone, group);
	enum policy_mode after = (enum policy_mode)daemon->policy->view.mode[group][zone];
	const struct mode_change *kept = modes_find(changes, change.zone, change.group);
	const struct mode_change *was = modes_find(old, change.zone, change.group);
	bool meant =
		!wish->reset && group == wish->group && is_meant(daemon->rules->index, wish, zone);

	if (is_same(kept, was) && !meant)
		return;
	*set += kept || was;
	if (before != after) {
		snprintf(text, sizeof text, "%s %s %s %s", change.zone, policy_mode_name(before),
			policy_mode_name(after), group ? change.group : EVERYTHING);
		control_reply_add(reply, "changed", text);
	}
	if (before != after || kept || was)
		tell_command(daemon, &change, before, after, !kept);
}

static void say_except(const struct daemon *daemon, struct control_reply *reply,
	const struct wish *wish, size_t zone)
{
	char text[3 * POLICY_ZONE_NAME_MAX];

	if (wish->reset || !wish->any_group || !is_meant(daemon->rules->index, wish, zone))
		return;
	for (size_t group = 1; group <= daemon->options->group_count; group++) {
		struct mode_cell cell = mode_table_cell(daemon->options, &daemon->modes->changes,
			policy_zone_name(daemon->rules->index, zone), group, wish->change.since_s);
		if (cell.origin == MODE_OF_ZONE)
			continue;
		snprintf(text, sizeof text, "%s %s %s",
			mode_table_group_name(daemon->options, group),
			policy_zone_name(daemon->rules->index, zone), policy_mode_name(cell.mode));
		control_reply_add(reply, "except", text);
	}
}

static void say(struct daemon *daemon, struct control_reply *reply, const struct wish *wish,
	const struct modes *old, const mode_rows before)
{
	size_t zones = policy_zone_count(daemon->rules->index), set = 0;

	for (size_t zone = 0; zone < zones; zone++) {
		for (size_t group = 0; group <= daemon->options->group_count; group++)
			say_cell(daemon, reply, wish, old, (enum policy_mode)before[group][zone],
				zone, group, &set);
		say_except(daemon, reply, wish, zone);
	}
	control_reply_add_u64(reply, "set", set);
	control_reply_add_u64(reply, "until", (uint64_t)wish->change.until_s);
}

static void on_set(struct daemon *daemon, struct broadcast *broadcast)
{
	(void)daemon;
	control_reply_end(broadcast->context);
}

static void change(struct daemon *daemon, struct control_reply *reply, const struct wish *wish)
{
	struct modes changes, old = daemon->modes->changes;
	mode_rows before;

	enum td_error error = copy_changes(&old, &changes);
	if (error == TD_OK)
		error = grant(daemon, wish, &changes);
	memcpy(before, daemon->policy->view.mode, sizeof before);
	daemon->modes->changes = changes;
	if (error != TD_OK || !daemon_set_policy(daemon, daemon->rules, on_set, reply)) {
		daemon->modes->changes = old;
		modes_deinit(&changes);
		control_reply_fail(reply,
			error == TD_FULL ? "too many modes are set by command" : "out of memory");
		return;
	}
	say(daemon, reply, wish, &old, (const uint8_t(*)[POLICY_ZONES_MAX])before);
	modes_deinit(&old);
	if (!daemon_modes_save(daemon))
		control_reply_add(reply, "warning",
			"this will not outlive a restart: state-dir/modes cannot be written");
	daemon_modes_arm(daemon);
}

void daemon_modes_request(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	struct wish wish;

	if (count == 1) {
		show(daemon, reply);
		return;
	}
	tzset();
	if (read_wish(daemon, reply, count, words, &wish))
		change(daemon, reply, &wish);
}
