/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of hosts files and of sections forward on the path of a query: what stands above what, and
 * what a change does to answers that are cached or on their way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/scenario/bed.h"

static const char tunnel_zone[] = ZONE_HEAD "isatap.lan CNAME .\n";
static const char local_zone[] =
	ZONE_HEAD "home.arpa CNAME *.\n*.home.arpa CNAME .\n168.192.in-addr.arpa CNAME *.\n"
		  "*.168.192.in-addr.arpa CNAME .\n";

static struct site site;

static int setup(void **state)
{
	(void)state;
	world_open(&world, tunnel_zone, local_zone);
	site = (struct site){.routes = route_table_new(NULL, 0), .generation = 2};
	world.policy.site = &site;
	return 0;
}

static int teardown_site(void **state)
{
	teardown(state);
	hosts_free(site.hosts);
	site.hosts = NULL;
	route_table_free(site.routes);
	return 0;
}

/* As a change of the files does it: another snapshot, another generation. NULL: none. */
static void set_hosts(const char *text)
{
	struct hosts_builder *builder = hosts_builder_new(60);

	hosts_free(site.hosts);
	site.hosts = NULL;
	if (text)
		assert_int_equal(
			hosts_builder_add(builder, "hosts", text, strlen(text), NULL, NULL), TD_OK);
	if (text)
		site.hosts = hosts_builder_finish(&builder);
	hosts_builder_free(builder);
	world.policy.view.generation++;
}

static void add_section(const char *title, bool with_server)
{
	struct server_address server;
	const char *why, *other;

	assert_int_equal(server_address_from_text(&server, "192.0.2.53", &why), TD_OK);
	assert_int_equal(route_table_add(site.routes, title, &server, with_server, &other), TD_OK);
	world.policy.view.generation++;
}

static const struct world_reply *ask(const char *name, uint16_t type)
{
	static uint16_t id;
	struct world_query query = {.name = name, .type = type, .id = ++id, .client = 1};

	return world_ask(&world, 0, &query);
}

static enum transaction_source last_source(void)
{
	return world.records[world.record_count - 1].transaction.source;
}

/* The reply tells one address, with this last octet. */
static void assert_told(const struct world_reply *reply, uint8_t last)
{
	struct message_rr rr;

	assert_non_null(reply);
	assert_int_equal(world_rcode(reply), RCODE_NOERROR);
	assert_int_equal(world_count(reply, 1), 1);
	assert_true(world_record_at(reply, 0, &rr));
	assert_int_equal(reply->bytes[reply->length - 1], last);
}

static void assert_denied(const struct world_reply *reply, uint16_t rcode)
{
	assert_non_null(reply);
	assert_int_equal(world_rcode(reply), rcode);
	assert_int_equal(world_count(reply, 1), 0);
	assert_int_equal(world_count(reply, 2), 1);
}

static void test_host_is_answered_without_asking(void **state)
{
	(void)state;
	set_hosts("192.0.2.7 desk.example\n");
	assert_told(ask("DESK.example", TYPE_A), 7);
	assert_int_equal(last_source(), SOURCE_LOCAL);
	assert_denied(ask("desk.example", TYPE_AAAA), RCODE_NOERROR);
	assert_denied(ask("desk.example", TYPE_TXT), RCODE_NOERROR);
	assert_int_equal(world_count(ask("7.2.0.192.in-addr.arpa", TYPE_PTR), 1), 1);
	assert_int_equal(world_count(ask("desk.example", TYPE_ANY), 1), 1);
	assert_int_equal(world.ask_count, 0);
	assert_null(ask("below.desk.example", TYPE_A));
	assert_int_equal(world.ask_count, 1);
}

/* A new host goes before what is cached; without it, that is served again. */
static void test_host_goes_before_the_cache(void **state)
{
	(void)state;
	assert_null(ask("desk.example", TYPE_A));
	world_upstream_address(&world, 0, 300, 99);
	assert_told(ask("desk.example", TYPE_A), 99);
	set_hosts("192.0.2.7 desk.example\n");
	assert_told(ask("desk.example", TYPE_A), 7);
	assert_int_equal(last_source(), SOURCE_LOCAL);
	set_hosts(NULL);
	assert_told(ask("desk.example", TYPE_A), 99);
	assert_int_equal(last_source(), SOURCE_CACHE);
	assert_int_equal(world.ask_count, 1);
}

/* The name became a host's while its question was on its way: that holds for who waits, and for who
 * finds the answer in the cache. */
