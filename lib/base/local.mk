noinst_LIBRARIES += lib/base/libbase.a
lib_base_libbase_a_SOURCES = \
	lib/base/arena.c lib/base/arena.h \
	lib/base/base64.c lib/base/base64.h \
	lib/base/clock.h \
	lib/base/crc32c.c lib/base/crc32c.h \
	lib/base/decimal.c lib/base/decimal.h \
	lib/base/error.c lib/base/error.h \
	lib/base/hash.c lib/base/hash.h \
	lib/base/hex.h \
	lib/base/log.c lib/base/log.h \
	lib/base/mailbox.c lib/base/mailbox.h \
	lib/base/ring.c lib/base/ring.h \
	lib/base/strbuf.c lib/base/strbuf.h \
	lib/base/table.c lib/base/table.h

if HAVE_CMOCKA
BASE_TESTS = tests/unit/test_base
check_PROGRAMS += $(BASE_TESTS)
TESTS += $(BASE_TESTS)
tests_unit_test_base_SOURCES = tests/unit/test_base.c
tests_unit_test_base_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_base_LDADD = $(LIB_BASE) $(CMOCKA_LIBS)
endif
