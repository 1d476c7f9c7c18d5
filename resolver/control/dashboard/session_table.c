/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An array that is looked through whole: 256 comparisons of 32 octets are less than a request's
 * headers cost. A signed cookie without a table was rejected: nothing could end one.
 */
#include "resolver/control/dashboard/session_table.h"

#include <string.h>

void session_table_init(struct session_table *table, const uint8_t random[DIGEST_SIZE])
{
	memset(table, 0, sizeof *table);
	memcpy(table->key, random, DIGEST_SIZE);
}

static int64_t end_of(const struct session *session)
{
	int64_t idle = session->touched_ms + SESSION_IDLE_MS;
	int64_t old = session->begun_ms + SESSION_LIFE_MS;

	return idle < old ? idle : old;
}

/* Its place; SESSIONS_MAX: it has none. */
static size_t find(const struct session_table *table, const uint8_t id[DIGEST_SIZE])
{
	uint8_t hash[DIGEST_SIZE];
	size_t found = SESSIONS_MAX;

	digest_sha256(id, DIGEST_SIZE, hash);
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (table->sessions[i].used &&
			digest_equal(table->sessions[i].hash, hash, sizeof hash))
			found = i;
	return found;
}

static void expire(struct session_table *table, int64_t now_ms)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *session = &table->sessions[i];
		if (!session->used || end_of(session) > now_ms)
			continue;
		*session = (struct session){0};
		table->expired++;
	}
}

/* A place that is free, or that of the session which has been idle for the longest time. */
static struct session *place(struct session_table *table)
{
	struct session *oldest = &table->sessions[0];

	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *session = &table->sessions[i];
		if (!session->used)
			return session;
		if (session->touched_ms < oldest->touched_ms)
			oldest = session;
	}
	table->pushed_out++;
	return oldest;
}

void session_table_begin(struct session_table *table, const uint8_t id[DIGEST_SIZE], int64_t now_ms)
{
	expire(table, now_ms);
	struct session *session = place(table);
	*session = (struct session){.used = true, .begun_ms = now_ms, .touched_ms = now_ms};
	digest_sha256(id, DIGEST_SIZE, session->hash);
	table->begun++;
}

bool session_table_touch(struct session_table *table, const uint8_t id[DIGEST_SIZE], int64_t now_ms,
	int64_t *left_ms)
{
	expire(table, now_ms);
	size_t at = find(table, id);
	if (at == SESSIONS_MAX)
		return false;
	struct session *session = &table->sessions[at];
	if (session->touched_ms < now_ms)
		session->touched_ms = now_ms;
	if (left_ms)
		*left_ms = end_of(session) - now_ms;
	return true;
}

void session_table_csrf(
	const struct session_table *table, const uint8_t id[DIGEST_SIZE], uint8_t out[DIGEST_SIZE])
{
	digest_hmac(table->key, id, DIGEST_SIZE, out);
}

bool session_table_end(struct session_table *table, const uint8_t id[DIGEST_SIZE])
{
	size_t at = find(table, id);

	if (at == SESSIONS_MAX)
		return false;
	table->sessions[at] = (struct session){0};
	table->ended++;
	return true;
}

void session_table_clear(struct session_table *table)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		table->ended += table->sessions[i].used;
		table->sessions[i] = (struct session){0};
	}
}

size_t session_table_count(const struct session_table *table, int64_t now_ms)
{
	size_t count = 0;

	for (size_t i = 0; i < SESSIONS_MAX; i++)
		count += table->sessions[i].used && end_of(&table->sessions[i]) > now_ms;
	return count;
}
