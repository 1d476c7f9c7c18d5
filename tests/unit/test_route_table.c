/* SPDX-License-Identifier: BSD-3-Clause */
/* resolver/upstream: which group of servers a name belongs to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/reverse.h"
#include "resolver/upstream/route_table.h"

static struct server_address server(const char *text)
{
	struct server_address address;
	const char *why;

	assert_int_equal(server_address_from_text(&address, text, &why), TD_OK);
	return address;
}

static struct route_table *table_of(const char *const *titles)
{
	struct server_address upstream = server("192.0.2.1");
	struct route_table *table = route_table_new(&upstream, 1);
	const char *other;

	assert_non_null(table);
	for (; *titles; titles++)
		assert_int_equal(route_table_add(table, *titles, &upstream, 1, &other), TD_OK);
	return table;
}

static size_t find(const struct route_table *table, const char *text, size_t *zone_length)
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	name_fold(name.wire, name.wire, name.length);
	return route_table_find(table, name.wire, name.length, zone_length);
}

/* "-" for the default group. */
static void assert_group(const struct route_table *table, const char *name, const char *title)
{
	size_t zone_length, group = find(table, name, &zone_length);

	assert_int_equal(zone_length == 0, group == 0);
	assert_string_equal(group ? route_table_group(table, group)->title : "-", title);
}

static void longest_zone_counts(void **state)
{
	const char *const titles[] = {"corp.example", "Lab.Corp.Example.", "lan", NULL};
	struct route_table *table = table_of(titles);
	size_t zone_length;

	(void)state;
	assert_group(table, "www.example", "-");
	assert_group(table, "example", "-");
	assert_group(table, ".", "-");
	assert_group(table, "corp.example", "corp.example");
	assert_group(table, "a.b.corp.example", "corp.example");
	assert_group(table, "xcorp.example", "-");
	assert_group(table, "corp.example.org", "-");
	assert_group(table, "LAB.corp.example", "Lab.Corp.Example.");
	assert_group(table, "x.lab.corp.example", "Lab.Corp.Example.");
	assert_group(table, "printer.lan", "lan");
	assert_int_equal(find(table, "x.lab.corp.example", &zone_length), 2);
	assert_int_equal(zone_length, 18);
	route_table_free(table);
}

static void networks_are_reverse_zones(void **state)
{
	const char *const titles[] = {"10.0.0.0/8", "10.1.0.0/16", "10.64.0.0/10", "172.16.0.0/12",
		"10.65.0.0/16", "2001:db8::/31", "192.0.2.8/29", NULL};
	struct route_table *table = table_of(titles);

	(void)state;
	assert_group(table, "1.0.2.10.in-addr.arpa", "10.0.0.0/8");
	assert_group(table, "1.0.1.10.in-addr.arpa", "10.1.0.0/16");
	assert_group(table, "1.0.64.10.in-addr.arpa", "10.64.0.0/10");
	assert_group(table, "1.0.65.10.in-addr.arpa", "10.65.0.0/16");
	assert_group(table, "1.0.128.10.in-addr.arpa", "10.0.0.0/8");
	assert_group(table, "1.0.31.172.in-addr.arpa", "172.16.0.0/12");
	assert_group(table, "1.0.32.172.in-addr.arpa", "-");
	assert_group(table, "15.2.0.192.in-addr.arpa", "192.0.2.8/29");
	assert_group(table, "16.2.0.192.in-addr.arpa", "-");
	assert_group(table, "1.9.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::/31");
	assert_group(table, "1.a.b.d.0.1.0.0.2.ip6.arpa", "-");
	route_table_free(table);
}

static void assert_refused(
	struct route_table *table, const char *title, enum td_error error, const char *rival)
{
	const char *other = NULL;

	assert_int_equal(route_table_add(table, title, NULL, 0, &other), error);
	if (rival)
		assert_string_equal(other, rival);
}

static void bad_titles_and_rivals(void **state)
{
	const char *const titles[] = {"corp.example", "10.0.0.0/8", "172.16.0.0/12", NULL};
	struct route_table *table = table_of(titles);

	(void)state;
	assert_refused(table, ".", TD_INVALID, NULL);
	assert_refused(table, "", TD_INVALID, NULL);
	assert_refused(table, "a..b", TD_INVALID, NULL);
	assert_refused(table, "10.0.0.1/8", TD_INVALID, NULL);
	assert_refused(table, "10.0.0.0/33", TD_INVALID, NULL);
	assert_refused(table, "CORP.example.", TD_REFUSED, "corp.example");
	assert_refused(table, "10.in-addr.arpa", TD_REFUSED, "10.0.0.0/8");
	assert_refused(table, "172.16.0.0/12", TD_REFUSED, "172.16.0.0/12");
	assert_int_equal(route_table_count(table), 4);
	/* One of the sixteen zones of the /12, named by itself. */
	assert_refused(table, "20.172.in-addr.arpa", TD_OK, NULL);
	assert_group(table, "1.20.172.in-addr.arpa", "20.172.in-addr.arpa");
	assert_group(table, "1.21.172.in-addr.arpa", "172.16.0.0/12");
	route_table_free(table);
}

