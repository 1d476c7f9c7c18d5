noinst_LIBRARIES += resolver/telemetry/libtelemetry.a
resolver_telemetry_libtelemetry_a_SOURCES = \
	resolver/telemetry/batch.c resolver/telemetry/batch.h \
	resolver/telemetry/clock_watch.c resolver/telemetry/clock_watch.h \
	resolver/telemetry/collector.c resolver/telemetry/collector.h \
	resolver/telemetry/delivery.c resolver/telemetry/delivery.h \
	resolver/telemetry/dnstap.h \
	resolver/telemetry/forget.c resolver/telemetry/forget.h \
	resolver/telemetry/handover.c resolver/telemetry/handover.h \
	resolver/telemetry/identity.c resolver/telemetry/identity.h \
	resolver/telemetry/identity_key.c resolver/telemetry/identity_key.h \
	resolver/telemetry/journal.c resolver/telemetry/journal.h \
	resolver/telemetry/keeper.c resolver/telemetry/keeper.h \
	resolver/telemetry/memory.c resolver/telemetry/memory.h \
	resolver/telemetry/memory_log.c resolver/telemetry/memory_log.h \
	resolver/telemetry/memory_place.c resolver/telemetry/memory_place.h \
	resolver/telemetry/memory_recover.c resolver/telemetry/memory_recover.h \
	resolver/telemetry/lookup.c resolver/telemetry/lookup.h \
	resolver/telemetry/outbox.c resolver/telemetry/outbox.h \
	resolver/telemetry/notes.c resolver/telemetry/notes.h \
	resolver/telemetry/pending.c resolver/telemetry/pending.h \
	resolver/telemetry/pending_log.c resolver/telemetry/pending_log.h \
	resolver/telemetry/querylog.c resolver/telemetry/querylog.h \
	resolver/telemetry/reader.c resolver/telemetry/reader.h \
	resolver/telemetry/reader_pairs.c resolver/telemetry/reader_private.h \
	resolver/telemetry/reader_ranks.c resolver/telemetry/reader_records.c \
	resolver/telemetry/reader_connection.c resolver/telemetry/reader_connection.h \
	resolver/telemetry/record.c resolver/telemetry/record.h \
	resolver/telemetry/record_json.c resolver/telemetry/record_json.h \
	resolver/telemetry/region.c resolver/telemetry/region.h \
	resolver/telemetry/redis_address.c resolver/telemetry/redis_address.h \
	resolver/telemetry/redis_find.c resolver/telemetry/redis_find.h \
	resolver/telemetry/redis_link.c resolver/telemetry/redis_link.h \
	resolver/telemetry/redis_tls.c resolver/telemetry/redis_tls.h \
	resolver/telemetry/resp.c resolver/telemetry/resp.h \
	resolver/telemetry/rotate.c resolver/telemetry/rotate.h \
	resolver/telemetry/schema.h \
	resolver/telemetry/sink_target.c resolver/telemetry/sink_target.h \
	resolver/telemetry/sinks.c resolver/telemetry/sinks.h \
	resolver/telemetry/sketch.c resolver/telemetry/sketch.h \
	resolver/telemetry/store.c resolver/telemetry/store.h \
	resolver/telemetry/syslog_sink.c resolver/telemetry/syslog_sink.h \
	resolver/telemetry/tally.c resolver/telemetry/tally.h \
	resolver/telemetry/telemetry.c resolver/telemetry/telemetry.h \
	resolver/telemetry/transaction.c resolver/telemetry/transaction.h \
	resolver/telemetry/zone_ids.c resolver/telemetry/zone_ids.h

# dnstap: where libfstrm and protobuf-c are at hand.
EXTRA_DIST += resolver/telemetry/dnstap.proto
if HAVE_DNSTAP
resolver_telemetry_libtelemetry_a_SOURCES += \
	resolver/telemetry/dnstap.c \
	resolver/telemetry/dnstap_message.c resolver/telemetry/dnstap_message.h \
	resolver/telemetry/frame_stream.c resolver/telemetry/frame_stream.h
nodist_resolver_telemetry_libtelemetry_a_SOURCES = \
	resolver/telemetry/dnstap.pb-c.c resolver/telemetry/dnstap.pb-c.h
CLEANFILES += resolver/telemetry/dnstap.pb-c.c resolver/telemetry/dnstap.pb-c.h
resolver/telemetry/dnstap.pb-c.c: resolver/telemetry/dnstap.proto
	$(AM_V_GEN)$(MKDIR_P) resolver/telemetry && \
	$(PROTOC_C) --proto_path=$(srcdir)/resolver/telemetry --c_out=resolver/telemetry \
		$(srcdir)/resolver/telemetry/dnstap.proto
