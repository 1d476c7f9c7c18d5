/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A few threads that may wait, for a loop that must not. The loop submits jobs, at most so many
 * wait; a thread runs each, and the loop hears of it through a file descriptor and collects what is
 * done. A job belongs to the pool from pool_submit until pool_collect or pool_stop hand it back.
 *
 * Thread: all functions are the loop's; start, run and end of the work are called in the pool's
 * threads, each with what start gave that thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct pool;

/* The first member of what the caller submits. */
struct pool_job {
	struct pool_job *next; /* the pool's; of a list that is handed back, the caller's */
};

struct pool_work {
	void *shared;
	void *(*start)(void *shared); /* once in each thread; NULL: the thread does without */
	void (*run)(void *own, struct pool_job *job);
	void (*end)(void *own);
};

/* work is copied. NULL: no memory, thread or descriptor could be had. */
struct pool *pool_new(const struct pool_work *work, size_t threads, size_t waiting_max);

/* Readable when there is something to collect. */
int pool_descriptor(const struct pool *pool);

/* False: too many wait already; the job stays the caller's. */
bool pool_submit(struct pool *pool, struct pool_job *job);

/* What has been done since, oldest first; NULL: nothing. */
struct pool_job *pool_collect(struct pool *pool);

/*
 * Takes no more, and waits at most so long for the threads. What waited or was done is handed back
 * in *left. True: all threads have ended and the pool is freed. False: a job is still being run;
 * the pool, that job and what it uses stay as they are, and the process has to end without freeing
 * them.
 */
bool pool_stop(struct pool **pool, int timeout_ms, struct pool_job **left);
