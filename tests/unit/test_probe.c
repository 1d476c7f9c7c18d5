/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine that asks hosts for a Teredo server, on a clock of the test's own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "resolver/control/probe.h"
#include "tests/unit/teredo_reply.h"

#define WAIT_US (2 * US_PER_S)

/* A probe, its clock, and the packet sent last. */
struct bed {
	struct probe probe;
	int64_t now_us;
	uint64_t next_nonce;
	struct probe_step step;
};

static int make_bed(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	const struct probe_plan plan = {.tries = 3,
		.rate = 1000,
		.wait_us = WAIT_US,
		.deadline_us = INT64_MAX,
		.seed = {1, 2}};

	if (!bed)
		return -1;
	probe_init(&bed->probe, &plan);
	bed->now_us = 1000 * US_PER_S;
	bed->next_nonce = UINT64_C(0x0123456789abcdef);
	*state = bed;
	return 0;
}

static int free_bed(void **state)
{
	struct bed *bed = *state;

	probe_deinit(&bed->probe);
	free(bed);
	return 0;
}

static struct endpoint at(const char *text)
{
	struct endpoint endpoint;

	assert_int_equal(endpoint_from_text(&endpoint, text, TEREDO_PORT), TD_OK);
	return endpoint;
}

static struct probe_target *add(struct bed *bed, const char *text)
{
	struct endpoint endpoint = at(text);
	enum td_error error;
	struct probe_target *target = probe_add(&bed->probe, &endpoint, &error);

	assert_non_null(target);
	assert_int_equal(error, TD_OK);
	return target;
}

static enum probe_act ask_once(struct bed *bed)
{
	uint8_t nonce[TEREDO_NONCE_SIZE];

	bed->next_nonce = bed->next_nonce * UINT64_C(6364136223846793005) + 1;
	memcpy(nonce, &bed->next_nonce, sizeof(nonce));
	probe_next(&bed->probe, nonce, bed->now_us, &bed->step);
	return bed->step.act;
}

/* Waits, and lets the clock run, until something is sent (true) or all has ended. */
static bool until_sent(struct bed *bed)
{
	for (;;) {
		switch (ask_once(bed)) {
		case PROBE_SEND:
			return true;
		case PROBE_END:
			return false;
		case PROBE_WAIT:
			assert_true(bed->step.until_us > bed->now_us);
			bed->now_us = bed->step.until_us;
			break;
		}
	}
}

/* Whether the packet given last has the cone bit, and its nonce. */
static bool asked_with_cone(const struct bed *bed)
{
	return bed->step.packet[13 + 8 + 8] == 0x80;
}

static const uint8_t *nonce_of(const struct probe_step *step)
{
	return step->packet + 4;
}

static enum teredo_fault give(struct bed *bed, const char *from, const struct teredo_reply *reply)
{
	uint8_t packet[TEREDO_REPLY_MAX];
	struct endpoint source = at(from);
	size_t size = teredo_reply_write(packet, reply);

	return probe_input(&bed->probe, &source, packet, size, bed->now_us);
}

/* The right answer to a step. */
static enum teredo_fault answer(struct bed *bed, const char *from, const struct probe_step *step)
{
	bool cone = step->packet[13 + 8 + 8] == 0x80;

	return give(bed, from, &(struct teredo_reply){.nonce = nonce_of(step), .cone = cone});
}

static void icmp(struct bed *bed, const char *about, uint8_t type, uint8_t code, const char *from)
{
	struct endpoint destination = at(about), offender = at(from);

	probe_icmp(&bed->probe, &destination, type, code, &offender.address);
}

/* --- one host --- */

