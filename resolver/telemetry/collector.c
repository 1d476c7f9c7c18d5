/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The collector's loop. A look (take_all) empties the rings, then whatever is ready goes on its
 * way. While there is work it looks every 20 ms by itself; after three looks in vain it says that
 * it sleeps, and only then a worker rings. So a busy worker makes no system call for the
 * collector's sake, and an idle daemon wakes once a second, for the query log and to close an hour.
 *
 * What other threads may call meets it in atomics, a mailbox (events) and one mutex, which guards
 * `status` and `gauges` only and is never held across a call.
 */
#include "resolver/telemetry/collector.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/mailbox.h"
#include "lib/base/strbuf.h"
#include "resolver/telemetry/delivery.h"
#include "resolver/telemetry/notes.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/redis/forget.h"
#include "resolver/telemetry/redis/store.h"
#include "resolver/telemetry/sinks/sinks.h"

#define LOOK_MS 20
#define LOOKS_BEFORE_SLEEP 3
#define RECORDS_A_LOOK 20000 /* before tallies and Redis have their turn */
#define EVENTS_MAX 256

struct event_letter {
	struct letter letter;
	const char *kind, *text; /* behind the struct */
};

struct taken {
	struct tally *tally;
	struct handover *from;
};

struct collector {
	struct handover *handovers;
	struct taken *taken; /* merged in this look */
	size_t taken_count;
	const struct record **next_records; /* of each handover, while records are taken */
	size_t count;
	struct bell *bell;
	bool to_store;

	struct event_base *base;
	struct event *rung, *look, *beat, *deadline;
	struct delivery *delivery;
	struct notes *notes;
	struct sinks sinks;
	struct strbuf line; /* of an event */
	char *version;
	telemetry_returned_fn *returned; /* NULL: nobody wants to know */
	void *returned_context;
	struct now now;
	int64_t changed_us; /* wall: when the store was found or lost */
	unsigned idle_looks;
	bool was_connected, ever_connected;

	pthread_t thread;
	bool running;
	atomic_bool stop, reopen, gauges_given;
	atomic_int timeout_ms;
	struct mailbox events;
	atomic_uint events_waiting;
	_Atomic uint64_t events_dropped;

	pthread_mutex_t lock; /* guards these two */
	struct telemetry_status status;
	struct gauges gauges; /* given last */
};

static int64_t read_clock(clockid_t id)
{
	struct timespec time;

	clock_gettime(id, &time);
	return time.tv_sec * US_PER_S + time.tv_nsec / 1000;
}

static void read_now(struct now *now)
{
	now->mono_us = read_clock(CLOCK_MONOTONIC);
	now->wall_us = read_clock(CLOCK_REALTIME);
}

static int64_t read_slept(const struct now *now)
{
	return read_clock(CLOCK_BOOTTIME) - now->mono_us;
}

/* --- taking what was given --- */

static void add_event(struct collector *collector, const char *kind, const char *text);

static void on_suspect(void *context, const struct notes_suspect *suspect)
{
	char client[ADDRESS_TEXT_MAX], why[NOTES_WHY_SIZE];
	char text[ADDRESS_TEXT_MAX + NOTES_WHY_SIZE + 64];

	address_to_text(&suspect->client, client);
	notes_words(suspect, why);
	snprintf(text, sizeof(text), "%s looks like a forwarder: %s", client, why);
	log_warning("client %s; see doc/clients.md for how to tell its clients apart", text);
	add_event(context, "forwarder", text);
}

static void merge(struct collector *collector, struct tally *tally)
{
	if (!collector->to_store)
		return;
	delivery_merge(collector->delivery, tally);
	notes_look(collector->notes, tally, delivery_pending(collector->delivery), &collector->now,
		on_suspect, collector);
}

static bool take_tallies(struct collector *collector, struct handover *handover)
{
	bool any = false;

	for (struct tally *tally = handover_take(&handover->full); tally;
		tally = handover_take(&handover->full)) {
		merge(collector, tally);
		collector->taken[collector->taken_count++] = (struct taken){tally, handover};
		any = true;
	}
	return any;
}

