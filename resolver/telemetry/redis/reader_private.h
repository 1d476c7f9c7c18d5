/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the reader share: the connection, keys, and values out of replies. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "resolver/telemetry/redis/reader.h"
#include "resolver/telemetry/redis/reader_hours.h"
#include "resolver/telemetry/redis/redis_address.h"

#define READER_KEY_MAX 1536 /* a name takes up to 1025 */
#define READER_SLICE 512    /* commands in one pipeline */

struct reader_connection;
struct redisReply;

struct reader {
	struct reader_connection *connection; /* the one in use */
	struct reader_connection *own;    /* to where the resolver's keys are */
	struct reader_connection *common; /* in a cluster: to the set of resolvers; NULL: not yet */
	bool is_lost;
	char *url, *resolver;
	struct redis_access access; /* of has_access; its texts are the caller's */
	bool has_access;
	int timeout_ms;
	char words[READER_WORDS_MAX];
};

/* Sets what reader_words returns. */
void reader_note(struct reader *reader, const char *words);

/* From here to reader_use_own commands go to where the set of resolvers is: in a cluster it has a
 * slot of its own. */
enum td_error reader_use_common(struct reader *reader);
void reader_use_own(struct reader *reader);

/* Appends a command to the pipeline; nothing on a connection that failed. */
void reader_put(struct reader *reader, int count, const char *const arguments[]);
#define READER_PUT(reader, ...)                                                           \
	reader_put(reader, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), \
		(const char *[]){__VA_ARGS__})

/* The next reply of one of two types, for the caller to free, or NULL and *error. */
struct redisReply *reader_take(
	struct reader *reader, int type, int other_type, enum td_error *error);

/* The same within a pipeline: the first error is kept, and the other replies are taken all the same. */
struct redisReply *reader_take_next(
	struct reader *reader, int type, int other_type, enum td_error *first);

/* The same for a turn of SCAN's kin: moves the cursor on, "0" at the end. *rows is the array within
 * the reply, an empty one of a reply that has none. */
struct redisReply *reader_take_page(struct reader *reader, char cursor[READER_CURSOR_SIZE],
	const struct redisReply **rows, enum td_error *error);

/* False, with words, when the key is too long. */
bool reader_make_key(struct reader *reader, char key[READER_KEY_MAX], const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Copies in the arena, with a NUL; NULL when out of memory. */
const char *reader_keep(struct arena *arena, const char *text, size_t length);
const char *reader_keep_reply(struct arena *arena, const struct redisReply *reply);

bool reader_is_text(const struct redisReply *reply);

/* A score; 0 for what is no whole number that a double holds. */
int64_t reader_score(const struct redisReply *reply);

/* limit in digits, READER_ROWS_MAX at most; returns out. */
const char *reader_limit_text(char out[24], size_t limit);

/* An array of count rows, or NULL; a count of 0 gives a pointer too. */
void *reader_rows_new(struct arena *arena, size_t count, size_t size);

#define READER_HOUR_TEXT_MAX 16
/* "2026112120", UTC. */
void reader_hour_text(int64_t hour, char out[READER_HOUR_TEXT_MAX]);
/* False, with words, when these hours cannot be asked for. */
bool reader_is_span(struct reader *reader, struct reader_span span);
