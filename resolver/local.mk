noinst_LIBRARIES += resolver/libresolver.a
resolver_libresolver_a_SOURCES = \
	resolver/answer.c resolver/answer.h \
	resolver/cache.c resolver/cache.h resolver/cache_private.h \
	resolver/cache_file.c resolver/cache_file.h \
	resolver/cache_queues.c resolver/cache_queues.h \
	resolver/cache_rate.c resolver/cache_rate.h \
	resolver/cache_walk.c resolver/cache_walk.h \
	resolver/chain.c resolver/chain.h \
	resolver/client_names.c resolver/client_names.h \
	resolver/clients.c resolver/clients.h \
	resolver/compile.c resolver/compile.h \
	resolver/compiler.c resolver/compiler.h \
	resolver/cookie_file.c resolver/cookie_file.h \
	resolver/counters.h \
	resolver/descriptors.c resolver/descriptors.h \
	resolver/event_command.c resolver/event_command.h \
	resolver/failures.c resolver/failures.h \
	resolver/feeds.c resolver/feeds.h resolver/feeds_groups.c resolver/feeds_policy.c \
	resolver/file_mark.c resolver/file_mark.h \
	resolver/file_watch.c resolver/file_watch.h \
	resolver/hosts.c resolver/hosts.h \
	resolver/listen_tcp.c resolver/listen_tcp.h \
	resolver/listen_udp.c resolver/listen_udp.h \
	resolver/mode_table.c resolver/mode_table.h \
	resolver/modes.c resolver/modes.h \
	resolver/modes_file.c resolver/modes_file.h \
	resolver/name_files.c resolver/name_files.h \
	resolver/neighbours.c resolver/neighbours.h \
	resolver/notify.c resolver/notify.h \
	resolver/options.c resolver/options.h resolver/options_private.h \
	resolver/options_check.c resolver/options_faults.c resolver/options_forward.c resolver/options_group.c \
	resolver/options_override.c resolver/options_print.c \
	resolver/options_read.c resolver/options_read_group.c resolver/options_reading.h \
	resolver/options_redis.c resolver/options_transfer.c resolver/options_table.c resolver/options_value.c \
	resolver/flight.c resolver/flight.h resolver/judge.c resolver/judge.h \
	resolver/query.c resolver/query.h resolver/query_private.h \
	resolver/question.c resolver/question.h \
	resolver/rate_limit.c resolver/rate_limit.h \
	resolver/rebinding.c resolver/rebinding.h \
	resolver/redirect.c resolver/redirect.h \
	resolver/reply.c resolver/reply.h \
	resolver/resolv_conf.c resolver/resolv_conf.h \
	resolver/rules.c resolver/rules.h \
	resolver/schedule.c resolver/schedule.h \
	resolver/site.c resolver/site.h \
	resolver/sockets.c resolver/sockets.h \
	resolver/text_file.c resolver/text_file.h \
	resolver/transfer.c resolver/transfer.h \
	resolver/transfer_copy.c resolver/transfer_copy.h resolver/transfer_copy_private.h resolver/transfer_copy_read.c \
	resolver/transfer_feed.c resolver/transfer_feed.h \
	resolver/transfer_loop.c resolver/transfer_loop.h \
	resolver/transfer_stream.c resolver/transfer_stream.h \
	resolver/waiter.c resolver/waiter.h \
	resolver/tcp_clients.c resolver/tcp_clients.h \
	resolver/waiting.c resolver/waiting.h \
	resolver/worker.c resolver/worker.h \
	resolver/zone_text.c resolver/zone_text.h

sbin_PROGRAMS += teredownd
teredownd_SOURCES = \
	resolver/daemon.c resolver/daemon.h \
	resolver/daemon_cache.c \
	resolver/daemon_cache_file.c \
	resolver/daemon_check.c \
	resolver/daemon_control.c \
	resolver/daemon_explain.c resolver/daemon_explain.h \
	resolver/daemon_policy.c resolver/daemon_policy.h resolver/daemon_policy_test.c \
	resolver/daemon_gauges.c resolver/daemon_gauges.h \
	resolver/daemon_modes.c resolver/daemon_modes.h resolver/daemon_modes_private.h \
	resolver/daemon_modes_request.c \
	resolver/loop_prober.c resolver/loop_prober.h \
	resolver/daemon_reload.c resolver/daemon_reload.h \
	resolver/daemon_site.c resolver/daemon_site.h \
	resolver/daemon_transfer.c resolver/daemon_transfer.h \
	resolver/main.c
teredownd_LDADD = $(LIB_CONTROL) $(CONFUSE_LIBS) $(DNSTAP_LIBS) $(REDIS_LIBS) $(EVENT_LIBS) $(LDNS_LIBS)

