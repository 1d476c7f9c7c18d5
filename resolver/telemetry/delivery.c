/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order is: merged into `pending` and told to the memory; cut and frozen, which the memory
 * notes; written to the journal, or held by the memory where the journal refuses; sent. What Redis
 * lacks of earlier batches goes before anything new. Forgetting a client takes turns with batches.
 *
 * Rejected: several batches on their way at once. One at a time keeps their order, and a round trip
 * is far shorter than the second in which a tally fills.
 */
#include "resolver/telemetry/delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/log.h"
#include "lib/base/strbuf.h"
#include "resolver/telemetry/batch.h"
#include "resolver/telemetry/clock_watch.h"
#include "resolver/telemetry/journal.h"
#include "resolver/telemetry/memory/memory.h"
#include "resolver/telemetry/memory/pending_log.h"
#include "resolver/telemetry/redis/forget.h"
#include "resolver/telemetry/redis/store.h"

#define LINES_MAX 4096
#define LINE_BYTES_MAX ((size_t)2 << 20)

struct delivery {
	struct delivery_callbacks callbacks;
	void *context;
	const struct now *now;
	struct pending pending;
	struct batcher batcher;
	struct store *store;     /* NULL: redis is "off" */
	struct journal *journal; /* NULL: none can be kept */
	struct memory *memory;
	struct clock_watch clock;
	struct forget *forget; /* NULL: no store */
	struct batch replayed; /* what the journal or the memory gave back to be sent */
	struct strbuf octets;  /* of a batch, to or from the journal */
	char *resolver_name, *version;
	uint64_t replays;                   /* acknowledged, ever */
	int64_t closed_hour;                /* up to which a batch said that hours are complete */
	bool journal_full, warned_of_clock; /* said once */
	bool forgot;                        /* its turn was the last one */
	bool stopping;
};

/* --- merging --- */

void delivery_merge(struct delivery *delivery, struct tally *tally)
{
	int64_t shift_us = clock_watch_shift(&delivery->clock, tally->clock_us);

	if (!delivery->store)
		return;
	if (shift_us)
		tally_shift(tally, shift_us);
	pending_merge(&delivery->pending, tally);
	memory_merged(delivery->memory, tally);
}

void delivery_commit(struct delivery *delivery)
{
	memory_commit(delivery->memory);
}

void delivery_settle(struct delivery *delivery)
{
	memory_settle(delivery->memory, delivery->now);
}

void delivery_tick(struct delivery *delivery)
{
	if (delivery->journal)
		journal_tick(delivery->journal, delivery->now->mono_us);
}

int64_t delivery_watch_clock(struct delivery *delivery, int64_t slept_us)
{
	int64_t step_us = clock_watch_look(&delivery->clock, delivery->now, slept_us);

	if (!step_us)
		return 0;
	delivery->batcher.settings.started_us += step_us;
	if (step_us < 0)
		delivery->closed_hour = delivery->batcher.closed_hour = -1;
	if (!pending_shift(&delivery->pending, step_us))
		log_warning("clock: too little memory; what was not sent stays where it was");
	memory_rewrite(delivery->memory);
	return step_us;
}

/* --- freezing and replaying --- */

/* Its octets as the journal takes them; false when memory ran out. */
static bool save_batch(
	struct delivery *delivery, const struct batch *batch, struct journal_key *key)
{
	*key = (struct journal_key){.number = batch->number, .queries = batch->queries};
	snprintf(key->boot, sizeof(key->boot), "%s", batch->boot);
	strbuf_clear(&delivery->octets);
	batch_save(batch, &delivery->octets);
	return !delivery->octets.failed;
}

/* False when it is not on disk: then it is sent all the same, held in memory meanwhile. */
static bool keep_batch(struct delivery *delivery, const struct batch *batch)
{
	struct journal_key key;

	if (!delivery->journal || !save_batch(delivery, batch, &key))
		return false;
	enum td_error error = journal_append(delivery->journal, &key, delivery->octets.data,
		delivery->octets.length, delivery->now->mono_us);
	if (error == TD_FULL && !delivery->journal_full)
		log_warning("journal: it is full of batches that wait for Redis");
	delivery->journal_full = error == TD_FULL;
	if (error == TD_OK)
		memory_release(delivery->memory, key.boot, key.number);
	else
		memory_hold(delivery->memory, &key, delivery->octets.data, delivery->octets.length);
	return error == TD_OK;
}

