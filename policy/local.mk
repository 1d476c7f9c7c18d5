noinst_LIBRARIES += policy/libpolicy.a
policy_libpolicy_a_SOURCES = \
	policy/builder.c policy/builder.h \
	policy/format.c \
	policy/groups.c policy/groups.h \
	policy/index.c policy/index.h policy/label_hash.h \
	policy/input.c policy/input.h \
	policy/list.c policy/list.h \
	policy/list_adblock.c \
	policy/list_dnsmasq.c \
	policy/list_domains.c \
	policy/list_exceptions.c policy/list_exceptions.h \
	policy/list_hosts.c \
	policy/lines.c policy/lines.h \
	policy/masked.c policy/masked.h \
	policy/patterns.c \
	policy/plain_name.c policy/plain_name.h \
	policy/policy.c policy/policy.h \
	policy/prefixes.c policy/prefixes.h \
	policy/reading.c policy/reading.h \
	policy/rpz.c \
	policy/rpz_address.c policy/rpz_address.h \
	policy/rpz_rules.c policy/rpz_rules.h \
	policy/zone.c policy/zone.h policy/zone_private.h \
	policy/zone_addresses.c policy/zone_addresses.h policy/zone_data.c policy/zone_match.c policy/zone_origin.c policy/zone_patch.c \
	policy/zone_table.c policy/zone_table.h

if HAVE_CMOCKA
POLICY_TESTS = \
	tests/unit/test_groups \
	tests/unit/test_index \
	tests/unit/test_index_model \
	tests/unit/test_input \
	tests/unit/test_lists \
	tests/unit/test_masked \
	tests/unit/test_patterns \
	tests/unit/test_policy \
	tests/unit/test_precedence \
	tests/unit/test_policy_explain \
	tests/unit/test_prefixes \
	tests/unit/test_rpz \
	tests/unit/test_rpz_address \
	tests/unit/test_rpz_short \
	tests/unit/test_zones
check_PROGRAMS += $(POLICY_TESTS)
TESTS += $(POLICY_TESTS)
POLICY_RULES = tests/unit/policy_rules.c tests/unit/policy_rules.h
tests_unit_test_groups_SOURCES = tests/unit/test_groups.c
tests_unit_test_groups_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_groups_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_index_SOURCES = tests/unit/test_index.c $(POLICY_RULES)
tests_unit_test_index_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_index_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_index_model_SOURCES = tests/unit/test_index_model.c $(POLICY_RULES)
tests_unit_test_index_model_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_index_model_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_input_SOURCES = tests/unit/test_input.c $(POLICY_RULES)
tests_unit_test_input_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_input_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_lists_SOURCES = tests/unit/test_lists.c $(POLICY_RULES)
tests_unit_test_lists_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_lists_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_masked_SOURCES = tests/unit/test_masked.c $(POLICY_RULES)
tests_unit_test_masked_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_masked_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_patterns_SOURCES = tests/unit/test_patterns.c $(POLICY_RULES)
tests_unit_test_patterns_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_patterns_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_policy_SOURCES = tests/unit/test_policy.c $(POLICY_RULES)
tests_unit_test_policy_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_policy_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_precedence_SOURCES = tests/unit/test_precedence.c $(POLICY_RULES)
tests_unit_test_precedence_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_precedence_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_policy_explain_SOURCES = tests/unit/test_policy_explain.c $(POLICY_RULES)
tests_unit_test_policy_explain_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_policy_explain_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_prefixes_SOURCES = tests/unit/test_prefixes.c
tests_unit_test_prefixes_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_prefixes_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_rpz_SOURCES = tests/unit/test_rpz.c $(POLICY_RULES)
tests_unit_test_rpz_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_rpz_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_rpz_address_SOURCES = tests/unit/test_rpz_address.c $(POLICY_RULES)
tests_unit_test_rpz_address_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_rpz_address_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_rpz_short_SOURCES = tests/unit/test_rpz_short.c $(POLICY_RULES)
tests_unit_test_rpz_short_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_rpz_short_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_zones_SOURCES = tests/unit/test_zones.c
tests_unit_test_zones_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_zones_LDADD = $(LIB_POLICY) $(CMOCKA_LIBS) $(LDNS_LIBS)
endif
