/* SPDX-License-Identifier: BSD-3-Clause */
/* Between daemon_modes.c (the table, the timer, the file) and daemon_modes_request.c (what a person
 * asks for). */
#pragma once

#include "resolver/daemon_modes.h"
#include "resolver/mode_table.h"

#define MODES_WORDS_SIZE 448
#define MODES_TIME_SIZE 32

typedef uint8_t mode_rows[POLICY_GROUPS_MAX][POLICY_ZONES_MAX];

struct daemon_modes {
	struct modes changes;
	struct event *timer;      /* NULL until the loop is there */
	char user[MODE_USER_MAX]; /* who we are */
};

/* Seconds since 1970. */
int64_t daemon_modes_now(void);

/* Appends words to out, which holds MODES_WORDS_SIZE; what has no room is cut. */
void daemon_modes_append(char *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "teredo: watch to block for group kids", or "… stays block …". */
void daemon_modes_describe(char *out, const char *zone, const char *group, enum policy_mode before,
	enum policy_mode after);
const char *daemon_modes_time(int64_t when_s, char out[MODES_TIME_SIZE]);  /* UTC */
const char *daemon_modes_who(const struct mode_change *change, char *out); /* MODES_WORDS_SIZE */

/* A line of the log and an event. */
void daemon_modes_tell(struct daemon *daemon, const char *words);

/* Writes the file; false and logged where it cannot be. */
bool daemon_modes_save(const struct daemon *daemon);

/* Sets the timer anew. */
void daemon_modes_arm(struct daemon *daemon);
