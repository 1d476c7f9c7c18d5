/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the tests of the dashboard's handlers that show what commands show: called directly, over a
 * real redis-server that is filled by hand after the schema. No daemon runs beside it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "resolver/control/dashboard/context.h"
#include "resolver/control/dashboard/dashboard.h"
#include "tests/unit/redis_server.h"

#define NAME "teredo.ipv6.microsoft.com."
#define SERVER "65.55.158.118"
#define HOUR_MS INT64_C(3600000)

extern struct dashboard dashboard;
extern struct dashboard_options wrapped;
extern struct api_context *context; /* made anew for each test */
extern struct api_reply reply; /* to the question asked last */
extern json_t *object;         /* of the reply */
extern int64_t now_ms;         /* when the test began */

/* handler, what stands in the path or NULL, then names and values of parameters. */
#define ASK(...) ask(__VA_ARGS__, (const char *)NULL)
__attribute__((sentinel)) void ask(api_handler_fn *handler, const char *part, ...);

/* The reply is a problem of this status, told in a line that has these words in it. */
void check_problem(int status, const char *words);

const char *text_of(const json_t *from, const char *key);
int64_t number_of(const json_t *from, const char *key);

/* The row of an array of the object whose member key is this text. */
json_t *row_of(const char *array, const char *key, const char *text);

/* What a daemon would have written to Redis of so many hours ago. */
void add_hits(const char *resolver, const char *zone, int64_t hours_ago, const char *client,
	const char *name, int count);
void add_event(int64_t hours_ago, const char *kind, const char *text);
void add_transaction(const char *resolver, int64_t hours_ago, const char *client, const char *name,
	const char *zone);

/* For cmocka_run_group_tests. */
int begin_dashboard(void **state);
int finish_dashboard(void **state);

/* For cmocka_unit_test_setup: two resolvers, two clients, and nothing kept of the test before. */
int fill_anew(void **state);
