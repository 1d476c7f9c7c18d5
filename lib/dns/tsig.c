/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is signed is told in RFC 8945, 4.3: the MAC of the request (or of the message before) with
 * its length, the messages since then without their signatures, and the variables of the record, or
 * its time alone. One running digest serves all three cases; it begins with a MAC, takes octets,
 * and ends with a MAC, with which the next one begins.
 *
 * The MAC is compared in constant time, and before the time that stands beside it is believed.
 */
#include "config.h"

#include "lib/dns/tsig.h"

#include <stdlib.h>
#include <string.h>

#ifdef HAVE_TLS
#include <openssl/crypto.h>
#include <openssl/evp.h>
#endif

#include "lib/dns/message.h"

#define TYPE_TSIG 250
#define CLASS_ANY 255
#define MAC_MIN 10 /* octets; less is no signature at all (5.2.2.1) */

enum { ERROR_BADSIG = 16, ERROR_BADKEY = 17, ERROR_BADTIME = 18, ERROR_BADTRUNC = 22 };

const char *const tsig_algorithm_words[] = {
	"hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512", NULL};

const char *tsig_result_text(enum tsig_result result)
{
	static const char told_wrong[] = "the primary finds our signature wrong (BADSIG): the "
					 "secrets differ";
	static const char *const words[] = {
		[TSIG_GOOD] = "signed",
		[TSIG_UNSIGNED] = "not signed",
		[TSIG_MISSING] = "not signed, though a key is set",
		[TSIG_MALFORMED] = "the signature cannot be read",
		[TSIG_OTHER_KEY] = "signed with another key or algorithm (BADKEY)",
		[TSIG_WRONG] = "the signature is wrong (BADSIG): the secrets differ",
		[TSIG_TRUNCATED] = "the signature is cut short (BADTRUNC)",
		[TSIG_OTHER_TIME] = "signed at another time (BADTIME): the clocks differ",
		[TSIG_TOLD_KEY] = "the primary does not know the key or its algorithm (BADKEY)",
		[TSIG_TOLD_WRONG] = told_wrong,
		[TSIG_TOLD_TIME] = "the primary finds our time wrong (BADTIME): the clocks differ",
		[TSIG_TOLD_TRUNCATED] = "the primary finds our signature too short (BADTRUNC)",
		[TSIG_TOLD_OTHER] = "the primary refuses our signature",
		[TSIG_FAILED] = "signatures cannot be checked",
	};

	return words[result];
}

uint16_t tsig_result_error(enum tsig_result result)
{
	switch (result) {
	case TSIG_OTHER_KEY:
		return ERROR_BADKEY;
	case TSIG_WRONG:
		return ERROR_BADSIG;
	case TSIG_OTHER_TIME:
		return ERROR_BADTIME;
	case TSIG_TRUNCATED:
		return ERROR_BADTRUNC;
	default:
		return 0;
	}
}

#ifdef HAVE_TLS

/* --- the record --- */

struct record {
	struct name key, algorithm; /* folded */
	uint64_t signed_s;
	uint16_t fudge_s, original_id, error;
	const uint8_t *mac, *other;
	uint16_t mac_length, other_length;
	size_t offset; /* in the message */
};

static uint64_t read_u48(struct wire_reader *reader)
{
	uint64_t high = wire_read_u16(reader);

	return high << 32 | wire_read_u32(reader);
}

static void write_u48(struct wire_writer *writer, uint64_t value)
{
	wire_write_u16(writer, (uint16_t)(value >> 32));
	wire_write_u32(writer, (uint32_t)value);
}

static bool record_parse(const uint8_t *message, const struct message_rr *rr, struct record *out)
{
	struct wire_reader reader = wire_reader_init(message, rr->rdata_offset + rr->rdata_length);

	reader.position = rr->rdata_offset;
	out->key = rr->owner;
	name_fold(out->key.wire, out->key.wire, out->key.length);
	name_read(&reader, &out->algorithm);
	name_fold(out->algorithm.wire, out->algorithm.wire, out->algorithm.length);
	out->signed_s = read_u48(&reader);
	out->fudge_s = wire_read_u16(&reader);
	out->mac_length = wire_read_u16(&reader);
	out->mac = wire_read_bytes(&reader, out->mac_length);
	out->original_id = wire_read_u16(&reader);
	out->error = wire_read_u16(&reader);
	out->other_length = wire_read_u16(&reader);
	out->other = wire_read_bytes(&reader, out->other_length);
	return reader.error == TD_OK && wire_left(&reader) == 0 && rr->rr_class == CLASS_ANY &&
	       rr->ttl == 0;
}