static void answer_and_second_address(void **state)
{
	struct bed *bed = *state;
	struct probe_target *target = add(bed, "65.55.158.118");

	assert_int_equal(target->state, PROBE_UNTESTED);
	assert_true(until_sent(bed));
	assert_ptr_equal(bed->step.target, target);
	assert_false(asked_with_cone(bed));
	bed->now_us += 30 * US_PER_MS;
	assert_int_equal(answer(bed, "65.55.158.118", &bed->step), TEREDO_FINE);
	assert_int_equal(target->state, PROBE_ANSWERS);
	assert_int_equal(target->round_trip_us, 30 * US_PER_MS);
	assert_false(target->late);

	int64_t before_us = bed->now_us;
	assert_true(until_sent(bed));
	assert_int_equal(bed->now_us, before_us); /* at once, not after the wait */
	assert_true(asked_with_cone(bed));
	bed->now_us += 40 * US_PER_MS;
	assert_int_equal(answer(bed, "65.55.158.119", &bed->step), TEREDO_FINE);
	assert_false(until_sent(bed));
	struct endpoint second = at("65.55.158.119");
	assert_true(target->cone_answered);
	assert_true(endpoint_equal(&target->second, &second));
	assert_int_equal(target->round_trip_us, 30 * US_PER_MS);
	assert_int_equal(target->sent, 2);
}

static void second_address_may_be_silent(void **state)
{
	struct bed *bed = *state;
	struct probe_target *target = add(bed, "65.55.158.118");

	until_sent(bed);
	answer(bed, "65.55.158.118", &bed->step);
	int64_t start_us = bed->now_us;
	for (int i = 0; i < PROBE_CONE_TRIES; i++) {
		assert_true(until_sent(bed));
		assert_true(asked_with_cone(bed));
	}
	assert_false(until_sent(bed));
	assert_in_range(bed->now_us - start_us, PROBE_CONE_TRIES * WAIT_US,
		PROBE_CONE_TRIES * WAIT_US + 10 * US_PER_MS);
	assert_int_equal(target->state, PROBE_ANSWERS);
	assert_false(target->cone_answered);
}

static void cone_is_answered_from_the_same_address(void **state)
{
	struct bed *bed = *state;
	struct probe_target *target = add(bed, "65.55.158.118");

	until_sent(bed);
	answer(bed, "65.55.158.118", &bed->step);
	until_sent(bed);
	answer(bed, "65.55.158.118", &bed->step);
	assert_false(until_sent(bed));
	assert_true(target->cone_answered);
	assert_int_equal(target->second.address.family, ADDRESS_NONE);
}

static void silence_is_inconclusive(void **state)
{
	struct bed *bed = *state;
	struct probe_target *target = add(bed, "65.55.158.118");
	int64_t start_us = bed->now_us;

	for (int i = 0; i < 4; i++) {
		assert_true(until_sent(bed));
		assert_int_equal(bed->now_us, start_us + i * WAIT_US);
		assert_int_equal(asked_with_cone(bed), i == 3);
	}
	assert_false(until_sent(bed));
	assert_int_equal(bed->now_us, start_us + 4 * WAIT_US);
	assert_int_equal(target->state, PROBE_INCONCLUSIVE);
	assert_int_equal(target->sent, 4);
	assert_int_equal(target->invalid, 0);
	assert_int_equal(bed->probe.finished, 1);
}

static void only_the_cone_bit_is_answered(void **state)
{
	struct bed *bed = *state;
	struct probe_target *target = add(bed, "65.55.158.118");

	for (int i = 0; i < 4; i++)
		assert_true(until_sent(bed));
	answer(bed, "65.55.158.119", &bed->step);
	assert_false(until_sent(bed));
	struct endpoint second = at("65.55.158.119");
	assert_int_equal(target->state, PROBE_ANSWERS);
	assert_true(target->answer.cone);
	assert_true(endpoint_equal(&target->second, &second));
}

static void refusal_ends_it(void **state)
{
	static const uint8_t codes[] = {2, 3, 9, 10, 13};
	struct bed *bed = *state;

	for (size_t i = 0; i < sizeof(codes); i++) {
		char host[32];
		snprintf(host, sizeof(host), "65.55.158.%zu", i + 1);
		struct probe_target *target = add(bed, host);
		until_sent(bed);
		icmp(bed, host, 3, codes[i], "192.0.2.1");
		assert_false(until_sent(bed));
		assert_int_equal(target->state, PROBE_REFUSED);
		assert_int_equal(target->icmp_code, codes[i]);
		assert_int_equal(target->icmp_from.octets[0], 192);
		assert_int_equal(target->sent, 1);
	}
}

