/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A redis-server of the test's own, on a unix socket in a folder of its own and with an append-only
 * file: to be killed and started again. Waits for it by polling up to a deadline.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <hiredis/hiredis.h>

#define DEADLINE_MS 20000
#define TEST_SKIPPED 77 /* exit code, as automake has it */

extern char redis_dir[], redis_url[];
extern pid_t redis_pid;
extern redisContext *redis_client; /* NULL: none */

bool redis_is_installed(void); /* says so when it is not */

/* For cmocka: around a group, and before a test. */
int redis_open(void **state);
int redis_close(void **state);
int redis_empty(void **state);

void redis_start(void);
void redis_connect(void); /* waits until it answers */
void redis_kill(void);    /* with SIGKILL, and the connection to it */

/* What it says is the caller's; the others take it away. */
redisReply *ask(const char *format, ...) __attribute__((format(printf, 1, 2)));
void run(redisReply *reply); /* no error */
int64_t number_of(redisReply *reply);
void assert_text(redisReply *reply, const char *expected);

void pause_ms(long ms);
