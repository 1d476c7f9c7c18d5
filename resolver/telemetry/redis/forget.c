/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SCAN gives the keys of the resolver in pages, the script (forget.lua) goes through a page as far
 * as its budget lasts and says where it stopped. To compute the keys from what is known of the
 * client was rejected: its hours and names may have expired or been folded before what they lead
 * to, and a key that is overlooked is a promise broken.
 *
 * Requests and status meet the other threads under one mutex, which is held for copies only.
 */
#include "resolver/telemetry/redis/forget.h"

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strbuf.h"
#include "resolver/telemetry/redis/schema.h"

#define SETTLE_US (1500 * INT64_C(1000)) /* workers hand over once a second */
#define PATIENCE_US (30 * US_PER_S)
#define PAGE "100" /* keys of one SCAN, roughly */
#define BUDGET "60" /* of a script call: about a millisecond */
#define ARGS_MAX 4000
#define ARGS_FIXED 9 /* EVAL, script, 1, applied, instance, client, record, pattern, budget */

const char forget_script[] =
#include "resolver/telemetry/redis/forget.inc"
	;

/* What is asked next. */
enum step { STEP_COUNT, STEP_SCAN, STEP_TREAT, STEP_REWRITE };

struct forget {
	pthread_mutex_t lock; /* guards status */
	struct forget_status status;

	char applied_key[512], instance[32], client[FORGET_CLIENT_MAX];
	struct strbuf prefix_pattern, client_pattern, record;
	int64_t asked_us; /* mono; 0: the request has not been seen yet */
	bool running;
	enum step step;
	char cursor[24];     /* of SCAN */
	char key_cursor[48]; /* within the first key of the page */
	char *keys[ARGS_MAX];
	size_t key_lengths[ARGS_MAX];
	size_t count, next; /* keys of the page, and those that are done */
	size_t argc;
	const char *argv[ARGS_MAX + ARGS_FIXED + 1];
	size_t lengths[ARGS_MAX + ARGS_FIXED + 1];
};

/* --- text --- */

/* For MATCH: what would be a wildcard stands for itself. */
static void append_literal(struct strbuf *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("*?[]^-\\", *text))
			strbuf_append_char(out, '\\');
		strbuf_append_char(out, *text);
	}
}

static void make_patterns(struct forget *forget)
{
	strbuf_clear(&forget->client_pattern);
	append_literal(&forget->client_pattern, forget->client);
	strbuf_append_text(&forget->client_pattern, " *");
	strbuf_clear(&forget->record);
	strbuf_append_text(&forget->record, "\"client\":");
	strbuf_json_string(&forget->record, forget->client, strlen(forget->client));
}

/* --- any thread --- */

enum td_error forget_request(struct forget *forget, const char *client)
{
	size_t length = strlen(client);
	enum td_error error = TD_OK;

	if (length == 0 || length >= FORGET_CLIENT_MAX || *client == '*')
		return TD_INVALID;
	pthread_mutex_lock(&forget->lock);
	if (forget->status.state == FORGET_WAITING || forget->status.state == FORGET_RUNNING) {
		error = TD_FULL;
	} else {
		forget->status = (struct forget_status){.state = FORGET_WAITING};
		memcpy(forget->status.client, client, length + 1);
	}
	pthread_mutex_unlock(&forget->lock);
	return error;
}

void forget_status(struct forget *forget, struct forget_status *out)
{
	pthread_mutex_lock(&forget->lock);
	*out = forget->status;
	pthread_mutex_unlock(&forget->lock);
}

/* --- the collector's thread --- */

static void free_keys(struct forget *forget)
{
	for (size_t i = 0; i < forget->count; i++)
		free(forget->keys[i]);
	forget->count = forget->next = 0;
}

static void end(struct forget *forget, enum forget_state state, const char *words)
{
	free_keys(forget);
	forget->running = false;
	forget->asked_us = 0;
	pthread_mutex_lock(&forget->lock);
	forget->status.state = state;
	snprintf(forget->status.words, sizeof(forget->status.words), "%s", words);
	pthread_mutex_unlock(&forget->lock);
}

