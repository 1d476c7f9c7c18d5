# The dashboard: in libcontrol.a, since `teredown` has it as one of its commands. A line a file.
if HAVE_DASHBOARD
resolver_control_libcontrol_a_SOURCES += \
	resolver/control/dashboard/access.c resolver/control/dashboard/access.h \
	resolver/control/dashboard/api.c resolver/control/dashboard/api.h \
	resolver/control/dashboard/api_change.c \
	resolver/control/dashboard/api_session.c \
	resolver/control/dashboard/api_command.c resolver/control/dashboard/api_command.h \
	resolver/control/dashboard/api_events.c \
	resolver/control/dashboard/api_health.c \
	resolver/control/dashboard/api_policy.c \
	resolver/control/dashboard/api_watch.c \
	resolver/control/dashboard/api_who.c \
	resolver/control/dashboard/away.c resolver/control/dashboard/away.h \
	resolver/control/dashboard/name_zones.c resolver/control/dashboard/name_zones.h \
	resolver/control/dashboard/watch.c resolver/control/dashboard/watch.h \
	resolver/control/dashboard/watch_clients.c \
	resolver/control/dashboard/zones.c resolver/control/dashboard/zones.h \
	resolver/control/dashboard/assets.c resolver/control/dashboard/assets.h \
	resolver/control/dashboard/connections.c resolver/control/dashboard/connections.h \
	resolver/control/dashboard/body.c resolver/control/dashboard/body.h \
	resolver/control/dashboard/changes.c resolver/control/dashboard/changes.h \
	resolver/control/dashboard/api_client.c \
	resolver/control/dashboard/api_clients.c \
	resolver/control/dashboard/api_overview.c \
	resolver/control/dashboard/context.c resolver/control/dashboard/context.h \
	resolver/control/dashboard/dashboard.c resolver/control/dashboard/dashboard.h \
	resolver/control/dashboard/digest.c resolver/control/dashboard/digest.h \
	resolver/control/dashboard/exchange.c resolver/control/dashboard/exchange.h \
	resolver/control/dashboard/gzip.c resolver/control/dashboard/gzip.h \
	resolver/control/dashboard/handlers.h \
	resolver/control/dashboard/host.c resolver/control/dashboard/host.h \
	resolver/control/dashboard/hours_json.c resolver/control/dashboard/hours_json.h \
	resolver/control/dashboard/http.c resolver/control/dashboard/http.h \
	resolver/control/dashboard/live.c resolver/control/dashboard/live.h \
	resolver/control/dashboard/live_build.c \
	resolver/control/dashboard/live_events.c \
	resolver/control/dashboard/overview.c resolver/control/dashboard/overview.h \
	resolver/control/dashboard/overview_latency.c \
	resolver/control/dashboard/overview_private.h \
	resolver/control/dashboard/overview_zones.c \
	resolver/control/dashboard/metrics.c resolver/control/dashboard/metrics.h \
	resolver/control/dashboard/metrics_text.c resolver/control/dashboard/metrics_text.h \
	resolver/control/dashboard/metrics_write.c \
	resolver/control/dashboard/pool.c resolver/control/dashboard/pool.h \
	resolver/control/dashboard/rates.c resolver/control/dashboard/rates.h \
	resolver/control/dashboard/routes.c resolver/control/dashboard/routes.h \
	resolver/control/dashboard/secure.c resolver/control/dashboard/secure.h \
	resolver/control/dashboard/session.c resolver/control/dashboard/session.h \
	resolver/control/dashboard/session_table.c resolver/control/dashboard/session_table.h \
	resolver/control/dashboard/sign_in.c resolver/control/dashboard/sign_in.h \
	resolver/control/dashboard/target.c resolver/control/dashboard/target.h \
	resolver/control/dashboard/token.c resolver/control/dashboard/token.h
nodist_resolver_control_libcontrol_a_SOURCES = resolver/control/dashboard/web.c
endif

# What the page is made of: served under its name, without the folder.
DASHBOARD_WEB = \
	resolver/control/dashboard/web/api.js \
	resolver/control/dashboard/web/app.css \
	resolver/control/dashboard/web/app.js \
	resolver/control/dashboard/web/ask-mode.js \
	resolver/control/dashboard/web/change.js \
	resolver/control/dashboard/web/dom.js \
	resolver/control/dashboard/web/format.js \
	resolver/control/dashboard/web/help.js \
	resolver/control/dashboard/web/hours.js \
	resolver/control/dashboard/web/icon.svg \
	resolver/control/dashboard/web/index.html \
	resolver/control/dashboard/web/live.js \
	resolver/control/dashboard/web/openapi.json \
	resolver/control/dashboard/web/parts.js \
	resolver/control/dashboard/web/policy-actions.js \
	resolver/control/dashboard/web/session.js \
	resolver/control/dashboard/web/shell.js \
	resolver/control/dashboard/web/sign-in.js \
	resolver/control/dashboard/web/spark.js \
	resolver/control/dashboard/web/states.js \
	resolver/control/dashboard/web/story-chart.js \
	resolver/control/dashboard/web/story-data.js \
	resolver/control/dashboard/web/story-files.js \
	resolver/control/dashboard/web/story-picture.js \
	resolver/control/dashboard/web/table.js \
	resolver/control/dashboard/web/theme.js \
	resolver/control/dashboard/web/view-address.js \
	resolver/control/dashboard/web/view-changes.js \
	resolver/control/dashboard/web/view-client.js \
	resolver/control/dashboard/web/view-clients.js \
	resolver/control/dashboard/web/view-drops.js \
	resolver/control/dashboard/web/view-health.js \
	resolver/control/dashboard/web/view-overview.js \
	resolver/control/dashboard/web/view-policy.js \
	resolver/control/dashboard/web/view-watch.js \
	resolver/control/dashboard/web/views.css
