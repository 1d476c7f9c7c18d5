/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of a primary, put together record by record, for tests of transfers. The zone is
 * rpz.example. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/dns/compose.h"

struct zone_answer {
	uint8_t octets[DNS_MESSAGE_MAX];
	size_t size;
	struct compose compose;
};

extern const struct name zone_apex;

struct name name_of(const char *text);

/* An answer to a question of this type and id, with flags QR and AA. */
void answer_begin(struct zone_answer *answer, uint16_t id, uint16_t qtype);
void answer_soa(struct zone_answer *answer, uint32_t serial);
/* "name CNAME target". */
void answer_rule(struct zone_answer *answer, const char *owner, const char *target);
void answer_end(struct zone_answer *answer);

/* All of it in one: "1 a b 2 c", a word that is a number is an SOA, any other a rule `CNAME .` on
 * that name in the zone; one that ends in a dot is absolute. */
void answer_of(struct zone_answer *answer, uint16_t id, uint16_t qtype, const char *words);