bool forget_begin(struct forget *forget, const struct now *now, bool stored)
{
	struct forget_status status;

	forget_status(forget, &status);
	if (status.state != FORGET_WAITING)
		return false;
	if (forget->asked_us == 0)
		forget->asked_us = now->mono_us;
	int64_t waited_us = now->mono_us - forget->asked_us;
	if (waited_us > PATIENCE_US && !stored) {
		end(forget, FORGET_FAILED,
			"counts are still waiting to be stored, and would bring it back; try again "
			"when Redis takes them");
		return false;
	}
	if (waited_us < SETTLE_US || !stored)
		return false;
	memcpy(forget->client, status.client, sizeof(forget->client));
	make_patterns(forget);
	forget->running = true;
	forget->step = STEP_COUNT;
	snprintf(forget->cursor, sizeof(forget->cursor), "0");
	pthread_mutex_lock(&forget->lock);
	forget->status.state = FORGET_RUNNING;
	pthread_mutex_unlock(&forget->lock);
	return true;
}

void forget_reconnected(struct forget *forget)
{
	if (!forget->running)
		return;
	free_keys(forget);
	forget->step = STEP_COUNT;
	snprintf(forget->cursor, sizeof(forget->cursor), "0");
	pthread_mutex_lock(&forget->lock);
	forget->status.scanned = 0;
	pthread_mutex_unlock(&forget->lock);
}

static void put(struct forget *forget, const char *text, size_t length)
{
	forget->argv[forget->argc] = text;
	forget->lengths[forget->argc++] = length;
}

static void put_text(struct forget *forget, const char *text)
{
	put(forget, text, strlen(text));
}

static void write_scan(struct forget *forget)
{
	put_text(forget, "SCAN");
	put_text(forget, forget->cursor);
	put_text(forget, "MATCH");
	put(forget, forget->prefix_pattern.data, forget->prefix_pattern.length);
	put_text(forget, "COUNT");
	put_text(forget, PAGE);
}

static void write_treat(struct forget *forget)
{
	put_text(forget, "EVAL");
	put_text(forget, forget_script);
	put_text(forget, "1");
	put_text(forget, forget->applied_key);
	put_text(forget, forget->instance);
	put_text(forget, forget->client);
	put(forget, forget->record.data, forget->record.length);
	put(forget, forget->client_pattern.data, forget->client_pattern.length);
	put_text(forget, BUDGET);
	put_text(forget, forget->key_cursor);
	for (size_t i = forget->next; i < forget->count; i++)
		put(forget, forget->keys[i], forget->key_lengths[i]);
}

bool forget_next(struct forget *forget, struct forget_command *out)
{
	if (!forget->running)
		return false;
	forget->argc = 0;
	switch (forget->step) {
	case STEP_COUNT:
		put_text(forget, "DBSIZE");
		break;
	case STEP_SCAN:
		write_scan(forget);
		break;
	case STEP_TREAT:
		write_treat(forget);
		break;
	case STEP_REWRITE:
		put_text(forget, "BGREWRITEAOF");
		break;
	}
	*out = (struct forget_command){forget->argc, forget->argv, forget->lengths};
	return true;
}

/* The page is done: the next one, or the end. */
static void next_page(struct forget *forget)
{
	free_keys(forget);
	forget->step = strcmp(forget->cursor, "0") == 0 ? STEP_REWRITE : STEP_SCAN;
}