/* Until the memory holds what was merged, the tallies do. */
static void give_tallies_back(struct collector *collector)
{
	delivery_commit(collector->delivery);
	for (size_t i = 0; i < collector->taken_count; i++) {
		tally_clear(collector->taken[i].tally);
		handover_give(&collector->taken[i].from->empty, collector->taken[i].tally);
	}
	collector->taken_count = 0;
}

static void write_record(struct collector *collector, const struct record *record)
{
	bool to_stream = collector->to_store && record->action != TRANSACTION_NONE;
	const struct strbuf *line =
		sinks_record(&collector->sinks, record, to_stream, &collector->now);

	if (line && to_stream)
		pending_add_line(delivery_pending(collector->delivery), STREAM_TRANSACTIONS,
			record->wall_us, line->data, line->length - 1);
}

/* The worker whose next record is the oldest; count when no one has any. */
static size_t oldest_record(const struct collector *collector)
{
	size_t oldest = collector->count;

	for (size_t i = 0; i < collector->count; i++) {
		const struct record *record = collector->next_records[i];
		if (record && (oldest == collector->count ||
				      record->wall_us < collector->next_records[oldest]->wall_us))
			oldest = i;
	}
	return oldest;
}

/* Merges the workers' records by time, so that a reader of the log or the stream sees them in the
 * order in which the replies left, but for what is still on its way when a look begins. */
static bool take_records(struct collector *collector)
{
	size_t length, from;
	unsigned count = 0;

	for (size_t i = 0; i < collector->count; i++) {
		struct handover *handover = &collector->handovers[i];
		atomic_store_explicit(&handover->urged, false, memory_order_relaxed);
		collector->next_records[i] = ring_peek(&handover->records, &length);
	}
	while (count < RECORDS_A_LOOK && (from = oldest_record(collector)) < collector->count) {
		struct ring *ring = &collector->handovers[from].records;
		write_record(collector, collector->next_records[from]);
		ring_release(ring);
		collector->next_records[from] = ring_peek(ring, &length);
		count++;
	}
	return count > 0;
}

static void add_event(struct collector *collector, const char *kind, const char *text)
{
	struct strbuf *line = &collector->line;

	if (!collector->to_store)
		return;
	strbuf_clear(line);
	strbuf_append_text(line, "{\"ts\":\"");
	strbuf_append_time(line, collector->now.wall_us);
	strbuf_append_text(line, "\"");
	strbuf_json_text(line, "kind", kind);
	strbuf_json_text(line, "text", text);
	strbuf_append_char(line, '}');
	if (!line->failed)
		pending_add_line(delivery_pending(collector->delivery), STREAM_EVENTS,
			collector->now.wall_us, line->data, line->length);
}

static bool take_events(struct collector *collector)
{
	struct letter *letter = mailbox_take(&collector->events);
	bool any = letter != NULL;

	while (letter) {
		struct event_letter *event = (struct event_letter *)letter;
		letter = letter->next;
		add_event(collector, event->kind, event->text);
		free(event);
		atomic_fetch_sub(&collector->events_waiting, 1);
	}
	return any;
}

/* Nobody rings for them: they go with the next look, which is a second away at most. */
static void take_gauges(struct collector *collector)
{
	if (!atomic_exchange(&collector->gauges_given, false) || !collector->to_store)
		return;
	pthread_mutex_lock(&collector->lock);
	pending_set_gauges(delivery_pending(collector->delivery), &collector->gauges);
	pthread_mutex_unlock(&collector->lock);
}

static bool take_all(struct collector *collector)
{
	bool any = take_events(collector);

	take_gauges(collector);
	for (size_t i = 0; i < collector->count; i++)
		any |= take_tallies(collector, &collector->handovers[i]);
	give_tallies_back(collector);
	any |= take_records(collector);
	return any;
}

