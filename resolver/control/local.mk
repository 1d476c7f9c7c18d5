noinst_LIBRARIES += resolver/control/libcontrol.a
resolver_control_libcontrol_a_SOURCES = \
	resolver/control/buckets.c resolver/control/buckets.h \
	resolver/control/change_words.c resolver/control/change_words.h \
	resolver/control/clock.h \
	resolver/control/chart.c resolver/control/chart.h \
	resolver/control/cli.c resolver/control/cli.h \
	resolver/control/cli_store.c \
	resolver/control/client.c resolver/control/client.h \
	resolver/control/client_set.c resolver/control/client_set.h \
	resolver/control/client_table.c resolver/control/client_table.h \
	resolver/control/command_cache.c \
	resolver/control/command_dashboard.c \
	resolver/control/command_decode.c \
	resolver/control/command_drops.c \
	resolver/control/command_export.c resolver/control/export.h \
	resolver/control/command_forget.c \
	resolver/control/command_ingest.c \
	resolver/control/ingest/ingest.h \
	resolver/control/ingest/ingest_follow.c \
	resolver/control/ingest/ingest_gather.c resolver/control/ingest/ingest_gather.h \
	resolver/control/ingest/ingest_history.c resolver/control/ingest/ingest_history.h \
	resolver/control/ingest/ingest_input.c resolver/control/ingest/ingest_input.h \
	resolver/control/ingest/ingest_join.c resolver/control/ingest/ingest_join.h \
	resolver/control/ingest/ingest_read.c \
	resolver/control/ingest/ingest_report.c \
	resolver/control/ingest/ingest_source.c \
	resolver/control/export_filter.c resolver/control/export_format.c \
	resolver/control/command_mode.c \
	resolver/control/command_policy.c resolver/control/command_policy_list.c resolver/control/command_policy_refresh.c resolver/control/command_policy_rules.c resolver/control/command_policy_test.c resolver/control/command_policy.h \
	resolver/control/attributes.c resolver/control/attributes.h \
	resolver/control/command_probe.c \
	resolver/control/command_remediate.c \
	resolver/control/command_status.c \
	resolver/control/command_tail.c \
	resolver/control/command_timeline.c \
	resolver/control/command_top.c \
	resolver/control/command_verify.c \
	resolver/control/command_who.c \
	resolver/control/decode_filter.c resolver/control/decode_filter.h \
	resolver/control/drop_member.c resolver/control/drop_member.h \
	resolver/control/drops.c resolver/control/drops.h \
	resolver/control/fleet.c resolver/control/fleet.h \
	resolver/control/fleet_hours.c resolver/control/fleet_hours.h \
	resolver/control/hour_cache.c resolver/control/hour_cache.h \
	resolver/control/memo.c resolver/control/memo.h \
	resolver/control/ingest/log_asa.c \
	resolver/control/ingest/log_columns.c \
	resolver/control/ingest/log_dnsmasq.c \
	resolver/control/ingest/log_eventlog.c \
	resolver/control/ingest/log_format.c resolver/control/ingest/log_format.h \
	resolver/control/ingest/log_netfilter.c \
	resolver/control/ingest/log_pf.c \
	resolver/control/ingest/log_private.h \
	resolver/control/ingest/log_proxy.c \
	resolver/control/ingest/log_span.c \
	resolver/control/ingest/log_time.c \
	resolver/control/ingest/log_windows_dns.c \
	resolver/control/ingest/log_zeek_json.c \
	resolver/control/json_view.c resolver/control/json_view.h \
	resolver/control/known.c resolver/control/known.h \
	resolver/control/output.c resolver/control/output.h \
	resolver/control/pair_index.c resolver/control/pair_index.h \
	resolver/control/probe.c resolver/control/probe.h \
	resolver/control/probe_list.c resolver/control/probe_list.h \
	resolver/control/probe_loop.c resolver/control/probe_loop.h \
	resolver/control/probe_report.c resolver/control/probe_report.h \
	resolver/control/protocol.c resolver/control/protocol.h \
	resolver/control/ratio.c resolver/control/ratio.h \
	resolver/control/rule_hits.c resolver/control/rule_hits.h \
	resolver/control/told_teredo.c resolver/control/told_teredo.h \
	resolver/control/top_load.c resolver/control/top_load.h \
	resolver/control/top_print.c resolver/control/top_print.h \
	resolver/control/top_reader.c resolver/control/top_reader.h \
	resolver/control/top_screen.c resolver/control/top_screen.h \
	resolver/control/top_state.c resolver/control/top_state.h \
	resolver/control/top_table.c resolver/control/top_table.h \
	resolver/control/remediate/remediate.h \
	resolver/control/remediate/remediate_firewall.c \
	resolver/control/remediate/remediate_hosts.c \
	resolver/control/remediate/remediate_linux.c \
	resolver/control/remediate/remediate_powershell.c \
	resolver/control/remediate/remediate_text.c \
	resolver/control/remediate/remediate_windows.c \
	resolver/control/samples.c resolver/control/samples.h \
	resolver/control/say.c resolver/control/say.h \
	resolver/control/server.c resolver/control/server.h \
	resolver/control/status_fleet.c resolver/control/status_fleet.h \
	resolver/control/timeline.h \
	resolver/control/timeline_load.c \
	resolver/control/timeline_show.c \
	resolver/control/who.h \
	resolver/control/who_address.c \
	resolver/control/who_client.c \
	resolver/control/who_history.c \
	resolver/control/who_hosts.c \
	resolver/control/who_logs.c \
	resolver/control/who_name.c \
	resolver/control/who_parts.c \
	resolver/control/who_period.c resolver/control/who_period.h \
	resolver/control/who_policy.c \
	resolver/control/who_retries.c \
	resolver/control/who_story.c resolver/control/who_story.h \
	resolver/control/words.c resolver/control/words.h

