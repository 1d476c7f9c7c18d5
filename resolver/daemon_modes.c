/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of changes (modes.h) is the one thing that is remembered; what follows from it, from
 * the configuration and from the time is made anew for each policy. So a command, a reload that has
 * been compiling meanwhile and a schedule cannot undo each other.
 *
 * Time: the table says when to look again. A timer of the loop runs by the steady clock, so it is
 * never set for more than a minute, and a step of the wall clock is noticed within one. Rejected: a
 * timerfd that is told of such steps, which saves that minute and cannot be tested with a clock
 * that is made up (libfaketime).
 */
#include "resolver/daemon_modes.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "resolver/daemon_modes_private.h"
#include "resolver/modes_file.h"

#define LOOK_AGAIN_S 60

static int64_t wall_us(void)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	return wall.tv_sec * US_PER_S + wall.tv_nsec / 1000;
}

int64_t daemon_modes_now(void)
{
	return wall_us() / US_PER_S;
}

/* --- words --- */

void daemon_modes_append(char *out, const char *format, ...)
{
	size_t used = strlen(out);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(out + used, MODES_WORDS_SIZE - used, format, arguments);
	va_end(arguments);
}

const char *daemon_modes_time(int64_t when_s, char out[MODES_TIME_SIZE])
{
	time_t when = (time_t)when_s;
	struct tm tm;

	if (!gmtime_r(&when, &tm) || strftime(out, MODES_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, MODES_TIME_SIZE, "%" PRId64, when_s);
	return out;
}

const char *daemon_modes_who(const struct mode_change *change, char *out)
{
	size_t program = strcspn(change->via, "/");

	out[0] = '\0';
	daemon_modes_append(out, "uid %u", change->uid);
	if (change->user[0])
		daemon_modes_append(out, " (%s)", change->user);
	if (change->via[0])
		daemon_modes_append(out, " via %.*s from %s", (int)program, change->via,
			change->via + program + (change->via[program] == '/'));
	return out;
}

void daemon_modes_describe(char *out, const char *zone, const char *group, enum policy_mode before,
	enum policy_mode after)
{
	out[0] = '\0';
	if (before == after)
		daemon_modes_append(out, "%s: stays %s", zone, policy_mode_name(after));
	else
		daemon_modes_append(out, "%s: %s to %s", zone, policy_mode_name(before),
			policy_mode_name(after));
	if (group[0])
		daemon_modes_append(out, " for group %s", group);
}

void daemon_modes_tell(struct daemon *daemon, const char *words)
{
	log_info("mode of %s", words);
	telemetry_event(daemon->telemetry, "mode", words);
}

/* --- the file --- */

bool daemon_modes_save(const struct daemon *daemon)
{
	if (modes_file_write(&daemon->modes->changes, daemon->options->state_dir))
		return true;
	log_error("%s/modes cannot be written: %s; a restart will not know the modes of now",
		daemon->options->state_dir, strerror(errno));
	return false;
}

/* Who we are, once: a look-up of users may ask the network, perhaps ourselves. */
static void find_user(struct daemon_modes *modes)
{
	const struct passwd *user = getpwuid(geteuid());
	const char *name = user ? user->pw_name : "";

	if (strlen(name) >= sizeof modes->user)
		return;
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
			return;
	memcpy(modes->user, name, strlen(name) + 1);
}

static bool load(struct daemon *daemon)
{
	char why[256];
	enum td_error error = modes_file_read(
		&daemon->modes->changes, daemon->options->state_dir, why, sizeof why);

	if (error == TD_MALFORMED)
		log_warning("%s/modes: %s; the modes are those of the configuration",
			daemon->options->state_dir, why);
	return error != TD_NOMEM;
}

bool daemon_modes_open(struct daemon *daemon)
{
	struct mode_change ended;
	char who[MODES_WORDS_SIZE];

	daemon->modes = calloc(1, sizeof *daemon->modes);
	if (!daemon->modes || !load(daemon)) {
		log_error("out of memory for modes");
		return false;
	}
	find_user(daemon->modes);
	tzset();
	while (modes_take_ended(&daemon->modes->changes, daemon_modes_now(), &ended))
		log_info("mode of %s%s%s: %s, set by %s, has ended meanwhile", ended.zone,
			ended.group[0] ? " for group " : "", ended.group,
			policy_mode_name(ended.mode), daemon_modes_who(&ended, who));
	return true;
}

/* --- the timer --- */

void daemon_modes_arm(struct daemon *daemon)
{
	int64_t now_us = wall_us(), left_us = LOOK_AGAIN_S * US_PER_S;
	int64_t next_s =
		mode_table_next(daemon->options, &daemon->modes->changes, now_us / US_PER_S);

	if (!daemon->modes->timer)
		return;
	if (next_s == INT64_MAX) {
		event_del(daemon->modes->timer);
		return;
	}
	if (next_s < now_us / US_PER_S + LOOK_AGAIN_S)
		left_us = next_s * US_PER_S > now_us ? next_s * US_PER_S - now_us : 0;
	struct timeval wait = {left_us / US_PER_S, left_us % US_PER_S};
	event_add(daemon->modes->timer, &wait);
}

static void tell_scheduled(
	struct daemon *daemon, size_t zone, size_t group, enum policy_mode before, int64_t now_s)
{
	char words[MODES_WORDS_SIZE], until[MODES_TIME_SIZE];
	const char *name = policy_zone_name(daemon->rules->index, zone);
	struct mode_cell cell =
		mode_table_cell(daemon->options, &daemon->modes->changes, name, group, now_s);

	if (cell.origin == MODE_OF_ZONE && !cell.schedule)
		return;
	int64_t until_s =
		mode_table_until(daemon->options, &daemon->modes->changes, name, group, now_s);
	daemon_modes_describe(
		words, name, mode_table_group_name(daemon->options, group), before, cell.mode);
	daemon_modes_append(words, " by schedule");
	if (until_s != INT64_MAX)
		daemon_modes_append(words, ", until %s", daemon_modes_time(until_s, until));
	daemon_modes_tell(daemon, words);
}

/* With the changes as they are still, so that what differs follows from schedules alone. */
static void tell_all_scheduled(
	struct daemon *daemon, const uint8_t before[][POLICY_ZONES_MAX], int64_t now_s)
{
	mode_rows now;

	mode_table_fill(daemon->options, &daemon->modes->changes, daemon->rules->index, now_s, now);
	for (size_t group = 0; group <= daemon->options->group_count; group++)
		for (size_t zone = 0; zone < policy_zone_count(daemon->rules->index); zone++)
			if (before[group][zone] != now[group][zone])
				tell_scheduled(daemon, zone, group,
					(enum policy_mode)before[group][zone], now_s);
}

static void tell_ended(struct daemon *daemon, const struct mode_change *change, int64_t now_s)
{
	char words[MODES_WORDS_SIZE], who[MODES_WORDS_SIZE];
	size_t group;

	if (!mode_table_find_group(daemon->options, change->group, &group))
		return;
	struct mode_cell cell = mode_table_cell(
		daemon->options, &daemon->modes->changes, change->zone, group, now_s);
	daemon_modes_describe(words, change->zone, change->group, change->mode, cell.mode);
	daemon_modes_append(words, ", what %s set has ended", daemon_modes_who(change, who));
	daemon_modes_tell(daemon, words);
}

static void end_changes(struct daemon *daemon, int64_t now_s)
{
	struct mode_change ended;
	bool any = false;

	while (modes_take_ended(&daemon->modes->changes, now_s, &ended)) {
		tell_ended(daemon, &ended, now_s);
		any = true;
	}
	if (any)
		daemon_modes_save(daemon);
}

static void on_in_force(struct daemon *daemon, struct broadcast *broadcast)
{
	(void)daemon;
	(void)broadcast;
}

static void on_time(evutil_socket_t fd, short what, void *context)
{
	static const struct timeval later = {.tv_sec = LOOK_AGAIN_S};
	struct daemon *daemon = context;
	const struct policy_view *view = &daemon->policy->view;
	int64_t now_s = daemon_modes_now();
	mode_rows now;

	(void)fd;
	(void)what;
	if (daemon->stopping)
		return;
	tzset();
	tell_all_scheduled(daemon, view->mode, now_s);
	end_changes(daemon, now_s);
	mode_table_fill(daemon->options, &daemon->modes->changes, daemon->rules->index, now_s, now);
	daemon_modes_arm(daemon);
	if (memcmp(view->mode, now, sizeof now) == 0 ||
		daemon_set_policy(daemon, daemon->rules, on_in_force, NULL))
		return;
	log_error("out of memory: the modes stay as they were for a minute");
	event_add(daemon->modes->timer, &later);
}

static void say_kept(const struct daemon *daemon)
{
	const struct modes *changes = &daemon->modes->changes;
	char words[MODES_WORDS_SIZE], who[MODES_WORDS_SIZE], when[MODES_TIME_SIZE];

	for (size_t i = 0; i < changes->count; i++) {
		const struct mode_change *change = &changes->items[i];
		daemon_modes_describe(
			words, change->zone, change->group, change->mode, change->mode);
		daemon_modes_append(words, ", set by %s at %s", daemon_modes_who(change, who),
			daemon_modes_time(change->since_s, when));
		if (change->until_s)
			daemon_modes_append(
				words, ", until %s", daemon_modes_time(change->until_s, when));
		log_info("mode of %s", words);
	}
}

bool daemon_modes_start(struct daemon *daemon)
{
	daemon->modes->timer = evtimer_new(daemon->base, on_time, daemon);
	if (!daemon->modes->timer) {
		log_error("out of memory for a timer of modes");
		return false;
	}
	daemon_modes_follow(daemon);
	say_kept(daemon);
	return true;
}

void daemon_modes_close(struct daemon *daemon)
{
	if (!daemon->modes)
		return;
	if (daemon->modes->timer)
		event_free(daemon->modes->timer);
	modes_deinit(&daemon->modes->changes);
	free(daemon->modes);
	daemon->modes = NULL;
}

/* --- for policies --- */

void daemon_modes_fill(const struct daemon *daemon, const struct rules *rules,
	uint8_t mode[POLICY_GROUPS_MAX][POLICY_ZONES_MAX])
{
	mode_table_fill(
		daemon->options, &daemon->modes->changes, rules->index, daemon_modes_now(), mode);
}

static bool is_known(const struct daemon *daemon, const struct mode_change *change)
{
	size_t zone, group;

	return policy_zone_find(daemon->rules->index, change->zone, &zone) &&
	       policy_zone_kind(daemon->rules->index, zone) != ZONE_LOCAL &&
	       mode_table_find_group(daemon->options, change->group, &group);
}

void daemon_modes_follow(struct daemon *daemon)
{
	struct modes *changes = &daemon->modes->changes;
	char words[MODES_WORDS_SIZE], who[MODES_WORDS_SIZE];
	bool any = false;

	for (size_t i = changes->count; i-- > 0;) {
		const struct mode_change change = changes->items[i];
		if (is_known(daemon, &change))
			continue;
		modes_remove(changes, i);
		daemon_modes_describe(words, change.zone, change.group, change.mode, change.mode);
		daemon_modes_append(words,
			" no more: the configuration does not name them any longer; it was set by "
			"%s",
			daemon_modes_who(&change, who));
		daemon_modes_tell(daemon, words);
		any = true;
	}
	if (any)
		daemon_modes_save(daemon);
	daemon_modes_arm(daemon);
}
