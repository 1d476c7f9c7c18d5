/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The collector's loop. A look (take_all) empties the rings, then whatever is ready goes on its
 * way. While there is work it looks every 20 ms by itself; after three looks in vain it says that
 * it sleeps, and only then a worker rings. So a busy worker makes no system call for the
 * collector's sake, and an idle daemon wakes once a second, for the query log and to close an hour.
 *
 * What other threads may call meets it in atomics, a mailbox (events) and one mutex, which guards
 * `status` only and is never held across a call.
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
#include "resolver/telemetry/batch.h"
#include "resolver/telemetry/clock_watch.h"
#include "resolver/telemetry/forget.h"
#include "resolver/telemetry/journal.h"
#include "resolver/telemetry/memory.h"
#include "resolver/telemetry/notes.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/pending_log.h"
#include "resolver/telemetry/sinks.h"
#include "resolver/telemetry/store.h"

#define LOOK_MS 20
#define LOOKS_BEFORE_SLEEP 3
#define RECORDS_A_LOOK 20000 /* before tallies and Redis have their turn */
#define EVENTS_MAX 256
#define LINES_MAX 4096
#define LINE_BYTES_MAX ((size_t)2 << 20)

struct event_letter {
	struct letter letter;
	const char *kind, *text; /* behind the struct */
};

struct collector {
	struct handover *handovers;
	struct taken {
		struct tally *tally;
		struct handover *from;
	} *taken; /* merged in this look */
	size_t taken_count;
	const struct record **next_records; /* of each handover, while records are taken */
	size_t count;
	struct bell *bell;
	bool to_store;

	struct event_base *base;
	struct event *rung, *look, *beat, *deadline;
	struct pending pending;
	struct notes *notes;
	struct batcher batcher;
	struct store *store;     /* NULL: redis is "off" */
	struct journal *journal; /* NULL: none can be kept */
	struct memory *memory;
	struct clock_watch clock;
	bool warned_of_clock;
	struct forget *forget;   /* NULL: no store */
	bool forgot;             /* its turn was the last one */
	struct batch replayed;   /* what the journal gave back to be sent */
	struct strbuf octets;    /* of a batch, to or from the journal */
	uint64_t replays;        /* acknowledged, ever */
	bool journal_full;       /* said once */
	struct sinks sinks;
	struct strbuf line; /* of an event */
	char *resolver_name, *version;
	struct now now;
	int64_t closed_hour; /* up to which a batch said that hours are complete */
	int64_t changed_us;  /* wall: when the store was found or lost */
	unsigned idle_looks;
	bool was_connected, ever_connected;

	pthread_t thread;
	bool running;
	atomic_bool stop, reopen;
	atomic_int timeout_ms;
	struct mailbox events;
	atomic_uint events_waiting;
	_Atomic uint64_t events_dropped;

	pthread_mutex_t lock; /* guards status */
	struct telemetry_status status;
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
	int64_t shift_us = clock_watch_shift(&collector->clock, tally->clock_us);

