/* SPDX-License-Identifier: BSD-3-Clause */
/* The readers of lists: what becomes a rule, what does not and as what it is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "lib/dns/address.h"
#include "lib/dns/message.h"
#include "tests/unit/policy_rules.h"

#define NX(rule) "a:nxdomain:" rule
#define PASS(rule) "a:passthru:" rule
#define DATA(rule) "a:local-data:" rule

/* One list in the zone "a". */
struct read {
	struct policy_index *index;
	struct policy_load load;
	struct complaints complaints;
};

static void read_sized(struct read *read, enum zone_format format, const char *text, size_t size)
{
	struct policy_builder *builder = policy_builder_new();

	*read = (struct read){.index = NULL};
	strbuf_init(&read->complaints.text);
	add_zone(builder, "a", ZONE_LIST, NULL);
	assert_int_equal(policy_builder_read(builder, format, "t", text, size, complain,
				 &read->complaints, &read->load),
		TD_OK);
	strbuf_append(&read->complaints.text, "", 0);
	read->index = policy_builder_finish(&builder);
	assert_non_null(read->index);
	assert_int_equal(read->load.skipped, read->complaints.count);
	unsigned faults = 0;
	for (unsigned i = 0; i < POLICY_FAULTS; i++)
		faults += read->load.faults[i];
	assert_int_equal(faults, read->load.skipped);
}

static void read_text(struct read *read, enum zone_format format, const char *text)
{
	read_sized(read, format, text, strlen(text));
}

static void read_free(struct read *read)
{
	policy_index_free(read->index);
	strbuf_deinit(&read->complaints.text);
}

/* The list is good as a whole. */
static struct policy_index *good_list(enum zone_format format, const char *text)
{
	struct read read;

	read_text(&read, format, text);
	assert_string_equal(read.complaints.text.data, "");
	struct policy_index *index = read.index;
	read.index = NULL;
	read_free(&read);
	return index;
}

static void expect_counts(const struct read *read, unsigned lines, unsigned used, unsigned skipped,
	unsigned repeated, unsigned foreign, unsigned overruled)
{
	assert_int_equal(read->load.lines, lines);
	assert_int_equal(read->load.used, used);
	assert_int_equal(read->load.skipped, skipped);
	assert_int_equal(read->load.repeated, repeated);
	assert_int_equal(read->load.foreign, foreign);
	assert_int_equal(read->load.overruled, overruled);
}

/* --- domains and wildcards --- */

static void test_domain_is_the_name_alone(void **state)
{
	struct policy_index *index = good_list(FORMAT_DOMAINS, "ads.example\n*.wide.example\n");

	(void)state;
	expect(index, "ads.example", NX("ads.example."));
	expect(index, "x.ads.example", "");
	expect(index, "example", "");
	expect(index, "wide.example", NX("wide.example."));
	expect(index, "a.b.wide.example", NX("*.wide.example."));
	policy_index_free(index);
}

static void test_wildcard_is_the_name_and_below(void **state)
{
	static const char *const forms[] = {"x.example", "*.x.example", ".x.example"};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct policy_index *index = good_list(FORMAT_WILDCARDS, forms[i]);
		expect(index, "x.example", NX("x.example."));
		expect(index, "a.b.x.example", NX("*.x.example."));
		expect(index, "ax.example", "");
		policy_index_free(index);
	}
}

static void test_text_as_it_comes_from_the_web(void **state)
{
	static const char text[] = "\xef\xbb\xbf# a comment behind a byte order mark\r\n"
				   "\tUpper.EXAMPLE \r\n"
				   "\r\n"
				   "dot.example.\n"
				   "_dmarc.under_score.example\t# why\r\n"
				   "! a comment\n; another\n// a third\n"
				   "upper.example\n"
				   "last.example";
	struct read read;

	(void)state;
	read_text(&read, FORMAT_DOMAINS, text);
	assert_string_equal(read.complaints.text.data, "");
	expect_counts(&read, 10, 4, 0, 1, 0, 0);
	expect(read.index, "upper.example", NX("upper.example."));
	expect(read.index, "dot.example", NX("dot.example."));
	expect(read.index, "_dmarc.under_score.example", NX("_dmarc.under_score.example."));
	expect(read.index, "last.example", NX("last.example."));
	read_free(&read);
}

