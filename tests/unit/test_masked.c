/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules on addresses by a mask: read, found by any address of an answer, said as they were written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/masked.h"
#include "tests/unit/policy_rules.h"

static struct address address_of(const char *text)
{
	struct address address;

	assert_true(address_from_text(&address, text));
	return address;
}

/* What matches these addresses, at most two: "<action>:<rule>", or nothing. */
static void expect_addresses(const struct policy_index *index, const char *first,
	const char *second, const char *expected)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	char text[NAME_TEXT_MAX + 32] = "", rule[NAME_TEXT_MAX];
	struct address addresses[2];
	size_t count = 0;

	addresses[count++] = address_of(first);
	if (second)
		addresses[count++] = address_of(second);
	count = policy_match_addresses(index, TRIGGER_ADDRESS, addresses, count, matches);
	assert_true(count <= 1);
	if (count) {
		assert_int_equal(matches[0].trigger, TRIGGER_ADDRESS);
		policy_rule_text(index, &matches[0], rule);
		snprintf(text, sizeof(text), "%s:%s",
			policy_action_name((enum policy_action)matches[0].action), rule);
	}
	assert_string_equal(text, expected);
}

static void masks_match(void **state)
{
	struct policy_index *index = one_list("@::5efe:0:0/::fdff:ffff:0:0 # ISATAP\n"
					      "@0.0.0.53/0.0.0.255\n"
					      "name.example\n");

	(void)state;
	expect_addresses(
		index, "fe80::5efe:c000:204", NULL, "nxdomain:@::5efe:0:0/::fdff:ffff:0:0");
	expect_addresses(
		index, "2001:db8::200:5efe:1:2", NULL, "nxdomain:@::5efe:0:0/::fdff:ffff:0:0");
	expect_addresses(index, "2001:db8::300:5efe:1:2", NULL, "");
	expect_addresses(index, "192.0.2.53", NULL, "nxdomain:@0.0.0.53/0.0.0.255");
	expect_addresses(index, "192.0.2.54", "198.51.100.53", "nxdomain:@0.0.0.53/0.0.0.255");
	expect_addresses(index, "::53", NULL, "");
	expect_addresses(index, "192.0.2.1", "::1", "");
	/* The one listed first, whichever address it is of. */
	expect_addresses(
		index, "192.0.2.53", "fe80::5efe:c000:204", "nxdomain:@::5efe:0:0/::fdff:ffff:0:0");
	assert_int_equal(policy_zone_rules(index, 0), 3);
	assert_true(policy_has_trigger(index, TRIGGER_ADDRESS));
	assert_false(policy_has_trigger(index, TRIGGER_CLIENT));
	policy_index_free(index);
}

/* No name finds the place where such a rule stands. */
static void no_name_matches(void **state)
{
	struct policy_index *index = one_list("@0.0.0.53/0.0.0.255\n");

	(void)state;
	expect(index, "\\000\\000\\0005\\000\\000\\000\\255.MASKED.", "");
	expect(index, "masked.", "");
	policy_index_free(index);
}

/* A prefix of the same zone is more exact than a mask. */
static void prefixes_come_first(void **state)
{
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	add_zone(builder, "a", ZONE_LIST, SOA "16.zz.2002.rpz-ip CNAME rpz-passthru.\n");
	add_patterns(builder, "@::5efe:0:0/::fdff:ffff:0:0\n");
	struct policy_index *index = policy_builder_finish(&builder);
	assert_non_null(index);
	expect_addresses(index, "2002::5efe:1:2", NULL, "passthru:16.zz.2002.rpz-ip.");
	expect_addresses(index, "2003::5efe:1:2", NULL, "nxdomain:@::5efe:0:0/::fdff:ffff:0:0");
	policy_index_free(index);
}

static void each_rule_knows_its_line(void **state)
{
	struct policy_index *index = one_list("# first\n@0.0.0.53/0.0.0.255\n");
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct address address = address_of("192.0.2.53");
	const char *source;
	uint32_t line;

	(void)state;
	assert_int_equal(policy_match_addresses(index, TRIGGER_ADDRESS, &address, 1, matches), 1);
	assert_true(policy_rule_source(index, &matches[0], &source, &line));
	assert_int_equal(line, 2);
	policy_index_free(index);
}

