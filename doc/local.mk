dist_man_MANS += doc/teredown.1 doc/teredown.conf.5 doc/teredownd.8
# The Splunk add-on is copied as a folder, doc/siem.md says where to.
splunkdir = $(datadir)/teredown/splunk/TA-teredown
splunk_defaultdir = $(splunkdir)/default
splunk_metadatadir = $(splunkdir)/metadata
dist_splunk_default_DATA = \
	doc/splunk/TA-teredown/default/app.conf \
	doc/splunk/TA-teredown/default/eventtypes.conf \
	doc/splunk/TA-teredown/default/macros.conf \
	doc/splunk/TA-teredown/default/props.conf \
	doc/splunk/TA-teredown/default/savedsearches.conf \
	doc/splunk/TA-teredown/default/tags.conf \
	doc/splunk/TA-teredown/default/transforms.conf
dist_splunk_metadata_DATA = doc/splunk/TA-teredown/metadata/default.meta
grafanadir = $(docdir)/grafana
dist_grafana_DATA = doc/grafana/README.md doc/grafana/alerts.yml doc/grafana/alerts-test.yml doc/grafana/teredown-prometheus.json doc/grafana/teredown-redis.json
listsdir = $(docdir)/lists
dist_lists_DATA = doc/lists/teredown-lists.service doc/lists/teredown-lists.timer
dist_lists_SCRIPTS = doc/lists/teredown-lists
dist_doc_DATA = doc/architecture.md doc/clients.md doc/backup.md doc/dashboard.md doc/from-drop-to-quiet.md doc/lists.md doc/log-formats.md doc/redis-schema.md doc/siem.md doc/testing.md doc/teredown.conf.sample

# teredown.conf.5 and teredown.conf.sample follow the table of options; `make update-doc` writes them anew.
noinst_PROGRAMS += doc/make-conf-manual
doc_make_conf_manual_SOURCES = doc/make_conf_manual.c
doc_make_conf_manual_LDADD = $(LIB_RESOLVER) $(CONFUSE_LIBS) $(TLS_LIBS)

.PHONY: update-doc
update-doc: doc/make-conf-manual$(EXEEXT)
	$(AM_V_GEN)doc/make-conf-manual $(srcdir)/doc/teredown.conf.5 >doc/conf.tmp && \
		mv doc/conf.tmp $(srcdir)/doc/teredown.conf.5
	$(AM_V_at)doc/make-conf-manual --sample >doc/conf.tmp && mv doc/conf.tmp $(srcdir)/doc/teredown.conf.sample
CLEANFILES += doc/conf.tmp

# test_options_print also compares the documents with the table.
if HAVE_CMOCKA
OPTIONS_TESTS = tests/unit/test_options tests/unit/test_options_faults tests/unit/test_options_groups tests/unit/test_modes tests/unit/test_options_print \
	tests/unit/test_options_redis tests/unit/test_options_transfer
check_PROGRAMS += $(OPTIONS_TESTS)
TESTS += $(OPTIONS_TESTS)
OPTIONS_FILE = tests/unit/options_file.c tests/unit/options_file.h
OPTIONS_TEST_LIBS = $(LIB_RESOLVER) $(CONFUSE_LIBS) $(TLS_LIBS) $(CMOCKA_LIBS)
tests_unit_test_options_SOURCES = tests/unit/test_options.c $(OPTIONS_FILE)
tests_unit_test_options_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_options_LDADD = $(OPTIONS_TEST_LIBS)
tests_unit_test_options_faults_SOURCES = tests/unit/test_options_faults.c $(OPTIONS_FILE)
tests_unit_test_options_faults_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_options_faults_LDADD = $(OPTIONS_TEST_LIBS)
tests_unit_test_options_groups_SOURCES = tests/unit/test_options_groups.c $(OPTIONS_FILE)
tests_unit_test_options_groups_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_options_groups_LDADD = $(OPTIONS_TEST_LIBS)
tests_unit_test_modes_SOURCES = tests/unit/test_modes.c $(OPTIONS_FILE)
tests_unit_test_modes_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_modes_LDADD = $(OPTIONS_TEST_LIBS)
tests_unit_test_options_print_SOURCES = tests/unit/test_options_print.c $(OPTIONS_FILE)
tests_unit_test_options_print_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_options_print_LDADD = $(OPTIONS_TEST_LIBS)
tests_unit_test_options_transfer_SOURCES = tests/unit/test_options_transfer.c $(OPTIONS_FILE)
tests_unit_test_options_transfer_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_options_transfer_LDADD = $(OPTIONS_TEST_LIBS)
tests_unit_test_options_redis_SOURCES = tests/unit/test_options_redis.c $(OPTIONS_FILE)
tests_unit_test_options_redis_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_options_redis_LDADD = $(OPTIONS_TEST_LIBS)
endif

# Of README; made by tests/live/test_browser.py.
EXTRA_DIST += doc/pictures/address.png doc/pictures/overview.png doc/pictures/phone.png doc/pictures/policy.png
