/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread waits at a condition variable for its job and gives it back through an eventfd in the
 * main thread's loop. A thread for each job was rejected: one that cannot be started would be a
 * reload that fails for no reason anybody can see.
 */
#include "resolver/compiler.h"

#include <assert.h>
#include <event2/event.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A tenth of what a worker has of a processor that both want. Not the idle class: a compiler that
 * holds a lock of malloc and never runs would hold up the workers. */
#define NICENESS 10

struct compiler {
	compiler_done_fn *done;
	void *context;
	struct event *readable;
	int fd; /* eventfd: a job is finished */
	pthread_t thread;
	bool started;
	atomic_bool cancelled;
	/* Under the lock: */
	pthread_mutex_t lock;
	pthread_cond_t given;
	struct compile_job *job, *finished;
	bool busy, ending;
};

/* --- the thread --- */

/* On Linux these are the calling thread's own. Without them it works as well. */
static void lower_priority(void)
{
	const struct sched_param none = {0};

	sched_setscheduler(0, SCHED_BATCH, &none);
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICENESS);
}

static struct compile_job *wait_for_job(struct compiler *compiler)
{
	struct compile_job *job;

	pthread_mutex_lock(&compiler->lock);
	while (!compiler->job && !compiler->ending)
		pthread_cond_wait(&compiler->given, &compiler->lock);
	job = compiler->job;
	compiler->job = NULL;
	pthread_mutex_unlock(&compiler->lock);
	return job;
}

static void give_back(struct compiler *compiler, struct compile_job *job)
{
	const uint64_t one = 1;
	ssize_t written;

	pthread_mutex_lock(&compiler->lock);
	compiler->finished = job;
	pthread_mutex_unlock(&compiler->lock);
	/* Fails only where so many are unread that the main thread is awake anyway. */
	written = write(compiler->fd, &one, sizeof(one));
	(void)written;
}

static void *compiler_main(void *argument)
{
	struct compiler *compiler = argument;
	struct compile_job *job;

	lower_priority();
	while ((job = wait_for_job(compiler))) {
		compile_run(job, &compiler->cancelled);
		give_back(compiler, job);
	}
	return NULL;
}

/* --- the main thread --- */

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	struct compiler *compiler = context;
	struct compile_job *job;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		return;
	pthread_mutex_lock(&compiler->lock);
	job = compiler->finished;
	compiler->finished = NULL;
	if (job)
		compiler->busy = false;
	pthread_mutex_unlock(&compiler->lock);
	if (job)
		compiler->done(compiler->context, job);
}

/* Signals are the main thread's. */
static bool start_thread(struct compiler *compiler)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	compiler->started = pthread_create(&compiler->thread, NULL, compiler_main, compiler) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return compiler->started;
}

struct compiler *compiler_new(struct event_base *base, compiler_done_fn *done, void *context)
{
	struct compiler *compiler = calloc(1, sizeof(*compiler));

	if (!compiler)
		return NULL;
	compiler->done = done;
	compiler->context = context;
	pthread_mutex_init(&compiler->lock, NULL);
	pthread_cond_init(&compiler->given, NULL);
	compiler->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (compiler->fd >= 0)
		compiler->readable =
			event_new(base, compiler->fd, EV_READ | EV_PERSIST, on_readable, compiler);
	if (compiler->readable && event_add(compiler->readable, NULL) == 0 &&
		start_thread(compiler))
		return compiler;
	compiler_free(compiler);
	return NULL;
}

void compiler_free(struct compiler *compiler)
{
	if (!compiler)
		return;
	atomic_store(&compiler->cancelled, true);
	pthread_mutex_lock(&compiler->lock);
	compiler->ending = true;
	pthread_cond_signal(&compiler->given);
	pthread_mutex_unlock(&compiler->lock);
	if (compiler->started)
		pthread_join(compiler->thread, NULL);
	compile_job_free(compiler->job);
	compile_job_free(compiler->finished);
	if (compiler->readable)
		event_free(compiler->readable);
	if (compiler->fd >= 0)
		close(compiler->fd);
	pthread_cond_destroy(&compiler->given);
	pthread_mutex_destroy(&compiler->lock);
	free(compiler);
}

void compiler_submit(struct compiler *compiler, struct compile_job *job)
{
	pthread_mutex_lock(&compiler->lock);
	assert(!compiler->busy);
	compiler->busy = true;
	compiler->job = job;
	pthread_cond_signal(&compiler->given);
	pthread_mutex_unlock(&compiler->lock);
}