include resolver/control/dashboard/local.mk

bin_PROGRAMS += teredown
teredown_SOURCES = resolver/control/teredown.c
teredown_LDADD = $(LIB_CONTROL) $(DASHBOARD_LIBS) $(LOG_LIBS) $(NCURSES_LIBS) $(CONFUSE_LIBS) $(REDIS_LIBS) $(EVENT_LIBS) $(LDNS_LIBS)

bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = doc/completions/teredown.bash
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = doc/completions/_teredown
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_fishcompletion_DATA = doc/completions/teredown.fish

if HAVE_CMOCKA
CONTROL_TESTS = tests/unit/test_control tests/unit/test_cli tests/unit/test_fleet tests/unit/test_reader \
	tests/unit/test_log_format tests/unit/test_ingest
CONTROL_TESTS += tests/unit/test_decode_filter tests/unit/test_who tests/unit/test_imports
CONTROL_TESTS += tests/unit/test_remediate
tests_unit_test_remediate_SOURCES = tests/unit/test_remediate.c $(REDIS_SERVER)
tests_unit_test_remediate_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_remediate_LDADD = $(CONTROL_TEST_LIBS)
CONTROL_TESTS += tests/unit/test_probe tests/unit/test_probe_list
CONTROL_TESTS += tests/unit/test_buckets tests/unit/test_hours
CONTROL_TESTS += tests/unit/test_top
tests_unit_test_top_SOURCES = tests/unit/test_top.c
tests_unit_test_top_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_top_LDADD = resolver/control/libcontrol.a $(LIB_BASE) $(CMOCKA_LIBS)
CONTROL_TESTS += tests/unit/test_top_reader
tests_unit_test_top_reader_SOURCES = tests/unit/test_top_reader.c $(REDIS_SERVER)
tests_unit_test_top_reader_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_top_reader_LDADD = $(CONTROL_TEST_LIBS)
CONTROL_TESTS += tests/unit/test_reader_tables tests/unit/test_client_table
tests_unit_test_client_table_SOURCES = tests/unit/test_client_table.c $(REDIS_SERVER)
tests_unit_test_client_table_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_client_table_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_reader_tables_SOURCES = tests/unit/test_reader_tables.c $(REDIS_SERVER)
tests_unit_test_reader_tables_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_reader_tables_LDADD = $(CONTROL_TEST_LIBS)
CONTROL_TESTS += tests/unit/test_hour_cache
CONTROL_TESTS += tests/unit/test_samples
check_PROGRAMS += $(CONTROL_TESTS)
TESTS += $(CONTROL_TESTS)
REDIS_SERVER = tests/unit/redis_server.c tests/unit/redis_server.h
CONTROL_TEST_LIBS = $(LIB_CONTROL) $(DASHBOARD_LIBS) $(LOG_LIBS) $(NCURSES_LIBS) $(CONFUSE_LIBS) $(REDIS_LIBS) $(EVENT_LIBS) $(LDNS_LIBS) $(CMOCKA_LIBS)
tests_unit_test_probe_SOURCES = tests/unit/test_probe.c tests/unit/teredo_reply.c tests/unit/teredo_reply.h
tests_unit_test_probe_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_probe_LDADD = resolver/control/libcontrol.a $(LIB_DNS) $(CMOCKA_LIBS)
tests_unit_test_probe_list_SOURCES = tests/unit/test_probe_list.c
tests_unit_test_probe_list_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_probe_list_LDADD = resolver/control/libcontrol.a $(LIB_DNS) $(CMOCKA_LIBS)
tests_unit_test_control_SOURCES = tests/unit/test_control.c
tests_unit_test_control_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_control_LDADD = resolver/control/libcontrol.a $(LIB_BASE) $(EVENT_LIBS) $(CMOCKA_LIBS)
tests_unit_test_log_format_SOURCES = tests/unit/test_log_format.c
tests_unit_test_log_format_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_log_format_LDADD = resolver/control/libcontrol.a $(LIB_DNS) $(EXPAT_LIBS) $(CMOCKA_LIBS)
tests_unit_test_cli_SOURCES = tests/unit/test_cli.c
tests_unit_test_cli_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_cli_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_decode_filter_SOURCES = tests/unit/test_decode_filter.c
tests_unit_test_decode_filter_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_decode_filter_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_imports_SOURCES = tests/unit/test_imports.c $(REDIS_SERVER)
tests_unit_test_imports_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_imports_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_who_SOURCES = tests/unit/test_who.c
tests_unit_test_who_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_who_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_fleet_SOURCES = tests/unit/test_fleet.c $(REDIS_SERVER)
tests_unit_test_fleet_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_fleet_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_ingest_SOURCES = tests/unit/test_ingest.c
tests_unit_test_ingest_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_ingest_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_reader_SOURCES = tests/unit/test_reader.c $(REDIS_SERVER)
tests_unit_test_reader_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_reader_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_buckets_SOURCES = tests/unit/test_buckets.c
tests_unit_test_buckets_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_buckets_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_hour_cache_SOURCES = tests/unit/test_hour_cache.c $(REDIS_SERVER)
tests_unit_test_hour_cache_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_hour_cache_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_samples_SOURCES = tests/unit/test_samples.c $(REDIS_SERVER)
tests_unit_test_samples_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_samples_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_hours_SOURCES = tests/unit/test_hours.c $(REDIS_SERVER)
tests_unit_test_hours_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_hours_LDADD = $(CONTROL_TEST_LIBS)
endif
