/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *   record   magic 4 | type 2 | version 2 | length 4 | CRC of body 4 | CRC of these 4 | body
 *   batch    boot 16 | number 8 | queries 8 | the octets
 *   done     boot 16 | number 8 | store 16
 *
 * Integers are little endian. With a CRC of its own, a header says where the next record begins
 * even if the body is damaged; behind a damaged header the next one is looked for octet by octet.
 */
#include "resolver/telemetry/journal_record.h"

#include <string.h>

#include "lib/base/crc32c.h"

#define MAGIC 0x314a4454u /* "TDJ1" */
#define VERSION 1
#define DONE_SIZE ((size_t)(2 * JOURNAL_ID_LENGTH + 8))

enum record_type { RECORD_BATCH = 1, RECORD_DONE = 2 };

/* --- integers and ids --- */

static void put_le(uint8_t *out, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get_le(const uint8_t *from, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value |= (uint64_t)from[i] << 8 * i;
	return value;
}

static void get_id(char out[JOURNAL_ID_SIZE], const uint8_t *from)
{
	memcpy(out, from, JOURNAL_ID_LENGTH);
	out[JOURNAL_ID_LENGTH] = '\0';
}

static void append_le(struct strbuf *out, uint64_t value)
{
	uint8_t octets[8];

	put_le(octets, value, sizeof(octets));
	strbuf_append(out, octets, sizeof(octets));
}

static void append_id(struct strbuf *out, const char *id)
{
	char padded[JOURNAL_ID_LENGTH] = {0};

	memcpy(padded, id, strnlen(id, JOURNAL_ID_LENGTH));
	strbuf_append(out, padded, sizeof(padded));
}

/* --- writing --- */

static void begin(struct strbuf *out)
{
	static const uint8_t room[JOURNAL_HEADER_SIZE];

	strbuf_clear(out);
	strbuf_append(out, room, sizeof(room));
}

static bool end(struct strbuf *out, enum record_type type)
{
	if (out->failed)
		return false;
	uint8_t *header = (uint8_t *)out->data;
	size_t length = out->length - JOURNAL_HEADER_SIZE;
	put_le(header, MAGIC, 4);
	put_le(header + 4, type, 2);
	put_le(header + 6, VERSION, 2);
	put_le(header + 8, length, 4);
	put_le(header + 12, crc32c(0, header + JOURNAL_HEADER_SIZE, length), 4);
	put_le(header + 16, crc32c(0, header, 16), 4);
	return true;
}

bool journal_record_put_batch(
	struct strbuf *out, const struct journal_key *key, const void *data, size_t length)
{
	begin(out);
	append_id(out, key->boot);
	append_le(out, key->number);
	append_le(out, key->queries);
	strbuf_append(out, data, length);
	return end(out, RECORD_BATCH);
}

bool journal_record_put_done(struct strbuf *out, const struct journal_key *key, const char *store)
{
	begin(out);
	append_id(out, key->boot);
	append_le(out, key->number);
	append_id(out, store);
	return end(out, RECORD_DONE);
}

/* --- reading --- */

bool journal_record_read(struct journal_record *out, const uint8_t *octets, size_t size)
{
	if (size < JOURNAL_HEADER_SIZE || get_le(octets, 4) != MAGIC ||
		get_le(octets + 16, 4) != crc32c(0, octets, 16))
		return false;
	out->type = (unsigned)get_le(octets + 4, 2);
	out->version = (unsigned)get_le(octets + 6, 2);
	out->length = get_le(octets + 8, 4);
	out->crc = (uint32_t)get_le(octets + 12, 4);
	out->body = octets + JOURNAL_HEADER_SIZE;
	return out->length <= size - JOURNAL_HEADER_SIZE;
}

bool journal_record_is_whole(const struct journal_record *record)
{
	return crc32c(0, record->body, record->length) == record->crc;
}

static bool is_of(const struct journal_record *record, enum record_type type)
{
	return record->version == VERSION && record->type == type;
}

bool journal_record_get_batch(const struct journal_record *record, struct journal_key *key)
{
	if (!is_of(record, RECORD_BATCH) || record->length < JOURNAL_BATCH_SIZE)
		return false;
	get_id(key->boot, record->body);
	key->number = get_le(record->body + JOURNAL_ID_LENGTH, 8);
	key->queries = get_le(record->body + JOURNAL_ID_LENGTH + 8, 8);
	return true;
}

bool journal_record_get_done(
	const struct journal_record *record, struct journal_key *key, char store[JOURNAL_ID_SIZE])
{
	if (!is_of(record, RECORD_DONE) || record->length != DONE_SIZE)
		return false;
	get_id(key->boot, record->body);
	key->number = get_le(record->body + JOURNAL_ID_LENGTH, 8);
	get_id(store, record->body + JOURNAL_ID_LENGTH + 8);
	return true;
}
