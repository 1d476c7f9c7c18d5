/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing down which clients were remediated (KEY_REMEDIATED), for commands: the one thing that
 * they write into Redis themselves, over a connection of its own, so that readers stay readers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"
#include "resolver/telemetry/redis/redis_address.h"

struct marks_target {
	const char *url; /* as reader_open */
	const struct redis_access *access;
	const char *resolver;
	int timeout_ms;
};

struct marks_result {
	size_t changed; /* clients that have the mark now, or that had one and lost it */
	size_t refused; /* clients for which there was no room (SCHEMA_REMEDIATED_MAX) */
};

/*
 * Gives all clients this mark (a JSON object), or with NULL takes their marks away. May be repeated
 * after a failure, which may come half-way: TD_INVALID (the URL), TD_IO, TD_REFUSED, TD_NOMEM,
 * TD_TOO_LONG, with words (READER_WORDS_MAX bytes).
 */
enum td_error marks_write(const struct marks_target *target, const char *mark,
	const char *const clients[], size_t count, struct marks_result *result, char *words);