enum found { FOUND_NONE, FOUND, FOUND_BAD };

static bool skip_questions(struct wire_reader *reader, unsigned count)
{
	struct name name;
	uint16_t type, class;

	while (count-- > 0 && reader->error == TD_OK)
		message_read_question(reader, &name, &type, &class);
	return reader->error == TD_OK;
}

/* It is the last record of the additional section, and nowhere else (5.2). */
static enum found record_find(const uint8_t *message, size_t size, struct record *out)
{
	struct wire_reader reader = wire_reader_init(message, size);
	struct message_header header = message_read_header(&reader);
	unsigned before = (unsigned)header.ancount + header.nscount;
	unsigned count = before + header.arcount;
	struct message_rr rr;

	if (!skip_questions(&reader, header.qdcount))
		return FOUND_BAD;
	for (unsigned i = 0; i < count; i++) {
		size_t offset = reader.position;
		if (!message_read_rr(&reader, &rr))
			return FOUND_BAD;
		if (rr.type != TYPE_TSIG)
			continue;
		out->offset = offset;
		if (i < before || i + 1 < count || wire_left(&reader) != 0)
			return FOUND_BAD;
		return record_parse(message, &rr, out) ? FOUND : FOUND_BAD;
	}
	return FOUND_NONE;
}

bool tsig_find_key(const uint8_t *message, size_t size, struct name *key)
{
	struct record record;

	if (record_find(message, size, &record) != FOUND)
		return false;
	*key = record.key;
	return true;
}

/* --- the digest --- */

static const EVP_MD *digest_of(enum tsig_algorithm algorithm)
{
	switch (algorithm) {
	case TSIG_SHA1:
		return EVP_sha1();
	case TSIG_SHA224:
		return EVP_sha224();
	case TSIG_SHA256:
		return EVP_sha256();
	case TSIG_SHA384:
		return EVP_sha384();
	case TSIG_SHA512:
		return EVP_sha512();
	}
	return NULL;
}

struct digest {
	const struct tsig_key *key;
	EVP_PKEY *secret;
	EVP_MD_CTX *context;
	bool failed;
};

static void digest_update(struct digest *digest, const void *octets, size_t size)
{
	if (!digest->failed && EVP_DigestSignUpdate(digest->context, octets, size) != 1)
		digest->failed = true;
}

/* Begins anew, behind this MAC where there is one. */
static void digest_begin(struct digest *digest, const struct tsig_mac *mac)
{
	uint8_t length[2] = {0, mac ? mac->length : 0};

	digest->failed |= EVP_MD_CTX_reset(digest->context) != 1 ||
			  EVP_DigestSignInit(digest->context, NULL,
				  digest_of(digest->key->algorithm), NULL, digest->secret) != 1;
	if (!mac || mac->length == 0)
		return;
	digest_update(digest, length, sizeof length);
	digest_update(digest, mac->octets, mac->length);
}

static void digest_deinit(struct digest *digest)
{
	EVP_MD_CTX_free(digest->context);
	EVP_PKEY_free(digest->secret);
}

static bool digest_init(
	struct digest *digest, const struct tsig_key *key, const struct tsig_mac *mac)
{
	*digest = (struct digest){.key = key,
		.secret = EVP_PKEY_new_raw_private_key(
			EVP_PKEY_HMAC, NULL, key->secret, key->secret_length),
		.context = EVP_MD_CTX_new()};
	if (digest->secret && digest->context) {
		digest_begin(digest, mac);
		return true;
	}
	digest_deinit(digest);
	return false;
}

static bool digest_end(struct digest *digest, struct tsig_mac *out)
{
	size_t length = sizeof out->octets;

	if (digest->failed || EVP_DigestSignFinal(digest->context, out->octets, &length) != 1)
		return false;
	out->length = (uint8_t)length;
	return true;
}

