/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One format, written in one pass and read in one pass with the memory of one record. A database
 * (LMDB, SQLite) was rejected: the file is written once a life and read once a life, and its
 * readers would be one more parser to trust. So was keeping the cache's own bytes: an answer is
 * taken apart and composed anew when it comes back, which costs two microseconds and knows no
 * version of a struct.
 */
#include "resolver/cache_file.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/dns/wire.h"

#define HEADER_SIZE 20
#define PREFIX_SIZE 12 /* length and checksum */

static const uint8_t magic[8] = "TDCACHE";
static const struct hash_seed no_seed;

/* The body stands in block behind room for the checksum before it. */
static uint64_t chain(struct cache_file *file, size_t length)
{
	struct wire_writer writer = wire_writer_init(file->block, 8);

	wire_write_u64(&writer, file->checksum);
	file->checksum = hash_bytes(&no_seed, file->block, 8 + length);
	return file->checksum;
}

/* --- writing --- */

static void put(struct cache_file *file, const void *octets, size_t length)
{
	if (fwrite(octets, 1, length, file->file) != length)
		file->failed = true;
}

static void put_block(struct cache_file *file, size_t length, size_t told)
{
	uint8_t prefix[PREFIX_SIZE];
	struct wire_writer writer = wire_writer_init(prefix, sizeof prefix);

	wire_write_u32(&writer, (uint32_t)told);
	wire_write_u64(&writer, chain(file, length));
	put(file, prefix, sizeof prefix);
	put(file, file->block + 8, length);
}

void cache_file_begin(struct cache_file *file, FILE *stream, int64_t wall_ms)
{
	uint8_t header[HEADER_SIZE];
	struct wire_writer writer = wire_writer_init(header, sizeof header);

	file->file = stream;
	file->checksum = file->count = 0;
	file->saved_ms = wall_ms;
	file->failed = false;
	wire_write_bytes(&writer, magic, sizeof magic);
	wire_write_u32(&writer, CACHE_FILE_VERSION);
	wire_write_u64(&writer, (uint64_t)wall_ms);
	put(file, header, sizeof header);
}

static void write_endpoint(struct wire_writer *writer, const struct endpoint *endpoint)
{
	wire_write_u8(writer, endpoint->address.family);
	wire_write_bytes(writer, endpoint->address.octets, sizeof endpoint->address.octets);
	wire_write_u16(writer, endpoint->port);
	wire_write_u32(writer, endpoint->scope_id);
}

void cache_file_add(struct cache_file *file, const struct cache_copy *copy, int64_t stored_ms)
{
	struct wire_writer writer = wire_writer_init(file->block + 8, CACHE_FILE_BODY_MAX);

	wire_write_u16(&writer, copy->qtype);
	wire_write_u8(&writer, copy->flags);
	wire_write_u8(&writer, copy->proven);
	wire_write_u32(&writer, copy->hits);
	wire_write_u64(&writer, (uint64_t)stored_ms);
	wire_write_u16(&writer, copy->answer->flags);
	write_endpoint(&writer, &copy->answer->upstream);
	wire_write_bytes(&writer, copy->answer->bytes, copy->answer->length);
	put_block(file, writer.position, writer.position);
	file->count++;
}

bool cache_file_end(struct cache_file *file)
{
	struct wire_writer writer = wire_writer_init(file->block + 8, 8);

	wire_write_u64(&writer, file->count);
	put_block(file, 8, 0);
	return fflush(file->file) == 0 && !file->failed;
}

/* --- reading --- */

static enum td_error fail(struct cache_file *file, enum td_error error, const char *why)
{
	snprintf(file->why, sizeof file->why, "%s (after %llu records)", why,
		(unsigned long long)file->count);
	return error;
}

static enum td_error get(struct cache_file *file, void *octets, size_t length)
{
	if (fread(octets, 1, length, file->file) == length)
		return TD_OK;
	return ferror(file->file) ? fail(file, TD_IO, "it cannot be read")
				  : fail(file, TD_MALFORMED, "it ends too soon");
}

enum td_error cache_file_open(struct cache_file *file, FILE *stream)
{
	uint8_t header[HEADER_SIZE];
	struct wire_reader reader = wire_reader_init(header, sizeof header);

	file->file = stream;
	file->checksum = file->count = 0;
	file->why[0] = '\0';
	rewind(stream);
	enum td_error error = get(file, header, sizeof header);
	if (error != TD_OK)
		return error;
	if (memcmp(wire_read_bytes(&reader, sizeof magic), magic, sizeof magic) != 0)
		return fail(file, TD_MALFORMED, "it is no saved cache");
	if (wire_read_u32(&reader) != CACHE_FILE_VERSION)
		return fail(file, TD_UNSUPPORTED, "it is of another version");
	file->saved_ms = (int64_t)wire_read_u64(&reader);
	return TD_OK;
}

