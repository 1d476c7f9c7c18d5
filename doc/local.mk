dist_man_MANS += doc/teredown.1 doc/teredown.conf.5 doc/teredownd.8
dist_doc_DATA = doc/architecture.md doc/clients.md doc/backup.md doc/redis-schema.md doc/testing.md doc/teredown.conf.sample

# teredown.conf.5 and teredown.conf.sample follow the table of options; `make update-doc` writes them anew.
noinst_PROGRAMS += doc/make-conf-manual
doc_make_conf_manual_SOURCES = doc/make_conf_manual.c
doc_make_conf_manual_LDADD = $(LIB_RESOLVER) $(CONFUSE_LIBS)

.PHONY: update-doc
update-doc: doc/make-conf-manual$(EXEEXT)
	$(AM_V_GEN)doc/make-conf-manual $(srcdir)/doc/teredown.conf.5 >doc/conf.tmp && \
		mv doc/conf.tmp $(srcdir)/doc/teredown.conf.5
	$(AM_V_at)doc/make-conf-manual --sample >doc/conf.tmp && mv doc/conf.tmp $(srcdir)/doc/teredown.conf.sample
CLEANFILES += doc/conf.tmp

# The options' test also compares the documents with the table.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_options
TESTS += tests/unit/test_options
tests_unit_test_options_SOURCES = tests/unit/test_options.c
tests_unit_test_options_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_options_LDADD = $(LIB_RESOLVER) $(CONFUSE_LIBS) $(CMOCKA_LIBS)
endif
