noinst_LIBRARIES += resolver/upstream/libupstream.a
resolver_upstream_libupstream_a_SOURCES = \
	resolver/upstream/exchange.c resolver/upstream/exchange.h \
	resolver/upstream/loop_watch.c resolver/upstream/loop_watch.h \
	resolver/upstream/packet.c resolver/upstream/packet.h \
	resolver/upstream/pipeline.c resolver/upstream/pipeline.h \
	resolver/upstream/ports.c resolver/upstream/ports.h \
	resolver/upstream/random.c resolver/upstream/random.h \
	resolver/upstream/route_table.c resolver/upstream/route_table.h \
	resolver/upstream/routes.c resolver/upstream/routes.h \
	resolver/upstream/server.c resolver/upstream/server.h \
	resolver/upstream/server_status.c resolver/upstream/server_status.h \
	resolver/upstream/server_address.c resolver/upstream/server_address.h \
	resolver/upstream/stream.c resolver/upstream/stream.h \
	resolver/upstream/stream_message.c resolver/upstream/stream_message.h \
	resolver/upstream/tls.c resolver/upstream/tls.h \
	resolver/upstream/trust.c resolver/upstream/trust.h \
	resolver/upstream/upstream.c resolver/upstream/upstream.h \
	resolver/upstream/upstream_private.h resolver/upstream/upstream_request.c

if HAVE_CMOCKA
UPSTREAM_TESTS = \
	tests/unit/test_exchange \
	tests/unit/test_exchange_hedge \
	tests/unit/test_exchange_trust \
	tests/unit/test_exchange_stream \
	tests/unit/test_loop_watch \
	tests/unit/test_packet \
	tests/unit/test_pipeline \
	tests/unit/test_ports \
	tests/unit/test_random tests/unit/test_route_table tests/unit/test_routes \
	tests/unit/test_server \
	tests/unit/test_server_address \
	tests/unit/test_stream \
	tests/unit/test_trust \
	tests/unit/test_upstream
check_PROGRAMS += $(UPSTREAM_TESTS)
TESTS += $(UPSTREAM_TESTS)
FAKE_SERVER = tests/unit/fake_server.c tests/unit/fake_server.h
tests_unit_test_exchange_stream_SOURCES = tests/unit/test_exchange_stream.c $(EXCHANGE_BED)
tests_unit_test_exchange_stream_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_exchange_stream_LDADD = $(LIB_UPSTREAM) $(CMOCKA_LIBS)
EXCHANGE_BED = tests/unit/exchange_bed.c tests/unit/exchange_bed.h
tests_unit_test_exchange_SOURCES = tests/unit/test_exchange.c $(EXCHANGE_BED)
tests_unit_test_exchange_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_exchange_LDADD = $(LIB_UPSTREAM) $(CMOCKA_LIBS)
tests_unit_test_exchange_hedge_SOURCES = tests/unit/test_exchange_hedge.c $(EXCHANGE_BED)
tests_unit_test_exchange_hedge_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_exchange_hedge_LDADD = $(LIB_UPSTREAM) $(CMOCKA_LIBS)
tests_unit_test_exchange_trust_SOURCES = tests/unit/test_exchange_trust.c $(EXCHANGE_BED)
tests_unit_test_exchange_trust_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_exchange_trust_LDADD = $(LIB_UPSTREAM) $(CMOCKA_LIBS)
tests_unit_test_loop_watch_SOURCES = tests/unit/test_loop_watch.c
tests_unit_test_loop_watch_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_loop_watch_LDADD = $(LIB_UPSTREAM) $(CMOCKA_LIBS)
tests_unit_test_packet_SOURCES = tests/unit/test_packet.c
tests_unit_test_packet_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_packet_LDADD = $(LIB_UPSTREAM) $(CMOCKA_LIBS)
tests_unit_test_ports_SOURCES = tests/unit/test_ports.c $(FAKE_SERVER)
tests_unit_test_ports_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_ports_LDADD = $(LIB_UPSTREAM) $(EVENT_LIBS) $(CMOCKA_LIBS)
tests_unit_test_random_SOURCES = tests/unit/test_random.c
tests_unit_test_random_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_random_LDADD = $(LIB_UPSTREAM) $(CMOCKA_LIBS)
tests_unit_test_routes_SOURCES = tests/unit/test_routes.c $(FAKE_SERVER)
tests_unit_test_routes_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_routes_LDADD = $(LIB_UPSTREAM) $(TLS_LIBS) $(EVENT_LIBS) $(CMOCKA_LIBS)
tests_unit_test_route_table_SOURCES = tests/unit/test_route_table.c
tests_unit_test_route_table_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_route_table_LDADD = $(LIB_UPSTREAM) $(CMOCKA_LIBS)
tests_unit_test_server_SOURCES = tests/unit/test_server.c
tests_unit_test_server_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_server_LDADD = $(LIB_UPSTREAM) $(CMOCKA_LIBS)
tests_unit_test_server_address_SOURCES = tests/unit/test_server_address.c
tests_unit_test_server_address_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_server_address_LDADD = $(LIB_UPSTREAM) $(CMOCKA_LIBS)
tests_unit_test_pipeline_SOURCES = tests/unit/test_pipeline.c
tests_unit_test_pipeline_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_pipeline_LDADD = $(LIB_UPSTREAM) $(CMOCKA_LIBS)
tests_unit_test_stream_SOURCES = tests/unit/test_stream.c
tests_unit_test_stream_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_stream_LDADD = $(LIB_UPSTREAM) $(TLS_LIBS) $(EVENT_LIBS) $(CMOCKA_LIBS)
tests_unit_test_trust_SOURCES = tests/unit/test_trust.c
tests_unit_test_trust_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_trust_LDADD = $(LIB_UPSTREAM) $(CMOCKA_LIBS)
tests_unit_test_upstream_SOURCES = tests/unit/test_upstream.c $(FAKE_SERVER)
tests_unit_test_upstream_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_upstream_LDADD = $(LIB_UPSTREAM) $(TLS_LIBS) $(EVENT_LIBS) $(CMOCKA_LIBS) -lm
endif