/* The frozen batch or a new one; the memory knows what left `pending` for it. */
static struct batch *freeze_batch(struct delivery *delivery, bool even_if_empty)
{
	struct batcher *batcher = &delivery->batcher;
	uint64_t last = batcher->last_number;
	struct batch *batch = batch_cut(batcher, &delivery->pending, delivery->now, even_if_empty);

	if (batcher->last_number != last)
		memory_frozen(delivery->memory, batcher->last_number);
	return batch;
}

/* As far as the journal could not take them at the start. NULL when there is none. */
static struct batch *next_held(struct delivery *delivery)
{
	struct batch *batch = &delivery->replayed;
	const struct memory_held *held = memory_next_held(delivery->memory);
	enum td_error error;

	while (held && (error = batch_load(batch, held->octets, held->length)) != TD_OK) {
		if (error == TD_NOMEM)
			return NULL;
		log_error("memory: batch %llu of boot %s cannot be used; its %llu queries are lost",
			(unsigned long long)held->key.number, held->key.boot,
			(unsigned long long)held->key.queries);
		memory_release(delivery->memory, held->key.boot, held->key.number);
		held = memory_next_held(delivery->memory);
	}
	if (!held)
		return NULL;
	snprintf(batch->boot, sizeof(batch->boot), "%s", held->key.boot);
	batch->number = held->key.number;
	batch->queries = held->key.queries;
	return batch;
}

/* The oldest batch that Redis lacks, of this boot or an earlier one; NULL when there is none. */
static struct batch *next_replay(struct delivery *delivery)
{
	struct batch *batch = &delivery->replayed;
	struct journal_key key;

	while (delivery->journal && journal_next_due(delivery->journal, &key, &delivery->octets)) {
		enum td_error error =
			batch_load(batch, delivery->octets.data, delivery->octets.length);
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
		journal_drop(delivery->journal, key.boot, key.number);
	}
	return next_held(delivery);
}

static bool has_replays(const struct delivery *delivery)
{
	struct journal_status status = {0};

	if (delivery->journal)
		journal_status(delivery->journal, &status);
	return status.due_batches > 0 || memory_next_held(delivery->memory);
}

static bool all_is_stored(const struct delivery *delivery)
{
	return pending_is_empty(&delivery->pending) && !delivery->batcher.frozen &&
	       !has_replays(delivery);
}

static void on_connected(
	void *context, const char *store, const struct journal_applied *applied, size_t count)
{
	struct delivery *delivery = context;
	struct journal_status status;

	forget_reconnected(delivery->forget);
	if (!delivery->journal)
		return;
	uint64_t lost = journal_compare(delivery->journal, store, applied, count);
	journal_status(delivery->journal, &status);
	/* The batch in hand is journaled too, and is no news. */
	if (status.due_batches > lost + delivery->batcher.frozen)
		log_info("journal: %llu batches of earlier boots are sent first",
			(unsigned long long)(status.due_batches - lost - delivery->batcher.frozen));
	if (lost)
		log_warning("redis: it lost %llu batches that it had acknowledged; they are sent "
			    "again",
			(unsigned long long)lost);
	if (status.missing_batches)
		log_warning("redis: it lacks %llu older batches which the journal does not keep "
			    "any more; their counts are lost",
			(unsigned long long)status.missing_batches);
}