static void unreachable_is_no_refusal(void **state)
{
	struct bed *bed = *state;
	struct probe_target *target = add(bed, "65.55.158.118");

	until_sent(bed);
	icmp(bed, "65.55.158.118", 3, 1, "192.0.2.1");
	for (int i = 0; i < 3; i++)
		assert_true(until_sent(bed));
	icmp(bed, "65.55.158.118", 11, 0, "192.0.2.2");
	assert_false(until_sent(bed));
	assert_int_equal(target->state, PROBE_INCONCLUSIVE);
	assert_true(target->icmp_told);
	assert_int_equal(target->icmp_type, 11);
}

static void refusal_is_about_its_own_port(void **state)
{
	struct bed *bed = *state;
	struct probe_target *target = add(bed, "65.55.158.118");

	until_sent(bed);
	icmp(bed, "65.55.158.118:9999", 3, 3, "65.55.158.118");
	icmp(bed, "65.55.158.119", 3, 3, "65.55.158.119");
	assert_int_equal(target->state, PROBE_INCONCLUSIVE);
	/* What answered is not refused any more, whatever a router says of a later packet. */
	answer(bed, "65.55.158.118", &bed->step);
	until_sent(bed);
	icmp(bed, "65.55.158.118", 3, 3, "65.55.158.118");
	assert_int_equal(target->state, PROBE_ANSWERS);
}

static void answer_after_a_refusal_counts(void **state)
{
	struct bed *bed = *state;
	struct probe_target *target = add(bed, "65.55.158.118");

	add(bed, "65.55.158.120");
	until_sent(bed);
	struct probe_step first = bed->step;
	icmp(bed, "65.55.158.118", 3, 13, "192.0.2.1");
	assert_int_equal(target->state, PROBE_REFUSED);
	answer(bed, "65.55.158.118", &first);
	assert_int_equal(target->state, PROBE_ANSWERS);
	while (until_sent(bed))
		;
	assert_int_equal(bed->probe.finished, 2);
}

static void wrong_answers_prove_nothing(void **state)
{
	static const uint8_t foreign[TEREDO_NONCE_SIZE] = {9};
	static const uint8_t noise[] = {0, 1, 2, 3};
	struct bed *bed = *state;
	struct probe_target *target = add(bed, "65.55.158.118");
	struct endpoint source = at("65.55.158.118");
	const char *host = "65.55.158.118";

	until_sent(bed);
	const uint8_t *nonce = nonce_of(&bed->step);
	assert_int_equal(
		give(bed, host, &(struct teredo_reply){.nonce = foreign}), TEREDO_FOREIGN_NONCE);
	assert_int_equal(target->fault, TEREDO_FOREIGN_NONCE);
	assert_int_equal(give(bed, host, &(struct teredo_reply){.cone = false}), TEREDO_NO_NONCE);
	assert_int_equal(give(bed, host, &(struct teredo_reply){.nonce = nonce, .cone = true}),
		TEREDO_NOT_FOR_US);
	assert_int_equal(give(bed, host, &(struct teredo_reply){.nonce = nonce, .spoil = 7}),
		TEREDO_CHECKSUM);
	/* A broken one from elsewhere is known by its nonce, any other is nobody's. */
	give(bed, "192.0.2.9", &(struct teredo_reply){.nonce = nonce, .without_prefix = true});
	assert_int_equal(target->fault, TEREDO_NO_PREFIX);
	assert_int_equal(target->invalid, 5);
	give(bed, "192.0.2.9", &(struct teredo_reply){.nonce = foreign});
	assert_int_equal(bed->probe.strays, 1);
	assert_int_equal(
		probe_input(&bed->probe, &source, noise, sizeof(noise), bed->now_us), TEREDO_SHORT);
	assert_int_equal(target->state, PROBE_INCONCLUSIVE);
	while (until_sent(bed))
		;
	assert_int_equal(target->state, PROBE_INCONCLUSIVE);
	assert_int_equal(target->invalid, 6);
}

