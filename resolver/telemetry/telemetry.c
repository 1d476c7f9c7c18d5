/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workers' side, and the owner of everything. What a worker touches for an answer is its own:
 * the current tally, a few spare ones, its record ring. It meets the collector once a second or
 * when a tally fills, by one pointer in a ring. If none is spare, because the collector is behind,
 * it goes on adding to the one it has: counters stay exact, details may be dropped and counted.
 */
#include "resolver/telemetry/telemetry.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/dns/message.h"
#include "lib/dns/wire.h"
#include "resolver/telemetry/clock_watch.h"
#include "resolver/telemetry/collector.h"
#include "resolver/telemetry/handover.h"
#include "resolver/telemetry/record.h"
#include "resolver/telemetry/sinks/sink_target.h"
#include "resolver/telemetry/tally.h"
#include "resolver/telemetry/zone_ids.h"

#define HANDOVER_US US_PER_S
#define RECORDS_ALL_BYTES ((size_t)4 << 20)
#define RECORDS_HIT_BYTES ((size_t)256 << 10)

struct telemetry_worker {
	struct tally *current;
	int64_t handed_us; /* monotonic: last handover */
	bool count;        /* Redis is on */
	bool record_all, record_hits;
	unsigned taps; /* dnstap messages that an answer becomes */
	bool recorded; /* since the last turn */
	bool handed;   /* since the last turn, where no system call is allowed */
	bool identify; /* a client may be something else than its address */
	bool query_may_be_kept; /* its own bytes may name a client that is not to be known */
	struct identity *identity;
	struct hash_seed seed;
	struct handover *handover;
	struct bell *bell;
	unsigned spare_count;
	struct tally *spares[HANDOVER_TALLIES]; /* the one used last on top: its pages are warm, and
						   few are ever touched */
};

struct telemetry {
	struct zone_ids zones;
	struct bell bell;
	unsigned workers;
	struct handover *handovers;        /* one a worker */
	struct telemetry_worker **handles; /* each in cache lines of its own */
	struct identity_rules *identity;
	struct identity *identities; /* one a worker */
	struct collector *collector;
};

/* --- the worker's side --- */

static void take_spares(struct telemetry_worker *worker)
{
	for (struct tally *tally = handover_take(&worker->handover->empty); tally;
		tally = handover_take(&worker->handover->empty))
		worker->spares[worker->spare_count++] = tally;
}

/* False when there is nothing to hand over or nothing to go on with. */
static bool hand_over(struct telemetry_worker *worker, const struct now *now)
{
	if (worker->current->queries == 0)
		return false;
	take_spares(worker);
	if (worker->spare_count == 0)
		return false;
	handover_give(&worker->handover->full, worker->current);
	worker->current = worker->spares[--worker->spare_count];
	worker->handed_us = now->mono_us;
	return true;
}

static void ring_if_half_full(struct telemetry_worker *worker)
{
	struct handover *handover = worker->handover;

	if (ring_used(&handover->records) < handover->records.size / 2)
		return;
	if (!atomic_exchange_explicit(&handover->urged, true, memory_order_relaxed))
		bell_ring_hard(worker->bell);
}

/* Its hour, by the clock that it was begun by. */
static bool is_its_time(const struct tally *tally, const struct now *now)
{
	int64_t step_us = now->wall_us - now->mono_us - tally->clock_us;

	return tally_is_hour(tally, now->wall_us) &&
	       (tally->queries == 0 || (step_us <= CLOCK_STEP_US && step_us >= -CLOCK_STEP_US));
}

static void note_lost(struct handover *handover, unsigned lines, unsigned taps)
{
	atomic_fetch_add_explicit(&handover->lines_lost, lines, memory_order_relaxed);
	atomic_fetch_add_explicit(&handover->taps_lost, taps, memory_order_relaxed);
}

static void answer(struct telemetry_worker *worker, const struct transaction *transaction,
	const struct now *now)
{
	if (worker->count) {
		if (!is_its_time(worker->current, now))
			worker->handed |= hand_over(worker, now);
		if (worker->current->queries == 0)
			worker->current->clock_us = now->wall_us - now->mono_us;
		tally_add(worker->current, &worker->seed, transaction, now->wall_us);
	}
	bool line = worker->record_all ||
		    (worker->record_hits && transaction->action != TRANSACTION_NONE);
	if (!line && !worker->taps)
		return;
	if (transaction->client.address.family == ADDRESS_EXCLUDED)
		return;
	if (!record_write(&worker->handover->records, transaction, now->wall_us))
		note_lost(worker->handover, line, worker->taps);
	worker->recorded = true;
}

