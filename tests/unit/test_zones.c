/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The zones as shipped: they load without a complaint, say what they are meant to say, and nothing
 * about names that are none of their business. All are loaded together, in the order of the
 * daemon's defaults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/address.h"
#include "lib/dns/message.h"
#include "policy/policy.h"

static const struct {
	const char *name;
	enum policy_zone_kind kind;
	bool patterns;
} zones[] = {
	{"special-use", ZONE_LOCAL, false},
	{"teredo", ZONE_TUNNEL, true},
	{"6to4", ZONE_TUNNEL, false},
	{"isatap", ZONE_TUNNEL, true},
	{"tunnel-brokers", ZONE_TUNNEL, true},
	{"bypass", ZONE_LIST, false},
};

/* --- loading --- */

static void complain(
	void *context, const char *source, unsigned line, bool skipped, const char *words)
{
	(void)context;
	fail_msg("%s:%u: %s (%s)", source, line, words, skipped ? "skipped" : "used");
}

static char *zone_read(const char *name, const char *extension, size_t *size)
{
	const char *source = getenv("TEREDOWN_SOURCE");
	char path[4096];

	snprintf(path, sizeof(path), "%s/zones/%s.%s", source ? source : ".", name, extension);
	FILE *file = fopen(path, "rb");
	if (!file)
		fail_msg("%s cannot be opened", path);
	char *text = malloc(1 << 20);
	assert_non_null(text);
	*size = fread(text, 1, 1 << 20, file);
	assert_true(feof(file));
	fclose(file);
	return text;
}

static void zone_load(struct policy_builder *builder, const char *name, bool patterns)
{
	struct policy_load load;
	size_t size;
	char *text = zone_read(name, "rpz", &size);

	assert_int_equal(
		policy_builder_rpz(builder, name, text, size, complain, NULL, &load), TD_OK);
	assert_int_equal(load.skipped, 0);
	assert_true(load.used > 0);
	free(text);
	if (!patterns)
		return;
	text = zone_read(name, "patterns", &size);
	assert_int_equal(
		policy_builder_patterns(builder, name, text, size, complain, NULL, &load), TD_OK);
	assert_int_equal(load.skipped, 0);
	assert_true(load.used > 0);
	free(text);
}

static int setup(void **state)
{
	struct policy_builder *builder = policy_builder_new();

	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		assert_int_equal(policy_builder_zone(builder, zones[i].name, zones[i].kind), TD_OK);
		zone_load(builder, zones[i].name, zones[i].patterns);
	}
	*state = policy_builder_finish(&builder);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	policy_index_free(*state);
	return 0;
}

/* --- expectations --- */

static size_t match(const struct policy_index *index, const char *text,
	struct policy_match out[POLICY_MATCHES_MAX])
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	name_fold(name.wire, name.wire, name.length);
	return policy_match_name(index, name.wire, name.length, out);
}

/* Exactly this zone and this rule, with this action. */
static void expect(const struct policy_index *index, const char *name, const char *zone,
	const char *rule, enum policy_action action)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	char text[NAME_TEXT_MAX];
	size_t count = match(index, name, matches);

	if (count != 1)
		fail_msg("%s: %zu rules match", name, count);
	policy_rule_text(index, &matches[0], text);
	if (strcmp(policy_zone_name(index, matches[0].zone), zone) != 0 ||
		strcmp(text, rule) != 0 || matches[0].action != action)
		fail_msg("%s: %s by %s of %s", name,
			policy_action_name((enum policy_action)matches[0].action), text,
			policy_zone_name(index, matches[0].zone));
}

struct expectation {
	const char *name, *zone, *rule; /* rule NULL: the name itself */
};

#define SIXTEEN_STARS ".*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*"