/* A message up to `size`, with this id and one additional record less where a signature follows. */
static void digest_message(
	struct digest *digest, const uint8_t *message, size_t size, uint16_t id, bool cut)
{
	uint8_t header[DNS_HEADER_SIZE];

	memcpy(header, message, sizeof header);
	wire_put_u16(header, sizeof header, 0, id);
	if (cut)
		wire_put_u16(
			header, sizeof header, 10, (uint16_t)((header[10] << 8 | header[11]) - 1));
	digest_update(digest, header, sizeof header);
	digest_update(digest, message + sizeof header, size - sizeof header);
}

static void digest_times(struct digest *digest, uint64_t signed_s, uint16_t fudge_s)
{
	uint8_t octets[8];
	struct wire_writer writer = wire_writer_init(octets, sizeof octets);

	write_u48(&writer, signed_s);
	wire_write_u16(&writer, fudge_s);
	digest_update(digest, octets, writer.position);
}

static void algorithm_name(enum tsig_algorithm algorithm, struct name *out)
{
	const char *text = tsig_algorithm_words[algorithm];

	name_from_text(out, text, strlen(text));
}

/* All variables of the record (4.3.3). */
static void digest_variables(struct digest *digest, uint64_t signed_s, uint16_t fudge_s,
	uint16_t error, const uint8_t *other, uint16_t other_length)
{
	static const uint8_t class_any_ttl_0[] = {0, CLASS_ANY, 0, 0, 0, 0};
	uint8_t tail[4] = {(uint8_t)(error >> 8), (uint8_t)error, (uint8_t)(other_length >> 8),
		(uint8_t)other_length};
	struct name algorithm;

	algorithm_name(digest->key->algorithm, &algorithm);
	digest_update(digest, digest->key->name.wire, digest->key->name.length);
	digest_update(digest, class_any_ttl_0, sizeof class_any_ttl_0);
	digest_update(digest, algorithm.wire, algorithm.length);
	digest_times(digest, signed_s, fudge_s);
	digest_update(digest, tail, sizeof tail);
	digest_update(digest, other, other_length);
}

/* --- signing --- */

static bool mac_make(const struct tsig_key *key, const uint8_t *message, size_t length,
	const struct tsig_mac *request, uint64_t signed_s, uint16_t error, const uint8_t *other,
	uint16_t other_length, struct tsig_mac *out)
{
	struct digest digest;

	if (!digest_init(&digest, key, request))
		return false;
	digest_message(&digest, message, length, (uint16_t)(message[0] << 8 | message[1]), false);
	digest_variables(&digest, signed_s, TSIG_FUDGE_S, error, other, other_length);
	bool good = digest_end(&digest, out);
	digest_deinit(&digest);
	return good;
}

static void write_record(struct wire_writer *writer, const struct tsig_key *key,
	const struct tsig_mac *mac, uint64_t signed_s, uint16_t id, uint16_t error,
	const uint8_t *other, uint16_t other_length)
{
	struct name algorithm;

	algorithm_name(key->algorithm, &algorithm);
	name_write(writer, &key->name);
	wire_write_u16(writer, TYPE_TSIG);
	wire_write_u16(writer, CLASS_ANY);
	wire_write_u32(writer, 0);
	wire_write_u16(writer, (uint16_t)(algorithm.length + 16 + mac->length + other_length));
	name_write(writer, &algorithm);
	write_u48(writer, signed_s);
	wire_write_u16(writer, TSIG_FUDGE_S);
	wire_write_u16(writer, mac->length);
	wire_write_bytes(writer, mac->octets, mac->length);
	wire_write_u16(writer, id);
	wire_write_u16(writer, error);
	wire_write_u16(writer, other_length);
	wire_write_bytes(writer, other, other_length);
}

