/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The machine that forgets a client, driven with replies made here: when it begins, what it asks,
 * how it goes on within a key and a page, and what it makes of failures. What the script does is
 * for the live tests.
 */
#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/telemetry/redis/forget.h"

static struct forget *make(void)
{
	struct forget *forget = forget_new("g[1]", "0123456789abcdef");
	assert_non_null(forget);
	return forget;
}

static struct now at_ms(int64_t ms)
{
	return (struct now){.mono_us = ms * 1000, .wall_us = ms * 1000};
}

static enum forget_state state_of(struct forget *forget)
{
	struct forget_status status;

	forget_status(forget, &status);
	return status.state;
}

/* A request that has begun. */
static struct forget *make_running(const char *client)
{
	struct forget *forget = make();
	struct now now = at_ms(1000);

	assert_int_equal(forget_request(forget, client), TD_OK);
	assert_false(forget_begin(forget, &now, true));
	now = at_ms(3000);
	assert_true(forget_begin(forget, &now, true));
	return forget;
}

static struct forget_command expect(struct forget *forget, const char *word)
{
	struct forget_command command;

	assert_true(forget_next(forget, &command));
	assert_string_equal(command.argv[0], word);
	return command;
}

static redisReply number_reply(long long value)
{
	return (redisReply){.type = REDIS_REPLY_INTEGER, .integer = value};
}

/* Replies are only read. */
static redisReply text_reply(const char *text)
{
	return (redisReply){
		.type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t)text, .len = strlen(text)};
}

static redisReply error_reply(const char *words)
{
	redisReply reply = text_reply(words);

	reply.type = REDIS_REPLY_ERROR;
	return reply;
}

static void reply_page(
	struct forget *forget, const char *cursor, const char *first, const char *second)
{
	redisReply texts[] = {text_reply(cursor), text_reply(first), text_reply(second)};
	redisReply *keys[] = {&texts[1], &texts[2]};
	redisReply page = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = keys};
	redisReply *parts[] = {&texts[0], &page};
	redisReply reply = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = parts};

	forget_replied(forget, &reply);
}

static void reply_treated(struct forget *forget, long long done, const char *cursor)
{
	redisReply values[] = {
		number_reply(done), text_reply(cursor), number_reply(1), number_reply(10)};
	redisReply *parts[] = {&values[0], &values[1], &values[2], &values[3]};
	redisReply reply = {.type = REDIS_REPLY_ARRAY, .elements = 4, .element = parts};

	forget_replied(forget, &reply);
}

static void waits_until_all_is_stored(void **state)
{
	struct forget *forget = make();
	struct forget_command command;
	struct now now = at_ms(500);

	(void)state;
	assert_false(forget_begin(forget, &now, true));
	assert_int_equal(forget_request(forget, "192.0.2.7"), TD_OK);
	assert_int_equal(forget_request(forget, "192.0.2.8"), TD_FULL);
	assert_false(forget_begin(forget, &now, true)); /* workers may still hold something */
	now = at_ms(2100);
	assert_false(forget_begin(forget, &now, false));
	assert_false(forget_next(forget, &command));
	assert_int_equal(state_of(forget), FORGET_WAITING);
	now = at_ms(2200);
	assert_true(forget_begin(forget, &now, true));
	assert_false(forget_begin(forget, &now, true));
	assert_int_equal(state_of(forget), FORGET_RUNNING);
	forget_free(&forget);
}

static void loses_patience(void **state)
{
	struct forget *forget = make();
	struct now now = at_ms(500);

	(void)state;
	assert_int_equal(forget_request(forget, "192.0.2.7"), TD_OK);
	assert_false(forget_begin(forget, &now, false));
	now = at_ms(31000);
	assert_false(forget_begin(forget, &now, false));
	assert_int_equal(state_of(forget), FORGET_FAILED);
	/* A new request waits anew. */
	assert_int_equal(forget_request(forget, "192.0.2.7"), TD_OK);
	assert_false(forget_begin(forget, &now, true));
	assert_int_equal(state_of(forget), FORGET_WAITING);
	forget_free(&forget);
}

static void refuses_what_is_no_client(void **state)
{
	struct forget *forget = make();
	char longest[FORGET_CLIENT_MAX + 1];

	(void)state;
	memset(longest, 'a', FORGET_CLIENT_MAX);
	longest[FORGET_CLIENT_MAX] = '\0';
	assert_int_equal(forget_request(forget, ""), TD_INVALID);
	assert_int_equal(forget_request(forget, "*other"), TD_INVALID);
	assert_int_equal(forget_request(forget, longest), TD_INVALID);
	assert_int_equal(forget_request(forget, longest + 1), TD_OK);
	forget_free(&forget);
}