static bool take_page(struct forget *forget, const struct redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
		reply->element[0]->type != REDIS_REPLY_STRING ||
		reply->element[1]->type != REDIS_REPLY_ARRAY)
		return false;
	const struct redisReply *keys = reply->element[1];
	snprintf(forget->cursor, sizeof(forget->cursor), "%s", reply->element[0]->str);
	for (size_t i = 0; i < keys->elements; i++) {
		const struct redisReply *key = keys->element[i];
		char *copy = key->type == REDIS_REPLY_STRING && forget->count < ARGS_MAX
				     ? malloc(key->len + 1)
				     : NULL;
		if (!copy)
			return false;
		memcpy(copy, key->str, key->len + 1);
		forget->key_lengths[forget->count] = key->len;
		forget->keys[forget->count++] = copy;
	}
	pthread_mutex_lock(&forget->lock);
	forget->status.scanned += forget->count;
	pthread_mutex_unlock(&forget->lock);
	snprintf(forget->key_cursor, sizeof(forget->key_cursor), "0");
	forget->step = STEP_TREAT;
	if (forget->count == 0)
		next_page(forget);
	return true;
}

static bool take_treated(struct forget *forget, const struct redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 4 ||
		reply->element[0]->type != REDIS_REPLY_INTEGER ||
		reply->element[1]->type != REDIS_REPLY_STRING ||
		reply->element[2]->type != REDIS_REPLY_INTEGER ||
		reply->element[3]->type != REDIS_REPLY_INTEGER)
		return false;
	size_t done = (size_t)reply->element[0]->integer;
	if (reply->element[0]->integer < 0 || done > forget->count - forget->next)
		return false;
	forget->next += done;
	snprintf(forget->key_cursor, sizeof(forget->key_cursor), "%s", reply->element[1]->str);
	pthread_mutex_lock(&forget->lock);
	forget->status.deleted += (uint64_t)reply->element[2]->integer;
	forget->status.removed += (uint64_t)reply->element[3]->integer;
	pthread_mutex_unlock(&forget->lock);
	if (forget->next == forget->count)
		next_page(forget);
	return true;
}

void forget_replied(struct forget *forget, const struct redisReply *reply)
{
	bool understood = true;

	if (forget->step == STEP_REWRITE) {
		end(forget, FORGET_DONE,
			""); /* whether the file is written anew is Redis's business */
		return;
	}
	if (reply->type == REDIS_REPLY_ERROR) {
		end(forget, FORGET_FAILED, reply->str);
		return;
	}
	if (forget->step == STEP_COUNT) {
		pthread_mutex_lock(&forget->lock);
		forget->status.keys =
			reply->type == REDIS_REPLY_INTEGER ? (uint64_t)reply->integer : 0;
		pthread_mutex_unlock(&forget->lock);
		forget->step = STEP_SCAN;
	} else if (forget->step == STEP_SCAN) {
		understood = take_page(forget, reply);
	} else {
		understood = take_treated(forget, reply);
	}
	if (!understood)
		end(forget, FORGET_FAILED, "an unexpected reply of Redis");
}

/* --- making --- */

struct forget *forget_new(const char *resolver_name, const char *instance)
{
	struct forget *forget = calloc(1, sizeof(*forget));

	if (!forget)
		return NULL;
	pthread_mutex_init(&forget->lock, NULL);
	strbuf_init(&forget->prefix_pattern);
	strbuf_init(&forget->client_pattern);
	strbuf_init(&forget->record);
	snprintf(forget->applied_key, sizeof(forget->applied_key), KEY_APPLIED, resolver_name);
	snprintf(forget->instance, sizeof(forget->instance), "%s", instance);
	strbuf_append_text(&forget->prefix_pattern, "teredown:{");
	append_literal(&forget->prefix_pattern, resolver_name);
	strbuf_append_text(&forget->prefix_pattern, "}:*");
	if (forget->prefix_pattern.failed)
		forget_free(&forget);
	return forget;
}

void forget_free(struct forget **forget)
{
	if (!*forget)
		return;
	free_keys(*forget);
	strbuf_deinit(&(*forget)->prefix_pattern);
	strbuf_deinit(&(*forget)->client_pattern);
	strbuf_deinit(&(*forget)->record);
	pthread_mutex_destroy(&(*forget)->lock);
	free(*forget);
	*forget = NULL;
}