static void test_bad_lines_cost_themselves(void **state)
{
	static const char text[] = "good.example\n"
				   "two words.example\n"
				   "<html>\n"
				   "https://x.example/page\n"
				   "192.0.2.1\n"
				   "a..b.example\n"
				   "nul\0.example\n"
				   "-\n"
				   "..\n"
				   "fine.example\n";
	struct read read;

	(void)state;
	read_sized(&read, FORMAT_DOMAINS, text, sizeof(text) - 1);
	assert_string_equal(read.complaints.text.data, "t:2: one name a line\n"
						       "t:3: not a domain name\n"
						       "t:4: not a domain name\n"
						       "t:5: an address, not a name\n"
						       "t:6: not a domain name\n"
						       "t:7: not a domain name\n"
						       "t:9: not a domain name\n");
	expect_counts(&read, 10, 3, 7, 0, 0, 0);
	assert_int_equal(read.load.faults[FAULT_FORM], 1);
	assert_int_equal(read.load.faults[FAULT_NAME], 6);
	expect(read.index, "good.example", NX("good.example."));
	expect(read.index, "fine.example", NX("fine.example."));
	read_free(&read);
}

static void test_lengths(void **state)
{
	char label[64];
	struct strbuf text;
	struct read read;

	(void)state;
	memset(label, 'a', sizeof(label) - 1);
	label[63] = '\0';
	strbuf_init(&text);
	strbuf_printf(&text, "%s.%s.%s.%.61s\n", label, label, label, label);
	strbuf_printf(&text, "%s.%s.%s.%.62s\n", label, label, label, label);
	strbuf_printf(&text, "%sa.example\n%s.example\n", label, label);
	for (size_t i = 0; i < 100000; i++)
		strbuf_append_char(&text, 'x');
	strbuf_append_text(&text, "\nbehind.example\n");
	read_sized(&read, FORMAT_WILDCARDS, text.data, text.length);
	assert_string_equal(read.complaints.text.data, "t:2: longer than a name can be\n"
						       "t:3: a label is longer than 63 octets\n"
						       "t:5: longer than a name can be\n");
	expect_counts(&read, 6, 3, 3, 0, 0, 0);
	expect(read.index, "behind.example", NX("behind.example."));
	strbuf_deinit(&text);
	read_free(&read);
}

static void test_names_of_other_scripts(void **state)
{
	struct read read;

	(void)state;
	read_text(&read, FORMAT_WILDCARDS,
		"b\xc3\xbc"
		"cher.example\nbad\xff.example\n");
#ifdef HAVE_LIBIDN2
	assert_string_equal(read.complaints.text.data, "t:2: not a domain name\n");
	expect(read.index, "xn--bcher-kva.example", NX("xn--bcher-kva.example."));
	expect(read.index, "a.xn--bcher-kva.example", NX("*.xn--bcher-kva.example."));
#else
	assert_int_equal(read.load.faults[FAULT_NAME], 2);
#endif
	read_free(&read);
}

/* --- hosts --- */

