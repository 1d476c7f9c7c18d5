/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: what the exceptions of an Adblock list take away from its other rules. In
 * RPZ the longest name wins; in Adblock an exception for a name does, also over a longer one that
 * is blocked, and `$important` turns that round. So the exceptions are gathered first, and a rule
 * of which nothing would be left does not become one.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/base/table.h"
#include "lib/dns/name.h"

/* Of several that match, the highest decides. */
enum list_level {
	LEVEL_NONE,
	LEVEL_BLOCK,
	LEVEL_ALLOW,
	LEVEL_BLOCK_IMPORTANT,
	LEVEL_ALLOW_IMPORTANT,
	LEVELS,
};

struct list_exceptions {
	struct table table;
};

void list_exceptions_init(struct list_exceptions *exceptions);
void list_exceptions_deinit(struct list_exceptions *exceptions);

/* A rule above LEVEL_BLOCK for these names (RULE_ITSELF, RULE_BELOW or both). TD_NOMEM. */
enum td_error list_exceptions_add(struct list_exceptions *exceptions, const struct name *folded,
	unsigned where, enum list_level level);

/* Rules of just this form have no effect ($badfilter), wherever they stand. TD_NOMEM. */
enum td_error list_exceptions_disable(struct list_exceptions *exceptions, const struct name *folded,
	unsigned where, enum list_level level);

/* What is left of a rule: the part of where that nothing takes away. */
unsigned list_exceptions_leave(const struct list_exceptions *exceptions, const struct name *folded,
	unsigned where, enum list_level level);
