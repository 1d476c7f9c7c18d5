/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies a transaction into a ring: one reservation, three copies. The reply is kept as bytes and
 * not as parsed answers, because a worker has no time to parse and the bytes are what the client
 * received.
 */
#include "resolver/telemetry/record.h"

#include <string.h>

#define RULE_LENGTH_MAX 1024

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

bool record_write(struct ring *ring, const struct transaction *transaction, int64_t wall_us)
{
	size_t rule_length = transaction->rule ? strnlen(transaction->rule, RULE_LENGTH_MAX) : 0;
	size_t qname_length = transaction->qname ? transaction->qname_length : 0;
	size_t query_length =
		transaction->query_length <= RECORD_QUERY_MAX ? transaction->query_length : 0;
	size_t fixed = sizeof(struct record) + qname_length + rule_length + query_length;
	size_t kept = smaller(transaction->reply_length, ring->size / 4 - 64 - fixed);

	struct record *record = ring_reserve(ring, fixed + kept);
	if (!record)
		return false;
	*record = (struct record){
		.wall_us = wall_us,
		.client = transaction->client,
		.upstream = transaction->upstream,
		.server = transaction->server,
		.address = transaction->address,
		.duration_us = transaction->duration_us,
		.reply_length = (uint32_t)transaction->reply_length,
		.reply_kept = (uint32_t)kept,
		.id = transaction->id,
		.qtype = transaction->qtype,
		.zone = transaction->zone,
		.rule_length = (uint16_t)rule_length,
		.qname_length = (uint8_t)qname_length,
		.query_length = (uint16_t)query_length,
		.kind = RECORD_ANSWER,
		.source = (uint8_t)transaction->source,
		.action = (uint8_t)transaction->action,
		.tcp = transaction->tcp,
	};
	memcpy(record->bytes, transaction->reply, kept);
	if (qname_length)
		memcpy(record->bytes + kept, transaction->qname, qname_length);
	if (rule_length)
		memcpy(record->bytes + kept + qname_length, transaction->rule, rule_length);
	if (query_length)
		memcpy(record->bytes + kept + qname_length + rule_length, transaction->query,
			query_length);
	ring_commit(ring, fixed + kept);
	return true;
}

bool record_write_packet(struct ring *ring, const struct record_packet *packet, int64_t wall_us)
{
	size_t kept = smaller(packet->length, ring->size / 4 - 64 - sizeof(struct record));
	struct record *record = ring_reserve(ring, sizeof(struct record) + kept);

	if (!record)
		return false;
	*record = (struct record){
		.wall_us = wall_us,
		.upstream = packet->server,
		.duration_us = packet->duration_us,
		.reply_length = (uint32_t)packet->length,
		.reply_kept = (uint32_t)kept,
		.zone = ZONE_ID_NONE,
		.kind = (uint8_t)packet->kind,
		.tcp = packet->tcp,
	};
	memcpy(record->bytes, packet->octets, kept);
	ring_commit(ring, sizeof(struct record) + kept);
	return true;
}

const uint8_t *record_reply(const struct record *record)
{
	return record->bytes;
}

const uint8_t *record_qname(const struct record *record)
{
	return record->bytes + record->reply_kept;
}

const char *record_rule(const struct record *record)
{
	return (const char *)record->bytes + record->reply_kept + record->qname_length;
}

const uint8_t *record_query(const struct record *record)
{
	return record->bytes + record->reply_kept + record->qname_length + record->rule_length;
}