static void test_tunnel_names(void **state)
{
	static const struct expectation names[] = {
		{"teredo.ipv6.microsoft.com.", "teredo", NULL},
		{"TEREDO.IPv6.Microsoft.Com.", "teredo", "teredo.ipv6.microsoft.com."},
		{"win8.ipv6.microsoft.com.", "teredo", NULL},
		{"win10.ipv6.microsoft.com.", "teredo", NULL},
		{"win1710.ipv6.microsoft.com.", "teredo", NULL},
		{"win1711.ipv6.microsoft.com.", "teredo", NULL},
		{"win1807.ipv6.microsoft.com.", "teredo", NULL},
		{"win1901.ipv6.microsoft.com.", "teredo", NULL},
		{"win1910.ipv6.microsoft.com.", "teredo", NULL},
		{"win2204.ipv6.microsoft.com.", "teredo", "win*.ipv6.microsoft.com."},
		{"win.ipv6.microsoft.com.", "teredo", "win*.ipv6.microsoft.com."},
		{"xbox.ipv6.microsoft.com.", "teredo", NULL},
		{"teredo.ipv6.microsoft.com.nsatc.net.", "teredo",
			"*.ipv6.microsoft.com.nsatc.net."},
		{"a.b.ipv6.microsoft.com.nsatc.net.", "teredo", "*.ipv6.microsoft.com.nsatc.net."},
		{"teredo.remlab.net.", "teredo", NULL},
		{"teredo2.remlab.net.", "teredo", NULL},
		{"teredo-debian.remlab.net.", "teredo", NULL},
		{"teredo.trex.fi.", "teredo", NULL},
		{"teredo.iks-jena.de.", "teredo", NULL},
		{"teredo2.iks-jena.de.", "teredo", NULL},
		{"teredo.ginzado.ne.jp.", "teredo", NULL},
		{"teredo.ngix.ne.kr.", "teredo", NULL},
		{"teredo.managemydedi.com.", "teredo", NULL},
		{"teredo.autotrans.consulintel.com.", "teredo", NULL},
		{"debian-miredo.progsoc.org.", "teredo", NULL},
		{"6to4.ipv6.microsoft.com.", "6to4", NULL},
		{"_isatap.", "isatap", NULL},
		{"isatap.corp.example.", "isatap", "isatap.*"},
		{"isatap.home.", "isatap", "isatap.*"},
		{"isatap.tsinghua.edu.cn.", "isatap", NULL},
		{"isatap.sjtu.edu.cn.", "isatap", NULL},
		{"isatap.hust.edu.cn.", "isatap", NULL},
		{"isatap.sysu.edu.cn.", "isatap", NULL},
		{"isatap.shu.edu.cn.", "isatap", NULL},
		{"isatap.scu.edu.cn.", "isatap", NULL},
		{"tic.sixxs.net.", "tunnel-brokers", NULL},
		{"_aiccu.sixxs.net.", "tunnel-brokers", NULL},
		{"anonymous.freenet6.net.", "tunnel-brokers", NULL},
		{"authenticated.freenet6.net.", "tunnel-brokers", NULL},
		{"broker.freenet6.net.", "tunnel-brokers", NULL},
		{"montreal.freenet6.net.", "tunnel-brokers", NULL},
		{"amsterdam.freenet6.net.", "tunnel-brokers", NULL},
		{"taiwan.freenet6.net.", "tunnel-brokers", NULL},
		{"broker.aarnet.net.au.", "tunnel-brokers", NULL},
		{"tb.ipv6.apol.com.tw.", "tunnel-brokers", NULL},
		{"hg.tfn.net.tw.", "tunnel-brokers", NULL},
		{"tunnelbroker.net.", "tunnel-brokers", NULL},
		{"ipv4.tunnelbroker.net.", "tunnel-brokers", NULL},
		{"tserv1.fmt2.he.net.", "tunnel-brokers", "tserv*.*.he.net."},
		{"tserv15.he.net.", "tunnel-brokers", "tserv*.he.net."},
		{"tb.netassist.ua.", "tunnel-brokers", NULL},
		{"b.f.c.f.d.f.e.f.5.7.d.3.a.2.8.2.8.0.7.0.6.0.5.0.0.0.0.0.1.0.0.2.ip6.arpa.",
			"teredo", "*.0.0.0.0.1.0.0.2.ip6.arpa."},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.0.2.0.0.0.0.c.2.0.0.2.ip6.arpa.",
			"6to4", "*.2.0.0.2.ip6.arpa."},
		{"1.99.88.192.in-addr.arpa.", "6to4", "*.99.88.192.in-addr.arpa."},
		{"4.0.2.0.0.0.0.c.e.f.e.5.0.0.0.0.2.0.0.0.1.0.0.0.9.b.d.0.1.0.0.2.ip6.arpa.",
			"isatap", "*.e.f.e.5.0.0.0.0" SIXTEEN_STARS ".ip6.arpa."},
		{"4.0.2.0.0.0.0.c.e.f.e.5.0.0.2.0.2.0.0.0.1.0.0.0.9.b.d.0.1.0.0.2.ip6.arpa.",
			"isatap", "*.e.f.e.5.0.0.2.0" SIXTEEN_STARS ".ip6.arpa."},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect(*state, names[i].name, names[i].zone,
			names[i].rule ? names[i].rule : names[i].name, ACTION_NXDOMAIN);
}

