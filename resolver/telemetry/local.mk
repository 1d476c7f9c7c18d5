noinst_LIBRARIES += resolver/telemetry/libtelemetry.a
resolver_telemetry_libtelemetry_a_SOURCES = \
	resolver/telemetry/batch.c resolver/telemetry/batch.h \
	resolver/telemetry/clock_watch.c resolver/telemetry/clock_watch.h \
	resolver/telemetry/collector.c resolver/telemetry/collector.h \
	resolver/telemetry/delivery.c resolver/telemetry/delivery.h \
	resolver/telemetry/gauges.c resolver/telemetry/gauges.h \
	resolver/telemetry/handover.c resolver/telemetry/handover.h \
	resolver/telemetry/identity.c resolver/telemetry/identity.h \
	resolver/telemetry/identity_key.c resolver/telemetry/identity_key.h \
	resolver/telemetry/journal.c resolver/telemetry/journal.h \
	resolver/telemetry/journal_files.c resolver/telemetry/journal_files.h \
	resolver/telemetry/journal_record.c resolver/telemetry/journal_record.h \
	resolver/telemetry/latency.c resolver/telemetry/latency.h \
	resolver/telemetry/notes.c resolver/telemetry/notes.h \
	resolver/telemetry/pending.c resolver/telemetry/pending.h resolver/telemetry/pending_merge.c resolver/telemetry/pending_private.h \
	resolver/telemetry/record.c resolver/telemetry/record.h \
	resolver/telemetry/sketch.c resolver/telemetry/sketch.h \
	resolver/telemetry/tally.c resolver/telemetry/tally.h \
	resolver/telemetry/telemetry.c resolver/telemetry/telemetry.h \
	resolver/telemetry/transaction.c resolver/telemetry/transaction.h \
	resolver/telemetry/whole_file.c resolver/telemetry/whole_file.h \
	resolver/telemetry/zone_ids.c resolver/telemetry/zone_ids.h \
	resolver/telemetry/memory/memory.c resolver/telemetry/memory/memory.h \
	resolver/telemetry/memory/memory_held.c resolver/telemetry/memory/memory_held.h \
	resolver/telemetry/memory/memory_log.c resolver/telemetry/memory/memory_log.h \
	resolver/telemetry/memory/memory_place.c resolver/telemetry/memory/memory_place.h \
	resolver/telemetry/memory/memory_recover.c resolver/telemetry/memory/memory_recover.h \
	resolver/telemetry/memory/pending_log.c resolver/telemetry/memory/pending_log.h \
	resolver/telemetry/memory/region.c resolver/telemetry/memory/region.h \
	resolver/telemetry/redis/forget.c resolver/telemetry/redis/forget.h \
	resolver/telemetry/redis/ingest_store.c resolver/telemetry/redis/ingest_store.h \
	resolver/telemetry/redis/keeper.c resolver/telemetry/redis/keeper.h \
	resolver/telemetry/redis/lookup.c resolver/telemetry/redis/lookup.h \
	resolver/telemetry/redis/name_servers.c resolver/telemetry/redis/name_servers.h \
	resolver/telemetry/redis/marks.c resolver/telemetry/redis/marks.h \
	resolver/telemetry/redis/reader.c resolver/telemetry/redis/reader.h \
	resolver/telemetry/redis/reader_clients.c resolver/telemetry/redis/reader_clients.h \
	resolver/telemetry/redis/reader_connection.c resolver/telemetry/redis/reader_connection.h \
	resolver/telemetry/redis/reader_hours.c resolver/telemetry/redis/reader_hours.h \
	resolver/telemetry/redis/reader_imports.c resolver/telemetry/redis/reader_imports.h \
	resolver/telemetry/redis/reader_pairs.c \
	resolver/telemetry/redis/reader_private.h \
	resolver/telemetry/redis/reader_ranks.c \
	resolver/telemetry/redis/reader_records.c \
	resolver/telemetry/redis/reader_totals.c resolver/telemetry/redis/reader_totals.h \
	resolver/telemetry/redis/redis_address.c resolver/telemetry/redis/redis_address.h \
	resolver/telemetry/redis/redis_find.c resolver/telemetry/redis/redis_find.h \
	resolver/telemetry/redis/redis_link.c resolver/telemetry/redis/redis_link.h \
	resolver/telemetry/redis/redis_tls.c resolver/telemetry/redis/redis_tls.h \
	resolver/telemetry/redis/resp.c resolver/telemetry/redis/resp.h \
	resolver/telemetry/redis/schema.h \
	resolver/telemetry/redis/store.c resolver/telemetry/redis/store.h \
	resolver/telemetry/sinks/dnstap.h \
	resolver/telemetry/sinks/outbox.c resolver/telemetry/sinks/outbox.h \
	resolver/telemetry/sinks/querylog.c resolver/telemetry/sinks/querylog.h \
	resolver/telemetry/sinks/record_json.c resolver/telemetry/sinks/record_json.h \
	resolver/telemetry/sinks/rotate.c resolver/telemetry/sinks/rotate.h \
	resolver/telemetry/sinks/sink_target.c resolver/telemetry/sinks/sink_target.h \
	resolver/telemetry/sinks/sinks.c resolver/telemetry/sinks/sinks.h \
	resolver/telemetry/sinks/syslog_sink.c resolver/telemetry/sinks/syslog_sink.h

