/* SPDX-License-Identifier: BSD-3-Clause */
/* EVAL with the script's text each time: a mark is set by a person, and SCRIPT LOAD with what
 * follows from NOSCRIPT would be more than what is saved. */
#include "resolver/telemetry/redis/marks.h"

#include <hiredis/hiredis.h>
#include <stdio.h>

#include "resolver/telemetry/redis/reader.h"
#include "resolver/telemetry/redis/reader_connection.h"
#include "resolver/telemetry/redis/reader_private.h"
#include "resolver/telemetry/redis/schema.h"

#define CLIENTS_A_CALL 20
#define ARGUMENTS_FIXED 6

static const char marks_script[] =
#include "resolver/telemetry/redis/marks.inc"
	;

static bool is_result(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	       reply->element[0]->type == REDIS_REPLY_INTEGER &&
	       reply->element[1]->type == REDIS_REPLY_INTEGER && reply->element[0]->integer >= 0 &&
	       reply->element[1]->integer >= 0;
}

static enum td_error take_result(
	struct reader_connection *connection, struct marks_result *result, char *words)
{
	redisReply *reply = reader_connection_take(connection);
	enum td_error error = TD_OK;

	if (!reply) {
		snprintf(words, READER_WORDS_MAX, "%s", reader_connection_words(connection));
		return TD_IO;
	}
	if (is_result(reply)) {
		result->changed += (size_t)reply->element[0]->integer;
		result->refused += (size_t)reply->element[1]->integer;
	} else {
		error = TD_REFUSED;
		snprintf(words, READER_WORDS_MAX, "%s",
			reply->type == REDIS_REPLY_ERROR ? reply->str
							 : "an unexpected type of reply");
	}
	freeReplyObject(reply);
	return error;
}

enum td_error marks_write(const struct marks_target *target, const char *mark,
	const char *const clients[], size_t count, struct marks_result *result, char *words)
{
	char key[READER_KEY_MAX], most[24];
	struct reader_connection *connection;

	*result = (struct marks_result){0, 0};
	words[0] = '\0';
	if (snprintf(key, sizeof(key), KEY_REMEDIATED, target->resolver) >= (int)sizeof(key))
		return TD_TOO_LONG;
	snprintf(most, sizeof(most), "%d", SCHEMA_REMEDIATED_MAX);
	enum td_error error = reader_connection_open(&connection, target->url, target->access, key,
		target->timeout_ms, words, READER_WORDS_MAX);
	for (size_t done = 0; done < count && error == TD_OK; done += CLIENTS_A_CALL) {
		const char *argv[ARGUMENTS_FIXED + CLIENTS_A_CALL] = {
			"EVAL", marks_script, "1", key, most, mark ? mark : ""};
		size_t slice = count - done < CLIENTS_A_CALL ? count - done : CLIENTS_A_CALL;
		for (size_t i = 0; i < slice; i++)
			argv[ARGUMENTS_FIXED + i] = clients[done + i];
		reader_connection_put(connection, ARGUMENTS_FIXED + slice, argv);
		error = take_result(connection, result, words);
	}
	reader_connection_close(&connection);
	return error;
}