static void test_hosts(void **state)
{
	struct read read;

	(void)state;
	read_text(&read, FORMAT_HOSTS,
		"# Title\n"
		"127.0.0.1 localhost\n"
		"::1 ip6-localhost ip6-loopback\n"
		"255.255.255.255 broadcasthost\n"
		"fe80::1%lo0 localhost\n"
		"0.0.0.0 0.0.0.0\n"
		"0.0.0.0 ads.example ads2.example # both\n"
		"127.0.0.1\tlo.example\n"
		"::1 six.example\n"
		":: any.example\n"
		"0.0.0.0 ads.example\n"
		"ads.example\n"
		"0.0.0.0\n"
		"0.0.0.0 bad/name.example\n");
	assert_string_equal(read.complaints.text.data,
		"t:12: not a line of a hosts file: it begins with an address\n"
		"t:13: a name is missing behind the address\n"
		"t:14: not a domain name\n");
	expect_counts(&read, 14, 5, 3, 1, 6, 0);
	expect(read.index, "ads.example", NX("ads.example."));
	expect(read.index, "ads2.example", NX("ads2.example."));
	expect(read.index, "lo.example", NX("lo.example."));
	expect(read.index, "six.example", NX("six.example."));
	expect(read.index, "any.example", NX("any.example."));
	expect(read.index, "x.ads.example", "");
	expect(read.index, "localhost", "");
	read_free(&read);
}

static void expect_addresses(
	const struct policy_index *index, const char *name, const char *expected)
{
	struct policy_match match = first_match(index, name);
	struct policy_record record;
	char text[ADDRESS_TEXT_MAX];
	struct strbuf got;
	size_t position = 0;

	strbuf_init(&got);
	while (policy_rule_record(index, &match, TYPE_ANY, &position, &record)) {
		struct address address =
			record.type == TYPE_A ? address_v4(record.rdata) : address_v6(record.rdata);
		strbuf_printf(&got, "%s%s", got.length ? " " : "", address_to_text(&address, text));
	}
	strbuf_append(&got, "", 0);
	assert_string_equal(got.data, expected);
	strbuf_deinit(&got);
}

static void test_hosts_with_addresses(void **state)
{
	struct policy_index *index =
		good_list(FORMAT_HOSTS, "192.0.2.1 printer.example\n2001:db8::1 "
					"printer.example\n192.0.2.1 printer.example\n"
					"0.0.0.0 printer.example\n");

	(void)state;
	expect(index, "printer.example", DATA("printer.example."));
	expect_addresses(index, "printer.example", "192.0.2.1 2001:db8::1");
	policy_index_free(index);
}

/* --- dnsmasq --- */

static void test_dnsmasq(void **state)
{
	struct policy_index *index =
		good_list(FORMAT_DNSMASQ, "# block\n"
					  "address=/nx.example/\n"
					  "address = /hash.example/#\n"
					  "address=/null.example/0.0.0.0\n"
					  "local=/local.example/\n"
					  "server=/server.example/\n"
					  "address=/one.example/.two.example/192.0.2.1\n"
					  "address=/one.example/2001:db8::1\n"
					  "address=/*.below.example/\n"
					  "address=/*ads.example/\n");
	static const char *const both[] = {"nx", "hash", "null", "local", "server"};
	char name[64], rule[64];

	(void)state;
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		snprintf(name, sizeof(name), "%s.example", both[i]);
		snprintf(rule, sizeof(rule), NX("%s.example."), both[i]);
		expect(index, name, rule);
		snprintf(name, sizeof(name), "a.b.%s.example", both[i]);
		snprintf(rule, sizeof(rule), NX("*.%s.example."), both[i]);
		expect(index, name, rule);
	}
	expect_addresses(index, "one.example", "192.0.2.1 2001:db8::1");
	expect_addresses(index, "a.one.example", "192.0.2.1 2001:db8::1");
	expect_addresses(index, "two.example", "192.0.2.1");
	expect(index, "below.example", "");
	expect(index, "x.below.example", NX("*.below.example."));
	expect(index, "ads.example", NX("*ads.example."));
	expect(index, "superads.example", NX("*ads.example."));
	expect(index, "a.b.superads.example", NX("*.*ads.example."));
	expect(index, "bads.example.org", "");
	policy_index_free(index);
}

static void test_dnsmasq_longest_counts(void **state)
{
	struct policy_index *index = good_list(FORMAT_DNSMASQ,
		"address=/#/\nserver=/good.example/#\naddress=/bad.good.example/\n");

	(void)state;
	expect(index, "any", NX("*."));
	expect(index, "good.example", PASS("good.example."));
	expect(index, "a.good.example", PASS("*.good.example."));
	expect(index, "a.bad.good.example", NX("*.bad.good.example."));
	policy_index_free(index);
}