# dnstap: where libfstrm and protobuf-c are at hand.
EXTRA_DIST += resolver/telemetry/sinks/dnstap.proto
if HAVE_DNSTAP
resolver_telemetry_libtelemetry_a_SOURCES += \
	resolver/telemetry/sinks/dnstap.c \
	resolver/telemetry/sinks/dnstap_message.c resolver/telemetry/sinks/dnstap_message.h \
	resolver/telemetry/sinks/frame_stream.c resolver/telemetry/sinks/frame_stream.h
nodist_resolver_telemetry_libtelemetry_a_SOURCES = \
	resolver/telemetry/sinks/dnstap.pb-c.c resolver/telemetry/sinks/dnstap.pb-c.h
CLEANFILES += resolver/telemetry/sinks/dnstap.pb-c.c resolver/telemetry/sinks/dnstap.pb-c.h
resolver/telemetry/sinks/dnstap.pb-c.c: resolver/telemetry/sinks/dnstap.proto
	$(AM_V_GEN)$(MKDIR_P) resolver/telemetry/sinks && \
	$(PROTOC_C) --proto_path=$(srcdir)/resolver/telemetry/sinks --c_out=resolver/telemetry/sinks \
		$(srcdir)/resolver/telemetry/sinks/dnstap.proto
resolver/telemetry/sinks/dnstap.pb-c.h: resolver/telemetry/sinks/dnstap.pb-c.c
resolver/telemetry/sinks/dnstap_message.$(OBJEXT): resolver/telemetry/sinks/dnstap.pb-c.h
else
resolver_telemetry_libtelemetry_a_SOURCES += resolver/telemetry/sinks/dnstap_none.c
EXTRA_DIST += resolver/telemetry/sinks/dnstap.c \
	resolver/telemetry/sinks/dnstap_message.c resolver/telemetry/sinks/dnstap_message.h \
	resolver/telemetry/sinks/frame_stream.c resolver/telemetry/sinks/frame_stream.h
endif

# The scripts that Redis runs, as the text of C strings.
EXTRA_DIST += resolver/telemetry/redis/script.lua resolver/telemetry/redis/forget.lua
EXTRA_DIST += resolver/telemetry/redis/marks.lua
CLEANFILES += resolver/telemetry/redis/script.inc resolver/telemetry/redis/forget.inc
CLEANFILES += resolver/telemetry/redis/marks.inc
EXTRA_DIST += resolver/telemetry/redis/ingest.lua
CLEANFILES += resolver/telemetry/redis/ingest.inc
LUA_TO_C = $(AM_V_GEN)$(MKDIR_P) resolver/telemetry/redis && \
	$(SED) -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$$/\\n"/'
resolver/telemetry/redis/script.inc: resolver/telemetry/redis/script.lua
	$(LUA_TO_C) $(srcdir)/resolver/telemetry/redis/script.lua >$@.tmp && mv $@.tmp $@
resolver/telemetry/redis/forget.inc: resolver/telemetry/redis/forget.lua
	$(LUA_TO_C) $(srcdir)/resolver/telemetry/redis/forget.lua >$@.tmp && mv $@.tmp $@
resolver/telemetry/redis/marks.inc: resolver/telemetry/redis/marks.lua
	$(LUA_TO_C) $(srcdir)/resolver/telemetry/redis/marks.lua >$@.tmp && mv $@.tmp $@