/* --- status --- */

static void publish(struct collector *collector)
{
	struct telemetry_status status = {.store_since_us = collector->changed_us};
	uint64_t lines_lost = 0, taps_lost = 0;

	delivery_status(collector->delivery, &status);
	status.events_dropped = atomic_load(&collector->events_dropped);
	status.suspect_count =
		notes_suspects(collector->notes, status.suspects, &status.suspects_ever);
	for (size_t i = 0; i < collector->count; i++) {
		lines_lost += atomic_load(&collector->handovers[i].lines_lost);
		taps_lost += atomic_load(&collector->handovers[i].taps_lost);
	}
	status.records_written = collector->sinks.writer.last_txn;
	status.sink_count = sinks_status(&collector->sinks, lines_lost, taps_lost, status.sinks);
	status.records_dropped = lines_lost;
	if (status.sink_count && strcmp(status.sinks[0].name, "query-log") == 0)
		status.records_dropped = status.sinks[0].dropped;

	pthread_mutex_lock(&collector->lock);
	collector->status = status;
	pthread_mutex_unlock(&collector->lock);
}

/* --- the end --- */

static void begin_to_stop(struct collector *collector)
{
	int timeout_ms = atomic_load(&collector->timeout_ms);
	struct timeval wait = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};

	for (size_t i = 0; i < collector->count; i++) {
		if (collector->handovers[i].rest)
			merge(collector, collector->handovers[i].rest);
	}
	delivery_commit(collector->delivery);
	for (size_t i = 0; i < collector->count; i++) {
		if (collector->handovers[i].rest)
			tally_clear(collector->handovers[i].rest);
	}
	delivery_begin_to_stop(collector->delivery);
	sinks_finish(&collector->sinks, &collector->now);
	event_add(collector->deadline, &wait);
}

static void end_when_done(struct collector *collector, bool any)
{
	if (any)
		return;
	if (!evtimer_pending(collector->deadline, NULL))
		begin_to_stop(collector);
	else if (sinks_are_finished(&collector->sinks, &collector->now) &&
		 delivery_is_finished(collector->delivery))
		event_base_loopbreak(collector->base);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
	struct collector *collector = context;

	(void)fd;
	(void)what;
	event_base_loopbreak(collector->base);
}

/* --- the loop --- */

static void look_again(struct collector *collector)
{
	static const struct timeval wait = {.tv_usec = LOOK_MS * 1000};

	if (!evtimer_pending(collector->look, NULL))
		event_add(collector->look, &wait);
}

static void rest_or_look_again(struct collector *collector, bool any)
{
	collector->idle_looks = any ? 0 : collector->idle_looks + 1;
	if (collector->idle_looks < LOOKS_BEFORE_SLEEP || atomic_load(&collector->stop)) {
		look_again(collector);
		return;
	}
	bell_sleep(collector->bell);
	if (take_all(collector)) {
		bell_wake(collector->bell);
		collector->idle_looks = 0;
		look_again(collector);
	}
}

static void look_at_clocks(struct collector *collector)
{
	char text[96];

	read_now(&collector->now);
	int64_t step_us = delivery_watch_clock(collector->delivery, read_slept(&collector->now));
	if (!step_us)
		return;
	snprintf(text, sizeof(text), "the clock stepped by %+lld.%03d s",
		(long long)(step_us / US_PER_S), abs((int)(step_us % US_PER_S / US_PER_MS)));
	log_info("clock: %s; what was not sent yet moves along", text);
	collector->changed_us += step_us;
	add_event(collector, "clock", text);
}

static void work(struct collector *collector)
{
	look_at_clocks(collector);
	if (atomic_exchange(&collector->reopen, false))
		sinks_reopen(&collector->sinks, &collector->now);
	bool any = take_all(collector);
	rest_or_look_again(collector, any);
	sinks_flush(&collector->sinks, &collector->now);
	delivery_send(collector->delivery);
	delivery_settle(collector->delivery);
	publish(collector);
	if (atomic_load(&collector->stop))
		end_when_done(collector, any);
}

