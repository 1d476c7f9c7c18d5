/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the tests of the query path: one world a program, which each test's setup opens and teardown
 * closes, and what the tests of answers that are kept do often.
 */
#pragma once

#include "tests/scenario/world.h"

#define ZONE_HEAD \
	"$TTL 300\n@ SOA localhost. nobody.invalid. 1 3600 600 86400 60\n@ NS localhost.\n"

extern struct world world;

/* A world whose tunnel zone has the rule "teredo.test CNAME .". */
int setup_teredo(void **state);

/* Whatever a test did: what was received is accounted for. */
int teardown(void **state);

/* An A question of client 1, with EDNS. */
struct world_query query_of(const char *name);

/* Asks through worker 0 and answers with an address of this TTL. */
void learn(const char *name, uint32_t ttl_s, uint8_t last_octet);

const struct world_reply *last_reply(void);

/* The reply is a stale answer with this address, recorded as the last. */
void assert_stale(const struct world_reply *reply, uint8_t last_octet);
