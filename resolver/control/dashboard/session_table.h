/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is signed in: a bounded table of sessions. Passive: time and random octets are passed in.
 * What it holds opens nothing: a session's id is known by its hash alone, and the CSRF token that
 * goes with it is made anew from the id whenever it is asked for. One thread, or the caller's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/control/dashboard/digest.h"

#define SESSIONS_MAX 256
#define SESSION_IDLE_MS (INT64_C(8) * 3600 * 1000)
#define SESSION_LIFE_MS (INT64_C(7) * 24 * 3600 * 1000)

struct session {
	bool used;
	uint8_t hash[DIGEST_SIZE];    /* of the id */
	int64_t begun_ms, touched_ms; /* of a clock that does not step */
};

struct session_table {
	uint8_t key[DIGEST_SIZE]; /* of CSRF tokens */
	struct session sessions[SESSIONS_MAX];
	uint64_t begun, ended; /* ended: signed out, or by session_table_clear */
	uint64_t expired;      /* idle or old */
	uint64_t pushed_out;   /* by the bound */
};

/* random: DIGEST_SIZE octets that nobody can guess. */
void session_table_init(struct session_table *table, const uint8_t random[DIGEST_SIZE]);

/* A new session, whose id is these random octets. Where there is no room the one that has been idle
 * for the longest time ends. */
void session_table_begin(
	struct session_table *table, const uint8_t id[DIGEST_SIZE], int64_t now_ms);

/* Whether there is such a session still, which counts as its being in use. *left_ms (may be NULL):
 * after how long it ends if it is idle from now. */
bool session_table_touch(struct session_table *table, const uint8_t id[DIGEST_SIZE], int64_t now_ms,
	int64_t *left_ms);

/* The CSRF token of the session with this id, whether there is one or not. */
void session_table_csrf(
	const struct session_table *table, const uint8_t id[DIGEST_SIZE], uint8_t out[DIGEST_SIZE]);

/* False: there was none. */
bool session_table_end(struct session_table *table, const uint8_t id[DIGEST_SIZE]);
void session_table_clear(struct session_table *table);

/* Sessions that are open at this time. */
size_t session_table_count(const struct session_table *table, int64_t now_ms);
