# SPDX-License-Identifier: BSD-3-Clause
# Each target is a file of ten lines. Configured with --enable-fuzzers (clang) it is linked with libFuzzer; without,
# replay.c feeds it its seeds and every packet at hand, as one of the tests.
FUZZ_TARGETS = tests/fuzz/fuzz_request tests/fuzz/fuzz_message tests/fuzz/fuzz_name_text tests/fuzz/fuzz_text_rr \
	tests/fuzz/fuzz_rpz tests/fuzz/fuzz_lists tests/fuzz/fuzz_exchange tests/fuzz/fuzz_answer tests/fuzz/fuzz_forwarded tests/fuzz/fuzz_name_files \
	tests/fuzz/fuzz_log_format tests/fuzz/fuzz_decode_filter tests/fuzz/fuzz_cache_file \
	tests/fuzz/fuzz_teredo tests/fuzz/fuzz_probe_list tests/fuzz/fuzz_transfer
if HAVE_DNSTAP
FUZZ_TARGETS += tests/fuzz/fuzz_frame_stream
endif
EXTRA_DIST += tests/fuzz/seeds

if ENABLE_FUZZERS
noinst_PROGRAMS += $(FUZZ_TARGETS)
# Coverage of everything that is linked, not of the targets alone.
AM_CFLAGS += -fsanitize=fuzzer-no-link
AM_LDFLAGS += -fsanitize=fuzzer-no-link
FUZZ_MAIN =
FUZZ_FLAGS = -fsanitize=fuzzer
else
check_PROGRAMS += $(FUZZ_TARGETS)
TESTS += $(FUZZ_TARGETS)
FUZZ_MAIN = tests/fuzz/replay.c
FUZZ_FLAGS =
endif

tests_fuzz_fuzz_request_SOURCES = tests/fuzz/fuzz_request.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_request_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_request_LDADD = $(LIB_DNS) $(LDNS_LIBS)
tests_fuzz_fuzz_message_SOURCES = tests/fuzz/fuzz_message.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_message_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_message_LDADD = $(LIB_DNS) $(LDNS_LIBS)
tests_fuzz_fuzz_name_text_SOURCES = tests/fuzz/fuzz_name_text.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_name_text_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_name_text_LDADD = $(LIB_DNS) $(LDNS_LIBS)
tests_fuzz_fuzz_text_rr_SOURCES = tests/fuzz/fuzz_text_rr.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_text_rr_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_text_rr_LDADD = $(LIB_DNS) $(LDNS_LIBS)
tests_fuzz_fuzz_rpz_SOURCES = tests/fuzz/fuzz_rpz.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_rpz_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_rpz_LDADD = $(LIB_POLICY) $(LDNS_LIBS)
tests_fuzz_fuzz_lists_SOURCES = tests/fuzz/fuzz_lists.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_lists_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_lists_LDADD = $(LIB_POLICY) $(LDNS_LIBS)
tests_fuzz_fuzz_transfer_SOURCES = tests/fuzz/fuzz_transfer.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_transfer_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_transfer_LDADD = $(LIB_RESOLVER) $(LDNS_LIBS) $(TLS_LIBS)
tests_fuzz_fuzz_exchange_SOURCES = tests/fuzz/fuzz_exchange.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_exchange_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_exchange_LDADD = $(LIB_UPSTREAM)
tests_fuzz_fuzz_answer_SOURCES = tests/fuzz/fuzz_answer.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_answer_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_answer_LDADD = $(LIB_RESOLVER) $(LDNS_LIBS)
tests_fuzz_fuzz_forwarded_SOURCES = tests/fuzz/fuzz_forwarded.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_forwarded_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_forwarded_LDADD = $(LIB_DNS)
tests_fuzz_fuzz_name_files_SOURCES = tests/fuzz/fuzz_name_files.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_name_files_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_name_files_LDADD = $(LIB_RESOLVER) $(LDNS_LIBS)
tests_fuzz_fuzz_cache_file_SOURCES = tests/fuzz/fuzz_cache_file.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_cache_file_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_cache_file_LDADD = $(LIB_RESOLVER) $(LDNS_LIBS)
tests_fuzz_fuzz_log_format_SOURCES = tests/fuzz/fuzz_log_format.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_log_format_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_log_format_LDADD = resolver/control/libcontrol.a $(LIB_DNS) $(EXPAT_LIBS)
tests_fuzz_fuzz_decode_filter_SOURCES = tests/fuzz/fuzz_decode_filter.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_decode_filter_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_decode_filter_LDADD = resolver/control/libcontrol.a $(LIB_DNS)
tests_fuzz_fuzz_probe_list_SOURCES = tests/fuzz/fuzz_probe_list.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_probe_list_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_probe_list_LDADD = resolver/control/libcontrol.a $(LIB_DNS)
tests_fuzz_fuzz_teredo_SOURCES = tests/fuzz/fuzz_teredo.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_teredo_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_teredo_LDADD = $(LIB_DNS)
tests_fuzz_fuzz_frame_stream_SOURCES = tests/fuzz/fuzz_frame_stream.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_frame_stream_CFLAGS = $(AM_CFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_frame_stream_LDADD = $(LIB_TELEMETRY) $(DNSTAP_LIBS)