static void late_answer_counts(void **state)
{
	struct bed *bed = *state;
	struct probe_target *target = add(bed, "65.55.158.118");

	until_sent(bed);
	struct probe_step first = bed->step;
	int64_t start_us = bed->now_us;
	until_sent(bed);
	bed->now_us += 500 * US_PER_MS;
	answer(bed, "65.55.158.118", &first);
	assert_int_equal(target->state, PROBE_ANSWERS);
	assert_true(target->late);
	assert_int_equal(target->round_trip_us, bed->now_us - start_us);
	/* The answer to the second packet changes nothing. */
	answer(bed, "65.55.158.118", &bed->step);
	assert_true(until_sent(bed));
	assert_true(asked_with_cone(bed));
	answer(bed, "65.55.158.119", &bed->step);
	assert_false(until_sent(bed));
	assert_int_equal(target->round_trip_us, 2500 * US_PER_MS);
}

/* A host that was given up, while others are still asked. */
static void later_than_given_up(void **state)
{
	struct bed *bed = *state;
	struct probe_target *slow = add(bed, "65.55.158.118"), *other = add(bed, "192.0.2.1");

	until_sent(bed);
	struct probe_step first = bed->step;
	while (slow->phase != PROBE_DONE)
		if (ask_once(bed) == PROBE_WAIT)
			bed->now_us = bed->step.until_us;
	assert_int_equal(slow->state, PROBE_INCONCLUSIVE);
	assert_int_not_equal(other->phase, PROBE_DONE);
	answer(bed, "65.55.158.118", &first);
	assert_int_equal(slow->state, PROBE_ANSWERS);
	assert_true(slow->late);
	while (until_sent(bed))
		;
	assert_int_equal(bed->probe.finished, 2);
	assert_int_equal(bed->probe.answering, 1);
	assert_int_equal(other->state, PROBE_INCONCLUSIVE);
}

static void copies_count_once(void **state)
{
	struct bed *bed = *state;
	struct probe_target *target = add(bed, "65.55.158.118");

	until_sent(bed);
	bed->now_us += 10;
	answer(bed, "65.55.158.118", &bed->step);
	bed->now_us += 10;
	assert_int_equal(answer(bed, "192.0.2.1", &bed->step), TEREDO_FINE);
	assert_int_equal(target->round_trip_us, 10);
	assert_int_equal(target->from.address.octets[0], 65);
	assert_int_equal(bed->probe.answering, 1);
}

static void send_that_fails(void **state)
{
	struct bed *bed = *state;
	struct probe_target *never = add(bed, "65.55.158.118"), *once = add(bed, "65.55.158.119");

	until_sent(bed);
	struct probe_step lost = bed->step;
	probe_send_failed(&bed->probe, never, ENETUNREACH);
	assert_int_equal(never->state, PROBE_UNTESTED);
	assert_int_equal(never->local_error, ENETUNREACH);
	assert_int_equal(answer(bed, "65.55.158.118", &lost), TEREDO_FOREIGN_NONCE);
	until_sent(bed);
	assert_ptr_equal(bed->step.target, once);
	until_sent(bed);
	probe_send_failed(&bed->probe, once, EPERM);
	assert_int_equal(once->state, PROBE_INCONCLUSIVE);
	assert_int_equal(once->sent, 1);
	assert_false(until_sent(bed));
}

/* --- many hosts --- */

static void rate_is_kept(void **state)
{
	struct bed *bed = *state;
	int64_t last_us = 0;
	unsigned sent = 0;

	bed->probe.plan.rate = 10;
	for (int i = 0; i < 100; i++) {
		char host[32];
		snprintf(host, sizeof(host), "203.0.113.%d", i);
		add(bed, host);
	}
	for (; until_sent(bed); sent++) {
		assert_true(bed->now_us - last_us >= US_PER_S / 10);
		last_us = bed->now_us;
	}
	assert_int_equal(sent, 400);
	assert_int_equal(bed->probe.finished, 100);
}