resolver/telemetry/redis/marks.$(OBJEXT): resolver/telemetry/redis/marks.inc
resolver/telemetry/redis/ingest.inc: resolver/telemetry/redis/ingest.lua
	$(LUA_TO_C) $(srcdir)/resolver/telemetry/redis/ingest.lua >$@.tmp && mv $@.tmp $@
resolver/telemetry/redis/ingest_store.$(OBJEXT): resolver/telemetry/redis/ingest.inc
resolver/telemetry/redis/forget.$(OBJEXT): resolver/telemetry/redis/forget.inc
resolver/telemetry/redis/store.$(OBJEXT): resolver/telemetry/redis/script.inc

if HAVE_CMOCKA
TELEMETRY_TESTS = tests/unit/test_tally tests/unit/test_memory tests/unit/test_pending tests/unit/test_sketch tests/unit/test_record tests/unit/test_record_plain \
	tests/unit/test_forget tests/unit/test_journal tests/unit/test_latency tests/unit/test_redis tests/unit/test_store \
	tests/unit/test_script tests/unit/test_store_journal \
	tests/unit/test_clock_watch tests/unit/test_memory_kill tests/unit/test_tally_mend
check_PROGRAMS += $(TELEMETRY_TESTS) $(SINK_TESTS)
TESTS += $(TELEMETRY_TESTS) $(SINK_TESTS)
TELEMETRY_TEST_LIBS = $(LIB_TELEMETRY) $(DNSTAP_LIBS) $(REDIS_LIBS) $(EVENT_LIBS) $(LDNS_LIBS) $(CMOCKA_LIBS)
# Answered queries, a redis-server that is killed, and a process that counts, for several of them.
TEST_ANSWERS = tests/unit/answers.c tests/unit/answers.h
TEST_REDIS = $(TEST_ANSWERS) tests/unit/redis_process.c tests/unit/redis_process.h
TEST_MEMORY = $(TEST_ANSWERS) tests/unit/memory_process.c tests/unit/memory_process.h
tests_unit_test_latency_SOURCES = tests/unit/test_latency.c
tests_unit_test_latency_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_latency_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_tally_SOURCES = tests/unit/test_tally.c $(TEST_ANSWERS)
tests_unit_test_tally_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_tally_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_memory_SOURCES = tests/unit/test_memory.c $(TEST_MEMORY)
tests_unit_test_memory_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_memory_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_memory_kill_SOURCES = tests/unit/test_memory_kill.c $(TEST_MEMORY)
tests_unit_test_memory_kill_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_memory_kill_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_tally_mend_SOURCES = tests/unit/test_tally_mend.c $(TEST_MEMORY)
tests_unit_test_tally_mend_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_tally_mend_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_clock_watch_SOURCES = tests/unit/test_clock_watch.c $(TEST_MEMORY)
tests_unit_test_clock_watch_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_clock_watch_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_pending_SOURCES = tests/unit/test_pending.c $(TEST_ANSWERS) \
	tests/unit/script_model.c tests/unit/script_model.h
tests_unit_test_pending_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_pending_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_sketch_SOURCES = tests/unit/test_sketch.c
tests_unit_test_sketch_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_sketch_LDADD = $(TELEMETRY_TEST_LIBS)
RECORD_BED = tests/unit/record_bed.c tests/unit/record_bed.h
tests_unit_test_record_SOURCES = tests/unit/test_record.c $(RECORD_BED)
tests_unit_test_record_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_record_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_record_plain_SOURCES = tests/unit/test_record_plain.c $(RECORD_BED)
tests_unit_test_record_plain_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_record_plain_LDADD = $(TELEMETRY_TEST_LIBS)
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
tests_unit_test_script_SOURCES = tests/unit/test_script.c $(TEST_REDIS)
tests_unit_test_script_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_script_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_store_SOURCES = tests/unit/test_store.c $(TEST_REDIS)
tests_unit_test_store_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_store_LDADD = $(TELEMETRY_TEST_LIBS)
tests_unit_test_store_journal_SOURCES = tests/unit/test_store_journal.c $(TEST_REDIS)
tests_unit_test_store_journal_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_store_journal_LDADD = $(TELEMETRY_TEST_LIBS)

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
