/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thin loop: libevent's bufferevents and one timer a zone around the passive machines. Records
 * are read and written to the copy as they come, some hundred kilobytes a turn of the loop, so that
 * the main thread stays at hand for everything else while a million names arrive.
 */
#include "resolver/transfer_loop.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/notify.h"
#include "resolver/transfer_copy.h"
#include "resolver/transfer_feed.h"
#include "resolver/upstream/random.h"

#define READ_SIZE 65536
#define READ_AHEAD 262144 /* octets that may wait in one connection */

struct zone {
	struct zone *next;
	struct transfers *transfers;
	char name[POLICY_ZONE_NAME_MAX];
	struct transfer_settings settings;
	struct zone_copy *copy;
	struct transfer *transfer; /* NULL before the start */
	struct bufferevent *stream;
	struct event *timer;
	uint64_t committed;            /* the version that is to come into force; 0: none */
	uint64_t given;                /* the version that was given to the compiler last */
	char error[TRANSFER_WHY_SIZE]; /* told last */
};

struct transfers {
	struct zone *zones;      /* in the order of the options */
	struct event_base *base; /* NULL before the start */
	transfers_changed_fn *changed;
	void *context;
	struct zone_feed feed;
	struct random_pool random;
	struct notify_box box;
	struct event *heard; /* NULL before the start */
};

static struct now now_of(void)
{
	struct timespec mono, wall;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct now){.mono_us = mono.tv_sec * US_PER_S + mono.tv_nsec / 1000,
		.wall_us = wall.tv_sec * US_PER_S + wall.tv_nsec / 1000};
}

/* --- what a person hears of it --- */

static void log_change(struct zone *zone, const struct transfer_status *before,
	const struct transfer_status *after)
{
	char primary[ENDPOINT_TEXT_MAX];

	if (after->transfers != before->transfers)
		log_info("zone \"%s\": serial %u by %s from %s: %" PRIu64 " records, %" PRIu64
			 " octets, %" PRId64 " ms",
			zone->name, after->soa.serial, after->form == FORM_IXFR ? "IXFR" : "AXFR",
			endpoint_to_text(&after->primary, primary), after->records, after->octets,
			after->took_us / US_PER_MS);
	if (after->transfers != before->transfers && after->outside)
		log_warning("zone \"%s\": %" PRIu64 " records belong to another zone (left out)",
			zone->name, after->outside);
	if (after->error[0] && strcmp(after->error, zone->error) != 0)
		log_warning("zone \"%s\": %s", zone->name, after->error);
	else if (!after->error[0] && zone->error[0])
		log_info("zone \"%s\": its primaries answer again", zone->name);
	memcpy(zone->error, after->error, sizeof zone->error);
	if (after->state == TRANSFER_EXPIRED && before->state != TRANSFER_EXPIRED)
		log_warning("zone \"%s\": expired: no primary has confirmed it for %u s; its "
			    "rules stay in force",
			zone->name, after->soa.expire_s);
}

/* --- turns --- */

static void on_timer(evutil_socket_t fd, short what, void *context);

static void schedule(struct zone *zone, const struct now *now)
{
	int64_t due_us = transfer_next_due(zone->transfer);
	int64_t wait_us = due_us > now->mono_us ? due_us - now->mono_us : 0;
	const struct timeval wait = {.tv_sec = wait_us / US_PER_S, .tv_usec = wait_us % US_PER_S};

	if (due_us == INT64_MAX)
		event_del(zone->timer);
	else if (event_add(zone->timer, &wait) != 0)
		log_error("zone \"%s\": out of memory", zone->name);
}

/* Around whatever happens to a machine. */
struct turn {
	struct zone *zone;
	struct now now;
	struct transfer_status before;
};

static struct turn turn_begin(struct zone *zone)
{
	struct turn turn = {.zone = zone, .now = now_of()};

	transfer_status(zone->transfer, &turn.now, &turn.before);
	return turn;
}

static void turn_end(const struct turn *turn)
{
	struct transfer_status after;

	transfer_status(turn->zone->transfer, &turn->now, &after);
	log_change(turn->zone, &turn->before, &after);
	schedule(turn->zone, &turn->now);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct turn turn = turn_begin(context);

	(void)fd;
	(void)what;
	transfer_tick(turn.zone->transfer, &turn.now);
	turn_end(&turn);
}