/* Body and checksum. */
static enum td_error get_block(struct cache_file *file, size_t *length)
{
	uint8_t prefix[PREFIX_SIZE];
	struct wire_reader reader = wire_reader_init(prefix, sizeof prefix);
	enum td_error error = get(file, prefix, sizeof prefix);
	size_t octets;

	if (error != TD_OK)
		return error;
	*length = wire_read_u32(&reader);
	octets = *length ? *length : 8;
	if (octets > CACHE_FILE_BODY_MAX)
		return fail(file, TD_MALFORMED, "a record is too long");
	error = get(file, file->block + 8, octets);
	if (error != TD_OK)
		return error;
	if (chain(file, octets) != wire_read_u64(&reader))
		return fail(file, TD_MALFORMED, "a checksum is wrong");
	return TD_OK;
}

static enum td_error check_end(struct cache_file *file)
{
	struct wire_reader reader = wire_reader_init(file->block + 8, 8);

	if (wire_read_u64(&reader) != file->count)
		return fail(file, TD_MALFORMED, "records are missing");
	if (getc(file->file) != EOF)
		return fail(file, TD_MALFORMED, "something follows its end");
	return TD_NOT_FOUND;
}

static void read_endpoint(struct wire_reader *reader, struct endpoint *endpoint)
{
	const uint8_t *octets;

	*endpoint = (struct endpoint){.port = 0};
	endpoint->address.family = wire_read_u8(reader);
	octets = wire_read_bytes(reader, sizeof endpoint->address.octets);
	if (octets)
		memcpy(endpoint->address.octets, octets, sizeof endpoint->address.octets);
	endpoint->port = wire_read_u16(reader);
	endpoint->scope_id = wire_read_u32(reader);
	if (address_octets(&endpoint->address) == 0)
		*endpoint = (struct endpoint){.port = 0};
}

enum td_error cache_file_next(struct cache_file *file, struct cache_record *record)
{
	size_t length;
	enum td_error error = get_block(file, &length);

	if (error != TD_OK)
		return error;
	if (length == 0)
		return check_end(file);
	struct wire_reader reader = wire_reader_init(file->block + 8, length);
	*record = (struct cache_record){.copy.qtype = wire_read_u16(&reader)};
	record->copy.flags = wire_read_u8(&reader);
	record->copy.proven = wire_read_u8(&reader) != 0;
	record->copy.hits = wire_read_u32(&reader);
	record->stored_ms = (int64_t)wire_read_u64(&reader);
	record->answer_flags = wire_read_u16(&reader);
	read_endpoint(&reader, &record->upstream);
	record->length = wire_left(&reader);
	record->message = wire_read_bytes(&reader, record->length);
	if (reader.error != TD_OK)
		return fail(file, TD_MALFORMED, "a record is too short");
	file->count++;
	return TD_OK;
}

/* The question that stands in the message. */
static bool read_question(const struct cache_record *record, struct upstream_question *question)
{
	struct wire_reader reader = wire_reader_init(record->message, record->length);
	uint16_t qclass;

	*question = (struct upstream_question){.dnssec_ok = record->copy.flags & CACHE_DNSSEC_OK,
		.checking_disabled = record->copy.flags & CACHE_CHECKING_DISABLED};
	message_read_header(&reader);
	message_read_question(&reader, &question->qname, &question->qtype, &qclass);
	name_fold(question->qname.wire, question->qname.wire, question->qname.length);
	return reader.error == TD_OK && qclass == CLASS_IN && question->qtype == record->copy.qtype;
}

struct answer *cache_file_answer(const struct cache_record *record, int64_t now_ms, int64_t now_us,
	const struct answer_limits *limits, uint64_t id, struct upstream_question *question)
{
	static _Thread_local uint8_t message[CACHE_FILE_BODY_MAX];
	int64_t age_ms = now_ms - record->stored_ms;
	enum td_error error;

	if (record->length < DNS_HEADER_SIZE || record->length > DNS_MESSAGE_MAX ||
		record->stored_ms < 0 || age_ms < 0 ||
		record->copy.flags & ~(CACHE_DNSSEC_OK | CACHE_CHECKING_DISABLED) ||
		!read_question(record, question))
		return NULL;
	memcpy(message, record->message, record->length);
	wire_put_u16(message, record->length, 2, record->answer_flags);
	struct answer *answer = answer_from_reply(
		message, record->length, question, limits, now_us - age_ms * US_PER_MS, id, &error);
	if (answer)
		answer->upstream = record->upstream;
	return answer;
}
