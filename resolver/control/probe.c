/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three queues: targets not asked yet, targets whose next packet may leave, and targets that wait.
 * Every packet waits equally long, so the third is sorted by being filled, and no heap is needed.
 * What is ready goes before what is fresh, so few hosts are under way at a time and each is soon
 * done with.
 *
 * Not asked is the question that RFC 4380 begins with, the one with the cone bit: the server's
 * answer to it comes from an address that we have sent nothing to, and most firewalls and address
 * translators on our side drop that (RFC 5991 has clients clear the bit for good). It goes
 * last, where its answer is worth something: it names the second address, and it is one more
 * chance for a host that is silent.
 */
#include "resolver/control/probe.h"

#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"

#define ICMP_UNREACHABLE 3

void probe_init(struct probe *probe, const struct probe_plan *plan)
{
	*probe = (struct probe){.plan = *plan};
	arena_init(&probe->arena);
	table_init(&probe->nonces, (size_t)PROBE_TARGETS_MAX * PROBE_PACKETS_MAX);
	table_init(&probe->endpoints, PROBE_TARGETS_MAX);
	TAILQ_INIT(&probe->fresh);
	TAILQ_INIT(&probe->ready);
	TAILQ_INIT(&probe->waiting);
	probe->next_send_us = INT64_MIN;
}

void probe_deinit(struct probe *probe)
{
	table_deinit(&probe->nonces);
	table_deinit(&probe->endpoints);
	arena_deinit(&probe->arena);
}

/* --- tables --- */

static bool has_endpoint(const void *item, const void *key)
{
	return endpoint_equal(&((const struct probe_target *)item)->endpoint, key);
}

static uint64_t endpoint_hash(const struct probe *probe, const struct endpoint *endpoint)
{
	uint8_t key[6];

	memcpy(key, endpoint->address.octets, 4);
	memcpy(key + 4, &endpoint->port, 2);
	return hash_bytes(&probe->plan.seed, key, sizeof(key));
}

static struct probe_target *find_target(const struct probe *probe, const struct endpoint *endpoint)
{
	return table_find(
		&probe->endpoints, endpoint_hash(probe, endpoint), has_endpoint, endpoint);
}

static bool has_nonce(const void *item, const void *key)
{
	return ((const struct probe_packet *)item)->nonce == *(const uint64_t *)key;
}

/* Nonces are random and ours: no need to hash them. */
static struct probe_packet *find_packet(
	const struct probe *probe, const uint8_t octets[TEREDO_NONCE_SIZE])
{
	uint64_t nonce;

	memcpy(&nonce, octets, sizeof(nonce));
	return table_find(&probe->nonces, nonce, has_nonce, &nonce);
}

/* --- from queue to queue --- */

/* queue NULL: to none. */
static void move(struct probe_target *target, struct probe_queue *queue)
{
	if (target->queue)
		TAILQ_REMOVE(target->queue, target, link);
	target->queue = queue;
	if (queue)
		TAILQ_INSERT_TAIL(queue, target, link);
}

struct probe_target *probe_add(
	struct probe *probe, const struct endpoint *endpoint, enum td_error *error)
{
	struct probe_target *target = find_target(probe, endpoint);

	*error = TD_OK;
	if (target)
		return target;
	target = arena_alloc(&probe->arena, sizeof(*target));
	if (!target) {
		*error = TD_NOMEM;
		return NULL;
	}
	memset(target, 0, sizeof(*target));
	target->endpoint = *endpoint;
	*error = table_insert(&probe->endpoints, endpoint_hash(probe, endpoint), target);
	if (*error != TD_OK)
		return NULL;
	move(target, &probe->fresh);
	probe->targets++;
	return target;
}

static void finish(struct probe *probe, struct probe_target *target)
{
	move(target, NULL);
	if (target->phase != PROBE_DONE)
		probe->finished++;
	target->phase = PROBE_DONE;
}

static void make_ready(struct probe *probe, struct probe_target *target, enum probe_phase phase)
{
	if (target->phase == PROBE_DONE)
		probe->finished--;
	target->phase = phase;
	move(target, &probe->ready);
}

/* It waited in vain. */
static void next_try(struct probe *probe, struct probe_target *target)
{
	if (target->phase == PROBE_SOLICIT && target->plain_sent < probe->plan.tries)
		make_ready(probe, target, PROBE_SOLICIT);
	else if (target->phase == PROBE_SOLICIT)
		make_ready(probe, target, PROBE_LAST);
	else if (target->phase == PROBE_SECOND && target->cone_sent < PROBE_CONE_TRIES)
		make_ready(probe, target, PROBE_SECOND);
	else
		finish(probe, target);
}

void probe_stop(struct probe *probe)
{
	struct probe_queue *const queues[] = {&probe->fresh, &probe->ready, &probe->waiting};

	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		struct probe_target *target;
		while ((target = TAILQ_FIRST(queues[i])) != NULL)
			finish(probe, target);
	}
}

/* --- sending --- */

static bool compose(struct probe *probe, struct probe_target *target,
	const uint8_t nonce[TEREDO_NONCE_SIZE], int64_t now_us, struct probe_step *out)
{
	struct probe_packet *packet = &target->packets[target->sent];
	bool cone = target->phase != PROBE_SOLICIT;

	if (find_packet(probe, nonce))
		return false;
	*packet = (struct probe_packet){.sent_us = now_us, .target = target, .cone = cone};
	memcpy(&packet->nonce, nonce, sizeof(packet->nonce));
	if (table_insert(&probe->nonces, packet->nonce, packet) != TD_OK)
		return false;
	target->sent++;
	*(cone ? &target->cone_sent : &target->plain_sent) += 1;
	if (target->state == PROBE_UNTESTED)
		target->state = PROBE_INCONCLUSIVE;
	out->size = teredo_solicit(out->packet, nonce, cone);
	return true;
}