static void goes_through_pages_and_keys(void **state)
{
	struct forget *forget = make_running("a*b");
	struct forget_command command;
	struct forget_status status;
	redisReply size = number_reply(77), rewrite = error_reply("ERR");

	(void)state;
	expect(forget, "DBSIZE");
	forget_replied(forget, &size);
	command = expect(forget, "SCAN");
	assert_string_equal(command.argv[1], "0");
	assert_string_equal(command.argv[3], "teredown:{g\\[1\\]}:*");
	reply_page(forget, "17", "key:one", "key:two");
	command = expect(forget, "EVAL");
	assert_string_equal(command.argv[3], "teredown:{g[1]}:applied");
	assert_string_equal(command.argv[5], "a*b");
	assert_string_equal(command.argv[6], "\"client\":\"a*b\"");
	assert_string_equal(command.argv[7], "a\\*b *");
	assert_string_equal(command.argv[9], "0");
	assert_int_equal(command.argc, 12);
	reply_treated(forget, 0, "42");
	command = expect(forget, "EVAL");
	assert_string_equal(command.argv[9], "42");
	assert_int_equal(command.argc, 12);
	reply_treated(forget, 1, "0");
	command = expect(forget, "EVAL");
	assert_string_equal(command.argv[10], "key:two");
	assert_int_equal(command.argc, 11);
	/* What was sent on a connection that broke is asked again. */
	command = expect(forget, "EVAL");
	assert_string_equal(command.argv[10], "key:two");
	reply_treated(forget, 1, "0");
	command = expect(forget, "SCAN");
	assert_string_equal(command.argv[1], "17");
	reply_page(forget, "0", "key:three", "key:four");
	expect(forget, "EVAL");
	reply_treated(forget, 2, "0");
	expect(forget, "BGREWRITEAOF");
	forget_replied(forget, &rewrite);
	assert_false(forget_next(forget, &command));
	forget_status(forget, &status);
	assert_int_equal(status.state, FORGET_DONE);
	assert_int_equal(status.keys, 77);
	assert_int_equal(status.scanned, 4);
	assert_int_equal(status.deleted, 4);
	assert_int_equal(status.removed, 40);
	forget_free(&forget);
}

/* A cursor of SCAN is good for the server that gave it, and only as long as that runs. */
static void another_server_begins_anew(void **state)
{
	struct forget *forget = make_running("192.0.2.7");
	struct forget_command command;
	struct forget_status status;
	redisReply size = number_reply(77);

	(void)state;
	forget_replied(forget, &size);
	reply_page(forget, "17", "key:one", "key:two");
	reply_treated(forget, 1, "0");
	forget_reconnected(forget);
	expect(forget, "DBSIZE");
	forget_replied(forget, &size);
	command = expect(forget, "SCAN");
	assert_string_equal(command.argv[1], "0");
	reply_page(forget, "0", "key:one", "key:two");
	reply_treated(forget, 2, "0");
	expect(forget, "BGREWRITEAOF");
	forget_status(forget, &status);
	assert_int_equal(status.scanned, 2);
	forget_free(&forget);
	forget = make();
	forget_reconnected(forget);
	assert_false(forget_next(forget, &command));
	forget_free(&forget);
}

static void says_why_it_failed(void **state)
{
	struct forget *forget = make_running("192.0.2.7");
	struct forget_status status;
	struct forget_command command;
	redisReply size = number_reply(1), no = error_reply("NOPERM no");

	(void)state;
	forget_replied(forget, &size);
	forget_replied(forget, &no);
	forget_status(forget, &status);
	assert_int_equal(status.state, FORGET_FAILED);
	assert_string_equal(status.words, "NOPERM no");
	assert_false(forget_next(forget, &command));
	forget_free(&forget);
	/* More keys than were given cannot be done. */
	forget = make_running("192.0.2.7");
	forget_replied(forget, &size);
	reply_page(forget, "0", "key:one", "key:two");
	reply_treated(forget, 3, "0");
	assert_int_equal(state_of(forget), FORGET_FAILED);
	forget_free(&forget);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_until_all_is_stored),
		cmocka_unit_test(loses_patience),
		cmocka_unit_test(refuses_what_is_no_client),
		cmocka_unit_test(goes_through_pages_and_keys),
		cmocka_unit_test(another_server_begins_anew),
		cmocka_unit_test(says_why_it_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