enum td_error tsig_sign(const struct tsig_key *key, uint8_t *message, size_t *length,
	size_t capacity, const struct tsig_mac *request, uint64_t signed_s, uint64_t now_s,
	uint16_t error, struct tsig_mac *mac)
{
	struct wire_writer writer = wire_writer_init(message, capacity);
	struct tsig_mac made = {0};
	uint8_t other[6];
	struct wire_writer time = wire_writer_init(other, sizeof other);
	bool is_signed = error != ERROR_BADKEY && error != ERROR_BADSIG;

	if (*length < DNS_HEADER_SIZE || *length > capacity)
		return TD_MALFORMED;
	if (error == ERROR_BADTIME)
		write_u48(&time, now_s);
	if (is_signed && !mac_make(key, message, *length, request, signed_s, error, other,
				 (uint16_t)time.position, &made))
		return TD_NOMEM;
	writer.position = *length;
	write_record(&writer, key, &made, signed_s, (uint16_t)(message[0] << 8 | message[1]), error,
		other, (uint16_t)time.position);
	if (writer.error != TD_OK)
		return writer.error;
	wire_put_u16(message, capacity, 10, (uint16_t)((message[10] << 8 | message[11]) + 1));
	*length = writer.position;
	if (mac)
		*mac = made;
	return TD_OK;
}

/* --- checking --- */

static enum tsig_result told(uint16_t error)
{
	switch (error) {
	case 0:
		return TSIG_GOOD;
	case ERROR_BADSIG:
		return TSIG_TOLD_WRONG;
	case ERROR_BADKEY:
		return TSIG_TOLD_KEY;
	case ERROR_BADTIME:
		return TSIG_TOLD_TIME;
	case ERROR_BADTRUNC:
		return TSIG_TOLD_TRUNCATED;
	default:
		return TSIG_TOLD_OTHER;
	}
}

static bool is_of_key(const struct record *record, const struct tsig_key *key)
{
	struct name algorithm;

	algorithm_name(key->algorithm, &algorithm);
	return name_equal(&record->key, &key->name) && name_equal(&record->algorithm, &algorithm);
}

/* The MAC in the record against the one that was made; a shorter one may not say it is ours. */
static enum tsig_result compare_mac(const struct record *record, const struct tsig_mac *made)
{
	size_t least = made->length / 2 > MAC_MIN ? made->length / 2 : MAC_MIN;

	if (record->mac_length > made->length || record->mac_length < least)
		return TSIG_MALFORMED;
	if (CRYPTO_memcmp(record->mac, made->octets, record->mac_length) != 0)
		return TSIG_WRONG;
	return record->mac_length < made->length ? TSIG_TRUNCATED : TSIG_GOOD;
}

/* Where the other side says that our time is wrong, it says its own. */
static int64_t skew_of(const struct record *record, uint64_t now_s)
{
	struct wire_reader reader = wire_reader_init(record->other, record->other_length);
	uint64_t theirs = record->signed_s;

	if (record->error == ERROR_BADTIME && record->other_length == 6)
		theirs = read_u48(&reader);
	return (int64_t)theirs - (int64_t)now_s;
}

/* What a signature whose MAC is right says. */
static void judge_record(struct tsig_check *check, const struct record *record, uint64_t now_s)
{
	check->skew_s = skew_of(record, now_s);
	int64_t apart = (int64_t)record->signed_s - (int64_t)now_s;
	if (record->error)
		check->result = told(record->error);
	else if (apart > record->fudge_s || apart < -(int64_t)record->fudge_s)
		check->result = TSIG_OTHER_TIME;
	else
		check->result = TSIG_GOOD;
}

/* The digest holds what came before; `first`: all variables are signed, else the time alone. */
static struct tsig_check check_record(struct digest *digest, const uint8_t *message,
	const struct record *record, bool first, uint64_t now_s)
{
	struct tsig_check check = {.length = record->offset, .signed_s = record->signed_s};
	bool is_unsigned = record->mac_length == 0 &&
			   (record->error == ERROR_BADKEY || record->error == ERROR_BADSIG);

	if (is_unsigned) { /* nobody can sign these */
		check.result = told(record->error);
		return check;
	}
	if (!is_of_key(record, digest->key)) {
		check.result = TSIG_OTHER_KEY;
		return check;
	}
	digest_message(digest, message, record->offset, record->original_id, true);
	if (first)
		digest_variables(digest, record->signed_s, record->fudge_s, record->error,
			record->other, record->other_length);
	else
		digest_times(digest, record->signed_s, record->fudge_s);
	if (!digest_end(digest, &check.mac)) {
		check.result = TSIG_FAILED;
		return check;
	}
	check.result = compare_mac(record, &check.mac);
	if (check.result == TSIG_GOOD)
		judge_record(&check, record, now_s);
	return check;
}