/* Of each class its own addresses, to the last one and no further; the rule says which. */
static void test_tunnel_addresses(void **state)
{
	static const struct {
		const char *address, *zone, *rule;
	} cases[] = {
		{"2001:0:4137:9e76:2c3d:63bf:3fff:fdd2", "teredo", "32.zz.2001.rpz-ip."},
		{"2001::", "teredo", "32.zz.2001.rpz-ip."},
		{"2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "teredo", "32.zz.2001.rpz-ip."},
		{"2001:1::", NULL, NULL},
		{"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
		{"2002::", "6to4", "16.zz.2002.rpz-ip."},
		{"2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6to4", "16.zz.2002.rpz-ip."},
		{"2003::", NULL, NULL},
		{"192.88.99.0", "6to4", "24.0.99.88.192.rpz-ip."},
		{"192.88.99.255", "6to4", "24.0.99.88.192.rpz-ip."},
		{"192.88.98.255", NULL, NULL},
		{"192.88.100.0", NULL, NULL},
		{"fe80::5efe:c000:204", "isatap", "@::5efe:0:0/::fdff:ffff:0:0"},
		{"2001:db8:1:2:200:5efe:c000:204", "isatap", "@::5efe:0:0/::fdff:ffff:0:0"},
		{"2001:db8:1:2:100:5efe:c000:204", NULL, NULL},
		{"2001:db8:1:2:0:5eff:c000:204", NULL, NULL},
		{"2001:db8:1:2:5e:fe00:c000:204", NULL, NULL},
		{"2001:db8:1:2:0:0:5efe:204", NULL, NULL},
		{"94.254.0.0", NULL, NULL},
	};
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct address address;
	char text[NAME_TEXT_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(address_from_text(&address, cases[i].address));
		size_t count = policy_match_addresses(
			*state, TRIGGER_ADDRESS, &address, 1, matches);
		if (count != (cases[i].zone ? 1 : 0))
			fail_msg("%s: %zu rules match", cases[i].address, count);
		if (!count)
			continue;
		assert_string_equal(policy_zone_name(*state, matches[0].zone), cases[i].zone);
		policy_rule_text(*state, &matches[0], text);
		assert_string_equal(text, cases[i].rule);
		assert_int_equal(matches[0].action, ACTION_NXDOMAIN);
	}
}

/* An address of two classes is of both: each zone has a mode of its own. */
static void test_address_of_two_classes(void **state)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct address address;

	assert_true(address_from_text(&address, "2002:c000:204:1:0:5efe:c000:204"));
	assert_int_equal(
		policy_match_addresses(*state, TRIGGER_ADDRESS, &address, 1, matches), 2);
	assert_string_equal(policy_zone_name(*state, matches[0].zone), "6to4");
	assert_string_equal(policy_zone_name(*state, matches[1].zone), "isatap");
	assert_int_equal(policy_match_addresses(*state, TRIGGER_CLIENT, &address, 1, matches), 0);
}

static void test_bypass_names(void **state)
{
	static const struct expectation names[] = {
		{"use-application-dns.net.", "bypass", NULL},
		{"mask.icloud.com.", "bypass", NULL},
		{"mask-h2.icloud.com.", "bypass", NULL},
		{"mozilla.cloudflare-dns.com.", "bypass", NULL},
		{"chrome.cloudflare-dns.com.", "bypass", NULL},
		{"dns.google.", "bypass", NULL},
		{"dns.quad9.net.", "bypass", NULL},
		{"chromium.dns.nextdns.io.", "bypass", "*.dns.nextdns.io."},
		{"abc123.cloudflare-gateway.com.", "bypass", "*.cloudflare-gateway.com."},
		{"doh.opendns.com.", "bypass", NULL},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect(*state, names[i].name, names[i].zone,
			names[i].rule ? names[i].rule : names[i].name, ACTION_NXDOMAIN);
}

static void test_nothing_else(void **state)
{
	static const char *const names[] = {
		".",
		"com.",
		"net.",
		"arpa.",
		"microsoft.com.",
		"www.microsoft.com.",
		"ipv6.microsoft.com.",
		"x.ipv6.microsoft.com.",
		"win10.microsoft.com.",
		"xbox.com.",
		"nsatc.net.",
		"ipv6.microsoft.com.nsatc.net.",
		"teredo.microsoft.com.",
		"remlab.net.",
		"www.remlab.net.",
		"miredo.remlab.net.",
		"example.com.",
		"www.isatap.example.",
		"isatapx.example.",
		"myisatap.example.",
		"he.net.",
		"www.he.net.",
		"dns.he.net.",
		"tserv1.a.b.he.net.",
		"www.tunnelbroker.net.",
		"sixxs.net.",
		"www.sixxs.net.",
		"in-addr.arpa.",
		"ip6.arpa.",
		"172.in-addr.arpa.",
		"15.172.in-addr.arpa.",
		"1.32.172.in-addr.arpa.",
		"192.in-addr.arpa.",
		"1.0.192.in-addr.arpa.",
		"63.100.in-addr.arpa.",
		"1.128.100.in-addr.arpa.",
		"8.8.8.8.in-addr.arpa.",
		"254.255.255.255.in-addr.arpa.",
		"c.f.ip6.arpa.",
		"0.e.f.ip6.arpa.",
		"c.e.f.ip6.arpa.",
		"7.b.d.0.1.0.0.2.ip6.arpa.",
		/* 2001::/32 and no more: 2001:1::1, 2001:0:: as a network, 2003::1 */
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.1.0.0.2.ip6.arpa.",
		"0.0.0.0.1.0.0.2.ip6.arpa.",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.2.ip6.arpa.",
		/* 192.88.98.1, and other interface identifiers that have 5efe in them */
		"1.98.88.192.in-addr.arpa.",
		"4.0.2.0.0.0.0.c.e.f.e.5.1.0.0.0.2.0.0.0.1.0.0.0.9.b.d.0.1.0.0.2.ip6.arpa.",
		"4.0.2.0.e.f.e.5.0.0.0.0.0.0.0.c.2.0.0.0.1.0.0.0.9.b.d.0.1.0.0.2.ip6.arpa.",
		"4.0.2.0.0.0.0.c.0.0.0.0.0.0.0.0.e.f.e.5.0.0.0.0.9.b.d.0.1.0.0.2.ip6.arpa.",
		"0.0.ip6.arpa.",
		"ipv4only.arpa.",
		"test.",
		"www.test.",
		"local.",
		"printer.local.",
		"internal.",
		"wpad.example.com.",
		"onion.example.",
		"icloud.com.",
		"www.icloud.com.",
		"mask.example.",
		"google.",
		"cloudflare-gateway.com.",
		"nextdns.io.",
		"quad9.net.",
		"opendns.com.",
	};
	struct policy_match matches[POLICY_MATCHES_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (match(*state, names[i], matches))
			fail_msg("%s matches %s", names[i],
				policy_zone_name(*state, matches[0].zone));
}

/* --- special-use names --- */

static void expect_address(const struct policy_index *index, const char *name, const char *rule,
	uint16_t type, const char *address)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct policy_record record;
	struct address got;
	char text[ADDRESS_TEXT_MAX];
	size_t position = 0;

	expect(index, name, "special-use", rule, ACTION_LOCAL_DATA);
	match(index, name, matches);
	assert_true(policy_rule_record(index, &matches[0], type, &position, &record));
	assert_int_equal(record.rdata_length, type == TYPE_A ? 4 : 16);
	got = type == TYPE_A ? address_v4(record.rdata) : address_v6(record.rdata);
	assert_string_equal(address_to_text(&got, text), address);
	assert_int_equal(record.ttl_s, 300);
	assert_false(policy_rule_record(index, &matches[0], type, &position, &record));
	position = 0;
	assert_false(policy_rule_record(index, &matches[0], TYPE_MX, &position, &record));
}

static void test_localhost(void **state)
{
	expect_address(*state, "localhost.", "localhost.", TYPE_A, "127.0.0.1");
	expect_address(*state, "localhost.", "localhost.", TYPE_AAAA, "::1");
	expect_address(*state, "LocalHost.", "localhost.", TYPE_A, "127.0.0.1");
	expect_address(*state, "a.b.localhost.", "*.localhost.", TYPE_A, "127.0.0.1");
	expect_address(*state, "a.b.localhost.", "*.localhost.", TYPE_AAAA, "::1");
}

static void expect_pointer(const struct policy_index *index, const char *name)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct policy_record record;
	size_t position = 0;

	expect(index, name, "special-use", name, ACTION_LOCAL_DATA);
	match(index, name, matches);
	assert_true(policy_rule_record(index, &matches[0], TYPE_PTR, &position, &record));
	assert_int_equal(record.rdata_length, 11);
	assert_memory_equal(record.rdata, "\011localhost", 11);
}

static void test_loopback_names(void **state)
{
	expect_pointer(*state, "1.0.0.127.in-addr.arpa.");
	expect_pointer(*state,
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.");
	expect(*state, "2.0.0.127.in-addr.arpa.", "special-use", "*.127.in-addr.arpa.",
		ACTION_NXDOMAIN);
}

static void test_names_that_do_not_exist(void **state)
{
	static const char *const names[] = {"invalid.", "onion.", "alt.", "wpad."};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect(*state, names[i], "special-use", names[i], ACTION_NXDOMAIN);
	expect(*state, "a.b.invalid.", "special-use", "*.invalid.", ACTION_NXDOMAIN);
	expect(*state, "x.onion.", "special-use", "*.onion.", ACTION_NXDOMAIN);
	expect(*state, "x.alt.", "special-use", "*.alt.", ACTION_NXDOMAIN);
	expect(*state, "_dns.resolver.arpa.", "special-use", "*.resolver.arpa.", ACTION_NODATA);
}

/* The bare name does not exist, and who asks for it is seen by the zone isatap. */
static void test_bare_isatap(void **state)
{
	struct policy_view view = {.index = *state};
	struct policy_match matches[POLICY_MATCHES_MAX];

	memset(view.mode, MODE_WATCH, sizeof(view.mode));
	size_t count = match(*state, "isatap.", matches);
	struct policy_verdict verdict = policy_decide(&view, NULL, matches, count);
	assert_int_equal(verdict.action, ACTION_NXDOMAIN);
	assert_string_equal(policy_zone_name(*state, verdict.enforced->zone), "special-use");
	assert_non_null(verdict.hit);
	assert_string_equal(policy_zone_name(*state, verdict.hit->zone), "isatap");
}

/* RFC 6303: the zone's name exists, nothing below it does, and the denial belongs to the zone. */
static void expect_empty_zone(const struct policy_index *index, const char *zone)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct name question, apex, expected;
	char below[NAME_TEXT_MAX], wildcard[NAME_TEXT_MAX];

	snprintf(below, sizeof(below), "7.x.%s", zone);
	snprintf(wildcard, sizeof(wildcard), "*.%s", zone);
	expect(index, zone, "special-use", zone, ACTION_NODATA);
	expect(index, below, "special-use", wildcard, ACTION_NXDOMAIN);
	match(index, below, matches);
	assert_int_equal(name_from_text(&question, below, strlen(below)), TD_OK);
	assert_int_equal(name_from_text(&expected, zone, strlen(zone)), TD_OK);
	policy_rule_apex(index, &matches[0], question.wire, question.length, &apex);
	assert_true(name_equal(&apex, &expected));
}

static void test_empty_zones(void **state)
{
	static const char *const empty[] = {
		"home.arpa.",
		"10.in-addr.arpa.",
		"168.192.in-addr.arpa.",
		"0.in-addr.arpa.",
		"127.in-addr.arpa.",
		"254.169.in-addr.arpa.",
		"2.0.192.in-addr.arpa.",
		"100.51.198.in-addr.arpa.",
		"113.0.203.in-addr.arpa.",
		"255.255.255.255.in-addr.arpa.",
		"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
		"d.f.ip6.arpa.",
		"8.e.f.ip6.arpa.",
		"9.e.f.ip6.arpa.",
		"a.e.f.ip6.arpa.",
		"b.e.f.ip6.arpa.",
		"8.b.d.0.1.0.0.2.ip6.arpa.",
	};
	char zone[64];

	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		expect_empty_zone(*state, empty[i]);
	for (unsigned i = 16; i < 32; i++) {
		snprintf(zone, sizeof(zone), "%u.172.in-addr.arpa.", i);
		expect_empty_zone(*state, zone);
	}
	for (unsigned i = 64; i < 128; i++) {
		snprintf(zone, sizeof(zone), "%u.100.in-addr.arpa.", i);
		expect_empty_zone(*state, zone);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel_names),
		cmocka_unit_test(test_tunnel_addresses),
		cmocka_unit_test(test_address_of_two_classes),
		cmocka_unit_test(test_bypass_names),
		cmocka_unit_test(test_nothing_else),
		cmocka_unit_test(test_localhost),
		cmocka_unit_test(test_loopback_names),
		cmocka_unit_test(test_names_that_do_not_exist),
		cmocka_unit_test(test_bare_isatap),
		cmocka_unit_test(test_empty_zones),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
