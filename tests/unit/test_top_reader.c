/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread behind the screen of `teredown top`, over a real redis-server: what it reads of a fleet
 * of which one resolver cannot be read for a while. Where redis-server is not installed the test is
 * skipped, and says so.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/control/top_reader.h"
#include "tests/unit/redis_server.h"

static void count(const char *resolver, int queries)
{
	put("HSET teredown:{%s}:client:192.0.2.1 queries %d last_seen 1700000000000", resolver,
		queries);
	put("ZADD teredown:{%s}:clients 1700000000000 192.0.2.1", resolver);
	put("HSET teredown:{%s}:meta queries %d recording_since 1700000000000", resolver, queries);
	put("SADD teredown:resolvers %s", resolver);
}

/* Waits for a frame that says so many queries, of so many resolvers that are missing. */
static void wait_for(struct top_reader *reader, uint64_t queries, bool missing)
{
	for (int i = 0; i < 200; i++) {
		struct top_frame *frame = top_reader_take(reader);
		bool good = frame && frame->table.count == 1 &&
			    frame->table.rows[0].cells[1].number == queries &&
			    (strstr(frame->title, "1 missing") != NULL) == missing;
		top_frame_free(frame);
		if (good)
			return;
		usleep(50 * 1000);
	}
	fail_msg("no frame of %llu queries", (unsigned long long)queries);
}

/* It is no longer missing once it can be read, for as long as the screen is open. */
static void test_a_resolver_comes_back(void **state)
{
	const struct top_wish wish = {
		.view = TOP_CLIENTS, .limit = 50, .days = 1, .column = 1, .search = ""};
	struct cli cli = {.program = "teredown",
		.config = config,
		.config_given = true,
		.file = stdout,
		.errors = stderr};

	(void)state;
	if (!redis)
		skip();
	count("gw1", 5);
	count("gw2", 7);
	cli.option[CLI_FLEET] = "";
	strbuf_init(&cli.out);
	arena_init(&cli.arena);
	struct top_reader *reader = top_reader_new(&cli, cli_fleet(&cli));
	assert_non_null(reader);
	top_reader_wish(reader, &wish, 1);
	wait_for(reader, 12, false);
	put("RENAME teredown:{gw2}:clients kept");
	put("SET teredown:{gw2}:clients text");
	wait_for(reader, 5, true);
	put("RENAME kept teredown:{gw2}:clients");
	wait_for(reader, 12, false);
	top_reader_free(&reader);
	options_free(cli.options);
	arena_deinit(&cli.arena);
	strbuf_deinit(&cli.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_resolver_comes_back)};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
