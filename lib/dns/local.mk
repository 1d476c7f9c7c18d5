noinst_LIBRARIES += lib/dns/libdns.a
lib_dns_libdns_a_SOURCES = \
	lib/dns/address.c lib/dns/address.h \
	lib/dns/compose.c lib/dns/compose.h \
	lib/dns/cookie.c lib/dns/cookie.h \
	lib/dns/edns.c lib/dns/edns.h \
	lib/dns/forwarded.c lib/dns/forwarded.h \
	lib/dns/message.c lib/dns/message.h \
	lib/dns/name.c lib/dns/name.h \
	lib/dns/proxy.c lib/dns/proxy.h \
	lib/dns/rdata.c lib/dns/rdata.h \
	lib/dns/request.c lib/dns/request.h \
	lib/dns/subnet.c lib/dns/subnet.h \
	lib/dns/reverse.c lib/dns/reverse.h \
	lib/dns/teredo.c lib/dns/teredo.h \
	lib/dns/text.c lib/dns/text.h \
	lib/dns/tsig.c lib/dns/tsig.h \
	lib/dns/tunnel.c lib/dns/tunnel.h \
	lib/dns/wire.c lib/dns/wire.h

if HAVE_CMOCKA
DNS_TESTS = tests/unit/test_name tests/unit/test_message tests/unit/test_address tests/unit/test_text \
	tests/unit/test_forwarded tests/unit/test_reverse tests/unit/test_teredo tests/unit/test_cookie tests/unit/test_rdata tests/unit/test_subnet tests/unit/test_tsig
check_PROGRAMS += $(DNS_TESTS)
TESTS += $(DNS_TESTS)
tests_unit_test_subnet_SOURCES = tests/unit/test_subnet.c
tests_unit_test_subnet_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_subnet_LDADD = $(LIB_DNS) $(CMOCKA_LIBS)
tests_unit_test_rdata_SOURCES = tests/unit/test_rdata.c
tests_unit_test_rdata_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_rdata_LDADD = $(LIB_DNS) $(CMOCKA_LIBS)
tests_unit_test_tsig_SOURCES = tests/unit/test_tsig.c
tests_unit_test_tsig_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_tsig_LDADD = $(LIB_DNS) $(LDNS_LIBS) $(TLS_LIBS) $(CMOCKA_LIBS)
tests_unit_test_cookie_SOURCES = tests/unit/test_cookie.c
tests_unit_test_cookie_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_cookie_LDADD = $(LIB_DNS) $(CMOCKA_LIBS)
tests_unit_test_forwarded_SOURCES = tests/unit/test_forwarded.c
tests_unit_test_forwarded_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_forwarded_LDADD = $(LIB_DNS) $(CMOCKA_LIBS)
tests_unit_test_reverse_SOURCES = tests/unit/test_reverse.c
tests_unit_test_reverse_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_reverse_LDADD = $(LIB_DNS) $(CMOCKA_LIBS)
tests_unit_test_teredo_SOURCES = tests/unit/test_teredo.c tests/unit/teredo_reply.c tests/unit/teredo_reply.h
tests_unit_test_teredo_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_teredo_LDADD = $(LIB_DNS) $(CMOCKA_LIBS)
tests_unit_test_name_SOURCES = tests/unit/test_name.c
tests_unit_test_name_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_name_LDADD = $(LIB_DNS) $(LDNS_LIBS) $(CMOCKA_LIBS)
tests_unit_test_message_SOURCES = tests/unit/test_message.c
tests_unit_test_message_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_message_LDADD = $(LIB_DNS) $(LDNS_LIBS) $(CMOCKA_LIBS)
tests_unit_test_address_SOURCES = tests/unit/test_address.c
tests_unit_test_address_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_address_LDADD = $(LIB_DNS) $(CMOCKA_LIBS)
tests_unit_test_text_SOURCES = tests/unit/test_text.c
tests_unit_test_text_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_text_LDADD = $(LIB_DNS) $(LDNS_LIBS) $(CMOCKA_LIBS)
endif
