# `make bench` measures for about ten minutes and wants a quiet machine; `make check` only builds the echo, so that it does not rot.
check_PROGRAMS += tests/bench/echo
tests_bench_echo_SOURCES = tests/bench/echo.c
tests_bench_echo_LDADD =
dist_noinst_SCRIPTS += tests/bench/hit tests/bench/miss
dist_noinst_DATA += tests/bench/bench.py

.PHONY: bench bench-tools
bench-tools: tests/bench/echo$(EXEEXT)

bench: all bench-tools
	TEREDOWN_BUILD='$(abs_top_builddir)' $(srcdir)/tests/bench/hit $(BENCH_FLAGS)
	TEREDOWN_BUILD='$(abs_top_builddir)' $(srcdir)/tests/bench/miss $(BENCH_FLAGS)