static void on_readable(struct bufferevent *stream, void *context)
{
	struct turn turn = turn_begin(context);
	struct zone *zone = turn.zone;
	uint8_t octets[READ_SIZE];
	size_t size;

	/* The machine may hang up in the middle. */
	while (zone->stream == stream &&
		(size = bufferevent_read(stream, octets, sizeof octets)) > 0)
		transfer_input(zone->transfer, octets, size, &turn.now);
	turn_end(&turn);
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
	struct turn turn = turn_begin(context);
	const char *why = what & BEV_EVENT_ERROR
				  ? evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR())
				  : "closed by the primary";

	if (turn.zone->stream != stream)
		return;
	if (what & BEV_EVENT_CONNECTED)
		transfer_connected(turn.zone->transfer, &turn.now);
	else
		transfer_lost(turn.zone->transfer, why, &turn.now);
	turn_end(&turn);
}

/* --- what the machine asks for --- */

static void on_close(void *context)
{
	struct zone *zone = context;

	if (zone->stream)
		bufferevent_free(zone->stream);
	zone->stream = NULL;
}

static const char *on_connect(void *context, const struct endpoint *primary)
{
	struct zone *zone = context;
	struct sockaddr_storage storage;
	socklen_t length = endpoint_to_sockaddr(primary, &storage);

	on_close(zone);
	zone->stream = bufferevent_socket_new(
		zone->transfers->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!zone->stream)
		return "out of memory";
	bufferevent_setcb(zone->stream, on_readable, NULL, on_event, zone);
	bufferevent_setwatermark(zone->stream, EV_READ, 0, READ_AHEAD);
	bufferevent_enable(zone->stream, EV_READ | EV_WRITE);
	/* No network, say, is told at once; what takes time by the event. */
	if (bufferevent_socket_connect(zone->stream, (struct sockaddr *)&storage, (int)length) != 0)
		return strerror(errno);
	fcntl(bufferevent_getfd(zone->stream), F_SETFD, FD_CLOEXEC);
	return NULL;
}

static void on_send(void *context, const uint8_t *octets, size_t size)
{
	struct zone *zone = context;

	bufferevent_write(zone->stream, octets, size);
}

static uint32_t on_random(void *context, uint32_t bound)
{
	return random_below(&((struct zone *)context)->transfers->random, bound);
}

static bool on_begin(void *context, bool whole)
{
	return copy_begin(((struct zone *)context)->copy, whole);
}

static bool on_record(void *context, bool removed, const struct zone_record *record)
{
	return copy_add(((struct zone *)context)->copy, removed, record);
}

static bool on_takes_changes(void *context)
{
	return copy_takes_changes(((struct zone *)context)->copy);
}

static const char *on_why(void *context)
{
	return copy_why(((struct zone *)context)->copy);
}

static void on_abort(void *context)
{
	copy_abort(((struct zone *)context)->copy);
}

static bool on_commit(void *context, const struct zone_soa *soa, const struct now *now)
{
	struct zone *zone = context;

	if (!copy_commit(zone->copy, soa, now->wall_us / US_PER_S))
		return false;
	zone->committed = copy_version(zone->copy);
	zone->transfers->changed(zone->transfers->context);
	return true;
}

static void on_checked(void *context, const struct now *now)
{
	copy_checked(((struct zone *)context)->copy, now->wall_us / US_PER_S);
}

static struct transfer *machine_new(struct zone *zone)
{
	const struct transfer_io io = {.context = zone,
		.connect = on_connect,
		.send = on_send,
		.close = on_close,
		.random = on_random,
		.begin = on_begin,
		.record = on_record,
		.takes_changes = on_takes_changes,
		.why = on_why,
		.abort = on_abort,
		.commit = on_commit,
		.checked = on_checked};
	struct now now = now_of();
	struct zone_soa soa;
	int64_t checked_s;
	bool has_zone = copy_soa(zone->copy, &soa, &checked_s);

	return transfer_new(
		&zone->settings, &io, has_zone ? &soa : NULL, has_zone ? checked_s : 0, &now);
}

/* --- the zones --- */

static void zone_free(struct zone *zone)
{
	if (!zone)
		return;
	transfer_free(zone->transfer);
	if (zone->timer)
		event_free(zone->timer);
	copy_close(zone->copy);
	explicit_bzero(zone->settings.key.secret, sizeof zone->settings.key.secret);
	free(zone);
}

static bool zone_start(struct zone *zone)
{
	struct now now = now_of();

	zone->transfer = machine_new(zone);
	zone->timer = evtimer_new(zone->transfers->base, on_timer, zone);
	if (!zone->transfer || !zone->timer)
		return false;
	schedule(zone, &now);
	return true;
}

