# `make bench` measures for about ten minutes and wants a quiet machine; `make check` only builds its tools, so that they do not rot.
check_PROGRAMS += tests/bench/cache tests/bench/echo tests/bench/log_formats tests/bench/policy_index tests/bench/record
tests_bench_cache_SOURCES = tests/bench/cache.c tests/unit/cache_trace.c tests/unit/cache_trace.h
tests_bench_cache_LDADD = $(LIB_RESOLVER) $(LDNS_LIBS) -lm
tests_bench_echo_SOURCES = tests/bench/echo.c
tests_bench_echo_LDADD =
tests_bench_log_formats_SOURCES = tests/bench/log_formats.c
tests_bench_log_formats_LDADD = resolver/control/libcontrol.a $(LIB_DNS) $(EXPAT_LIBS)
tests_bench_policy_index_SOURCES = tests/bench/policy_index.c
tests_bench_policy_index_LDADD = $(LIB_POLICY) $(LDNS_LIBS)
tests_bench_record_SOURCES = tests/bench/record.c
tests_bench_record_LDADD = $(LIB_TELEMETRY) $(REDIS_LIBS) $(EVENT_LIBS) $(LDNS_LIBS)
dist_noinst_SCRIPTS += tests/bench/dashboard tests/bench/hit tests/bench/ingest tests/bench/miss tests/bench/policy tests/bench/redis_memory.py
dist_noinst_DATA += tests/bench/bench.py tests/bench/policy_names.py

.PHONY: bench bench-tools
bench-tools: tests/bench/cache$(EXEEXT) tests/bench/echo$(EXEEXT) tests/bench/log_formats$(EXEEXT) tests/bench/policy_index$(EXEEXT) tests/bench/record$(EXEEXT)

bench: all bench-tools
	TEREDOWN_BUILD='$(abs_top_builddir)' $(srcdir)/tests/bench/hit $(BENCH_FLAGS)
	TEREDOWN_BUILD='$(abs_top_builddir)' $(srcdir)/tests/bench/miss $(BENCH_FLAGS)
	tests/bench/cache
	tests/bench/log_formats $(srcdir)/tests/data/logs
	TEREDOWN_BUILD='$(abs_top_builddir)' $(srcdir)/tests/bench/policy
