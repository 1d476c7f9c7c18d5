/* SPDX-License-Identifier: BSD-3-Clause */
/* What is read, what is kept, and what a fault costs: of files, and of zones that come from a feed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/dns/name.h"
#include "resolver/compile.h"

#define HEAD "$TTL 60\n@ SOA localhost. nobody.invalid. 1 2 3 4 5\n"

static char folder[] = "/tmp/teredown-compile-XXXXXX";
static char paths[2][64];
static struct zone_file files[2];
static struct zone_options zones[3];
static struct options options;

static void write_file(unsigned n, const char *text)
{
	FILE *file = fopen(paths[n], "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* The file is older than what could be changed without a trace. */
static void age(struct rules *rules)
{
	for (size_t i = 0; i < rules->zone_count; i++)
		for (size_t k = 0; k < rules->zones[i].source_count; k++)
			rules->zones[i].sources[k].fresh = false;
}

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/teredown-compile-XXXXXX");
	assert_non_null(mkdtemp(folder));
	for (unsigned i = 0; i < 2; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%u", folder, i);
		files[i] = (struct zone_file){.path = paths[i]};
		zones[i] = (struct zone_options){.kind = ZONE_LIST,
			.files = &files[i],
			.file_count = 1,
			.format = FORMAT_RPZ};
		snprintf(zones[i].name, sizeof(zones[i].name), "zone%u", i);
	}
	zones[2] = (struct zone_options){.name = "fed", .kind = ZONE_LIST, .primary_count = 1};
	options = (struct options){.zones = zones, .zone_count = 2};
	write_file(0, HEAD "a.example CNAME .\n");
	write_file(1, HEAD "b.example CNAME .\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(paths[0]);
	unlink(paths[1]);
	return rmdir(folder);
}

static bool has(const struct rules *rules, const char *text)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	return policy_match_name(rules->index, name.wire, name.length, matches) > 0;
}

/* The next rules; the old ones are freed. read: how many zones that took. */
static struct rules *next(struct rules *old, const struct zone_feed *feed, size_t read)
{
	struct compile_job *job = compile_job_new(&options, old, feed);
	struct rules *rules;

	assert_non_null(job);
	compile_run(job, NULL);
	assert_int_equal(job->error, TD_OK);
	assert_int_equal(job->read_count, read);
	rules = job->rules;
	job->rules = NULL;
	if (!rules) {
		old->users++; /* whoever gave it keeps it */
		rules = old;
	}
	compile_job_free(job);
	rules->users = 0;
	return rules;
}

static void test_what_did_not_change_is_kept(void **state)
{
	struct rules *rules = compile_now(&options, NULL, 1);

	(void)state;
	assert_non_null(rules);
	assert_int_equal(rules->rule_count, 2);
	age(rules);
	struct rules *same = next(rules, NULL, 0);
	assert_ptr_equal(same, rules);
	write_file(1, HEAD "c.example CNAME .\nd.example CNAME .\n");
	rules = next(rules, NULL, 1);
	assert_true(has(rules, "a.example") && !has(rules, "b.example") && has(rules, "d.example"));
	assert_int_equal(rules->rule_count, 3);
	/* Written a moment ago, so it is looked at again. */
	assert_true(rules->zones[1].sources[0].fresh);
	rules = next(rules, NULL, 1);
	age(rules);
	options.zone_count = 1;
	rules = next(rules, NULL, 0);
	assert_true(has(rules, "a.example") && !has(rules, "d.example"));
	assert_int_equal(rules->zone_count, 1);
	rules_free(rules);
}

static void test_fault_costs_its_zone_only(void **state)
{
	struct rules *rules = compile_now(&options, NULL, 1);
	int64_t since_us;

	(void)state;
	unlink(paths[0]);
	write_file(1, HEAD "c.example CNAME .\n");
	rules = next(rules, NULL, 1);
	assert_true(has(rules, "a.example") && has(rules, "c.example") && !has(rules, "b.example"));
	assert_string_equal(rules_zone_state(&rules->zones[0]), "old");
	assert_non_null(strstr(rules->zones[0].fault, "No such file"));
	assert_string_equal(rules_zone_state(&rules->zones[1]), "ok");
	since_us = rules->zones[0].fault_us;
	age(rules);
	write_file(0, "no zone\n");
	rules = next(rules, NULL, 0);
	assert_true(has(rules, "a.example"));
	assert_int_equal(rules->zones[0].fault_us, since_us);
	assert_non_null(strstr(rules->zones[0].fault, "SOA"));
	age(rules);
	write_file(0, HEAD "e.example CNAME .\n");
	rules = next(rules, NULL, 1);
	assert_true(has(rules, "e.example") && !has(rules, "a.example"));
	assert_string_equal(rules_zone_state(&rules->zones[0]), "ok");
	rules_free(rules);
}