static struct zone *zone_new(struct transfers *transfers, const struct options *options,
	const struct zone_options *from, const struct transfer_settings *settings)
{
	struct zone *zone = calloc(1, sizeof *zone);
	char folder[4096], why[COPY_WHY_SIZE];

	if (!zone)
		return NULL;
	zone->transfers = transfers;
	zone->settings = *settings;
	memcpy(zone->name, from->name, sizeof zone->name);
	snprintf(folder, sizeof folder, "%s/zones", options->state_dir);
	zone->copy = copy_open(folder, zone->name, &settings->apex, why);
	if (zone->copy && why[0])
		log_warning("zone \"%s\": %s", zone->name, why);
	if (zone->copy && (!transfers->base || zone_start(zone)))
		return zone;
	zone_free(zone);
	return NULL;
}

static const struct key_options *find_key(const struct options *options, const char *name)
{
	for (size_t i = 0; name && i < options->key_count; i++)
		if (strcmp(options->keys[i].title, name) == 0)
			return &options->keys[i];
	return NULL;
}

static struct transfer_settings settings_of(
	const struct options *options, const struct zone_options *zone)
{
	const struct key_options *key = find_key(options, zone->key);
	struct transfer_settings settings = {.apex = zone->zone_name,
		.primary_count = zone->primary_count,
		.has_key = key != NULL,
		.octets_max = options->zone_transfer_max};

	for (size_t i = 0; i < zone->primary_count; i++)
		settings.primaries[i] = zone->primaries[i];
	if (key)
		settings.key = key->key;
	return settings;
}

static bool settings_equal(const struct transfer_settings *a, const struct transfer_settings *b)
{
	bool equal = name_equal(&a->apex, &b->apex) && a->primary_count == b->primary_count &&
		     a->has_key == b->has_key && a->octets_max == b->octets_max &&
		     name_equal(&a->key.name, &b->key.name) &&
		     a->key.algorithm == b->key.algorithm &&
		     a->key.secret_length == b->key.secret_length &&
		     memcmp(a->key.secret, b->key.secret, a->key.secret_length) == 0;

	for (size_t i = 0; equal && i < a->primary_count; i++)
		equal = endpoint_equal(&a->primaries[i], &b->primaries[i]);
	return equal;
}

/* Out of the list; NULL: there is none of this name. */
static struct zone *take_zone(struct zone **list, const char *name)
{
	for (struct zone **at = list; *at; at = &(*at)->next) {
		struct zone *zone = *at;
		if (strcmp(zone->name, name) != 0)
			continue;
		*at = zone->next;
		zone->next = NULL;
		return zone;
	}
	return NULL;
}

static struct zone *find_zone(const struct transfers *transfers, const char *name)
{
	for (struct zone *zone = transfers->zones; zone; zone = zone->next)
		if (strcmp(zone->name, name) == 0)
			return zone;
	return NULL;
}

static struct zone *follow_zone(struct transfers *transfers, struct zone **before,
	const struct options *options, const struct zone_options *from)
{
	struct transfer_settings settings = settings_of(options, from);
	struct zone *zone = take_zone(before, from->name);

	if (zone && !settings_equal(&zone->settings, &settings)) {
		zone_free(zone);
		zone = NULL;
	}
	if (!zone)
		zone = zone_new(transfers, options, from, &settings);
	explicit_bzero(settings.key.secret, sizeof settings.key.secret);
	return zone;
}

bool transfers_follow(struct transfers *transfers, const struct options *options)
{
	struct zone *before = transfers->zones, **end = &transfers->zones, *next;
	bool good = true;

	transfers->zones = NULL;
	for (size_t i = 0; i < options->zone_count; i++) {
		if (options->zones[i].primary_count == 0)
			continue;
		*end = follow_zone(transfers, &before, options, &options->zones[i]);
		good &= *end != NULL;
		if (*end)
			end = &(*end)->next;
	}
	for (; before; before = next) {
		next = before->next;
		zone_free(before);
	}
	return good;
}

static void on_heard(evutil_socket_t fd, short what, void *context);

void transfers_start(struct transfers *transfers, struct event_base *base)
{
	transfers->base = base;
	transfers->heard =
		event_new(base, transfers->box.wake_fd, EV_READ | EV_PERSIST, on_heard, transfers);
	if (!transfers->heard || event_add(transfers->heard, NULL) != 0)
		log_error("out of memory: primaries that tell of changes are not heard");
	for (struct zone *zone = transfers->zones; zone; zone = zone->next)
		if (!zone_start(zone))
			log_error("zone \"%s\": out of memory", zone->name);
}

/* --- the feed --- */

/* In place of a snapshot that could not be taken, so that the rules in force stay, where none at all
 * would be an empty zone. */
static char not_taken;