EXTRA_DIST += $(DASHBOARD_WEB) resolver/control/dashboard/embed.sh
CLEANFILES += resolver/control/dashboard/web.c

resolver/control/dashboard/web.c: $(DASHBOARD_WEB) resolver/control/dashboard/embed.sh
	$(AM_V_GEN)$(MKDIR_P) resolver/control/dashboard && cd $(srcdir) && \
		sh resolver/control/dashboard/embed.sh $(DASHBOARD_WEB) >$(abs_builddir)/$@.tmp && \
		mv $(abs_builddir)/$@.tmp $(abs_builddir)/$@

if HAVE_CMOCKA
if HAVE_DASHBOARD
DASHBOARD_TESTS =
DASHBOARD_TESTS += tests/unit/test_access
DASHBOARD_TESTS += tests/unit/test_changes
DASHBOARD_TESTS += tests/unit/test_dashboard_commands
DASHBOARD_TESTS += tests/unit/test_dashboard_connections
DASHBOARD_TESTS += tests/unit/test_dashboard_live
DASHBOARD_TESTS += tests/unit/test_dashboard_metrics
DASHBOARD_TESTS += tests/unit/test_dashboard_pool
DASHBOARD_TESTS += tests/unit/test_dashboard_routes
DASHBOARD_TESTS += tests/unit/test_dashboard_target
DASHBOARD_TESTS += tests/unit/test_dashboard_watch
DASHBOARD_TESTS += tests/unit/test_overview
DASHBOARD_TESTS += tests/unit/test_rates
DASHBOARD_TESTS += tests/unit/test_sign_in
check_PROGRAMS += $(DASHBOARD_TESTS)
TESTS += $(DASHBOARD_TESTS)
ACCESS_BED = tests/unit/access_bed.c tests/unit/access_bed.h
tests_unit_test_access_SOURCES = tests/unit/test_access.c $(ACCESS_BED)
tests_unit_test_access_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_access_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_changes_SOURCES = tests/unit/test_changes.c $(ACCESS_BED)
tests_unit_test_changes_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_changes_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_sign_in_SOURCES = tests/unit/test_sign_in.c $(ACCESS_BED)
tests_unit_test_sign_in_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_sign_in_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_overview_SOURCES = tests/unit/test_overview.c $(REDIS_SERVER)
tests_unit_test_overview_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_overview_LDFLAGS = -Wl,--wrap=dashboard_mono_ms
tests_unit_test_overview_LDADD = $(CONTROL_TEST_LIBS) $(JANSSON_LIBS)
tests_unit_test_rates_SOURCES = tests/unit/test_rates.c
tests_unit_test_rates_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_rates_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_dashboard_live_SOURCES = tests/unit/test_dashboard_live.c
tests_unit_test_dashboard_live_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_dashboard_live_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_dashboard_metrics_SOURCES = tests/unit/test_dashboard_metrics.c
tests_unit_test_dashboard_metrics_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_dashboard_metrics_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_dashboard_pool_SOURCES = tests/unit/test_dashboard_pool.c
tests_unit_test_dashboard_pool_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_dashboard_pool_LDADD = resolver/control/libcontrol.a $(CMOCKA_LIBS)
tests_unit_test_dashboard_routes_SOURCES = tests/unit/test_dashboard_routes.c
tests_unit_test_dashboard_routes_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_dashboard_routes_LDADD = $(CONTROL_TEST_LIBS)
DASHBOARD_BED = tests/unit/dashboard_bed.c tests/unit/dashboard_bed.h $(REDIS_SERVER)
tests_unit_test_dashboard_commands_SOURCES = tests/unit/test_dashboard_commands.c $(DASHBOARD_BED)
tests_unit_test_dashboard_commands_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_dashboard_commands_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_dashboard_connections_SOURCES = tests/unit/test_dashboard_connections.c
tests_unit_test_dashboard_connections_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_dashboard_connections_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_dashboard_watch_SOURCES = tests/unit/test_dashboard_watch.c $(DASHBOARD_BED)
tests_unit_test_dashboard_watch_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_dashboard_watch_LDFLAGS = -Wl,--wrap=cli_ask_silently
tests_unit_test_dashboard_watch_LDADD = $(CONTROL_TEST_LIBS)
tests_unit_test_dashboard_target_SOURCES = tests/unit/test_dashboard_target.c
tests_unit_test_dashboard_target_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_dashboard_target_LDADD = resolver/control/libcontrol.a $(CMOCKA_LIBS)
endif
endif
