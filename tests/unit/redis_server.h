/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For unit tests that read Redis: a redis-server of their own on a socket in a temporary folder, a
 * connection to fill it, and the command `teredown` over it, as resolver gw1.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "resolver/control/cli.h"

extern char config[96]; /* the file of the daemon's configuration */
extern char url[112];   /* of the server, as the option `redis` has it */

/* NULL where redis-server is not installed: what needs it is skipped then. */
extern redisContext *redis;

/* What the last run wrote. */
extern char *said;

/* For cmocka_run_group_tests. */
int start_server(void **state);
int stop_server(void **state);

/* Stops it where it stands, as a process that hangs, or lets it go on. */
void hang_server(bool hangs);

/* A command, in the words of redisCommand, that has to succeed. */
void put(const char *format, ...);

/* Of an hour since 1970, as it stands in keys: "2026112215". */
void hour_words(int64_t hour, char out[16]);

/* Runs `teredown` with these words, NULL after the last; returns its exit code. */
__attribute__((sentinel)) int run(const char *first, ...);

#define RUN(...) run(__VA_ARGS__, NULL)