static bool on_snapshot(void *context, const char *name, void **snapshot, uint64_t *version)
{
	struct zone *zone = find_zone(context, name);

	*version = zone ? copy_version(zone->copy) : COPY_VERSION_EMPTY;
	*snapshot = zone ? copy_snapshot(zone->copy) : NULL;
	if (!*snapshot && *version != COPY_VERSION_EMPTY)
		*snapshot = &not_taken;
	if (zone)
		zone->given = *version;
	return true;
}

static enum td_error on_fill(void *context, void *snapshot, struct zone_fill *fill)
{
	(void)context;
	if (snapshot != &not_taken)
		return transfer_fill(snapshot, fill);
	snprintf(fill->why, sizeof fill->why,
		"the copy of the zone cannot be read: too little memory or descriptors");
	return TD_IO;
}

static void on_release(void *context, void *snapshot)
{
	(void)context;
	if (snapshot != &not_taken)
		copy_snapshot_free(snapshot);
}

const struct zone_feed *transfers_feed(struct transfers *transfers)
{
	return &transfers->feed;
}

static void in_force(struct zone *zone, const struct rules_zone *rules)
{
	struct turn turn;

	if (!zone->committed || !rules ||
		(rules->version < zone->committed &&
			(!rules->fault[0] || zone->given < zone->committed)))
		return;
	if (!rules->fault[0])
		copy_settle(zone->copy, rules->version);
	zone->committed = 0;
	turn = turn_begin(zone);
	transfer_installed(zone->transfer, rules->fault[0] ? rules->fault : NULL, &turn.now);
	turn_end(&turn);
}

void transfers_in_force(struct transfers *transfers, const struct rules *rules)
{
	bool stale = false;

	for (struct zone *zone = transfers->zones; zone; zone = zone->next) {
		const struct rules_zone *of = rules_zone_find(rules, zone->name);
		if (zone->transfer)
			in_force(zone, of);
		stale |= of && zone->given < copy_version(zone->copy);
	}
	if (stale) /* a zone that the options brought, with a copy */
		transfers->changed(transfers->context);
}

/* --- asked from outside --- */

size_t transfers_refresh(struct transfers *transfers, const char *name)
{
	size_t count = 0;

	for (struct zone *zone = transfers->zones; zone; zone = zone->next) {
		if (!zone->transfer || (name && strcmp(name, zone->name) != 0))
			continue;
		struct turn turn = turn_begin(zone);
		transfer_refresh(zone->transfer, &turn.now);
		turn_end(&turn);
		count++;
	}
	return count;
}

static void take_notify(struct zone *zone, unsigned heard)
{
	struct turn turn;

	if (heard == 0 || heard > zone->settings.primary_count || !zone->transfer)
		return;
	turn = turn_begin(zone);
	transfer_notify(zone->transfer, &zone->settings.primaries[heard - 1].address, &turn.now);
	turn_end(&turn);
}

static void on_heard(evutil_socket_t fd, short what, void *context)
{
	struct transfers *transfers = context;
	struct zone *zone = transfers->zones;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) < 0)
		return;
	/* A mark for a zone that went with a reload goes as well: workers are silent while it stands. */
	for (size_t i = 0; i < POLICY_ZONES_MAX; i++) {
		unsigned heard = atomic_exchange(&transfers->box.heard[i], 0);
		if (!zone)
			continue;
		take_notify(zone, heard);
		zone = zone->next;
	}
}

struct notify_box *transfers_box(struct transfers *transfers)
{
	return &transfers->box;
}

const char *transfers_status(
	const struct transfers *transfers, size_t place, struct transfer_status *out)
{
	const struct zone *zone = transfers->zones;
	struct now now = now_of();

	while (zone && place-- > 0)
		zone = zone->next;
	if (!zone || !zone->transfer)
		return NULL;
	transfer_status(zone->transfer, &now, out);
	return zone->name;
}

struct transfers *transfers_new(transfers_changed_fn *changed, void *context)
{
	struct transfers *transfers = calloc(1, sizeof *transfers);

	if (!transfers)
		return NULL;
	transfers->box.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (transfers->box.wake_fd < 0) {
		free(transfers);
		return NULL;
	}
	transfers->changed = changed;
	transfers->context = context;
	transfers->feed = (struct zone_feed){.context = transfers,
		.snapshot = on_snapshot,
		.fill = on_fill,
		.release = on_release};
	return transfers;
}

void transfers_free(struct transfers *transfers)
{
	struct zone *next;

	if (!transfers)
		return;
	for (struct zone *zone = transfers->zones; zone; zone = next) {
		next = zone->next;
		zone_free(zone);
	}
	if (transfers->heard)
		event_free(transfers->heard);
	close(transfers->box.wake_fd);
	free(transfers);
}