static void send_next(struct probe *probe, struct probe_target *target,
	const uint8_t nonce[TEREDO_NONCE_SIZE], int64_t now_us, struct probe_step *out)
{
	target->due_us = now_us + probe->plan.wait_us;
	move(target, &probe->waiting);
	probe->next_send_us = now_us + US_PER_S / probe->plan.rate;
	out->target = target;
	out->act = PROBE_SEND;
	if (compose(probe, target, nonce, now_us, out))
		return;
	/* The same nonce twice, or no memory: this host is not going to be asked. */
	target->local_error = ENOMEM;
	finish(probe, target);
	out->act = PROBE_WAIT;
	out->until_us = now_us;
}

void probe_next(struct probe *probe, const uint8_t nonce[TEREDO_NONCE_SIZE], int64_t now_us,
	struct probe_step *out)
{
	struct probe_target *target;

	if (now_us >= probe->plan.deadline_us)
		probe_stop(probe);
	while ((target = TAILQ_FIRST(&probe->waiting)) != NULL && target->due_us <= now_us)
		next_try(probe, target);
	struct probe_target *waiting = target;
	target = TAILQ_FIRST(&probe->ready);
	if (!target)
		target = TAILQ_FIRST(&probe->fresh);
	if (!target && !waiting) {
		out->act = PROBE_END;
		return;
	}
	if (target && now_us >= probe->next_send_us) {
		send_next(probe, target, nonce, now_us, out);
		return;
	}
	out->act = PROBE_WAIT;
	out->until_us = probe->plan.deadline_us;
	if (waiting && waiting->due_us < out->until_us)
		out->until_us = waiting->due_us;
	if (target && probe->next_send_us < out->until_us)
		out->until_us = probe->next_send_us;
}

void probe_send_failed(struct probe *probe, struct probe_target *target, int reason)
{
	struct probe_packet *packet = &target->packets[--target->sent];

	table_remove(&probe->nonces, packet->nonce, has_nonce, &packet->nonce);
	*(packet->cone ? &target->cone_sent : &target->plain_sent) -= 1;
	target->local_error = reason;
	if (target->sent == 0)
		target->state = PROBE_UNTESTED;
	finish(probe, target);
}

/* --- receiving --- */

static void count_invalid(struct probe *probe, struct probe_target *target, enum teredo_fault fault)
{
	if (!target) {
		probe->strays++;
		return;
	}
	target->invalid++;
	target->fault = fault;
}

static void take_first(struct probe *probe, struct probe_target *target,
	const struct probe_packet *packet, const struct teredo_answer *answer,
	const struct endpoint *source, int64_t now_us)
{
	if (target->state == PROBE_ANSWERS)
		return;
	target->state = PROBE_ANSWERS;
	target->answer = *answer;
	target->from = *source;
	target->round_trip_us = now_us - packet->sent_us;
	target->late = target->round_trip_us > probe->plan.wait_us;
	probe->answering++;
}

/* The answer to a cone solicitation says where the second address is; nothing more to ask then. */
static void take_cone(
	struct probe *probe, struct probe_target *target, const struct endpoint *source)
{
	target->cone_answered = true;
	if (!endpoint_equal(source, &target->endpoint))
		target->second = *source;
	finish(probe, target);
}

static void ask_for_second(struct probe *probe, struct probe_target *target)
{
	if (!target->cone_answered && target->cone_sent < PROBE_CONE_TRIES)
		make_ready(probe, target, PROBE_SECOND);
	else
		finish(probe, target);
}

enum teredo_fault probe_input(struct probe *probe, const struct endpoint *source,
	const uint8_t *data, size_t size, int64_t now_us)
{
	struct teredo_answer answer;
	enum teredo_fault fault = teredo_answer_read(data, size, &answer);
	struct probe_packet *packet = answer.has_nonce ? find_packet(probe, answer.nonce) : NULL;

	if (fault == TEREDO_FINE && !packet)
		fault = answer.has_nonce ? TEREDO_FOREIGN_NONCE : TEREDO_NO_NONCE;
	if (fault == TEREDO_FINE && answer.cone != packet->cone)
		fault = TEREDO_NOT_FOR_US;
	if (fault != TEREDO_FINE) {
		count_invalid(probe, packet ? packet->target : find_target(probe, source), fault);
		return fault;
	}
	if (packet->answered)
		return TEREDO_FINE;
	packet->answered = true;
	struct probe_target *target = packet->target;
	take_first(probe, target, packet, &answer, source, now_us);
	if (packet->cone)
		take_cone(probe, target, source);
	else
		ask_for_second(probe, target);
	return TEREDO_FINE;
}

bool probe_icmp_refuses(uint8_t type, uint8_t code)
{
	/* Protocol and port unreachable; network, host and communication prohibited (RFC
	 * 1812, 5.2.7.1). */
	return type == ICMP_UNREACHABLE &&
	       (code == 2 || code == 3 || code == 9 || code == 10 || code == 13);
}

void probe_icmp(struct probe *probe, const struct endpoint *destination, uint8_t type, uint8_t code,
	const struct address *from)
{
	struct probe_target *target = find_target(probe, destination);

	if (!target || target->sent == 0 || target->state == PROBE_ANSWERS)
		return;
	target->icmp_told = true;
	target->icmp_type = type;
	target->icmp_code = code;
	target->icmp_from = *from;
	if (!probe_icmp_refuses(type, code))
		return;
	target->state = PROBE_REFUSED;
	finish(probe, target);
}