if HAVE_CMOCKA
SCENARIO_BED = tests/scenario/bed.c tests/scenario/bed.h tests/scenario/world.c tests/scenario/world.h
RESOLVER_TESTS = \
	tests/scenario/test_modes \
	tests/scenario/test_query \
	tests/scenario/test_redirect \
	tests/scenario/test_rpz \
	tests/scenario/test_swap \
	tests/unit/test_cache \
	tests/unit/test_cache_eviction \
	tests/unit/test_cache_file \
	tests/unit/test_cache_walk \
	tests/unit/test_compile \
	tests/unit/test_failures \
	tests/unit/test_ttl \
	tests/scenario/test_stale tests/scenario/test_refresh tests/scenario/test_failure tests/scenario/test_one_question
check_PROGRAMS += $(RESOLVER_TESTS)
TESTS += $(RESOLVER_TESTS)
check_PROGRAMS += tests/unit/test_name_files tests/unit/test_event_command
TESTS += tests/unit/test_name_files tests/unit/test_event_command
check_PROGRAMS += tests/unit/test_schedule
TESTS += tests/unit/test_schedule
tests_unit_test_schedule_SOURCES = tests/unit/test_schedule.c
tests_unit_test_schedule_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_schedule_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
SITE_TESTS = tests/unit/test_hosts tests/unit/test_resolv_conf tests/scenario/test_site
check_PROGRAMS += $(SITE_TESTS)
TESTS += $(SITE_TESTS)
tests_unit_test_resolv_conf_SOURCES = tests/unit/test_resolv_conf.c
tests_unit_test_resolv_conf_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_resolv_conf_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(EVENT_LIBS)
tests_scenario_test_site_SOURCES = tests/scenario/test_site.c $(SCENARIO_BED)
tests_scenario_test_site_CFLAGS = $(TEST_CFLAGS)
tests_scenario_test_site_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_hosts_SOURCES = tests/unit/test_hosts.c
tests_unit_test_hosts_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_hosts_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_event_command_SOURCES = tests/unit/test_event_command.c
tests_unit_test_event_command_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_event_command_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(EVENT_LIBS) $(LDNS_LIBS)
tests_unit_test_name_files_SOURCES = tests/unit/test_name_files.c
tests_unit_test_name_files_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_name_files_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_cache_SOURCES = tests/unit/test_cache.c
tests_unit_test_cache_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_cache_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_cache_eviction_SOURCES = tests/unit/test_cache_eviction.c tests/unit/cache_trace.c tests/unit/cache_trace.h
tests_unit_test_cache_eviction_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_cache_eviction_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS) -lm
tests_unit_test_cache_file_SOURCES = tests/unit/test_cache_file.c tests/unit/cache_trace.c tests/unit/cache_trace.h
tests_unit_test_cache_file_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_cache_file_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS) -lm
tests_unit_test_ttl_SOURCES = tests/unit/test_ttl.c
tests_unit_test_ttl_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_ttl_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_cache_walk_SOURCES = tests/unit/test_cache_walk.c tests/unit/cache_trace.c tests/unit/cache_trace.h
tests_unit_test_cache_walk_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_cache_walk_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS) -lm
tests_unit_test_failures_SOURCES = tests/unit/test_failures.c
tests_unit_test_failures_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_failures_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_scenario_test_redirect_SOURCES = tests/scenario/test_redirect.c $(SCENARIO_BED)
tests_scenario_test_redirect_CFLAGS = $(TEST_CFLAGS)
tests_scenario_test_redirect_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_scenario_test_modes_SOURCES = tests/scenario/test_modes.c $(SCENARIO_BED)
tests_scenario_test_modes_CFLAGS = $(TEST_CFLAGS)
tests_scenario_test_modes_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_scenario_test_stale_SOURCES = tests/scenario/test_stale.c $(SCENARIO_BED)
tests_scenario_test_stale_CFLAGS = $(TEST_CFLAGS)
tests_scenario_test_stale_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_scenario_test_refresh_SOURCES = tests/scenario/test_refresh.c $(SCENARIO_BED)
tests_scenario_test_refresh_CFLAGS = $(TEST_CFLAGS)
tests_scenario_test_refresh_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_scenario_test_failure_SOURCES = tests/scenario/test_failure.c $(SCENARIO_BED)
tests_scenario_test_failure_CFLAGS = $(TEST_CFLAGS)
tests_scenario_test_failure_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_scenario_test_one_question_SOURCES = tests/scenario/test_one_question.c $(SCENARIO_BED)
tests_scenario_test_one_question_CFLAGS = $(TEST_CFLAGS)
tests_scenario_test_one_question_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_scenario_test_rpz_SOURCES = tests/scenario/test_rpz.c $(SCENARIO_BED)
tests_scenario_test_rpz_CFLAGS = $(TEST_CFLAGS)
tests_scenario_test_rpz_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_unit_test_compile_SOURCES = tests/unit/test_compile.c
tests_unit_test_compile_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_compile_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_scenario_test_swap_SOURCES = tests/scenario/test_swap.c $(SCENARIO_BED)
tests_scenario_test_swap_CFLAGS = $(TEST_CFLAGS)
tests_scenario_test_swap_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
tests_scenario_test_query_SOURCES = tests/scenario/test_query.c $(SCENARIO_BED)
tests_scenario_test_query_CFLAGS = $(TEST_CFLAGS)
tests_scenario_test_query_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
LOAD_TESTS = tests/unit/test_descriptors tests/unit/test_rate_limit tests/unit/test_rebinding tests/unit/test_tcp_clients tests/unit/test_waiting \
	tests/scenario/test_load
