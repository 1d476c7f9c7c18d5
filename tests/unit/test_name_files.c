/* SPDX-License-Identifier: BSD-3-Clause */
/* resolver: names of hosts from hosts files and DHCP leases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "resolver/name_files.h"

#define NOW INT64_C(1795000000)

static void on_found(void *context, const struct address *address, const struct address *mac,
	const char *name, size_t length)
{
	char *out = context, text[ADDRESS_TEXT_MAX], mac_text[ADDRESS_TEXT_MAX];
	size_t used = strlen(out);
	snprintf(out + used, 4096 - used, "%s %s %.*s\n", address_to_text(address, text),
		address_to_text(mac, mac_text), (int)length, name);
}

static void assert_found(enum name_format format, const char *text, const char *expected)
{
	char found[4096] = "";
	name_file_read(format, text, strlen(text), NOW, on_found, found);
	assert_string_equal(found, expected);
}

static void hosts_file(void **state)
{
	(void)state;
	assert_found(NAMES_HOSTS,
		"127.0.0.1\tlocalhost\n"
		"192.0.2.7   desk.example. desk  # the desk\r\n"
		"# 192.0.2.8 old\n"
		"\n"
		"192.0.2.9\n"
		"192.0.2.300 nobody\n"
		"::1 ip6-localhost ip6-loopback\n"
		"192.0.2.10 torn",
		"127.0.0.1 - localhost\n192.0.2.7 - desk.example\n::1 - ip6-localhost\n");
}

static void dnsmasq_leases(void **state)
{
	(void)state;
	assert_found(NAMES_DNSMASQ,
		"1795000000 02:00:5e:10:00:01 192.0.2.7 desk 01:02:00:5e:10:00:01\n"
		"1794999999 02:00:5e:10:00:02 192.0.2.8 gone *\n"
		"0 02:00:5e:10:00:03 192.0.2.9 printer *\n"
		"1795000000 02:00:5e:10:00:04 192.0.2.10 * *\n"
		"duid 00:01:00:01:2b:00\n"
		"1795000000 T1234 2001:db8::7 desk 00:01:00:01\n"
		"nonsense\n",
		"192.0.2.7 02:00:5e:10:00:01 desk\n"
		"192.0.2.8 - \n"
		"192.0.2.9 02:00:5e:10:00:03 printer\n"
		"2001:db8::7 - desk\n");
}

static void isc_leases(void **state)
{
	(void)state;
	assert_found(NAMES_ISC,
		"authoring-byte-order little-endian;\n"
		"lease 192.0.2.7 {\n"
		"  starts 3 2026/11/18 10:00:00;\n"
		"  ends 3 2026/11/18 11:06:40;\n" /* the second it is now */
		"  binding state active;\n"
		"  next binding state free;\n"
		"  hardware ethernet 02:00:5e:10:00:01;\n"
		"  uid \"\\001\\002\";\n"
		"  client-hostname \"desk\";\n"
		"}\n"
		"lease 192.0.2.8 {\n  ends 3 2026/11/18 11:06:39;\n  binding state active;\n"
		"  client-hostname \"over\";\n}\n"
		"lease 192.0.2.9 {\n  ends never;\n  binding state free;\n  client-hostname "
		"\"free\";\n}\n"
		"server-duid \"\\000\\001\";\n"
		"ia-na \"\\001\\000\" {\n  cltt 3 2026/11/18 10:00:00;\n"
		"  iaaddr 2001:db8::7 {\n    binding state active;\n    ends epoch 1795000001;\n"
		"    set ddns-fwd-name = \"desk.example.net\";\n  }\n}\n"
		"lease 192.0.2.10 {\n  binding state active;\n  client-hostname \"torn\";\n",
		"192.0.2.7 02:00:5e:10:00:01 desk\n"
		"192.0.2.8 - \n"
		"192.0.2.9 - \n"
		"2001:db8::7 - desk.example.net\n");
}

static void kea_leases(void **state)
{
	(void)state;
	assert_found(NAMES_KEA,
		"address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,"
		"hostname,state,user_context,pool_id\n"
		"192.0.2.7,02:00:5e:10:00:01,,3600,1795000000,1,0,0,desk.example.,0,,0\n"
		"192.0.2.8,02:00:5e:10:00:02,,3600,1795000000,1,0,0,declined,1,,0\n"
		"192.0.2.9,02:00:5e:10:00:03,,0,1795000000,1,0,0,released,0,,0\n"
		"192.0.2.10,02:00:5e:10:00:04,,4294967295,5,1,0,0,ever,0,,0\n"
		"192.0.2.11,02:00:5e:10:00:05,,3600,1795000000,1,0,0,,0,,0\n"
		"192.0.2.12,02:00:5e:10:00:06,,3600,17950",
		"192.0.2.7 02:00:5e:10:00:01 desk.example\n"
		"192.0.2.8 - \n"
		"192.0.2.9 - \n"
		"192.0.2.10 02:00:5e:10:00:04 ever\n"
		"192.0.2.11 - \n");
	assert_found(NAMES_KEA,
		"address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,"
		"prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state,user_context,hwtype,"
		"hwaddr_source,pool_id\n"
		"2001:db8::7,00:01,3600,1795000000,1,2000,0,1,128,0,0,desk,02:00:5e:10:00:01,0,,1,"
		"2,0\n",
		"2001:db8::7 02:00:5e:10:00:01 desk\n");
	assert_found(NAMES_KEA, "192.0.2.7,a,b,c\n", ""); /* no header: no column is known */
}

static void names_that_cannot_be_shown(void **state)
{
	char text[600], expected[600];
	(void)state;
	assert_found(NAMES_HOSTS,
		"192.0.2.1 a\x1b[31m\n192.0.2.2 a\"b\n192.0.2.3 a\\b\n192.0.2.4 \xc3\xa4\n",
		"192.0.2.1 - \n192.0.2.2 - \n192.0.2.3 - \n192.0.2.4 - \n");
	snprintf(text, sizeof(text), "192.0.2.1 %0240d\n192.0.2.2 %0241d\n", 0, 0);
	snprintf(expected, sizeof(expected), "192.0.2.1 - %0240d\n192.0.2.2 - \n", 0);
	assert_found(NAMES_HOSTS, text, expected);
}

static void sources_are_read(void **state)
{
	static const char *const bad[] = {"hosts:etc/hosts", "/etc/hosts", "ptr:", "", "leases:/x"};
	enum name_format format;
	const char *path;
	(void)state;
	assert_true(name_source_read("hosts:/etc/hosts", &format, &path));
	assert_int_equal(format, NAMES_HOSTS);
	assert_string_equal(path, "/etc/hosts");
	assert_true(name_source_read("kea:/x", &format, &path));
	assert_int_equal(format, NAMES_KEA);
	assert_true(name_source_read("ptr", &format, &path));
	assert_null(path);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(name_source_read(bad[i], &format, &path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_file),
		cmocka_unit_test(dnsmasq_leases),
		cmocka_unit_test(isc_leases),
		cmocka_unit_test(kea_leases),
		cmocka_unit_test(names_that_cannot_be_shown),
		cmocka_unit_test(sources_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