/* The order of sections changes nothing. */
static void longer_network_wins_in_any_order(void **state)
{
	const char *const orders[2][3] = {
		{"10.0.0.0/9", "10.0.0.0/15", NULL}, {"10.0.0.0/15", "10.0.0.0/9", NULL}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct route_table *table = table_of(orders[i]);
		assert_group(table, "9.9.1.10.in-addr.arpa", "10.0.0.0/15");
		assert_group(table, "9.9.2.10.in-addr.arpa", "10.0.0.0/9");
		route_table_free(table);
	}
}

static void sections_are_bounded(void **state)
{
	const char *const none[] = {NULL};
	struct route_table *table = table_of(none);
	char title[32];

	(void)state;
	for (unsigned i = 0; i < ROUTE_SECTIONS_MAX; i++) {
		snprintf(title, sizeof(title), "z%u.example", i);
		assert_refused(table, title, TD_OK, NULL);
	}
	assert_refused(table, "more.example", TD_FULL, NULL);
	assert_group(table, "a.z255.example", "z255.example");
	route_table_free(table);
}

static void note_zone(void *context, const struct name *zone)
{
	char text[NAME_TEXT_MAX];

	name_to_text(zone->wire, text);
	strcat(strcat(context, text), " ");
}

static void assert_changed(const struct route_table *before, const struct route_table *after,
	const char *one, const char *two)
{
	char zones[1024] = "", expected[1024];

	route_table_compare(before, after, note_zone, zones);
	snprintf(expected, sizeof(expected), "%s%s", one, two);
	if (strcmp(zones, expected) != 0) { /* in no order */
		snprintf(expected, sizeof(expected), "%s%s", two, one);
		assert_string_equal(zones, expected);
	}
}

/* What was cached for those zones is from other servers. */
static void tables_are_compared(void **state)
{
	const char *const titles[] = {"a.example", "b.example", NULL};
	const char *const turned[] = {"b.example", "a.example.", NULL};
	const char *const fewer[] = {"a.example", NULL};
	const char *const below[] = {"a.example", "b.example", "x.a.example", NULL};
	struct server_address other = server("192.0.2.2");
	struct route_table *a = table_of(titles), *b = table_of(turned), *c = table_of(fewer);
	struct route_table *d = table_of(fewer), *e = route_table_new(&other, 1);
	struct route_table *f = table_of(below);
	const char *rival;

	(void)state;
	assert_changed(a, b, "", "");
	assert_changed(a, c, "b.example. ", "");
	assert_changed(c, a, "b.example. ", "");
	assert_changed(e, a, "a.example. ", "b.example. ");
	assert_changed(a, f, "x.a.example. ", "");
	assert_int_equal(route_table_add(d, "b.example", &other, 1, &rival), TD_OK);
	assert_changed(a, d, "b.example. ", "");
	route_table_free(a);
	route_table_free(b);
	route_table_free(c);
	route_table_free(d);
	route_table_free(e);
	route_table_free(f);
}

/* Against a list that is searched from front to back: random zones, random names around them. */
static void agrees_with_a_plain_list(void **state)
{
	static const char *const labels[] = {"a", "b", "c", "example", "10", "1"};
	enum { ZONES = 60, NAMES = 20000 };
	struct server_address upstream = server("192.0.2.1");
	struct route_table *table = route_table_new(&upstream, 1);
	struct name zones[ZONES];
	size_t count = 0;

	(void)state;
	srand(11);
	for (unsigned i = 0; i < ZONES + NAMES; i++) {
		char text[128] = "";
		unsigned depth = 1 + (unsigned)rand() % 5;
		struct name name;
		const char *other;

		for (unsigned k = 0; k < depth; k++)
			strcat(strcat(text, labels[rand() % 6]), ".");
		assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
		if (i < ZONES) {
			enum td_error error = route_table_add(table, text, &upstream, 1, &other);
			assert_true(error == TD_OK || error == TD_REFUSED);
			if (error == TD_OK)
				zones[count++] = name;
			continue;
		}
		size_t expected = 0, best = 0, zone_length;
		for (size_t k = 0; k < count; k++) {
			if (name_is_within(&name, &zones[k]) && zones[k].length > best) {
				best = zones[k].length;
				expected = k + 1;
			}
		}
		assert_int_equal(
			route_table_find(table, name.wire, name.length, &zone_length), expected);
		assert_int_equal(zone_length, best);
	}
	assert_true(count > 20);
	route_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_zone_counts),
		cmocka_unit_test(networks_are_reverse_zones),
		cmocka_unit_test(bad_titles_and_rivals),
		cmocka_unit_test(longer_network_wins_in_any_order),
		cmocka_unit_test(sections_are_bounded),
		cmocka_unit_test(tables_are_compared),
		cmocka_unit_test(agrees_with_a_plain_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
