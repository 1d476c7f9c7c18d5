/* SPDX-License-Identifier: BSD-3-Clause */
/* resolver: names out of hosts files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/message.h"
#include "lib/dns/name.h"
#include "resolver/hosts.h"

static char complaints[4096];

static void complain(
	void *context, const char *source, unsigned line, bool skipped, const char *words)
{
	size_t used = strlen(complaints);

	assert_null(context);
	assert_true(skipped);
	snprintf(complaints + used, sizeof(complaints) - used, "%s:%u: %s\n", source, line, words);
}

static struct hosts *hosts_of(const char *text)
{
	struct hosts_builder *builder = hosts_builder_new(60);

	complaints[0] = '\0';
	assert_non_null(builder);
	assert_int_equal(
		hosts_builder_add(builder, "hosts", text, strlen(text), complain, NULL), TD_OK);
	struct hosts *hosts = hosts_builder_finish(&builder);
	assert_non_null(hosts);
	assert_null(builder);
	return hosts;
}

/* The records of a name and type in words, "-" for a name that is no host's. */
static void assert_records(
	const struct hosts *hosts, const char *name, uint16_t type, const char *expected)
{
	char found[2048] = "", text[NAME_TEXT_MAX];
	struct policy_record record;
	struct policy_match match;
	struct name wire;
	size_t position = 0;

	assert_int_equal(name_from_text(&wire, name, strlen(name)), TD_OK);
	if (!hosts_find(hosts, wire.wire, wire.length, &match)) {
		assert_string_equal("-", expected);
		return;
	}
	assert_int_equal(match.action, ACTION_LOCAL_DATA);
	while (policy_rule_record(hosts->index, &match, type, &position, &record)) {
		struct address address = {0};
		size_t used = strlen(found);

		assert_int_equal(record.ttl_s, 60);
		if (record.type == TYPE_PTR) {
			name_to_text(record.rdata, text);
		} else {
			address = record.type == TYPE_A ? address_v4(record.rdata)
							: address_v6(record.rdata);
			address_to_text(&address, text);
		}
		snprintf(found + used, sizeof(found) - used, "%s%s", used ? " " : "", text);
	}
	assert_string_equal(found, expected);
}

static void names_have_addresses(void **state)
{
	struct hosts *hosts = hosts_of("192.0.2.7\tDesk.Example desk  # the desk\r\n"
				       "\n"
				       "# 192.0.2.8 old\n"
				       "2001:db8::7 desk.example.\n"
				       "192.0.2.17 desk\n"
				       "192.0.2.7 other\n"
				       "192.0.2.7 desk.example\n"
				       "192.0.2.9 last");

	(void)state;
	assert_string_equal(complaints, "");
	assert_records(hosts, "desk.example", TYPE_A, "192.0.2.7");
	assert_records(hosts, "desk.example", TYPE_AAAA, "2001:db8::7");
	assert_records(hosts, "desk.example", 15, ""); /* MX */
	assert_records(hosts, "desk", TYPE_A, "192.0.2.7 192.0.2.17");
	assert_records(hosts, "other", TYPE_A, "192.0.2.7");
	assert_records(hosts, "last", TYPE_A, "192.0.2.9");
	assert_records(hosts, "old", TYPE_A, "-");
	assert_records(hosts, "below.desk.example", TYPE_A, "-");
	assert_records(hosts, "example", TYPE_A, "-");
	assert_int_equal(hosts->names, 6);
	hosts_free(hosts);
}

static void addresses_have_names(void **state)
{
	struct hosts *hosts = hosts_of("192.0.2.7 Desk.Example desk\n"
				       "192.0.2.7 other\n"
				       "2001:db8::7 desk.example\n"
				       "0.0.0.0 blocked.example\n");

	(void)state;
	assert_records(hosts, "7.2.0.192.in-addr.arpa", TYPE_PTR, "Desk.Example.");
	assert_records(hosts,
		"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
		TYPE_PTR, "desk.example.");
	assert_records(hosts, "blocked.example", TYPE_A, "0.0.0.0");
	assert_records(hosts, "0.0.0.0.in-addr.arpa", TYPE_PTR, "-");
	hosts_free(hosts);
}

