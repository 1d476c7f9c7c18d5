/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/scenario/bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/dns/edns.h"

struct world world;

int setup_teredo(void **state)
{
	(void)state;
	world_open(&world, ZONE_HEAD "teredo.test CNAME .\n", NULL);
	return 0;
}

int teardown(void **state)
{
	(void)state;
	world_assert_balance(&world);
	world_close(&world);
	return 0;
}

struct world_query query_of(const char *name)
{
	return (struct world_query){
		.name = name, .type = TYPE_A, .id = 7, .client = 1, .edns_payload = 1232};
}

void learn(const char *name, uint32_t ttl_s, uint8_t last_octet)
{
	struct world_query query = query_of(name);

	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, world.ask_count - 1, ttl_s, last_octet);
}

const struct world_reply *last_reply(void)
{
	return &world.replies[world.reply_count - 1];
}

void assert_stale(const struct world_reply *reply, uint8_t last_octet)
{
	struct message_rr rr;

	assert_non_null(reply);
	assert_int_equal(world_rcode(reply), RCODE_NOERROR);
	assert_true(world_record_at(reply, 0, &rr));
	assert_int_equal(rr.ttl, 30);
	assert_int_equal(reply->bytes[rr.rdata_offset + 3], last_octet);
	assert_int_equal(world_ede(reply), EDE_STALE_ANSWER);
	assert_int_equal(world.records[world.record_count - 1].transaction.source, SOURCE_STALE);
}