	if (!collector->store)
		return;
	if (shift_us)
		tally_shift(tally, shift_us);
	pending_merge(&collector->pending, tally);
	memory_merged(collector->memory, tally);
	notes_look(collector->notes, tally, &collector->pending, &collector->now, on_suspect,
		collector);
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
	memory_commit(collector->memory);
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
		pending_add_line(&collector->pending, STREAM_TRANSACTIONS, record->wall_us,
			line->data, line->length - 1);
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
		pending_add_line(&collector->pending, STREAM_EVENTS, collector->now.wall_us,
			line->data, line->length);
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

static bool take_all(struct collector *collector)
{
	bool any = take_events(collector);

	for (size_t i = 0; i < collector->count; i++)
		any |= take_tallies(collector, &collector->handovers[i]);
	give_tallies_back(collector);
	any |= take_records(collector);
	return any;
}

/* --- the journal --- */

/* False when it is not on disk: then it is sent all the same, held in memory meanwhile. */
static bool keep_batch(struct collector *collector, const struct batch *batch)
{
	struct journal_key key = {.number = batch->number, .queries = batch->queries};

	if (!collector->journal)
		return false;
	snprintf(key.boot, sizeof(key.boot), "%s", batch->boot);
	strbuf_clear(&collector->octets);
	batch_save(batch, &collector->octets);
	if (collector->octets.failed)
		return false;
	enum td_error error = journal_append(collector->journal, &key, collector->octets.data,
		collector->octets.length, collector->now.mono_us);
	if (error == TD_FULL && !collector->journal_full)
		log_warning("journal: it is full of batches that wait for Redis");
	collector->journal_full = error == TD_FULL;
	if (error == TD_OK)
		memory_release(collector->memory, key.boot, key.number);
	else
		memory_hold(collector->memory, &key, collector->octets.data,
			collector->octets.length);
	return error == TD_OK;
}

/* The frozen batch or a new one; the memory knows what left `pending` for it. */
static struct batch *freeze_batch(struct collector *collector, bool even_if_empty)
{
	struct batcher *batcher = &collector->batcher;
	uint64_t last = batcher->last_number;
	struct batch *batch =
		batch_cut(batcher, &collector->pending, &collector->now, even_if_empty);

	if (batcher->last_number != last)
		memory_frozen(collector->memory, batcher->last_number);
	return batch;
}

/* As far as the journal could not take them at the start. NULL when there is none. */
static struct batch *next_held(struct collector *collector)
{
	struct batch *batch = &collector->replayed;
	const struct memory_held *held = memory_next_held(collector->memory);
	enum td_error error;

	while (held && (error = batch_load(batch, held->octets, held->length)) != TD_OK) {
		if (error == TD_NOMEM)
			return NULL;
		log_error("memory: batch %llu of boot %s cannot be used; its %llu queries are lost",
			(unsigned long long)held->key.number, held->key.boot,
			(unsigned long long)held->key.queries);
		memory_release(collector->memory, held->key.boot, held->key.number);
		held = memory_next_held(collector->memory);
	}
	if (!held)
		return NULL;
	snprintf(batch->boot, sizeof(batch->boot), "%s", held->key.boot);
	batch->number = held->key.number;
	batch->queries = held->key.queries;
	return batch;
}

/* The oldest batch that Redis lacks, of this boot or an earlier one; NULL when there is none. */
static struct batch *next_replay(struct collector *collector)
{
	struct batch *batch = &collector->replayed;
	struct journal_key key;