check_PROGRAMS += $(LOAD_TESTS)
TESTS += $(LOAD_TESTS)
tests_unit_test_rebinding_SOURCES = tests/unit/test_rebinding.c
tests_unit_test_rebinding_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_rebinding_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS)
tests_unit_test_descriptors_SOURCES = tests/unit/test_descriptors.c
tests_unit_test_descriptors_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_descriptors_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS)
tests_unit_test_rate_limit_SOURCES = tests/unit/test_rate_limit.c
tests_unit_test_rate_limit_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_rate_limit_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS)
tests_unit_test_tcp_clients_SOURCES = tests/unit/test_tcp_clients.c
tests_unit_test_tcp_clients_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_tcp_clients_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS)
tests_unit_test_waiting_SOURCES = tests/unit/test_waiting.c
tests_unit_test_waiting_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_waiting_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS)
tests_scenario_test_load_SOURCES = tests/scenario/test_load.c $(SCENARIO_BED)
tests_scenario_test_load_CFLAGS = $(TEST_CFLAGS)
tests_scenario_test_load_LDADD = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS)
endif

if HAVE_CMOCKA
TRANSFER_TESTS = \
	tests/unit/test_notify \
	tests/unit/test_transfer \
	tests/unit/test_transfer_copy \
	tests/unit/test_transfer_feed \
	tests/unit/test_transfer_loop \
	tests/unit/test_transfer_stream \
	tests/unit/test_transfer_times
check_PROGRAMS += $(TRANSFER_TESTS)
TESTS += $(TRANSFER_TESTS)
TRANSFER_TEST_LIBS = $(LIB_RESOLVER) $(CMOCKA_LIBS) $(LDNS_LIBS) $(TLS_LIBS)
tests_unit_test_notify_SOURCES = tests/unit/test_notify.c tests/unit/zone_answer.c tests/unit/zone_answer.h
tests_unit_test_notify_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_notify_LDADD = $(TRANSFER_TEST_LIBS)
tests_unit_test_transfer_feed_SOURCES = tests/unit/test_transfer_feed.c tests/unit/zone_answer.c tests/unit/zone_answer.h
tests_unit_test_transfer_feed_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_transfer_feed_LDADD = $(TRANSFER_TEST_LIBS)
tests_unit_test_transfer_loop_SOURCES = tests/unit/test_transfer_loop.c tests/unit/zone_answer.c tests/unit/zone_answer.h
tests_unit_test_transfer_loop_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_transfer_loop_LDADD = $(TRANSFER_TEST_LIBS)
TRANSFER_BED = tests/unit/transfer_bed.c tests/unit/transfer_bed.h tests/unit/zone_answer.c tests/unit/zone_answer.h
tests_unit_test_transfer_times_SOURCES = tests/unit/test_transfer_times.c $(TRANSFER_BED)
tests_unit_test_transfer_times_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_transfer_times_LDADD = $(TRANSFER_TEST_LIBS)
tests_unit_test_transfer_SOURCES = tests/unit/test_transfer.c $(TRANSFER_BED)
tests_unit_test_transfer_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_transfer_LDADD = $(TRANSFER_TEST_LIBS)
tests_unit_test_transfer_copy_SOURCES = tests/unit/test_transfer_copy.c tests/unit/zone_answer.c tests/unit/zone_answer.h
tests_unit_test_transfer_copy_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_transfer_copy_LDADD = $(TRANSFER_TEST_LIBS)
tests_unit_test_transfer_stream_SOURCES = tests/unit/test_transfer_stream.c tests/unit/zone_answer.c tests/unit/zone_answer.h
tests_unit_test_transfer_stream_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_transfer_stream_LDADD = $(TRANSFER_TEST_LIBS)
endif