static void test_dnsmasq_other_lines(void **state)
{
	struct read read;

	(void)state;
	read_text(&read, FORMAT_DNSMASQ,
		"no-resolv\n"
		"server=9.9.9.9\n"
		"server=/corp.example/10.0.0.53\n"
		"cache-size=1000\n"
		"address=/x.example/nonsense\n"
		"address=x.example\n"
		"local=//\n"
		"address=/bad name/\n"
		"address=/*.x*.example/\n"
		"address=/good.example/bad..example/\n"
		"address=/good.example/\n");
	assert_string_equal(read.complaints.text.data,
		"t:5: not an address behind the last slash\n"
		"t:6: names between slashes are missing\n"
		"t:7: names without a dot (//) cannot be said here\n"
		"t:8: not a domain name\n"
		"t:9: not a domain name\n"
		"t:10: not a domain name\n");
	expect_counts(&read, 11, 1, 6, 1, 4, 0);
	read_free(&read);
}

/* --- Adblock --- */

static void test_adblock_rules(void **state)
{
	struct policy_index *index =
		good_list(FORMAT_ADBLOCK, "[Adblock Plus 2.0]\n! Title: x\n# a comment\n"
					  "||both.example^\n"
					  "||all.example^$all\n"
					  "|alone.example^\n"
					  "plain.example\n"
					  "||*.below.example^\n"
					  "*.below2.example\n"
					  "||open.example\n"
					  "0.0.0.0 host.example # why\n"
					  "192.0.2.7 data.example\n"
					  "@@||fine.example^|\n");

	(void)state;
	expect(index, "both.example", NX("both.example."));
	expect(index, "a.b.both.example", NX("*.both.example."));
	expect(index, "notboth.example", "");
	expect(index, "x.all.example", NX("*.all.example."));
	expect(index, "alone.example", NX("alone.example."));
	expect(index, "x.alone.example", "");
	expect(index, "plain.example", NX("plain.example."));
	expect(index, "x.plain.example", "");
	expect(index, "below.example", "");
	expect(index, "x.below.example", NX("*.below.example."));
	expect(index, "x.below2.example", NX("*.below2.example."));
	expect(index, "x.open.example", NX("*.open.example."));
	expect(index, "host.example", NX("host.example."));
	expect(index, "x.host.example", "");
	expect(index, "data.example", DATA("data.example."));
	expect(index, "x.fine.example", PASS("*.fine.example."));
	policy_index_free(index);
}

static void test_adblock_patterns(void **state)
{
	struct policy_index *index = good_list(FORMAT_ADBLOCK,
		"||ads*.x.example^\n|alone*.example^\n||any.*^\n||pre.\n-end.example^\n||go*\n");

	(void)state;
	expect(index, "ads7.x.example", NX("ads*.x.example."));
	expect(index, "a.b.ads7.x.example", NX("*.ads*.x.example."));
	expect(index, "ads7.y.x.example", "");
	expect(index, "alone1.example", NX("alone*.example."));
	expect(index, "x.alone1.example", "");
	expect(index, "any.b.c", NX("any.*"));
	expect(index, "x.any.b.c", NX("*.any.*"));
	expect(index, "any", "");
	expect(index, "pre.b.c", NX("pre.*"));
	expect(index, "the-end.example", NX("*-end.example."));
	expect(index, "x.the-end.example", NX("*.*-end.example."));
	expect(index, "end.example", "");
	expect(index, "good", NX("go*."));
	expect(index, "good.example", NX("go*.*"));
	expect(index, "a.good.example", NX("*.go*.*"));
	policy_index_free(index);
}

/* An exception beats every block, whatever is longer and stands first; $important turns it round.
 */