	while (collector->journal &&
		journal_next_due(collector->journal, &key, &collector->octets)) {
		enum td_error error =
			batch_load(batch, collector->octets.data, collector->octets.length);
		snprintf(batch->boot, sizeof(batch->boot), "%s", key.boot);
		batch->number = key.number;
		batch->queries = key.queries;
		if (error == TD_OK)
			return batch;
		if (error == TD_NOMEM)
			return NULL;
		log_error("journal: batch %llu of boot %s cannot be used (%s); its %llu queries "
			  "are lost",
			(unsigned long long)key.number, key.boot, error_text(error),
			(unsigned long long)key.queries);
		journal_drop(collector->journal, key.boot, key.number);
	}
	return next_held(collector);
}

static bool has_replays(const struct collector *collector)
{
	struct journal_status status = {0};

	if (collector->journal)
		journal_status(collector->journal, &status);
	return status.due_batches > 0 || memory_next_held(collector->memory);
}

static void on_connected(
	void *context, const char *store, const struct journal_applied *applied, size_t count)
{
	struct collector *collector = context;
	struct journal_status status;

	forget_reconnected(collector->forget);
	if (!collector->journal)
		return;
	uint64_t lost = journal_compare(collector->journal, store, applied, count);
	journal_status(collector->journal, &status);
	/* The batch in hand is journaled too, and is no news. */
	if (status.due_batches > lost + collector->batcher.frozen)
		log_info("journal: %llu batches of earlier boots are sent first",
			(unsigned long long)(status.due_batches - lost -
					     collector->batcher.frozen));
	if (lost)
		log_warning("redis: it lost %llu batches that it had acknowledged; they are sent "
			    "again",
			(unsigned long long)lost);
	if (status.missing_batches)
		log_warning("redis: it lacks %llu older batches which the journal does not keep "
			    "any more; their counts are lost",
			(unsigned long long)status.missing_batches);
}

/* At the end: all that could not be sent goes into the journal, as batches of this boot. */
static void keep_the_rest(struct collector *collector)
{
	struct batcher *batcher = &collector->batcher;
	uint64_t queries = 0;

	if (!collector->store || !collector->journal)
		return;
	journal_hurry(collector->journal);
	for (struct batch *batch = freeze_batch(collector, false);
		batch && keep_batch(collector, batch); batch = freeze_batch(collector, false)) {
		queries += batch->queries;
		batch_set_aside(batcher);
	}
	if (queries)
		log_info("journal: %llu answered queries wait there for Redis and the next start",
			(unsigned long long)queries);
}

/* --- sending --- */

/* A batch carries hours, so none is frozen while the clock cannot be right; not for ever, and not
 * at the end. */
static bool waits_for_clock(struct collector *collector)
{
	bool unset = collector->now.wall_us < CLOCK_UNSET_US;

	if (!unset || atomic_load(&collector->stop))
		return false;
	if (clock_watch_must_wait(&collector->clock, &collector->now))
		return true;
	if (!collector->warned_of_clock)
		log_warning("clock: it is not set; counts are stored under the hours that it says");
	collector->warned_of_clock = true;
	return false;
}

/* A step of forgetting a client; false when there is none. Acknowledged batches go first, or they
 * would bring it back after a failover. */
static bool send_forgetting(struct collector *collector)
{
	struct forget_command command;
	bool stored = pending_is_empty(&collector->pending) && !collector->batcher.frozen &&
		      !has_replays(collector);

	if (forget_begin(collector->forget, &collector->now, stored) && collector->journal) {
		/* A frozen batch that the journal lacks would count as never sent. */
		memory_rewrite(collector->memory);
		journal_forget_kept(collector->journal);
	}
	if (atomic_load(&collector->stop) || !forget_next(collector->forget, &command))
		return false;
	store_ask(collector->store, command.argc, command.argv, command.lengths);
	return true;
}

static bool send_batch(struct collector *collector)
{
	struct batch *replay = next_replay(collector);
	if (replay) {
		store_send(collector->store, replay);
		return true;
	}
	/* One that cannot be read just now: of its boot none may overtake it. */
	if (has_replays(collector))
		return false;
	if (waits_for_clock(collector))
		return false;
	/* The same hour a batch of now would close; an empty one is sent for it, and the first one
	 * at once: it says that recording began. */
	int64_t closing = (collector->now.wall_us - 60 * US_PER_S) / US_PER_HOUR - 1;
	struct batch *batch = freeze_batch(collector, closing > collector->closed_hour);
	if (!batch)
		return false;
	if (pending_is_empty(&collector->pending))
		collector->closed_hour = closing;
	keep_batch(collector, batch);
	store_send(collector->store, batch);
	return true;
}

/* Batches and the steps of forgetting take turns. */
static void send_pending(struct collector *collector)
{
	if (!collector->store || !store_is_ready(collector->store))
		return;
	bool forgot = collector->forgot;
	collector->forgot = !forgot && send_forgetting(collector);
	if (!collector->forgot && !send_batch(collector) && forgot)
		collector->forgot = send_forgetting(collector);
}

/* --- status --- */

static void publish(struct collector *collector)
{
	struct telemetry_status status = {.store_on = collector->store != NULL};
	const struct pending *pending = &collector->pending;
	const struct batcher *batcher = &collector->batcher;

	if (collector->store) {
		struct store_status store;
		store_status(collector->store, &store);
		status.store_connected = store.connected;
		snprintf(status.store_error, sizeof(status.store_error), "%s", store.words);
		status.recording_since_us = store.recording_since_ms * US_PER_MS;
	}
	status.store_since_us = collector->changed_us;
	status.batches_applied = batcher->applied_batches;
	status.queries_applied = batcher->applied_queries;
	status.batches_waiting = batcher->frozen + (pending_is_empty(pending) ? 0 : 1);
	status.queries_waiting = pending->queries + (batcher->frozen ? batcher->batch->queries : 0);
	if (collector->journal) {
		struct journal_status journal;
		journal_status(collector->journal, &journal);
		status.journal_on = true;
		status.journal_waiting = journal.waiting_batches;
		status.journal_queries = journal.waiting_queries;
		status.journal_due = journal.due_batches;
		status.journal_bytes = journal.bytes;
		status.journal_failures = journal.failures;
	}
	struct memory_status memory;
	memory_status(collector->memory, &memory);
	status.memory_on = memory.on;
	status.memory_bytes = memory.bytes;
	status.memory_failures = memory.failures;
	status.queries_healed = memory.healed;
	status.clock_steps = collector->clock.steps;
	status.batches_replayed = collector->replays;
	status.details_dropped = pending->details_dropped;
	status.events_dropped = atomic_load(&collector->events_dropped);
	status.stream_dropped = pending->lines_dropped;
	status.suspect_count =
		notes_suspects(collector->notes, status.suspects, &status.suspects_ever);
	uint64_t lines_lost = 0, taps_lost = 0;
	for (size_t i = 0; i < collector->count; i++) {
		lines_lost += atomic_load(&collector->handovers[i].lines_lost);
		taps_lost += atomic_load(&collector->handovers[i].taps_lost);
	}
	status.records_written = collector->sinks.writer.last_txn;
	status.sink_count =
		sinks_status(&collector->sinks, lines_lost, taps_lost, status.sinks);
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
	memory_commit(collector->memory);
	for (size_t i = 0; i < collector->count; i++) {
		if (collector->handovers[i].rest)
			tally_clear(collector->handovers[i].rest);
	}
	sinks_finish(&collector->sinks, &collector->now);
	event_add(collector->deadline, &wait);
}

static void end_when_done(struct collector *collector, bool any)
{
	bool sent = pending_is_empty(&collector->pending) && !collector->batcher.frozen &&
		    !has_replays(collector);

	if (any)
		return;
	if (!evtimer_pending(collector->deadline, NULL))
		begin_to_stop(collector);
	else if (sinks_are_finished(&collector->sinks, &collector->now) &&
		 (!collector->store || (sent && store_release(collector->store))))
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

/* What was timed by the clock as it was before, and was not sent, moves along. */
static void follow_clock(struct collector *collector, int64_t step_us)
{
	char text[96];

	snprintf(text, sizeof(text), "the clock stepped by %+lld.%03d s",
		(long long)(step_us / US_PER_S), abs((int)(step_us % US_PER_S / US_PER_MS)));
	log_info("clock: %s; what was not sent yet moves along", text);
	collector->batcher.settings.started_us += step_us;
	collector->changed_us += step_us;
	if (step_us < 0)
		collector->closed_hour = -1;
	if (!pending_shift(&collector->pending, step_us))
		log_warning("clock: too little memory; what was not sent stays where it was");
	memory_rewrite(collector->memory);
	add_event(collector, "clock", text);
}

static void look_at_clocks(struct collector *collector)
{
	read_now(&collector->now);
	int64_t step_us = clock_watch_look(
		&collector->clock, &collector->now, read_slept(&collector->now));
	if (step_us)
		follow_clock(collector, step_us);
}

static void work(struct collector *collector)
{
	look_at_clocks(collector);
	if (atomic_exchange(&collector->reopen, false))
		sinks_reopen(&collector->sinks, &collector->now);
	bool any = take_all(collector);
	rest_or_look_again(collector, any);
	sinks_flush(&collector->sinks, &collector->now);
	send_pending(collector);
	memory_settle(collector->memory, &collector->now);
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
	if (collector->journal)
		journal_tick(collector->journal, collector->now.mono_us);
	work(collector);
}

static void on_ready(void *context)
{
	struct collector *collector = context;

	look_at_clocks(collector);
	send_pending(collector);
	publish(collector);
}

/* A replayed batch may be the frozen one, which was sent by the connection before. */
static void on_applied(void *context, const struct batch *batch, const char *store)
{
	struct collector *collector = context;

	if (collector->journal)
		journal_acknowledge(collector->journal, batch->boot, batch->number, store);
	memory_release(collector->memory, batch->boot, batch->number);
	collector->replays += batch == &collector->replayed;
	if (strcmp(batch->boot, collector->batcher.settings.boot) == 0)
		batch_acknowledged(&collector->batcher, batch->number);
}

static void on_replied(void *context, const struct redisReply *reply)
{
	struct collector *collector = context;

	forget_replied(collector->forget, reply);
}

static void on_changed(void *context)
{
	struct collector *collector = context;
	struct store_status status;
	char text[160];

	store_status(collector->store, &status);
	read_now(&collector->now);
	if (status.connected != collector->was_connected) {
		collector->was_connected = status.connected;
		collector->changed_us = collector->now.wall_us;
		snprintf(text, sizeof(text), "teredownd %s", collector->version);
		if (!status.connected)
			add_event(collector, "store-lost", status.words);
		else if (collector->ever_connected)
			add_event(collector, "store-found", "counts that waited are being stored");
		else
			add_event(collector, "start", text);
		collector->ever_connected = true;
	}
	publish(collector);
}

static void *run(void *context)
{
	struct collector *collector = context;

	work(collector);
	event_base_dispatch(collector->base);
	keep_the_rest(collector);
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

static bool make_boot(char out[BOOT_TEXT_SIZE])
{
	uint64_t boot;

	if (getrandom(&boot, sizeof(boot), 0) != (ssize_t)sizeof(boot))
		return false;
	snprintf(out, BOOT_TEXT_SIZE, "%016llx", (unsigned long long)boot);
	return true;
}

static bool make_batcher(struct collector *collector, const struct telemetry_config *config,
	const struct zone_ids *zones)
{
	struct batch_settings settings = {
		.resolver_name = collector->resolver_name,
		.version = collector->version,
		.zones = zones,
		.started_us = collector->now.wall_us,
		.retention_days = config->retention_days,
		.pair_retention_days = config->pair_retention_days,
		.bounds = batch_bounds_default,
	};

	if (config->stored_clients_max)
		settings.bounds.clients = config->stored_clients_max;
	if (config->stored_names_max)
		settings.bounds.names = settings.bounds.addresses = config->stored_names_max;
	return make_boot(settings.boot) && batcher_init(&collector->batcher, &settings);
}

/* Without one, counting goes on: the error is logged, and status shows it. */
static void open_journal(struct collector *collector, const struct telemetry_config *config)
{
	struct journal_settings settings = journal_settings_default;
	char dir[4096];

	if (!config->state_dir)
		return;
	snprintf(dir, sizeof(dir), "%s/journal", config->state_dir);
	settings.dir = dir;
	settings.fsync = config->journal_fsync;
	collector->journal = journal_open(&settings);
	if (!collector->journal)
		log_warning("journal: there is none, so a crash loses what waits for Redis");
}

static bool open_memory(struct collector *collector, const struct telemetry_config *config,
	struct zone_ids *zones)
{
	struct memory_settings settings = {
		.dir = config->memory_dir ? config->memory_dir : "",
		.boot = collector->batcher.settings.boot,
		.tallies = collector->count * HANDOVER_TALLIES,
	};

	collector->memory = memory_open(
		&settings, &collector->pending, zones, collector->journal, &collector->clock);
	return collector->memory != NULL;
}

static bool make_store(struct collector *collector, const struct telemetry_config *config,
	struct zone_ids *zones)
{
	static const struct store_callbacks callbacks = {.connected = on_connected,
		.ready = on_ready,
		.applied = on_applied,
		.replied = on_replied,
		.changed = on_changed};
	struct store_identity identity = {
		.resolver_name = config->resolver_name, .boot = collector->batcher.settings.boot};
	char instance[BOOT_TEXT_SIZE];

	if (strcmp(config->redis, "off") == 0)
		return open_memory(collector, config, zones);
	open_journal(collector, config);
	if (!open_memory(collector, config, zones) || !make_boot(instance))
		return false;
	identity.instance = collector->journal ? journal_instance(collector->journal) : instance;
	collector->forget = forget_new(config->resolver_name, identity.instance);
	if (!collector->forget)
		return false;
	collector->store =
		store_new(collector->base, config->redis, config->redis_access, &identity, &callbacks,
			collector);
	return collector->store != NULL;
}

static void make_plain_parts(struct collector *collector, const struct telemetry_config *config)
{
	const struct pending_limits limits = {
		.clients = config->clients_max,
		.tops = config->details_max / 4 + 1,
		.details = config->details_max,
		.lines = LINES_MAX,
		.line_bytes = LINE_BYTES_MAX,
	};

	pending_init(&collector->pending, &limits, &config->seed);
	strbuf_init(&collector->line);
	strbuf_init(&collector->octets);
	strbuf_init(&collector->replayed.text);
	mailbox_init(&collector->events);
	pthread_mutex_init(&collector->lock, NULL);
	read_now(&collector->now);
	clock_watch_init(&collector->clock, &collector->now, read_slept(&collector->now));
	collector->closed_hour = -1;
	collector->changed_us = collector->now.wall_us;
}

static void collector_free(struct collector *collector)
{
	for (struct letter *letter = mailbox_take(&collector->events); letter;) {
		struct letter *next = letter->next;
		free((struct event_letter *)letter);
		letter = next;
	}
	store_free(&collector->store);
	memory_close(&collector->memory);
	forget_free(&collector->forget);
	journal_close(&collector->journal);
	struct event *const events[] = {
		collector->rung, collector->look, collector->beat, collector->deadline};
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (events[i])
			event_free(events[i]);
	}
	sinks_deinit(&collector->sinks);
	if (collector->base)
		event_base_free(collector->base);
	batcher_deinit(&collector->batcher);
	pending_deinit(&collector->pending);
	notes_free(collector->notes);
	strbuf_deinit(&collector->line);
	strbuf_deinit(&collector->octets);
	strbuf_deinit(&collector->replayed.text);
	pthread_mutex_destroy(&collector->lock);
	free(collector->next_records);
	free(collector->taken);
	free(collector->resolver_name);
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
	make_plain_parts(collector, config);
	collector->notes = notes_new(&config->names, &config->seed);
	collector->resolver_name = strdup(config->resolver_name);
	collector->version = strdup(config->version);
	collector->next_records = calloc(count, sizeof(*collector->next_records));
	collector->taken = calloc(count * HANDOVER_TALLIES, sizeof(*collector->taken));
	if (!collector->notes || !collector->resolver_name || !collector->version ||
		!collector->next_records || !collector->taken || !make_loop(collector) ||
		!sinks_init(&collector->sinks, config, collector->base, zones, &collector->now) ||
		!make_batcher(collector, config, zones) || !make_store(collector, config, zones)) {
		collector_free(collector);
		return NULL;
	}
	collector->to_store = collector->store != NULL;
	publish(collector);
	return collector;
}

struct tally *collector_tallies(const struct collector *collector, size_t worker)
{
	return memory_tally(collector->memory, worker * HANDOVER_TALLIES);
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

static void log_unsent(const struct collector *collector)
{
	uint64_t queries = collector->pending.queries + collector->pending.queries_lost +
			   (collector->batcher.frozen ? collector->batcher.batch->queries : 0);

	struct memory_status memory;
	memory_status(collector->memory, &memory);
	if (collector->store && queries && memory.on)
		log_info("memory: %llu answered queries wait there for the next start",
			(unsigned long long)queries);
	else if (collector->store && queries)
		log_warning("redis: %llu answered queries could not be stored before the end",
			(unsigned long long)queries);
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
		log_unsent(it);
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
	if (!collector->forget)
		return TD_UNSUPPORTED;
	enum td_error error = forget_request(collector->forget, client);
	bell_ring_hard(collector->bell);
	return error;
}

void collector_forget_status(struct collector *collector, struct forget_status *out)
{
	*out = (struct forget_status){.state = FORGET_IDLE};
	if (collector->forget)
		forget_status(collector->forget, out);
}
