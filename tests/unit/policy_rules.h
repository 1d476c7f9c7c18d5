/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the tests of rules: zones and lists from literals, and what matches a name as the text a
 * person would see: "a:nxdomain:*.example. b:passthru:example." is zone, action and rule of each
 * match. A helper that fails fails the test.
 */
#pragma once

#include "lib/base/strbuf.h"
#include "policy/policy.h"

/* Two lines, so rules begin at line 3. */
#define SOA "$TTL 60\n@ SOA localhost. nobody.invalid. 1 2 3 4 5\n"

/* Gathers what a builder says of lines it passes over; the text is init'd by the test. */
struct complaints {
	struct strbuf text; /* "<source>:<line>: <words>\n" */
	unsigned count;
};

policy_report_fn complain;

/* Into the builder's last zone; add_zone makes one, with no text an empty one. */
struct policy_load add_rpz(struct policy_builder *builder, const char *text);
void add_zone(struct policy_builder *builder, const char *name, enum policy_zone_kind kind,
	const char *text);
void add_patterns(struct policy_builder *builder, const char *text);

/* An index of one zone, "a", from RPZ text or from patterns; freed by the caller. */
struct policy_index *one_zone(const char *text);
struct policy_index *one_list(const char *text);

struct name folded(const char *text);
void matches_to_text(const struct policy_index *index, const struct policy_match *matches,
	size_t count, struct strbuf *out);

/* All that matches a name. */
void expect(const struct policy_index *index, const char *name, const char *expected);

/* The first match of a name that has one. */
struct policy_match first_match(const struct policy_index *index, const char *name);