static void test_host_that_comes_while_a_question_is_pending(void **state)
{
	(void)state;
	assert_null(ask("desk.example", TYPE_A));
	set_hosts("192.0.2.7 desk.example\n");
	world_upstream_address(&world, 0, 300, 99);
	assert_int_equal(world.reply_count, 1);
	assert_told(&world.replies[0], 7);
	assert_told(ask("desk.example", TYPE_A), 7);
	set_hosts(NULL);
	assert_null(ask("other.example", TYPE_A));
	set_hosts("192.0.2.8 other.example\n");
	world_upstream_fail(&world, 1, TD_TIMEOUT);
	assert_told(&world.replies[world.reply_count - 1], 8);
	assert_told(ask("other.example", TYPE_A), 8);
}

static void test_host_in_a_zone_that_is_local_everywhere(void **state)
{
	(void)state;
	set_hosts("192.168.7.9 nas.home.arpa\n");
	assert_told(ask("nas.home.arpa", TYPE_A), 9);
	assert_denied(ask("other.home.arpa", TYPE_A), RCODE_NXDOMAIN);
	assert_int_equal(world_count(ask("9.7.168.192.in-addr.arpa", TYPE_PTR), 1), 1);
	assert_denied(ask("8.7.168.192.in-addr.arpa", TYPE_PTR), RCODE_NXDOMAIN);
	assert_int_equal(world.ask_count, 0);
}

static void test_rule_that_blocks_stands_above_a_host(void **state)
{
	(void)state;
	set_hosts("192.0.2.13 isatap.lan\n");
	assert_told(ask("isatap.lan", TYPE_A), 13);
	assert_int_equal(world.records[0].transaction.action, TRANSACTION_WATCH);
	assert_string_equal(world.records[0].rule, "isatap.lan.");
	world_set_mode(&world, MODE_BLOCK);
	assert_denied(ask("isatap.lan", TYPE_A), RCODE_NXDOMAIN);
	assert_int_equal(last_source(), SOURCE_POLICY);
}

/* As long or longer than the zone that is local everywhere, cached or not. */
static void test_section_stands_above_a_local_zone(void **state)
{
	static const char name[] = "9.7.168.192.in-addr.arpa";

	(void)state;
	add_section("192.in-addr.arpa", true);
	assert_denied(ask(name, TYPE_A), RCODE_NXDOMAIN);
	add_section("168.192.in-addr.arpa", true);
	assert_null(ask(name, TYPE_A));
	world_upstream_address(&world, 0, 300, 99);
	assert_told(ask(name, TYPE_A), 99);
	assert_int_equal(last_source(), SOURCE_CACHE);
	/* Judged anew, as after any change, it is the same. */
	world.policy.view.generation++;
	assert_told(ask(name, TYPE_A), 99);
	assert_int_equal(world.ask_count, 1);
}

static void test_names_that_are_never_forwarded(void **state)
{
	struct message_rr rr;

	(void)state;
	assert_null(ask("gone.lan", TYPE_A));
	world_upstream_address(&world, 0, 300, 99);
	add_section("lan", false);
	add_section("vpn.lan", true);
	set_hosts("192.0.2.7 a.floor.lan\n");
	const struct world_reply *reply = ask("gone.lan", TYPE_A);
	assert_denied(reply, RCODE_NXDOMAIN);
	assert_true(world_record_at(reply, 0, &rr));
	assert_int_equal(rr.type, TYPE_SOA);
	assert_denied(ask("x.y.lan", TYPE_AAAA), RCODE_NXDOMAIN);
	/* They have names below them. */
	assert_denied(ask("lan", TYPE_A), RCODE_NOERROR);
	assert_denied(ask("floor.lan", TYPE_A), RCODE_NOERROR);
	assert_told(ask("a.floor.lan", TYPE_A), 7);
	assert_int_equal(world.ask_count, 1);
	assert_null(ask("host.vpn.lan", TYPE_A));
	assert_int_equal(world.ask_count, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown_site)
	const struct CMUnitTest tests[] = {
		TEST(test_host_is_answered_without_asking),
		TEST(test_host_goes_before_the_cache),
		TEST(test_host_that_comes_while_a_question_is_pending),
		TEST(test_host_in_a_zone_that_is_local_everywhere),
		TEST(test_rule_that_blocks_stands_above_a_host),
		TEST(test_section_stands_above_a_local_zone),
		TEST(test_names_that_are_never_forwarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