struct tsig_check tsig_verify(const struct tsig_key *key, const uint8_t *message, size_t size,
	const struct tsig_mac *request, uint64_t now_s)
{
	struct tsig_check check = {.result = TSIG_FAILED, .length = size};
	struct record record;
	enum found found = record_find(message, size, &record);
	struct digest digest;

	if (found != FOUND) {
		check.result = found == FOUND_NONE ? TSIG_MISSING : TSIG_MALFORMED;
		return check;
	}
	if (!digest_init(&digest, key, request))
		return check;
	check = check_record(&digest, message, &record, true, now_s);
	digest_deinit(&digest);
	return check;
}

struct tsig_stream {
	struct digest digest; /* of what came since the last signature */
	bool begun;           /* a signed message has come */
	unsigned unsigned_count;
};

struct tsig_stream *tsig_stream_new(const struct tsig_key *key, const struct tsig_mac *request)
{
	struct tsig_stream *stream = calloc(1, sizeof *stream);

	if (stream && digest_init(&stream->digest, key, request))
		return stream;
	free(stream);
	return NULL;
}

void tsig_stream_free(struct tsig_stream *stream)
{
	if (!stream)
		return;
	digest_deinit(&stream->digest);
	free(stream);
}

bool tsig_stream_may_end(const struct tsig_stream *stream)
{
	return stream->begun && stream->unsigned_count == 0;
}

static struct tsig_check take_unsigned(
	struct tsig_stream *stream, const uint8_t *message, size_t size)
{
	struct tsig_check check = {.result = TSIG_MISSING, .length = size};

	if (!stream->begun || stream->unsigned_count == TSIG_UNSIGNED_MAX)
		return check;
	stream->unsigned_count++;
	digest_message(
		&stream->digest, message, size, (uint16_t)(message[0] << 8 | message[1]), false);
	check.result = TSIG_UNSIGNED;
	return check;
}

struct tsig_check tsig_stream_verify(
	struct tsig_stream *stream, const uint8_t *message, size_t size, uint64_t now_s)
{
	struct record record;
	enum found found = record_find(message, size, &record);
	struct tsig_check check = {.result = TSIG_MALFORMED, .length = size};

	if (found == FOUND_BAD)
		return check;
	if (found == FOUND_NONE)
		return take_unsigned(stream, message, size);
	check = check_record(&stream->digest, message, &record, !stream->begun, now_s);
	if (check.result != TSIG_GOOD)
		return check;
	stream->begun = true;
	stream->unsigned_count = 0;
	digest_begin(&stream->digest, &check.mac);
	return check;
}

bool tsig_is_available(void)
{
	return true;
}

#else

bool tsig_find_key(const uint8_t *message, size_t size, struct name *key)
{
	(void)message, (void)size, (void)key;
	return false;
}

enum td_error tsig_sign(const struct tsig_key *key, uint8_t *message, size_t *length,
	size_t capacity, const struct tsig_mac *request, uint64_t signed_s, uint64_t now_s,
	uint16_t error, struct tsig_mac *mac)
{
	(void)key, (void)message, (void)length, (void)capacity, (void)request;
	(void)signed_s, (void)now_s, (void)error, (void)mac;
	return TD_UNSUPPORTED;
}

struct tsig_check tsig_verify(const struct tsig_key *key, const uint8_t *message, size_t size,
	const struct tsig_mac *request, uint64_t now_s)
{
	(void)key, (void)message, (void)size, (void)request, (void)now_s;
	return (struct tsig_check){.result = TSIG_FAILED};
}

struct tsig_stream *tsig_stream_new(const struct tsig_key *key, const struct tsig_mac *request)
{
	(void)key, (void)request;
	return NULL;
}

void tsig_stream_free(struct tsig_stream *stream)
{
	(void)stream;
}

struct tsig_check tsig_stream_verify(
	struct tsig_stream *stream, const uint8_t *message, size_t size, uint64_t now_s)
{
	(void)stream, (void)message, (void)size, (void)now_s;
	return (struct tsig_check){.result = TSIG_FAILED};
}

bool tsig_stream_may_end(const struct tsig_stream *stream)
{
	(void)stream;
	return false;
}

bool tsig_is_available(void)
{
	return false;
}

#endif
