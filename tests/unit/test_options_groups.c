/* SPDX-License-Identifier: BSD-3-Clause */
/* Sections group and schedules: what they set, and every fault with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/options_file.h"

static const char two_groups[] =
	"resolv-conf = \"\"\n"
	"zone \"social\" { file = \"/s\" mode = ignore schedule = { \"mon-fri 08:00-16:00 block\" "
	"} }\n"
	"group \"gaming\" { clients = { \"192.168.1.40\", \"192.168.0.0/16\", "
	"\"mac:02:00:5E:10:00:01\" }\n"
	"  zone \"teredo\" { mode = watch } zone \"6to4\" { mode = ignore } }\n"
	"group \"kids\" { clients = { \"2001:db8::/64\", \"id-kitchen\" }\n"
	"  zone \"social\" { schedule = { \"sun-thu 20:00-07:00 block\", \"12:00-13:00 watch\" } "
	"}\n"
	"  zone \"teredo\" { mode = ignore schedule = { \"sat 00:00-24:00 block\" } } }\n"
	"group \"later\" { clients = { } }\n";

static void test_groups(void **state)
{
	struct options *o = load_good(two_groups);

	(void)state;
	assert_int_equal(o->group_count, 3);
	const struct group_options *gaming = &o->groups[0], *kids = &o->groups[1];
	assert_string_equal(gaming->name, "gaming");
	assert_int_equal(gaming->client_count, 3);
	assert_int_equal(gaming->clients[0].network.length, 32);
	assert_int_equal(gaming->clients[1].network.length, 16);
	assert_int_equal(gaming->clients[2].client.family, ADDRESS_MAC);
	assert_int_equal(gaming->zone_count, 2);
	assert_string_equal(gaming->zones[1].zone, "6to4");
	assert_true(gaming->zones[1].has_mode && gaming->zones[1].mode == MODE_IGNORE);
	assert_int_equal(kids->clients[1].client.family, ADDRESS_LABEL);
	assert_false(kids->zones[0].has_mode);
	assert_int_equal(kids->zones[0].schedule.count, 2);
	assert_int_equal(kids->zones[0].schedule.rules[0].from, 1200);
	assert_int_equal(kids->zones[1].schedule.rules[0].mode, MODE_BLOCK);
	assert_int_equal(o->groups[2].client_count, 0);
	assert_int_equal(o->zones[o->zone_count - 1].schedule.count, 1);
	assert_round_trip(o);
	char *text = printed(o);
	assert_non_null(strstr(text,
		"\ngroup \"gaming\" {\n\tclients = { \"192.168.1.40\", \"192.168.0.0/16\", "
		"\"02:00:5e:10:00:01\" }\n\tzone \"teredo\" {\n\t\tmode = watch\n\t}\n"));
	assert_non_null(strstr(text, "\tschedule = { \"mon-fri 08:00-16:00 block\" }\n}\n"));
	assert_non_null(strstr(text,
		"\tzone \"social\" {\n\t\tschedule = { \"mon-thu,sun 20:00-07:00 block\", "
		"\"daily 12:00-13:00 watch\" }\n"));
	free(text);
	options_free(o);
}

static void test_reload_takes_groups(void **state)
{
	struct options *before = load_good(NO_RESOLV_CONF), *after = load_good(two_groups);

	(void)state;
	assert_int_equal(before->group_count, 0);
	options_exchange_reloadable(before, after);
	assert_int_equal(before->group_count, 3);
	assert_int_equal(after->group_count, 0);
	options_free(before);
	options_free(after);
}

static const struct {
	const char *text, *said;
} faults[] = {
	{"\ngroup \"a\" {\n clients = { \"10.0.0.1/24\",\n \"02:00:5e:10:00\", \"x y\" } }",
		"t.conf:3: group \"a\": clients: \"10.0.0.1/24\" is no client, expected an "
		"address, a "
		"network such as 192.168.0.0/24 with no bit set behind its length, a MAC address "
		"such "
		"as 02:00:5e:10:00:01, or what a forwarder calls one, such as id-kitchen\n"
		"t.conf:4: group \"a\": clients: \"02:00:5e:10:00\" is no client, expected an "
		"address, "
		"a network such as 192.168.0.0/24 with no bit set behind its length, a MAC address "
		"such "
		"as 02:00:5e:10:00:01, or what a forwarder calls one, such as id-kitchen\n"
		"t.conf:4: group \"a\": clients: \"x y\" is no client, expected an address, a "
		"network "
		"such as 192.168.0.0/24 with no bit set behind its length, a MAC address such as "
		"02:00:5e:10:00:01, or what a forwarder calls one, such as id-kitchen\n"},
	{"\ngroup \"a\" { clients = { \"10.0.0.1\" } }\ngroup \"b\" { clients = { \"::1\", "
	 "\"10.0.0.1/32\" } }",
		"t.conf:3: group \"b\": clients: \"10.0.0.1/32\" is in group \"a\" already (line "
		"2), "
		"expected each client once\n"},
	{"\ngroup \"a\" { clients = { \"mac:02:00:5e:10:00:01\",\n\"02:00:5E:10:00:01\" } }",
		"t.conf:3: group \"a\": clients: \"02:00:5E:10:00:01\" is in group \"a\" already "
		"(line "
		"2), expected each client once\n"},
	{"\ngroup \"a\" { zone \"teredo\" { mode = watch } }",
		"t.conf:2: group \"a\": no client is named, expected clients = { \"ADDRESS\" }\n"},
	{"\ngroup \"Big\" { clients = { } }", "t.conf:2: group \"Big\": this is not a group's "
					      "name, expected 1 to 31 of a to z, 0 to "
					      "9 and -\n"},
	{"\ngroup \"a\" { clients = { }\n zone \"toredo\" { mode = watch } zone \"special-use\" { "
	 "mode = watch } }",
		"t.conf:3: group \"a\": zone \"toredo\": there is no such zone, expected one of "
		"teredo, "
		"6to4, isatap, tunnel-brokers, bypass\n"
		"t.conf:3: group \"a\": zone \"special-use\": this zone is local data and always "
		"in "
		"force, expected one of teredo, 6to4, isatap, tunnel-brokers, bypass\n"},
	{"\ngroup \"a\" { clients = { }\n zone \"teredo\" { mode = allow }\n zone \"6to4\" { } }",
		"t.conf:3: group \"a\": zone \"teredo\": mode: \"allow\" is not known, expected "
		"ignore, "
		"watch or block\n"
		"t.conf:4: group \"a\": zone \"6to4\": nothing is said of it, expected mode = "
		"watch, "
		"block or ignore\n"},
	{"\ngroup \"a\" { clients = { } }\ngroup \"a\" { clients = { \"10.0.0.1\" } zone \"x\" { } "
	 "}\ngroup \"b\" { clients = { } zone \"teredo\" { mode = block }\n zone \"teredo\" { mode "
	 "= "
	 "watch } }",
		"t.conf:3: group \"a\": given again, expected once (first on line 2)\n"
		"t.conf:5: group \"b\": zone \"teredo\": given again, expected once (first on line "
		"4)\n"},
	{"\ngroup \"a\" { clients = { \"10.0.0.1\" }\n clients = { \"10.0.0.2\" }\n zone "
	 "\"teredo\" { "
	 "mode = block\n mode = watch } }",
		"t.conf:3: group \"a\": clients: given again, expected once (first on line 2)\n"
		"t.conf:5: group \"a\": zone \"teredo\": mode: given again, expected once (first "
		"on "
		"line 4)\n"},
	{"\ngroup \"a\" {\n client = \"10.0.0.1\" clients = { } zone \"teredo\" {\n moode = watch "
	 "mode = block } }",
		"t.conf:3: client: unknown option, expected one of teredown.conf(5)\n"
		"t.conf:4: moode: unknown option, expected one of teredown.conf(5)\n"},
	{"\nzone \"teredo\" { schedule = { \"mon-fri 20:00-07:00\",\n \"tuesday 1:00-2:00 block\" "
	 "} "
	 "}\nzone \"special-use\" { schedule = { \"daily 00:00-24:00 watch\" } }",
		"t.conf:2: zone \"teredo\": schedule: \"mon-fri 20:00-07:00\" is not understood, "
		"expected a mode behind the times\n"
		"t.conf:3: zone \"teredo\": schedule: \"tuesday 1:00-2:00 block\" is not "
		"understood, "
		"expected times such as 20:00-07:00\n"
		"t.conf:4: zone \"special-use\": schedule: this zone is local data and always in "
		"force, "
		"expected no schedule here\n"},
	{"\nzone \"teredo\" { schedule = { \"daily 00:00-24:00 watch\" }\n schedule = { } }",
		"t.conf:3: zone \"teredo\": schedule: given again, expected once (first on line "
		"2)\n"},
	{"\nclients = { \"10.0.0.1\" }",
		"t.conf:2: clients: unknown option, expected one of teredown.conf(5)\n"},
};

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		expect_fault(faults[i].text, faults[i].said);
}

static void test_bounds(void **state)
{
	static char text[200000];
	size_t used = 0;

	(void)state;
	for (int i = 0; i < 32; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "\ngroup \"g%d\" { clients = { } }", i);
	expect_fault(text,
		"t.conf:33: group \"g31\": this is one group too many, expected at most 31\n");
	used = (size_t)snprintf(text, sizeof(text), NO_RESOLV_CONF "\ngroup \"a\" { clients = {");
	for (int i = 0; i <= GROUP_CLIENTS_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\n\"10.0.%d.%d\"",
			i ? "," : "", i / 256, i % 256);
	snprintf(text + used, sizeof(text) - used, "} }");
	expect_faults(text,
		"t.conf:1027: group \"a\": clients: has too many entries, expected at most 1024\n");
	used = (size_t)snprintf(text, sizeof(text), "\nzone \"teredo\" { schedule = {");
	for (int i = 0; i < 17; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"%s \"%02d:00-%02d:30 block\"", i ? "," : "", i, i);
	snprintf(text + used, sizeof(text) - used, "} }");
	expect_fault(text,
		"t.conf:2: zone \"teredo\": schedule: has too many entries, expected at most 16\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_reload_takes_groups),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