/* What Debian writes into /etc/hosts is for the host alone. */
static void machine_keeps_its_own(void **state)
{
	struct hosts *hosts = hosts_of("127.0.0.1 localhost\n"
				       "127.0.1.1 gw.example gw\n"
				       "::1 localhost ip6-localhost ip6-loopback\n"
				       "ff02::1 ip6-allnodes\n"
				       "fe80::1 router\n"
				       "169.254.1.1 auto\n"
				       "192.0.2.1 localhost\n"
				       "192.0.2.1 gw\n");

	(void)state;
	assert_string_equal(complaints, "");
	assert_records(hosts, "gw.example", TYPE_A, "-");
	assert_records(hosts, "1.1.0.127.in-addr.arpa", TYPE_PTR, "-");
	assert_records(hosts, "localhost", TYPE_A, "-");
	assert_records(hosts, "ip6-allnodes", TYPE_AAAA, "-");
	assert_records(hosts, "router", TYPE_AAAA, "-");
	assert_records(hosts, "auto", TYPE_A, "-");
	assert_records(hosts, "gw", TYPE_A, "192.0.2.1");
	assert_int_equal(hosts->left_out, 10);
	hosts_free(hosts);
}

static void bad_lines_are_reported(void **state)
{
	struct hosts *hosts = hosts_of("192.0.2.300 nobody\n"
				       "192.0.2.1\n"
				       "192.0.2.2 a..b good\n"
				       "desk 192.0.2.3\n"
				       "fe80::1%lo0 scoped\n"
				       ".\n");

	(void)state;
	assert_string_equal(complaints,
		"hosts:1: this is not an address, expected ADDRESS NAME …\n"
		"hosts:2: there is no name behind the address\n"
		"hosts:3: this is not a domain name\n"
		"hosts:4: this is not an address, expected ADDRESS NAME …\n"
		"hosts:5: this is not an address, expected ADDRESS NAME …\n"
		"hosts:6: this is not an address, expected ADDRESS NAME …\n");
	assert_records(hosts, "good", TYPE_A, "192.0.2.2");
	assert_int_equal(hosts->skipped, 6);
	hosts_free(hosts);
}

/* One name cannot take all the memory, nor can one line. */
static void lines_and_names_are_bounded(void **state)
{
	char *text = malloc(200000), *at = text;

	(void)state;
	for (unsigned i = 0; i < 110; i++)
		at += sprintf(at, "192.0.2.%u many\n", i);
	at += sprintf(at, "192.0.2.200 ");
	memset(at, 'x', 5000);
	at += 5000;
	strcpy(at, "\n192.0.2.201 behind\n");
	struct hosts *hosts = hosts_of(text);
	assert_int_equal(hosts->skipped, 11);
	assert_non_null(strstr(complaints, "hosts:101: this name has 100 addresses already\n"));
	assert_non_null(strstr(complaints, "hosts:111: this line is longer than 4096 bytes\n"));
	assert_records(hosts, "behind", TYPE_A, "192.0.2.201");
	hosts_free(hosts);
	free(text);
}

/* A hundred thousand lines, as a site's inventory has them: each is found, and only they. */
static void many_lines(void **state)
{
	enum { LINES = 100000 };
	char *text = malloc((size_t)LINES * 48), *at = text, name[64], address[32];

	(void)state;
	for (unsigned i = 0; i < LINES; i++)
		at += sprintf(at, "10.%u.%u.%u h%u.site.example h%u\n", i >> 16, i >> 8 & 255,
			i & 255, i, i);
	struct hosts *hosts = hosts_of(text);
	assert_int_equal(hosts->names, 2 * LINES);
	for (unsigned i = 0; i < LINES; i += 997) {
		snprintf(name, sizeof(name), "h%u.site.example", i);
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		assert_records(hosts, name, TYPE_A, address);
	}
	assert_records(hosts, "h100000.site.example", TYPE_A, "-");
	hosts_free(hosts);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_have_addresses),
		cmocka_unit_test(addresses_have_names),
		cmocka_unit_test(machine_keeps_its_own),
		cmocka_unit_test(bad_lines_are_reported),
		cmocka_unit_test(lines_and_names_are_bounded),
		cmocka_unit_test(many_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