void telemetry_answer(struct telemetry_worker *worker, const struct transaction *transaction,
	const struct now *now)
{
	if (!worker->identify && !transaction->given) {
		answer(worker, transaction, now);
		return;
	}
	struct transaction identified = *transaction;
	identity_apply(worker->identity, &identified);
	if (!worker->query_may_be_kept)
		identified.query_length = 0;
	answer(worker, &identified, now);
}

/* True when the question in a message is one that is never recorded, whoever asks it. */
static bool is_excluded(struct telemetry_worker *worker, const struct record_packet *packet)
{
	struct wire_reader reader = wire_reader_init(packet->octets, packet->length);
	struct transaction transaction = {.zone = ZONE_ID_NONE};
	struct name name;

	if (!worker->identify)
		return false;
	message_read_header(&reader);
	name_read(&reader, &name);
	if (name.length == 0)
		return false;
	name_fold(name.wire, name.wire, name.length);
	transaction.qname = name.wire;
	transaction.qname_length = name.length;
	identity_apply(worker->identity, &transaction);
	return transaction.client.address.family == ADDRESS_EXCLUDED;
}

void telemetry_forwarded(struct telemetry_worker *worker, const struct record_packet *packet,
	const struct now *now)
{
	if (is_excluded(worker, packet))
		return;
	if (!record_write_packet(&worker->handover->records, packet, now->wall_us))
		note_lost(worker->handover, 0, 1);
	worker->recorded = true;
}

void telemetry_turn(struct telemetry_worker *worker, const struct now *now)
{
	const struct tally *current = worker->current;
	bool given = worker->handed || worker->recorded;

	if (current->queries > 0 &&
		(now->mono_us - worker->handed_us >= HANDOVER_US || tally_wants_handover(current) ||
			!is_its_time(current, now)))
		given |= hand_over(worker, now);
	if (worker->recorded)
		ring_if_half_full(worker);
	if (given)
		bell_ring(worker->bell);
	worker->handed = false;
	worker->recorded = false;
}

void telemetry_flush(struct telemetry_worker *worker, const struct now *now)
{
	if (hand_over(worker, now) || worker->handed || worker->recorded)
		bell_ring(worker->bell);
	worker->handed = false;
	worker->recorded = false;
}

/* --- making and ending --- */

static struct telemetry_worker *worker_new(const struct telemetry_config *config,
	struct handover *handover, struct tally *tallies, struct bell *bell)
{
	bool store = strcmp(config->redis, "off") != 0;
	bool file = config->query_log_file && config->query_log_file[0] != '\0';
	bool tap = config->dnstap && config->dnstap[0] != '\0';
	unsigned taps = tap ? config->dnstap_messages & DNSTAP_CLIENT : 0;
	size_t size = (sizeof(struct telemetry_worker) + 63) & ~(size_t)63;
	struct telemetry_worker *worker = aligned_alloc(64, size);

	if (!worker)
		return NULL;
	*worker = (struct telemetry_worker){
		.handed_us = INT64_MIN / 2,
		.count = store,
		.record_all = config->query_log == QUERY_LOG_ALL && file,
		.record_hits = config->query_log != QUERY_LOG_OFF && (file || store),
		.taps = (taps & 1) + (taps >> 1),
		.query_may_be_kept = config->identity.anonymize == ANONYMIZE_OFF,
		.seed = config->seed,
		.handover = handover,
		.bell = bell,
	};
	size_t bytes = worker->record_all || tap ? RECORDS_ALL_BYTES : RECORDS_HIT_BYTES;
	if (!handover_init(handover, tallies, bytes)) {
		free(worker);
		return NULL;
	}
	take_spares(worker);
	worker->current = worker->spares[--worker->spare_count];
	return worker;
}

static void telemetry_free(struct telemetry *telemetry)
{
	for (unsigned i = 0; i < telemetry->workers; i++) {
		handover_deinit(&telemetry->handovers[i]);
		if (telemetry->handles)
			free(telemetry->handles[i]);
	}
	free(telemetry->handovers);
	free(telemetry->handles);
	free(telemetry->identities);
	identity_rules_free(telemetry->identity);
	bell_deinit(&telemetry->bell);
	zone_ids_deinit(&telemetry->zones);
	free(telemetry);
}

