/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/zone_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const struct name zone_apex = {.length = 13, .wire = "\003rpz\007example"};

struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	return name;
}

void answer_begin(struct zone_answer *answer, uint16_t id, uint16_t qtype)
{
	compose_begin(&answer->compose, answer->octets, sizeof answer->octets, id,
		DNS_FLAG_QR | DNS_FLAG_AA, zone_apex.wire, zone_apex.length, qtype, CLASS_IN);
}

void answer_soa(struct zone_answer *answer, uint32_t serial)
{
	const struct compose_soa soa = {.mname = name_of("ns.rpz.example"),
		.rname = name_of("root.rpz.example"),
		.serial = serial,
		.refresh_s = 3600,
		.retry_s = 600,
		.expire_s = 86400,
		.minimum_s = 60};

	assert_true(compose_rr_soa(&answer->compose, SECTION_ANSWER, &zone_apex, 60, &soa));
}

void answer_rule(struct zone_answer *answer, const char *owner, const char *target)
{
	struct name from = name_of(owner), to = {.length = 1};

	if (strcmp(target, ".") != 0)
		to = name_of(target);
	assert_true(compose_rr_name(&answer->compose, SECTION_ANSWER, &from, TYPE_CNAME, 60, &to));
}

void answer_end(struct zone_answer *answer)
{
	answer->size = compose_finish(&answer->compose);
	assert_true(answer->size > 0);
}

void answer_of(struct zone_answer *answer, uint16_t id, uint16_t qtype, const char *words)
{
	char copy[512], owner[300], *rest;

	answer_begin(answer, id, qtype);
	snprintf(copy, sizeof copy, "%s", words);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		if (strspn(word, "0123456789") == strlen(word)) {
			answer_soa(answer, (uint32_t)strtoul(word, NULL, 10));
			continue;
		}
		snprintf(owner, sizeof owner, "%s%s", word,
			word[strlen(word) - 1] == '.' ? "" : ".rpz.example");
		answer_rule(answer, owner, ".");
	}
	answer_end(answer);
}
