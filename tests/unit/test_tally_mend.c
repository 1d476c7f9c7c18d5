/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tally that its writer left in the midst of something, and one that is damaged. A child that
 * counts is stepped through, one machine instruction after the other; its tally is mended and
 * looked at behind each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/tally.h"
#include "tests/unit/answers.h"
#include "tests/unit/memory_process.h"

static void check_mended(const struct tally *shared, struct tally *copy, uint64_t before)
{
	uint64_t named = 0, details = 0;

	memcpy(copy, shared, sizeof(*copy));
	assert_true(tally_mend(copy));
	if (copy->generation == 0 && before != UINT64_MAX)
		assert_in_range(copy->queries, before, before + 1);
	for (uint32_t i = 0; i < copy->client_count; i++) {
		const uint64_t *counters = copy->clients[i].counters;
		uint64_t origins = 0, outcomes = 0;
		for (unsigned c = COUNTER_blocked; c <= COUNTER_local; c++)
			origins += counters[c];
		for (unsigned c = COUNTER_noerror; c <= COUNTER_other; c++)
			outcomes += counters[c];
		assert_int_equal(origins, counters[COUNTER_queries]);
		assert_int_equal(outcomes, counters[COUNTER_queries]);
		named += counters[COUNTER_queries];
	}
	for (uint32_t i = 0; i < copy->detail_count; i++)
		details += copy->details[i].queries;
	assert_int_equal(named, copy->queries);
	assert_true(details <= copy->queries);
}

/* Returns how many instructions there were, 0 where nobody may trace. */
static unsigned step_through(struct tally *shared, unsigned step)
{
	struct tally *copy = tally_new();
	uint64_t before = step == 3 ? UINT64_MAX : shared->queries;
	unsigned instructions = 0;
	struct answer answer;
	struct transaction transaction = question(&answer, step == 2 ? 1 : step, step + 1);
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(1);
		raise(SIGSTOP);
		if (step == 3)
			tally_clear(shared);
		else
			tally_add(shared, &test_seed, &transaction, NOON + (int64_t)step);
		_exit(0);
	}
	assert_true(child > 0);
	while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		instructions++;
		check_mended(shared, copy, before);
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0) {
			kill(child, SIGKILL);
			instructions = 0;
		}
	}
	tally_free(copy);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? instructions : 0;
}

static void killed_at_any_instruction_it_can_be_mended(void **state)
{
	struct tally *shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	(void)state;

	assert_true(shared != MAP_FAILED);
	for (unsigned step = 0; step < 4; step++) {
		uint64_t before = shared->queries;
		if (step_through(shared, step) == 0) {
			munmap(shared, sizeof(*shared));
			skip();
		}
		assert_int_equal(shared->queries, step == 3 ? 0 : before + 1);
	}
	assert_int_equal(shared->generation, 1);
	munmap(shared, sizeof(*shared));
}

static void damaged_tallies_do_no_harm(void **state)
{
	struct tally *tally = tally_new();
	(void)state;

	srand(5);
	for (unsigned round = 0; round < 3000; round++) {
		for (unsigned i = 0; i < 30; i++)
			add(tally, i % 4, (unsigned)rand() % 20, NOON);
		uint8_t *octets = (uint8_t *)tally;
		for (unsigned i = 0; i < 8; i++) {
			size_t from = i % 2 ? offsetof(struct tally, details)
					    : offsetof(struct tally, clients);
			if (i == 2)
				from = 0;
			octets[from + (size_t)rand() % 1500] = (uint8_t)rand();
		}
		if (tally_mend(tally)) {
			struct pending pending;
			pending_init(&pending, &test_limits, &test_seed);
			pending_merge(&pending, tally);
			pending_deinit(&pending);
		}
		memset(tally, 0, sizeof(*tally));
	}
	tally_free(tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_any_instruction_it_can_be_mended),
		cmocka_unit_test(damaged_tallies_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
