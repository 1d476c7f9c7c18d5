/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One mutex over two lists, one condition for those that wait for work, an eventfd towards the
 * loop. libevent's own locking (event_active from another thread) was rejected: it would put locks
 * around every event of the loop for the sake of this one.
 */
#include "resolver/control/dashboard/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct list {
	struct pool_job *first, **last;
};

struct pool {
	struct pool_work work;
	pthread_mutex_t mutex; /* guards what follows, but the descriptor and the threads */
	pthread_cond_t more, fewer;
	struct list waiting, done;
	size_t waiting_count, waiting_max;
	size_t running; /* threads that have not ended */
	bool stopping;
	int descriptor;
	size_t thread_count;
	pthread_t threads[];
};

static void list_clear(struct list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void list_add(struct list *list, struct pool_job *job)
{
	job->next = NULL;
	*list->last = job;
	list->last = &job->next;
}

static struct pool_job *list_take(struct list *list)
{
	struct pool_job *job = list->first;

	if (job)
		list->first = job->next;
	if (!list->first)
		list->last = &list->first;
	return job;
}

/* NULL: the pool is being stopped. */
static struct pool_job *wait_for_job(struct pool *pool)
{
	struct pool_job *job = NULL;

	pthread_mutex_lock(&pool->mutex);
	while (!pool->stopping && !pool->waiting.first)
		pthread_cond_wait(&pool->more, &pool->mutex);
	if (!pool->stopping)
		job = list_take(&pool->waiting);
	pool->waiting_count -= job != NULL;
	pthread_mutex_unlock(&pool->mutex);
	return job;
}

static void hand_back(struct pool *pool, struct pool_job *job)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&pool->mutex);
	list_add(&pool->done, job);
	pthread_mutex_unlock(&pool->mutex);
	/* It can only fail where so much stands in it already that the loop is about to look. */
	ssize_t written = write(pool->descriptor, &one, sizeof(one));
	(void)written;
}

static void *thread_main(void *argument)
{
	struct pool *pool = argument;
	void *own = pool->work.start ? pool->work.start(pool->work.shared) : NULL;

	for (struct pool_job *job; (job = wait_for_job(pool));) {
		pool->work.run(own, job);
		hand_back(pool, job);
	}
	if (pool->work.end)
		pool->work.end(own);
	pthread_mutex_lock(&pool->mutex);
	pool->running--;
	pthread_cond_signal(&pool->fewer);
	pthread_mutex_unlock(&pool->mutex);
	return NULL;
}

static void destroy(struct pool *pool)
{
	for (size_t i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->more);
	pthread_cond_destroy(&pool->fewer);
	pthread_mutex_destroy(&pool->mutex);
	if (pool->descriptor >= 0)
		close(pool->descriptor);
	free(pool);
}

static void tell_to_stop(struct pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->more);
	pthread_mutex_unlock(&pool->mutex);
}

static bool start_threads(struct pool *pool, size_t threads)
{
	for (; pool->thread_count < threads; pool->thread_count++) {
		pool->running++;
		if (pthread_create(&pool->threads[pool->thread_count], NULL, thread_main, pool) ==
			0)
			continue;
		pool->running--;
		return false;
	}
	return true;
}

struct pool *pool_new(const struct pool_work *work, size_t threads, size_t waiting_max)
{
	struct pool *pool = calloc(1, sizeof(*pool) + threads * sizeof(pool->threads[0]));
	pthread_condattr_t monotonic;

	if (!pool)
		return NULL;
	pool->work = *work;
	pool->waiting_max = waiting_max;
	list_clear(&pool->waiting);
	list_clear(&pool->done);
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->more, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->fewer, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pool->descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (pool->descriptor < 0 || !start_threads(pool, threads)) {
		tell_to_stop(pool);
		destroy(pool);
		return NULL;
	}
	return pool;
}

int pool_descriptor(const struct pool *pool)
{
	return pool->descriptor;
}

bool pool_submit(struct pool *pool, struct pool_job *job)
{
	pthread_mutex_lock(&pool->mutex);
	bool taken = pool->waiting_count < pool->waiting_max && !pool->stopping;
	if (taken) {
		list_add(&pool->waiting, job);
		pool->waiting_count++;
		pthread_cond_signal(&pool->more);
	}
	pthread_mutex_unlock(&pool->mutex);
	return taken;
}

struct pool_job *pool_collect(struct pool *pool)
{
	uint64_t count;
	ssize_t got = read(pool->descriptor, &count, sizeof(count));

	(void)got;
	pthread_mutex_lock(&pool->mutex);
	struct pool_job *done = pool->done.first;
	list_clear(&pool->done);
	pthread_mutex_unlock(&pool->mutex);
	return done;
}

static struct timespec deadline_after(int timeout_ms)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += timeout_ms / 1000;
	deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_sec++;
		deadline.tv_nsec -= 1000000000;
	}
	return deadline;
}

bool pool_stop(struct pool **pool, int timeout_ms, struct pool_job **left)
{
	struct pool *stopped = *pool;
	struct timespec deadline = deadline_after(timeout_ms);

	*left = NULL;
	if (!stopped)
		return true;
	*pool = NULL;
	tell_to_stop(stopped);
	pthread_mutex_lock(&stopped->mutex);
	while (stopped->running &&
		pthread_cond_timedwait(&stopped->fewer, &stopped->mutex, &deadline) != ETIMEDOUT)
		;
	bool ended = stopped->running == 0;
	*stopped->waiting.last = stopped->done.first;
	*left = stopped->waiting.first;
	list_clear(&stopped->waiting);
	list_clear(&stopped->done);
	stopped->waiting_count = 0;
	pthread_mutex_unlock(&stopped->mutex);
	if (ended)
		destroy(stopped);
	return ended;
}