static void on_rung(evutil_socket_t fd, short what, void *context)
{
	uint64_t count;
	ssize_t length = read(fd, &count, sizeof(count));

	(void)length; /* nothing to read: it rang for an earlier look */
	(void)what;
	work(context);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct collector *collector = context;

	(void)fd;
	(void)what;
	delivery_tick(collector->delivery);
	work(collector);
}

static void on_ready(void *context)
{
	struct collector *collector = context;

	look_at_clocks(collector);
	delivery_send(collector->delivery);
	publish(collector);
}

static void on_changed(void *context, const struct store_status *store)
{
	struct collector *collector = context;
	char text[160];

	read_now(&collector->now);
	if (store->connected != collector->was_connected) {
		collector->was_connected = store->connected;
		collector->changed_us = collector->now.wall_us;
		snprintf(text, sizeof(text), "teredownd %s", collector->version);
		if (!store->connected)
			add_event(collector, "store-lost", store->words);
		else if (collector->ever_connected)
			add_event(collector, "store-found", "counts that waited are being stored");
		else
			add_event(collector, "start", text);
		collector->ever_connected = true;
	}
	publish(collector);
}

static void on_returned(void *context, const char *client, const char *zone, int64_t at_ms)
{
	struct collector *collector = context;

	if (collector->returned)
		collector->returned(collector->returned_context, client, zone, at_ms);
}

static void *run(void *context)
{
	struct collector *collector = context;

	work(collector);
	event_base_dispatch(collector->base);
	delivery_keep_the_rest(collector->delivery);
	sinks_flush(&collector->sinks, &collector->now);
	return NULL;
}

/* --- making and ending --- */

static bool make_loop(struct collector *collector)
{
	static const struct timeval second = {.tv_sec = 1};

	collector->base = event_base_new();
	if (!collector->base)
		return false;
	collector->rung = event_new(
		collector->base, collector->bell->fd, EV_READ | EV_PERSIST, on_rung, collector);
	collector->look = evtimer_new(collector->base, on_timer, collector);
	collector->beat = event_new(collector->base, -1, EV_PERSIST, on_timer, collector);
	collector->deadline = evtimer_new(collector->base, on_deadline, collector);
	return collector->rung && collector->look && collector->beat && collector->deadline &&
	       event_add(collector->rung, NULL) == 0 && event_add(collector->beat, &second) == 0;
}

static bool make_delivery(
	struct collector *collector, const struct telemetry_config *config, struct zone_ids *zones)
{
	static const struct delivery_callbacks callbacks = {
		.ready = on_ready, .changed = on_changed, .returned = on_returned};
	const struct delivery_settings settings = {
		.config = config,
		.base = collector->base,
		.zones = zones,
		.tallies = collector->count * HANDOVER_TALLIES,
		.now = &collector->now,
		.slept_us = read_slept(&collector->now),
		.callbacks = &callbacks,
		.context = collector,
	};

	collector->delivery = delivery_new(&settings);
	return collector->delivery != NULL;
}

static void collector_free(struct collector *collector)
{
	for (struct letter *letter = mailbox_take(&collector->events); letter;) {
		struct letter *next = letter->next;
		free((struct event_letter *)letter);
		letter = next;
	}
	delivery_free(&collector->delivery);
	struct event *const events[] = {
		collector->rung, collector->look, collector->beat, collector->deadline};
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (events[i])
			event_free(events[i]);
	}
	sinks_deinit(&collector->sinks);
	if (collector->base)
		event_base_free(collector->base);
	notes_free(collector->notes);
	strbuf_deinit(&collector->line);
	pthread_mutex_destroy(&collector->lock);
	free(collector->next_records);
	free(collector->taken);
	free(collector->version);
	free(collector);
}