void delivery_keep_the_rest(struct delivery *delivery)
{
	struct batcher *batcher = &delivery->batcher;
	uint64_t queries = 0;

	if (!delivery->store || !delivery->journal)
		return;
	journal_hurry(delivery->journal);
	for (struct batch *batch = freeze_batch(delivery, false);
		batch && keep_batch(delivery, batch); batch = freeze_batch(delivery, false)) {
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
static bool waits_for_clock(struct delivery *delivery)
{
	bool unset = delivery->now->wall_us < CLOCK_UNSET_US;

	if (!unset || delivery->stopping)
		return false;
	if (clock_watch_must_wait(&delivery->clock, delivery->now))
		return true;
	if (!delivery->warned_of_clock)
		log_warning("clock: it is not set; counts are stored under the hours that it says");
	delivery->warned_of_clock = true;
	return false;
}

/* A step of forgetting a client; false when there is none. Acknowledged batches go first, or they
 * would bring it back after a failover. */
static bool send_forgetting(struct delivery *delivery)
{
	struct forget_command command;

	if (forget_begin(delivery->forget, delivery->now, all_is_stored(delivery)) &&
		delivery->journal) {
		/* A frozen batch that the journal lacks would count as never sent. */
		memory_rewrite(delivery->memory);
		journal_forget_kept(delivery->journal);
	}
	if (delivery->stopping || !forget_next(delivery->forget, &command))
		return false;
	store_ask(delivery->store, command.argc, command.argv, command.lengths);
	return true;
}

static bool send_batch(struct delivery *delivery)
{
	struct batch *replay = next_replay(delivery);
	if (replay) {
		store_send(delivery->store, replay);
		return true;
	}
	/* One that cannot be read just now: of its boot none may overtake it. */
	if (has_replays(delivery))
		return false;
	if (waits_for_clock(delivery))
		return false;
	/* The same hour a batch of now would close; an empty one is sent for it, and the first one
	 * at once: it says that recording began. */
	int64_t closing = (delivery->now->wall_us - 60 * US_PER_S) / US_PER_HOUR - 1;
	struct batch *batch = freeze_batch(
		delivery, closing > delivery->closed_hour || delivery->pending.gauges_changed);
	if (!batch)
		return false;
	if (pending_is_empty(&delivery->pending))
		delivery->closed_hour = closing;
	keep_batch(delivery, batch);
	store_send(delivery->store, batch);
	return true;
}

/* Batches and the steps of forgetting take turns. */
void delivery_send(struct delivery *delivery)
{
	if (!delivery->store || !store_is_ready(delivery->store))
		return;
	bool forgot = delivery->forgot;
	delivery->forgot = !forgot && send_forgetting(delivery);
	if (!delivery->forgot && !send_batch(delivery) && forgot)
		delivery->forgot = send_forgetting(delivery);
}

/* --- what the store says --- */

/* One that the journal had refused is kept like the others, because Redis may lose it again. */
static void settle_batch(struct delivery *delivery, const struct batch *batch, const char *store)
{
	struct journal_key key;

	if (delivery->journal &&
		!journal_acknowledge(delivery->journal, batch->boot, batch->number, store) &&
		save_batch(delivery, batch, &key))
		journal_keep(delivery->journal, &key, delivery->octets.data,
			delivery->octets.length, store);
	memory_release(delivery->memory, batch->boot, batch->number);
}

/* A replayed batch may be the frozen one, which was sent by the connection before. */
static void on_applied(void *context, const struct batch *batch, const char *store)
{
	struct delivery *delivery = context;

	settle_batch(delivery, batch, store);
	delivery->replays += batch == &delivery->replayed;
	if (strcmp(batch->boot, delivery->batcher.settings.boot) == 0)
		batch_acknowledged(&delivery->batcher, batch->number);
}

static void on_replied(void *context, const struct redisReply *reply)
{
	struct delivery *delivery = context;

	forget_replied(delivery->forget, reply);
}

static void on_ready(void *context)
{
	struct delivery *delivery = context;

	delivery->callbacks.ready(delivery->context);
}

static void on_changed(void *context)
{
	struct delivery *delivery = context;
	struct store_status status;

	store_status(delivery->store, &status);
	delivery->callbacks.changed(delivery->context, &status);
}

static void on_returned(void *context, const char *client, const char *zone, int64_t at_ms)
{
	struct delivery *delivery = context;

	delivery->callbacks.returned(delivery->context, client, zone, at_ms);
}

/* --- the end --- */

void delivery_begin_to_stop(struct delivery *delivery)
{
	delivery->stopping = true;
}

bool delivery_is_finished(struct delivery *delivery)
{
	struct store_status status;

	if (!delivery->store)
		return true;
	store_status(delivery->store, &status);
	return all_is_stored(delivery) &&
	       !(status.connected && delivery->pending.gauges_changed) &&
	       store_release(delivery->store);
}

static void log_unsent(const struct delivery *delivery)
{
	uint64_t queries = delivery->pending.queries + delivery->pending.queries_lost +
			   (delivery->batcher.frozen ? delivery->batcher.batch->queries : 0);
	struct memory_status memory;

	if (!delivery->store || !queries)
		return;
	memory_status(delivery->memory, &memory);
	if (memory.on)
		log_info("memory: %llu answered queries wait there for the next start",
			(unsigned long long)queries);
	else
		log_warning("redis: %llu answered queries could not be stored before the end",
			(unsigned long long)queries);
}

/* --- status --- */

static void journal_part(const struct journal *journal, struct telemetry_status *out)
{
	struct journal_status status;

	journal_status(journal, &status);
	out->journal_on = true;
	out->journal_waiting = status.waiting_batches;
	out->journal_queries = status.waiting_queries;
	out->journal_due = status.due_batches;
	out->journal_bytes = status.bytes;
	out->journal_failures = status.failures;
	out->journal_dropped = status.dropped;
}

static void memory_part(const struct memory *memory, struct telemetry_status *out)
{
	struct memory_status status;

	memory_status(memory, &status);
	out->memory_on = status.on;
	out->memory_bytes = status.bytes;
	out->memory_failures = status.failures;
	out->queries_healed = status.healed;
}

static void store_part(const struct store *store, struct telemetry_status *out)
{
	struct store_status status;

	store_status(store, &status);
	out->store_on = true;
	out->store_connected = status.connected;
	snprintf(out->store_error, sizeof(out->store_error), "%s", status.words);
	out->recording_since_us = status.recording_since_ms * US_PER_MS;
}

void delivery_status(const struct delivery *delivery, struct telemetry_status *out)
{
	const struct pending *pending = &delivery->pending;
	const struct batcher *batcher = &delivery->batcher;

	if (delivery->store)
		store_part(delivery->store, out);
	if (delivery->journal)
		journal_part(delivery->journal, out);
	memory_part(delivery->memory, out);
	out->batches_applied = batcher->applied_batches;
	out->queries_applied = batcher->applied_queries;
	out->batches_waiting = batcher->frozen + (pending_is_empty(pending) ? 0 : 1);
	out->queries_waiting = pending->queries + (batcher->frozen ? batcher->batch->queries : 0);
	out->batches_replayed = delivery->replays;
	out->clock_steps = delivery->clock.steps;
	out->details_dropped = pending->details_dropped;
	out->stream_dropped = pending->lines_dropped;
}

/* --- making --- */

static bool make_boot(char out[BOOT_TEXT_SIZE])
{
	uint64_t boot;

	if (getrandom(&boot, sizeof(boot), 0) != (ssize_t)sizeof(boot))
		return false;
	snprintf(out, BOOT_TEXT_SIZE, "%016llx", (unsigned long long)boot);
	return true;
}

static bool make_batcher(struct delivery *delivery, const struct telemetry_config *config,
	const struct zone_ids *zones)
{
	struct batch_settings settings = {
		.resolver_name = delivery->resolver_name,
		.version = delivery->version,
		.zones = zones,
		.started_us = delivery->now->wall_us,
		.retention_days = config->retention_days,
		.pair_retention_days = config->pair_retention_days,
		.bounds = batch_bounds_default,
	};

	if (config->stored_clients_max)
		settings.bounds.clients = config->stored_clients_max;
	if (config->stored_names_max)
		settings.bounds.names = settings.bounds.addresses = config->stored_names_max;
	return make_boot(settings.boot) && batcher_init(&delivery->batcher, &settings);
}

/* Without one, counting goes on: the error is logged, and status shows it. */
static void open_journal(struct delivery *delivery, const struct telemetry_config *config)
{
	struct journal_settings settings = journal_settings_default;
	char dir[4096];

	if (!config->state_dir)
		return;
	snprintf(dir, sizeof(dir), "%s/journal", config->state_dir);
	settings.dir = dir;
	settings.fsync = config->journal_fsync;
	delivery->journal = journal_open(&settings);
	if (!delivery->journal)
		log_warning("journal: there is none, so a crash loses what waits for Redis");
}

static bool open_memory(struct delivery *delivery, const struct telemetry_config *config,
	struct zone_ids *zones, size_t tallies)
{
	struct memory_settings settings = {
		.dir = config->memory_dir ? config->memory_dir : "",
		.boot = delivery->batcher.settings.boot,
		.tallies = tallies,
	};

	delivery->memory = memory_open(
		&settings, &delivery->pending, zones, delivery->journal, &delivery->clock);
	return delivery->memory != NULL;
}

static bool make_store(struct delivery *delivery, const struct delivery_settings *settings)
{
	static const struct store_callbacks callbacks = {.connected = on_connected,
		.ready = on_ready,
		.applied = on_applied,
		.replied = on_replied,
		.changed = on_changed,
		.returned = on_returned};
	const struct telemetry_config *config = settings->config;
	struct store_identity identity = {
		.resolver_name = config->resolver_name, .boot = delivery->batcher.settings.boot};
	char instance[BOOT_TEXT_SIZE];

	if (strcmp(config->redis, "off") == 0)
		return open_memory(delivery, config, settings->zones, settings->tallies);
	open_journal(delivery, config);
	if (!open_memory(delivery, config, settings->zones, settings->tallies) ||
		!make_boot(instance))
		return false;
	identity.instance = delivery->journal ? journal_instance(delivery->journal) : instance;
	delivery->forget = forget_new(config->resolver_name, identity.instance);
	if (!delivery->forget)
		return false;
	delivery->store = store_new(settings->base, config->redis, config->redis_access, &identity,
		&callbacks, delivery);
	return delivery->store != NULL;
}

static void make_plain_parts(
	struct delivery *delivery, const struct delivery_settings *settings, int64_t slept_us)
{
	const struct telemetry_config *config = settings->config;
	const struct pending_limits limits = {
		.clients = config->clients_max,
		.tops = config->details_max / 4 + 1,
		.details = config->details_max,
		.lines = LINES_MAX,
		.line_bytes = LINE_BYTES_MAX,
	};

	pending_init(&delivery->pending, &limits, &config->seed);
	delivery->pending.teredo = zone_ids_add(settings->zones, ZONE_TEREDO);
	strbuf_init(&delivery->octets);
	strbuf_init(&delivery->replayed.text);
	clock_watch_init(&delivery->clock, delivery->now, slept_us);
	delivery->closed_hour = -1;
}

struct delivery *delivery_new(const struct delivery_settings *settings)
{
	const struct telemetry_config *config = settings->config;
	struct delivery *delivery = calloc(1, sizeof(*delivery));

	if (!delivery)
		return NULL;
	delivery->callbacks = *settings->callbacks;
	delivery->context = settings->context;
	delivery->now = settings->now;
	make_plain_parts(delivery, settings, settings->slept_us);
	delivery->resolver_name = strdup(config->resolver_name);
	delivery->version = strdup(config->version);
	if (!delivery->resolver_name || !delivery->version ||
		!make_batcher(delivery, config, settings->zones) || !make_store(delivery, settings))
		delivery_free(&delivery);
	return delivery;
}

void delivery_free(struct delivery **delivery)
{
	struct delivery *it = *delivery;

	if (!it)
		return;
	if (it->memory)
		log_unsent(it);
	store_free(&it->store);
	memory_close(&it->memory);
	forget_free(&it->forget);
	journal_close(&it->journal);
	batcher_deinit(&it->batcher);
	pending_deinit(&it->pending);
	strbuf_deinit(&it->octets);
	strbuf_deinit(&it->replayed.text);
	free(it->resolver_name);
	free(it->version);
	free(it);
	*delivery = NULL;
}

/* --- what others ask --- */

bool delivery_is_on(const struct delivery *delivery)
{
	return delivery->store != NULL;
}

struct tally *delivery_tally(const struct delivery *delivery, size_t index)
{
	return memory_tally(delivery->memory, index);
}

struct pending *delivery_pending(struct delivery *delivery)
{
	return &delivery->pending;
}

enum td_error delivery_forget(struct delivery *delivery, const char *client)
{
	return delivery->forget ? forget_request(delivery->forget, client) : TD_UNSUPPORTED;
}

void delivery_forget_status(struct delivery *delivery, struct forget_status *out)
{
	*out = (struct forget_status){.state = FORGET_IDLE};
	if (delivery->forget)
		forget_status(delivery->forget, out);
}