static void known_endpoint_is_asked_once(void **state)
{
	struct bed *bed = *state;
	struct probe_target *target = add(bed, "65.55.158.118");

	assert_ptr_equal(add(bed, "65.55.158.118:3544"), target);
	assert_ptr_not_equal(add(bed, "65.55.158.118:3545"), target);
	assert_int_equal(bed->probe.targets, 2);
}

static void deadline_ends_all(void **state)
{
	struct bed *bed = *state;
	unsigned states[PROBE_ANSWERS + 1] = {0};
	struct probe_target *targets[50];

	bed->probe.plan.rate = 10;
	bed->probe.plan.deadline_us = bed->now_us + 1 * US_PER_S;
	for (int i = 0; i < 50; i++) {
		char host[32];
		snprintf(host, sizeof(host), "203.0.113.%d", i);
		targets[i] = add(bed, host);
	}
	while (until_sent(bed))
		assert_true(bed->now_us < bed->probe.plan.deadline_us);
	assert_int_equal(bed->now_us, bed->probe.plan.deadline_us);
	for (int i = 0; i < 50; i++)
		states[targets[i]->state]++;
	assert_int_equal(states[PROBE_INCONCLUSIVE], 10);
	assert_int_equal(states[PROBE_UNTESTED], 40);
	assert_int_equal(bed->probe.finished, 50);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Answers, copies, refusals and failures in any order, also for what is long over. */
static void any_order_ends_well(void **state)
{
	enum { HOSTS = 40 };
	struct bed *bed = *state;
	struct probe_target *targets[HOSTS];
	struct probe_step steps[64];
	uint64_t random = 88172645463325252u;
	size_t count = 0;

	memset(steps, 0, sizeof(steps));
	for (int i = 0; i < HOSTS; i++) {
		char host[32];
		snprintf(host, sizeof(host), "203.0.113.%d", i + 1);
		targets[i] = add(bed, host);
	}
	while (until_sent(bed)) {
		char host[32];
		steps[count++ % 64] = bed->step;
		assert_true(count < HOSTS * PROBE_PACKETS_MAX + 1);
		const struct probe_step *step =
			&steps[next_random(&random) % (count < 64 ? count : 64)];
		snprintf(host, sizeof(host), "203.0.113.%u", (unsigned)(next_random(&random) % 60));
		bed->now_us += (int64_t)(next_random(&random) % 300) * US_PER_MS;
		switch (next_random(&random) % 6) {
		case 0:
			answer(bed, host, step);
			break;
		case 1:
			icmp(bed, host, 3, (uint8_t)(next_random(&random) % 16), "192.0.2.1");
			break;
		case 2:
			probe_send_failed(&bed->probe, bed->step.target, EPERM);
			break;
		default:
			break;
		}
	}
	assert_int_equal(bed->probe.finished, HOSTS);
	size_t answering = 0;
	for (int i = 0; i < HOSTS; i++) {
		assert_int_equal(targets[i]->phase, PROBE_DONE);
		assert_null(targets[i]->queue);
		assert_true(targets[i]->sent <= PROBE_PACKETS_MAX);
		answering += targets[i]->state == PROBE_ANSWERS;
	}
	assert_int_equal(answering, bed->probe.answering);
	assert_in_range(answering, 1, HOSTS);
}

#define BED_TEST(test) cmocka_unit_test_setup_teardown(test, make_bed, free_bed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(answer_and_second_address),
		BED_TEST(second_address_may_be_silent),
		BED_TEST(cone_is_answered_from_the_same_address),
		BED_TEST(silence_is_inconclusive),
		BED_TEST(only_the_cone_bit_is_answered),
		BED_TEST(refusal_ends_it),
		BED_TEST(unreachable_is_no_refusal),
		BED_TEST(refusal_is_about_its_own_port),
		BED_TEST(answer_after_a_refusal_counts),
		BED_TEST(wrong_answers_prove_nothing),
		BED_TEST(late_answer_counts),
		BED_TEST(later_than_given_up),
		BED_TEST(copies_count_once),
		BED_TEST(send_that_fails),
		BED_TEST(rate_is_kept),
		BED_TEST(known_endpoint_is_asked_once),
		BED_TEST(deadline_ends_all),
		BED_TEST(any_order_ends_well),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