resolver/telemetry/dnstap.pb-c.h: resolver/telemetry/dnstap.pb-c.c
resolver/telemetry/dnstap_message.$(OBJEXT): resolver/telemetry/dnstap.pb-c.h
else
resolver_telemetry_libtelemetry_a_SOURCES += resolver/telemetry/dnstap_none.c
EXTRA_DIST += resolver/telemetry/dnstap.c \
	resolver/telemetry/dnstap_message.c resolver/telemetry/dnstap_message.h \
	resolver/telemetry/frame_stream.c resolver/telemetry/frame_stream.h
endif

# The scripts that Redis runs, as the text of C strings.
EXTRA_DIST += resolver/telemetry/script.lua resolver/telemetry/forget.lua
CLEANFILES += resolver/telemetry/script.inc resolver/telemetry/forget.inc
LUA_TO_C = $(AM_V_GEN)$(MKDIR_P) resolver/telemetry && \
	$(SED) -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$$/\\n"/'
resolver/telemetry/script.inc: resolver/telemetry/script.lua
	$(LUA_TO_C) $(srcdir)/resolver/telemetry/script.lua >$@.tmp && mv $@.tmp $@
resolver/telemetry/forget.inc: resolver/telemetry/forget.lua
	$(LUA_TO_C) $(srcdir)/resolver/telemetry/forget.lua >$@.tmp && mv $@.tmp $@
resolver/telemetry/forget.$(OBJEXT): resolver/telemetry/forget.inc
resolver/telemetry/store.$(OBJEXT): resolver/telemetry/script.inc

if HAVE_CMOCKA
TELEMETRY_TESTS = tests/unit/test_tally tests/unit/test_memory tests/unit/test_pending tests/unit/test_sketch tests/unit/test_record \
	tests/unit/test_forget tests/unit/test_journal tests/unit/test_redis tests/unit/test_store
check_PROGRAMS += $(TELEMETRY_TESTS) $(SINK_TESTS)
TESTS += $(TELEMETRY_TESTS) $(SINK_TESTS)
TELEMETRY_TEST_LIBS = $(LIB_TELEMETRY) $(DNSTAP_LIBS) $(REDIS_LIBS) $(EVENT_LIBS) $(LDNS_LIBS) $(CMOCKA_LIBS)
tests_unit_test_tally_SOURCES = tests/unit/test_tally.c
tests_unit_test_tally_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_tally_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_memory_SOURCES = tests/unit/test_memory.c
tests_unit_test_memory_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_memory_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_pending_SOURCES = tests/unit/test_pending.c
tests_unit_test_pending_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_pending_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_sketch_SOURCES = tests/unit/test_sketch.c
tests_unit_test_sketch_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_sketch_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_record_SOURCES = tests/unit/test_record.c
tests_unit_test_record_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_record_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_forget_SOURCES = tests/unit/test_forget.c
tests_unit_test_forget_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_forget_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_journal_SOURCES = tests/unit/test_journal.c
tests_unit_test_journal_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_journal_LDADD = $(TELEMETRY_TEST_LIBS)
check_PROGRAMS += tests/unit/test_identity tests/unit/test_notes
TESTS += tests/unit/test_identity tests/unit/test_notes
tests_unit_test_notes_SOURCES = tests/unit/test_notes.c
tests_unit_test_notes_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_notes_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_identity_SOURCES = tests/unit/test_identity.c
tests_unit_test_identity_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_identity_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_redis_SOURCES = tests/unit/test_redis.c
tests_unit_test_redis_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_redis_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_store_SOURCES = tests/unit/test_store.c
tests_unit_test_store_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_store_LDADD = $(TELEMETRY_TEST_LIBS)

SINK_TESTS = tests/unit/test_querylog tests/unit/test_syslog
if HAVE_DNSTAP
SINK_TESTS += tests/unit/test_dnstap
tests_unit_test_dnstap_SOURCES = tests/unit/test_dnstap.c
tests_unit_test_dnstap_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_dnstap_LDADD = $(TELEMETRY_TEST_LIBS)
else
EXTRA_DIST += tests/unit/test_dnstap.c
endif
tests_unit_test_syslog_SOURCES = tests/unit/test_syslog.c
tests_unit_test_syslog_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_syslog_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_querylog_SOURCES = tests/unit/test_querylog.c
tests_unit_test_querylog_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_querylog_LDADD = $(TELEMETRY_TEST_LIBS)
endif
