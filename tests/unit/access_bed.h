/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the tests of who may change something by the dashboard: a state directory of the test's own,
 * which has to be empty of all but what the dashboard writes there when the test is over.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resolver/control/dashboard/access.h"
#include "resolver/control/dashboard/changes.h"

struct fixture {
	char folder[64];
};

/* For cmocka_unit_test_setup_teardown: the folder is made, and is gone. */
int setup(void **state);
int teardown(void **state);

/* Until the next call. */
const char *path_of(const struct fixture *fixture, const char *name);

/* Into the folder, in place of what stood there. */
void write_file(const struct fixture *fixture, const char *name, const char *text);

/* Over this folder, with the token that it makes where there was none (else ""). */
struct access *open_access(const struct fixture *fixture, bool secure, char *made);

/* 200 where this is admitted, else the status of the refusal. */
int status_of(struct access *access, enum access_rule rule, const struct access_facts *facts);
