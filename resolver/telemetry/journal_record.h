/* SPDX-License-Identifier: BSD-3-Clause */
/* What one record of the journal is in octets; journal_record.c shows the format. Nothing here
 * touches a file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"
#include "resolver/telemetry/journal.h"

#define JOURNAL_ID_LENGTH (JOURNAL_ID_SIZE - 1)
#define JOURNAL_HEADER_SIZE ((size_t)20)
#define JOURNAL_BATCH_SIZE ((size_t)(JOURNAL_ID_LENGTH + 16)) /* body of a batch without octets */
#define JOURNAL_BODY_MAX ((size_t)1 << 20)

struct journal_record {
	unsigned type, version;
	size_t length; /* of the body */
	uint32_t crc;
	const uint8_t *body; /* inside the octets that were read */
};

/* Both put a whole record into out, which is cleared; false when memory ran out. */
bool journal_record_put_batch(
	struct strbuf *out, const struct journal_key *key, const void *data, size_t length);
bool journal_record_put_done(struct strbuf *out, const struct journal_key *key, const char *store);

/* A header that is whole, with its body inside size octets. The body may be damaged. */
bool journal_record_read(struct journal_record *out, const uint8_t *octets, size_t size);
bool journal_record_is_whole(const struct journal_record *record);

/* Of a whole record; false when it is of another kind, or of a version that this one cannot read.
 * The record of what is done says nothing of queries. */
bool journal_record_get_batch(const struct journal_record *record, struct journal_key *key);
bool journal_record_get_done(
	const struct journal_record *record, struct journal_key *key, char store[JOURNAL_ID_SIZE]);