static void test_adblock_exceptions(void **state)
{
	struct read read;

	(void)state;
	read_text(&read, FORMAT_ADBLOCK,
		"||deep.free.example^\n"
		"@@||free.example^\n"
		"||held.free.example^$important\n"
		"@@||given.held.free.example^\n"
		"@@||last.held.free.example^$important\n"
		"||half.example^\n"
		"@@|half.example^\n"
		"0.0.0.0 hosts.free.example\n"
		"||other.example^\n");
	assert_string_equal(read.complaints.text.data, "");
	expect_counts(&read, 9, 6, 0, 0, 0, 3);
	expect(read.index, "free.example", PASS("free.example."));
	expect(read.index, "deep.free.example", PASS("*.free.example."));
	expect(read.index, "hosts.free.example", PASS("*.free.example."));
	expect(read.index, "held.free.example", NX("held.free.example."));
	expect(read.index, "given.held.free.example", NX("*.held.free.example."));
	expect(read.index, "last.held.free.example", PASS("last.held.free.example."));
	expect(read.index, "x.last.held.free.example", PASS("*.last.held.free.example."));
	expect(read.index, "half.example", PASS("half.example."));
	expect(read.index, "x.half.example", NX("*.half.example."));
	expect(read.index, "x.other.example", NX("*.other.example."));
	read_free(&read);
}

static void test_adblock_pattern_exceptions(void **state)
{
	struct read read;

	(void)state;
	read_text(&read, FORMAT_ADBLOCK,
		"||x.example^\n||bad*.example^\n@@||good*.x.example^\n@@||bad*.example^\n");
	assert_string_equal(read.complaints.text.data, "");
	expect(read.index, "a.x.example", NX("*.x.example."));
	expect(read.index, "good1.x.example", PASS("good*.x.example."));
	expect(read.index, "a.good1.x.example", PASS("*.good*.x.example."));
	expect(read.index, "bad1.example", PASS("bad*.example."));
	read_free(&read);
	read_text(&read, FORMAT_ADBLOCK, "||x.example^$important\n@@||good*.x.example^\n");
	assert_int_equal(read.load.faults[FAULT_UNSUPPORTED], 1);
	expect(read.index, "good1.x.example", NX("*.x.example."));
	read_free(&read);
}

static void test_adblock_badfilter(void **state)
{
	struct read read;

	(void)state;
	read_text(&read, FORMAT_ADBLOCK,
		"||gone.example^\n||gone.example^$badfilter\n"
		"||stays.example^\n|stays.example^$badfilter\n"
		"||back.example^\n@@||back.example^\n@@||back.example^$badfilter\n");
	assert_string_equal(read.complaints.text.data, "");
	assert_int_equal(read.load.overruled, 2);
	expect(read.index, "gone.example", "");
	expect(read.index, "x.gone.example", "");
	expect(read.index, "stays.example", NX("stays.example."));
	expect(read.index, "back.example", NX("back.example."));
	read_free(&read);
}

static void test_adblock_not_for_dns(void **state)
{
	struct read read;

	(void)state;
	read_text(&read, FORMAT_ADBLOCK,
		"example.com##.banner\n##.ad\nx.example#@#.ad\nx.example#?#div:has(a)\n"
		"x.example$$script[a=\"b\"]\n"
		"||third.example^$third-party\n||script.example^$script,domain=y.example\n"
		"@@||page.example^$document\n"
		"||path.example/ads\n/banner/ads.\n-ad-160.\n|https://x.example^\n&ad=\n"
		"||port.example:8080^\nads\n.part.example\n@@\n||^\n");
	assert_string_equal(read.complaints.text.data, "");
	expect_counts(&read, 18, 0, 0, 0, 18, 0);
	expect(read.index, "third.example", "");
	expect(read.index, "page.example", "");
	expect(read.index, "path.example", "");
	read_free(&read);
}