static void test_start_wants_every_zone(void **state)
{
	(void)state;
	unlink(paths[1]);
	assert_null(compile_now(&options, NULL, 1));
}

static void test_zone_that_never_could_be_read(void **state)
{
	struct rules *rules;

	(void)state;
	options.zone_count = 1;
	rules = compile_now(&options, NULL, 1);
	age(rules);
	options.zone_count = 2;
	unlink(paths[1]);
	rules = next(rules, NULL, 0);
	assert_int_equal(policy_zone_count(rules->index), 2);
	assert_string_equal(rules_zone_state(&rules->zones[1]), "empty");
	age(rules);
	write_file(1, HEAD "b.example CNAME .\n");
	rules = next(rules, NULL, 1);
	assert_true(has(rules, "b.example"));
	assert_string_equal(rules_zone_state(&rules->zones[1]), "ok");
	rules_free(rules);
}

static void test_nobody_wants_it_any_more(void **state)
{
	atomic_bool cancelled = true;
	struct compile_job *job = compile_job_new(&options, NULL, NULL);

	(void)state;
	compile_run(job, &cancelled);
	assert_int_equal(job->error, TD_REFUSED);
	assert_null(job->rules);
	compile_job_free(job);
}

/* --- a feed --- */

struct feed {
	uint64_t version;
	const char *name; /* its one rule; NULL: it cannot be filled */
	unsigned filled, open;
	uint64_t seen; /* the version before, as fill was told */
};

static bool feed_snapshot(void *context, const char *zone, void **snapshot, uint64_t *version)
{
	struct feed *feed = context;

	if (strcmp(zone, "fed") != 0)
		return false;
	feed->open++;
	*snapshot = feed;
	*version = feed->version;
	return true;
}

static enum td_error feed_fill(void *context, void *snapshot, struct zone_fill *fill)
{
	struct feed *feed = snapshot;
	struct name name;

	assert_ptr_equal(context, snapshot);
	feed->filled++;
	feed->seen = fill->old_version;
	assert_int_equal(policy_builder_zone(fill->builder, fill->zone, fill->kind), TD_OK);
	if (!feed->name) {
		snprintf(fill->why, sizeof(fill->why), "the primary lies");
		return TD_MALFORMED;
	}
	assert_int_equal(name_from_text(&name, feed->name, strlen(feed->name)), TD_OK);
	fill->load.used = 1;
	return policy_builder_name(fill->builder, name.wire, false, true, ACTION_NXDOMAIN, 0);
}

static void feed_release(void *context, void *snapshot)
{
	assert_ptr_equal(context, snapshot);
	((struct feed *)context)->open--;
}

static void test_feed(void **state)
{
	struct feed feed = {.version = 7, .name = "x.example"};
	const struct zone_feed zone_feed = {&feed, feed_snapshot, feed_fill, feed_release};
	struct rules *rules;

	(void)state;
	options.zone_count = 3;
	rules = compile_now(&options, &zone_feed, 1);
	assert_true(has(rules, "a.example") && has(rules, "x.example"));
	assert_int_equal(rules->rule_count, 3);
	assert_int_equal(feed.filled, 1);
	age(rules);
	/* The same version is kept. */
	rules = next(rules, &zone_feed, 0);
	assert_int_equal(feed.filled, 1);
	feed.version = 8;
	feed.name = "y.example";
	rules = next(rules, &zone_feed, 1);
	assert_true(has(rules, "y.example") && !has(rules, "x.example"));
	assert_int_equal(feed.seen, 7);
	feed.version = 9;
	feed.name = NULL;
	rules = next(rules, &zone_feed, 0);
	assert_true(has(rules, "y.example") && has(rules, "a.example"));
	assert_string_equal(rules->zones[2].fault, "the primary lies");
	feed.name = "z.example";
	rules = next(rules, &zone_feed, 1);
	assert_int_equal(feed.seen, 8);
	assert_true(has(rules, "z.example") && !has(rules, "y.example"));
	assert_int_equal(feed.open, 0);
	rules_free(rules);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_what_did_not_change_is_kept),
		T(test_fault_costs_its_zone_only),
		T(test_start_wants_every_zone),
		T(test_zone_that_never_could_be_read),
		T(test_nobody_wants_it_any_more),
		T(test_feed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
