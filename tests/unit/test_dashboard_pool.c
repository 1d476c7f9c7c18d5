/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool: what it runs, what it turns away, and how it ends while it is busy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "resolver/control/dashboard/pool.h"

struct job {
	struct pool_job job;
	int number;
	bool was_run;
};

/* Jobs end when they are let go, one for each time. */
static sem_t begun, go;
static atomic_int started, ended;

static void *start(void *shared)
{
	started++;
	return shared;
}

static void run(void *own, struct pool_job *job)
{
	assert_ptr_equal(own, &started);
	sem_post(&begun);
	sem_wait(&go);
	((struct job *)job)->was_run = true;
}

static void end(void *own)
{
	(void)own;
	ended++;
}

static const struct pool_work work = {&started, start, run, end};

static int set_up(void **state)
{
	(void)state;
	started = ended = 0;
	return sem_init(&begun, 0, 0) || sem_init(&go, 0, 0);
}

static struct pool_job *collect(struct pool *pool)
{
	struct pollfd poller = {.fd = pool_descriptor(pool), .events = POLLIN};

	assert_int_equal(poll(&poller, 1, 10000), 1);
	return pool_collect(pool);
}

static void test_order_and_bound(void **state)
{
	struct pool *pool = pool_new(&work, 1, 3);
	struct job jobs[5] = {{.number = 0}};
	struct pool_job *left;
	(void)state;

	assert_non_null(pool);
	assert_true(pool_submit(pool, &jobs[0].job));
	sem_wait(&begun);
	for (int i = 1; i < 4; i++)
		assert_true(pool_submit(pool, &jobs[i].job));
	assert_false(pool_submit(pool, &jobs[4].job));
	assert_null(pool_collect(pool));
	for (int i = 0; i < 4; i++) {
		sem_post(&go);
		assert_ptr_equal(collect(pool), &jobs[i].job);
		assert_null(jobs[i].job.next);
		assert_true(jobs[i].was_run);
	}
	assert_true(pool_submit(pool, &jobs[4].job));
	sem_post(&go);
	assert_ptr_equal(collect(pool), &jobs[4].job);
	assert_true(pool_stop(&pool, 10000, &left));
	assert_null(left);
	assert_null(pool);
	assert_int_equal(started, 1);
	assert_int_equal(ended, 1);
}

/* What waits comes back, and so does what was done and not collected. */
static void test_stop_while_busy(void **state)
{
	struct pool *pool = pool_new(&work, 2, 8);
	struct job jobs[6] = {{.number = 0}};
	struct pool_job *left;
	(void)state;

	assert_non_null(pool);
	for (int i = 0; i < 6; i++)
		assert_true(pool_submit(pool, &jobs[i].job));
	sem_wait(&begun);
	sem_wait(&begun);
	sem_post(&go);
	sem_wait(&begun); /* a third has begun: one was done */
	for (int i = 1; i < 6; i++)
		sem_post(&go); /* enough for as many as begin before the end */
	assert_true(pool_stop(&pool, 10000, &left));
	assert_int_equal(ended, 2);
	size_t count = 0, run_count = 0;
	for (struct pool_job *job = left; job; job = job->next) {
		count++;
		run_count += ((struct job *)job)->was_run;
	}
	assert_int_equal(count, 6);
	assert_true(run_count >= 3);
}

/* A job that does not end is not waited for; nothing of the pool is freed then. */
static void test_stop_in_time(void **state)
{
	static struct job stuck, waiting;
	struct pool *pool = pool_new(&work, 1, 8), *same = pool;
	struct pool_job *left;
	(void)state;

	assert_non_null(pool);
	assert_true(pool_submit(pool, &stuck.job));
	sem_wait(&begun);
	assert_true(pool_submit(pool, &waiting.job));
	assert_false(pool_stop(&pool, 20, &left));
	assert_ptr_equal(left, &waiting.job);
	assert_null(left->next);
	sem_post(&go);
	assert_true(pool_stop(&same, 10000, &left));
	assert_ptr_equal(left, &stuck.job);
	assert_true(stuck.was_run);
	assert_false(waiting.was_run);
}

static void test_no_pool(void **state)
{
	struct pool *pool = NULL;
	struct pool_job *left;
	(void)state;

	assert_true(pool_stop(&pool, 1000, &left));
	assert_null(left);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order_and_bound, set_up),
		cmocka_unit_test_setup(test_stop_while_busy, set_up),
		cmocka_unit_test_setup(test_stop_in_time, set_up),
		cmocka_unit_test(test_no_pool),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
