/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread that compiles. It has one job at a time, sleeps between, and runs at a lower priority
 * than the workers: where they need the processor, a list is ready later. All functions: main
 * thread.
 */
#pragma once

#include "resolver/compile.h"

struct event_base;
struct compiler;

/* Told in the loop of base, with the job as compile_run left it; it belongs to the receiver. */
typedef void compiler_done_fn(void *context, struct compile_job *job);

/* Starts the thread. NULL: out of memory, descriptors or threads. */
struct compiler *compiler_new(struct event_base *base, compiler_done_fn *done, void *context);

/* Waits for the end of the job at hand, which is told to end early; done is not called any more.
 * NULL is fine. */
void compiler_free(struct compiler *compiler);

/* Takes the job. Not while one is at hand. */
void compiler_submit(struct compiler *compiler, struct compile_job *job);