struct collector *collector_new(const struct telemetry_config *config, struct handover *handovers,
	size_t count, struct zone_ids *zones, struct bell *bell)
{
	struct collector *collector = calloc(1, sizeof(*collector));

	if (!collector)
		return NULL;
	collector->handovers = handovers;
	collector->count = count;
	collector->bell = bell;
	strbuf_init(&collector->line);
	mailbox_init(&collector->events);
	pthread_mutex_init(&collector->lock, NULL);
	read_now(&collector->now);
	collector->changed_us = collector->now.wall_us;
	collector->returned = config->returned;
	collector->returned_context = config->returned_context;
	collector->notes = notes_new(&config->names, &config->seed);
	collector->version = strdup(config->version);
	collector->next_records = calloc(count, sizeof(*collector->next_records));
	collector->taken = calloc(count * HANDOVER_TALLIES, sizeof(*collector->taken));
	if (!collector->notes || !collector->version || !collector->next_records ||
		!collector->taken || !make_loop(collector) ||
		!sinks_init(&collector->sinks, config, collector->base, zones, &collector->now) ||
		!make_delivery(collector, config, zones)) {
		collector_free(collector);
		return NULL;
	}
	collector->to_store = delivery_is_on(collector->delivery);
	publish(collector);
	return collector;
}

struct tally *collector_tallies(const struct collector *collector, size_t worker)
{
	return delivery_tally(collector->delivery, worker * HANDOVER_TALLIES);
}

enum td_error collector_start(struct collector *collector)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&collector->thread, NULL, run, collector);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0) {
		log_error("collector: %s", strerror(error));
		return TD_IO;
	}
	pthread_setname_np(collector->thread, "collector");
	collector->running = true;
	return TD_OK;
}

void collector_stop(struct collector **collector, int timeout_ms)
{
	struct collector *it = *collector;

	if (!it)
		return;
	if (it->running) {
		atomic_store(&it->timeout_ms, timeout_ms > 0 ? timeout_ms : 1);
		atomic_store(&it->stop, true);
		bell_ring_hard(it->bell);
		pthread_join(it->thread, NULL);
	}
	collector_free(it);
	*collector = NULL;
}

void collector_event(struct collector *collector, const char *kind, const char *text)
{
	size_t kind_size = strlen(kind) + 1, text_size = strlen(text) + 1;
	struct event_letter *event = NULL;

	if (atomic_fetch_add(&collector->events_waiting, 1) < EVENTS_MAX)
		event = malloc(sizeof(*event) + kind_size + text_size);
	if (!event) {
		atomic_fetch_sub(&collector->events_waiting, 1);
		atomic_fetch_add(&collector->events_dropped, 1);
		return;
	}
	event->kind = memcpy((char *)(event + 1), kind, kind_size);
	event->text = memcpy((char *)(event + 1) + kind_size, text, text_size);
	mailbox_post(&collector->events, &event->letter);
	bell_ring(collector->bell);
}

void collector_gauges(struct collector *collector, const struct gauges *gauges)
{
	pthread_mutex_lock(&collector->lock);
	bool changed = !gauges_equal(&collector->gauges, gauges);
	if (changed)
		collector->gauges = *gauges;
	pthread_mutex_unlock(&collector->lock);
	if (changed)
		atomic_store(&collector->gauges_given, true);
}

void collector_reopen(struct collector *collector)
{
	atomic_store(&collector->reopen, true);
	bell_ring_hard(collector->bell);
}

void collector_status(struct collector *collector, struct telemetry_status *out)
{
	pthread_mutex_lock(&collector->lock);
	*out = collector->status;
	pthread_mutex_unlock(&collector->lock);
}

enum td_error collector_forget(struct collector *collector, const char *client)
{
	enum td_error error = delivery_forget(collector->delivery, client);

	bell_ring_hard(collector->bell);
	return error;
}

void collector_forget_status(struct collector *collector, struct forget_status *out)
{
	delivery_forget_status(collector->delivery, out);
}
