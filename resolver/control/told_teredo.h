/* SPDX-License-Identifier: BSD-3-Clause */
/* Since when a client knows the address of a Teredo server, as Redis has it (redis-schema.md). */
#pragma once

#include "lib/base/strbuf.h"
#include "resolver/telemetry/redis/reader.h"

struct told_teredo {
	int64_t since_ms, last_ms; /* since_ms is 0 of a client that was told none */
	const char *server;        /* as Redis has it; NULL unknown */
};

struct told_teredo told_teredo_of(const struct reader_fields *fields);

/* "told a Teredo server since 2026-11-21 20:52:11 (last 2026-11-22 08:00:03: 65.55.158.118)"
 * between before and behind; nothing of a client that was told none. What Redis holds is escaped.
 */
void told_teredo_words(
	const struct told_teredo *told, const char *before, const char *behind, struct strbuf *out);

/* "told_teredo":{"since":…,"last":…,"server":…}; nothing of a client that was told none. */
void told_teredo_json(const struct told_teredo *told, struct strbuf *out);
/* The same for answers that always have the key: null of a client that was told none. */
void told_teredo_json_or_null(const struct told_teredo *told, struct strbuf *out);