static bool make_handovers(struct telemetry *telemetry, unsigned workers)
{
	size_t size = workers * sizeof(struct handover);

	telemetry->handovers = aligned_alloc(_Alignof(struct handover), size);
	if (!telemetry->handovers)
		return false;
	memset(telemetry->handovers, 0, size);
	telemetry->workers = workers;
	return true;
}

static bool make_workers(struct telemetry *telemetry, const struct telemetry_config *config)
{
	telemetry->handles = calloc(config->workers, sizeof(*telemetry->handles));
	telemetry->identity = identity_rules_new(&config->identity);
	telemetry->identities = calloc(config->workers, sizeof(*telemetry->identities));
	if (!telemetry->handles || !telemetry->identity || !telemetry->identities)
		return false;
	for (unsigned i = 0; i < config->workers; i++) {
		telemetry->handles[i] =
			worker_new(config, &telemetry->handovers[i],
				collector_tallies(telemetry->collector, i), &telemetry->bell);
		if (!telemetry->handles[i])
			return false;
		identity_init(&telemetry->identities[i], telemetry->identity);
		telemetry->handles[i]->identity = &telemetry->identities[i];
		telemetry->handles[i]->identify = identity_is_on(telemetry->identity);
	}
	return true;
}

struct telemetry *telemetry_new(const struct telemetry_config *config)
{
	struct telemetry *telemetry = calloc(1, sizeof(*telemetry));

	if (!telemetry) {
		log_error("telemetry: %s", error_text(TD_NOMEM));
		return NULL;
	}
	zone_ids_init(&telemetry->zones);
	if (bell_init(&telemetry->bell) && make_handovers(telemetry, config->workers))
		telemetry->collector = collector_new(config, telemetry->handovers, config->workers,
			&telemetry->zones, &telemetry->bell);
	if (!telemetry->collector || !make_workers(telemetry, config)) {
		collector_stop(&telemetry->collector, 0);
		log_error("telemetry: it could not be set up (its configuration, or too little "
			  "memory)");
		telemetry_free(telemetry);
		return NULL;
	}
	return telemetry;
}

enum td_error telemetry_start(struct telemetry *telemetry)
{
	return collector_start(telemetry->collector);
}

void telemetry_stop(struct telemetry **telemetry, int timeout_ms)
{
	if (!*telemetry)
		return;
	for (unsigned i = 0; i < (*telemetry)->workers; i++)
		(*telemetry)->handovers[i].rest = (*telemetry)->handles[i]->current;
	collector_stop(&(*telemetry)->collector, timeout_ms);
	telemetry_free(*telemetry);
	*telemetry = NULL;
}

struct telemetry_worker *telemetry_worker(struct telemetry *telemetry, unsigned worker)
{
	return telemetry->handles[worker];
}

struct identity_rules *telemetry_change_identity(
	struct telemetry *telemetry, struct identity_rules *rules)
{
	struct identity_rules *before = telemetry->identity;

	telemetry->identity = rules;
	return before;
}

void telemetry_set_identity(struct telemetry_worker *worker, const struct identity_rules *rules)
{
	identity_set_rules(worker->identity, rules);
	worker->identify = identity_is_on(rules);
}

uint16_t telemetry_zone_id(struct telemetry *telemetry, const char *name)
{
	return zone_ids_add(&telemetry->zones, name);
}

void telemetry_event(struct telemetry *telemetry, const char *kind, const char *text)
{
	collector_event(telemetry->collector, kind, text);
}

void telemetry_gauges(struct telemetry *telemetry, const struct gauges *gauges)
{
	collector_gauges(telemetry->collector, gauges);
}

void telemetry_reopen(struct telemetry *telemetry)
{
	collector_reopen(telemetry->collector);
}

void telemetry_status(struct telemetry *telemetry, struct telemetry_status *out)
{
	collector_status(telemetry->collector, out);
}

enum td_error telemetry_forget(struct telemetry *telemetry, const char *client)
{
	return collector_forget(telemetry->collector, client);
}

void telemetry_forget_status(struct telemetry *telemetry, struct forget_status *out)
{
	collector_forget_status(telemetry->collector, out);
}