static void test_adblock_refused(void **state)
{
	struct read read;

	(void)state;
	read_text(&read, FORMAT_ADBLOCK,
		"/^ads[0-9]+\\./\n"
		"||x.example^$client=192.0.2.1\n"
		"||x.example^$dnstype=AAAA,important\n"
		"||x.example^$dnsrewrite=192.0.2.1\n"
		"||ads*.x.example^$important\n"
		"||192.0.2.1^\n"
		"some words here\n"
		"||a..b^\n"
		"||good.example^\n");
	assert_int_equal(read.load.skipped, 8);
	assert_int_equal(read.load.faults[FAULT_UNSUPPORTED], 5);
	assert_int_equal(read.load.faults[FAULT_FORM], 1);
	assert_int_equal(read.load.faults[FAULT_NAME], 2);
	assert_non_null(strstr(read.complaints.text.data,
		"t:3: the modifiers $client, $ctag, $dnstype, $dnsrewrite and $denyallow are not "
		"supported\n"));
	expect(read.index, "x.example", "");
	expect(read.index, "good.example", NX("good.example."));
	read_free(&read);
}

/* Octets that no text has, where strings would end. */
static void test_adblock_with_nul(void **state)
{
	static const char text[] = "||\0\0*\n||\0\n|a\0*b^\n||good.example^\n";
	struct read read;

	(void)state;
	read_sized(&read, FORMAT_ADBLOCK, text, sizeof(text) - 1);
	expect_counts(&read, 4, 1, 3, 0, 0, 0);
	assert_int_equal(read.load.faults[FAULT_NAME], 3);
	expect(read.index, "good.example", NX("good.example."));
	read_free(&read);
}

/* --- all formats --- */

static void test_no_zone_is_open(void **state)
{
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	for (unsigned format = 0; format < ZONE_FORMATS; format++)
		assert_int_equal(policy_builder_read(builder, (enum zone_format)format, "t",
					 "x.example\n", 10, NULL, NULL, NULL),
			TD_INVALID);
	policy_builder_free(builder);
}

static void test_empty_text(void **state)
{
	struct read read;

	(void)state;
	for (unsigned format = FORMAT_PATTERNS; format < ZONE_FORMATS; format++) {
		read_text(&read, (enum zone_format)format, "");
		expect_counts(&read, 0, 0, 0, 0, 0, 0);
		read_free(&read);
	}
}

/* A second list of a zone adds to the first. */
static void test_two_files_of_a_zone(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	struct policy_load load;

	(void)state;
	add_zone(builder, "a", ZONE_LIST, NULL);
	assert_int_equal(policy_builder_read(builder, FORMAT_DOMAINS, "t", "one.example\n", 12,
				 NULL, NULL, &load),
		TD_OK);
	assert_int_equal(policy_builder_read(builder, FORMAT_HOSTS, "t",
				 "0.0.0.0 one.example two.example\n", 32, NULL, NULL, &load),
		TD_OK);
	assert_int_equal(load.used, 1);
	assert_int_equal(load.repeated, 1);
	struct policy_index *index = policy_builder_finish(&builder);
	expect(index, "one.example", NX("one.example."));
	expect(index, "two.example", NX("two.example."));
	policy_index_free(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_domain_is_the_name_alone),
		cmocka_unit_test(test_wildcard_is_the_name_and_below),
		cmocka_unit_test(test_text_as_it_comes_from_the_web),
		cmocka_unit_test(test_bad_lines_cost_themselves),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_names_of_other_scripts),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_hosts_with_addresses),
		cmocka_unit_test(test_dnsmasq),
		cmocka_unit_test(test_dnsmasq_longest_counts),
		cmocka_unit_test(test_dnsmasq_other_lines),
		cmocka_unit_test(test_adblock_rules),
		cmocka_unit_test(test_adblock_patterns),
		cmocka_unit_test(test_adblock_exceptions),
		cmocka_unit_test(test_adblock_pattern_exceptions),
		cmocka_unit_test(test_adblock_badfilter),
		cmocka_unit_test(test_adblock_not_for_dns),
		cmocka_unit_test(test_adblock_refused),
		cmocka_unit_test(test_adblock_with_nul),
		cmocka_unit_test(test_no_zone_is_open),
		cmocka_unit_test(test_empty_text),
		cmocka_unit_test(test_two_files_of_a_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
