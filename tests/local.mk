# SPDX-License-Identifier: BSD-3-Clause
# The live tests: one entry of TESTS, which runs pytest over tests/live against the programs of this build.

LIVE_MODULES = \
	tests/live/asker.py \
	tests/live/batches.py \
	tests/live/big_site.py \
	tests/live/browser.py \
	tests/live/browser_site.py \
	tests/live/chaos_faults.py \
	tests/live/chaos_sets.py \
	tests/live/chaos_site.py \
	tests/live/chunks.py \
	tests/live/clock.py \
	tests/live/conftest.py \
	tests/live/crowd.py \
	tests/live/dashboard.py \
	tests/live/cutter.py \
	tests/live/axe.py \
	tests/live/demo_run.py \
	tests/live/demo_world.py \
	tests/live/harness.py \
	tests/live/load.py \
	tests/live/logs.py \
	tests/live/network.py \
	tests/live/nsd_config.py \
	tests/live/powershell.py \
	tests/live/redis_set.py \
	tests/live/slowlog.py \
	tests/live/small_disk.py \
	tests/live/teredo_server.py \
	tests/live/test_agree.py \
	tests/live/test_audit.py \
	tests/live/test_backup.py \
	tests/live/test_believe.py \
	tests/live/test_browser_pages.py \
	tests/live/test_browser_views.py \
	tests/live/test_browser.py \
	tests/live/test_cache.py \
	tests/live/test_clients.py \
	tests/live/test_completions.py \
	tests/live/test_control.py \
	tests/live/test_dashboard.py \
	tests/live/test_dashboard_security.py \
	tests/live/test_dashboard_api.py \
	tests/live/test_dashboard_fleet.py \
	tests/live/test_dashboard_clients.py \
	tests/live/test_demo.py \
	tests/live/test_dnstap.py \
	tests/live/signed.py \
	tests/live/test_dnssec.py \
	tests/live/test_edns.py \
	tests/live/test_dot.py \
	tests/live/test_fleet.py \
	tests/live/test_forget.py \
	tests/live/test_ingest.py \
	tests/live/test_ingest_script.py \
	tests/live/test_lifecycle.py \
	tests/live/test_load.py \
	tests/live/test_log.py \
	tests/live/test_loop.py \
	tests/live/test_memory.py \
	tests/live/test_metrics.py \
	tests/live/test_lists.py \
	tests/live/test_modes.py \
	tests/live/test_policy.py \
	tests/live/test_policy_test.py \
	tests/live/test_probe.py \
	tests/live/test_redirect.py \
	tests/live/test_redis.py \
	tests/live/test_redis_cluster.py \
	tests/live/test_redis_faults.py \
	tests/live/test_redis_sentinel.py \
	tests/live/test_redis_tls.py \
	tests/live/test_remediate.py \
	tests/live/test_replay.py \
	tests/live/rpz_rules.py \
	tests/live/test_rpz.py \
	tests/live/test_rpz_agree.py \
	tests/live/test_schema.py \
	tests/live/test_schema_lines.py \
	tests/live/test_script.py \
	tests/live/test_siem.py \
	tests/live/test_site.py \
	tests/live/test_special.py \
	tests/live/story.py \
	tests/live/test_stale.py \
	tests/live/stream_server.py \
	tests/live/test_story.py \
	tests/live/test_stream.py \
	tests/live/test_subnet.py \
	tests/live/primaries.py \
	tests/live/test_timeline.py \
	tests/live/test_transfer.py \
	tests/live/test_transport.py \
	tests/live/test_tunnels.py \
	tests/live/test_upstream.py \
	tests/live/test_upstream_choice.py \
	tests/live/test_who.py \
	tests/live/test_wire.py \
	tests/live/upstream.py \
	tests/live/week.py \
	tests/live/wire.py

EXTRA_DIST += $(LIVE_MODULES) tests/data/logs tests/data/redis-schema-1.jsonl
dist_check_SCRIPTS += tests/live/run tests/live/chaos tests/live/demo tests/live/audit_agree.py tests/live/audit_counts.py tests/live/audit_failover.py tests/live/audit_fleet.py tests/live/audit_flood.py \
	tests/live/audit_latency.py tests/live/audit_mixing.py tests/live/audit_ports.py tests/live/audit_overload.py tests/live/audit_rpz.py

if HAVE_PYTEST
TESTS += tests/live/run
endif

# Shows the closing line of the live tests beside automake's own.
AM_TESTS_FD_REDIRECT = 9>&2

# Clients: of tests/live/chaos (started by ./bootstrap check and not by `make check`), audit_fleet.py and audit_latency.py; of audit_flood.py.
check_PROGRAMS += tests/live/crowd tests/live/flood
tests_live_crowd_SOURCES = tests/live/crowd.c
tests_live_crowd_LDADD =
tests_live_flood_SOURCES = tests/live/flood.c
tests_live_flood_LDADD =
# The client of audit_overload.py.
check_PROGRAMS += tests/live/overload
tests_live_overload_SOURCES = tests/live/overload.c
tests_live_overload_LDADD =