static void faults_cost_their_line(void **state)
{
	static const char *const faulty[] = {"@", "@/", "@::1", "@::1/", "@::1/64",
		"@::1/255.0.0.0", "@192.0.2.1/::", "@192.0.2.1/0.0.0.254", "@0.0.0.0/0.0.0.0",
		"@::/::", "@::1/::1/::1", "@fe80::1%2/::1",
		"@0000:0000:0000:0000:0000:0000:0000:00001/::1"};
	struct policy_builder *builder = policy_builder_new();
	struct complaints complaints = {.count = 0};
	struct policy_load load;
	char text[2048] = "";

	(void)state;
	strbuf_init(&complaints.text);
	for (size_t i = 0; i < sizeof(faulty) / sizeof(faulty[0]); i++) {
		strcat(text, faulty[i]);
		strcat(text, "\n");
	}
	strcat(text, "@::1/::1\n@0:0::1/::0:1\n");
	for (unsigned i = 2; i < 2 + MASKED_MAX; i++)
		sprintf(text + strlen(text), "@::%x/::ff\n", i);
	add_zone(builder, "a", ZONE_LIST, NULL);
	assert_int_equal(policy_builder_patterns(
				 builder, "f", text, strlen(text), complain, &complaints, &load),
		TD_OK);
	size_t lines = sizeof(faulty) / sizeof(faulty[0]);
	assert_int_equal(load.used, MASKED_MAX);
	assert_int_equal(load.skipped, lines + 2); /* the repeated one, and one too many */
	assert_non_null(
		strstr(complaints.text.data, "f:15: repeated: this mask stands above already\n"));
	assert_non_null(
		strstr(complaints.text.data, "f:79: too many masks: at most 64 in a zone\n"));
	assert_non_null(
		strstr(complaints.text.data, "f:8: the address has bits that the mask has not\n"));
	assert_non_null(
		strstr(complaints.text.data, "f:9: a mask without a bit is every address\n"));
	strbuf_deinit(&complaints.text);
	policy_builder_free(builder);
}

/* To the name in the tree and back, to text and back, and what matches is what has the bits. */
static void any_mask_comes_back(void **state)
{
	(void)state;
	srand(5);
	for (unsigned n = 0; n < 2000; n++) {
		struct masked masked, back;
		uint8_t address[16], mask[16];
		char text[NAME_TEXT_MAX];
		struct name name;

		for (size_t i = 0; i < 16; i++) {
			mask[i] = rand() % 3 ? (uint8_t)rand() : 0;
			address[i] = (uint8_t)rand() & mask[i];
		}
		mask[0] |= 1;
		masked.address = n % 2 ? address_v6(address) : address_v4(address);
		masked.mask = n % 2 ? address_v6(mask) : address_v4(mask);
		masked_name(&masked, &name);
		assert_int_equal(name_wire_length(name.wire, name.length), name.length);
		assert_true(masked_find(&name, &back));
		assert_true(address_equal(&back.address, &masked.address));
		assert_true(address_equal(&back.mask, &masked.mask));
		size_t length = masked_to_text(&masked, text);
		assert_null(masked_read(text + 1, length - 1, &back));
		assert_true(address_equal(&back.mask, &masked.mask));
		assert_true(masked_matches(&masked, &masked.address));
		struct address other = masked.address;
		size_t at = (size_t)rand() % address_octets(&other);
		uint8_t bit = (uint8_t)(1 << rand() % 8);
		other.octets[at] ^= bit;
		assert_int_equal(masked_matches(&masked, &other), !(mask[at] & bit));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masks_match),
		cmocka_unit_test(no_name_matches),
		cmocka_unit_test(prefixes_come_first),
		cmocka_unit_test(each_rule_knows_its_line),
		cmocka_unit_test(faults_cost_their_line),
		cmocka_unit_test(any_mask_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
