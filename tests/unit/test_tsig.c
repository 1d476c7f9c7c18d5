/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signatures against three others: messages that dnspython signed (each algorithm), ldns in both
 * directions, and MACs put together here by the text of RFC 8945 for what neither of them makes:
 * streams whose middle is not signed.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ldns/ldns.h>
#include <time.h>

#include "lib/base/base64.h"
#include "lib/dns/message.h"
#include "lib/dns/tsig.h"

#ifdef HAVE_TLS

#include <openssl/hmac.h>

#define NOW 1700000000
#define SECRET "0123456789abcdef0123456789abcdef"

/* What dnspython 2.3 makes of "rpz.example. AXFR", id 0x1234, key "Feed.Example.", at NOW. */
static const char *const signed_by_dnspython[] = {
	"1234000000010000000000010372707a076578616d706c650000fc00010446656564c01000fa00ff00000000"
	"002f09686d61632d736861310000006553f100012c00149ec63736855e96ae86ef5420cc78ea6d34bc976112"
	"3400000000",
	"1234000000010000000000010372707a076578616d706c650000fc00010446656564c01000fa00ff00000000"
	"00390b686d61632d7368613232340000006553f100012c001cf0dddaf4150452c78fb2434262697ee801a295"
	"7426345151b36e4e5e123400000000",
	"1234000000010000000000010372707a076578616d706c650000fc00010446656564c01000fa00ff00000000"
	"003d0b686d61632d7368613235360000006553f100012c00204a34aebfc4b1455ca87555289cfd9b19ba90e9"
	"48a23ebced13274bce01fd603b123400000000",
	"1234000000010000000000010372707a076578616d706c650000fc00010446656564c01000fa00ff00000000"
	"004d0b686d61632d7368613338340000006553f100012c0030e2e3deb6376044a541f408f62532c9a35c1974"
	"9f5c1b922a8a5b6245c50e87d2a1d1e180bc5074f3964ca76b3c6d3f00123400000000",
	"1234000000010000000000010372707a076578616d706c650000fc00010446656564c01000fa00ff00000000"
	"005d0b686d61632d7368613531320000006553f100012c00401c831a6c99969be700aa2efd18c8459f9fc179"
	"d4cfed7257ee28ae6470715abae0d307cdc46f0b240ed6ede1229ce21e3b73dce84793f350b5bedb82d6c506"
	"9d123400000000",
};

struct packet {
	uint8_t octets[2048];
	size_t size;
};

static struct packet from_hex(const char *text)
{
	static const char digits[] = "0123456789abcdef";
	struct packet packet = {.size = strlen(text) / 2};

	for (size_t i = 0; i < packet.size; i++)
		packet.octets[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
					     (strchr(digits, text[2 * i + 1]) - digits));
	return packet;
}

static struct tsig_key key_of(const char *name, enum tsig_algorithm algorithm, const char *secret)
{
	struct tsig_key key = {.algorithm = algorithm, .secret_length = (uint16_t)strlen(secret)};

	assert_int_equal(name_from_text(&key.name, name, strlen(name)), TD_OK);
	name_fold(key.name.wire, key.name.wire, key.name.length);
	memcpy(key.secret, secret, key.secret_length);
	return key;
}

static struct tsig_key feed_key(void)
{
	return key_of("feed.example", TSIG_SHA256, SECRET);
}

/* A question, or with flags QR an answer to it. */
static struct packet message_of(uint16_t id, uint16_t flags)
{
	static const uint8_t question[] = "\003rpz\007example\000\000\374\000\001";
	struct packet packet;
	struct wire_writer writer = wire_writer_init(packet.octets, sizeof packet.octets);

	wire_write_u16(&writer, id);
	wire_write_u16(&writer, flags);
	wire_write_u16(&writer, 1);
	wire_write_u16(&writer, 0);
	wire_write_u32(&writer, 0);
	wire_write_bytes(&writer, question, sizeof question - 1);
	packet.size = writer.position;
	return packet;
}

static void sign(struct packet *packet, const struct tsig_key *key, const struct tsig_mac *request,
	uint16_t error, struct tsig_mac *mac)
{
	assert_int_equal(tsig_sign(key, packet->octets, &packet->size, sizeof packet->octets,
				 request, NOW, NOW, error, mac),
		TD_OK);
}

static enum tsig_result result_of(const struct packet *packet, const struct tsig_key *key,
	const struct tsig_mac *request, uint64_t now_s)
{
	return tsig_verify(key, packet->octets, packet->size, request, now_s).result;
}

static void test_dnspython(void **state)
{
	(void)state;
	for (unsigned i = 0; i <= TSIG_SHA512; i++) {
		struct tsig_key key = key_of("FEED.example.", i, SECRET);
		struct packet theirs = from_hex(signed_by_dnspython[i]),
			      ours = message_of(0x1234, 0);
		struct tsig_mac mac;

		struct tsig_check check = tsig_verify(&key, theirs.octets, theirs.size, NULL, NOW);
		assert_int_equal(check.result, TSIG_GOOD);
		assert_int_equal(check.length, ours.size);
		sign(&ours, &key, NULL, 0, &mac);
		assert_int_equal(mac.length, check.mac.length);
		assert_memory_equal(mac.octets, check.mac.octets, mac.length);
	}
}

/* --- ldns --- */

static char *secret_base64(void)
{
	static char text[BASE64_SIZE(32)];

	base64_encode((const uint8_t *)SECRET, 32, text);
	return text;
}

static void test_ldns_takes_ours(void **state)
{
	struct tsig_key key = feed_key();
	struct packet question = message_of(7, 0), answer = message_of(7, DNS_FLAG_QR);
	struct tsig_mac mac;
	ldns_pkt *pkt;

	(void)state;
	sign(&question, &key, NULL, 0, &mac);
	assert_int_equal(ldns_wire2pkt(&pkt, question.octets, question.size), LDNS_STATUS_OK);
	assert_true(ldns_pkt_tsig_verify(
		pkt, question.octets, question.size, "feed.example.", secret_base64(), NULL));
	ldns_pkt_free(pkt);
	sign(&answer, &key, &mac, 0, NULL);
	ldns_rdf *request = ldns_native2rdf_int16_data(mac.length, mac.octets);
	assert_int_equal(ldns_wire2pkt(&pkt, answer.octets, answer.size), LDNS_STATUS_OK);
	assert_true(ldns_pkt_tsig_verify(
		pkt, answer.octets, answer.size, "feed.example.", secret_base64(), request));
	ldns_pkt_free(pkt);
	ldns_rdf_deep_free(request);
}

static void test_ldns_signs(void **state)
{
	struct tsig_key key = feed_key();
	struct packet question = message_of(7, 0);
	ldns_pkt *pkt;
	uint8_t *wire;
	size_t size;

	(void)state;
	assert_int_equal(ldns_wire2pkt(&pkt, question.octets, question.size), LDNS_STATUS_OK);
	assert_int_equal(ldns_pkt_tsig_sign(
				 pkt, "feed.example.", secret_base64(), 300, "hmac-sha256.", NULL),
		LDNS_STATUS_OK);
	assert_int_equal(ldns_pkt2wire(&wire, pkt, &size), LDNS_STATUS_OK);
	uint64_t now_s = (uint64_t)time(NULL);
	assert_int_equal(tsig_verify(&key, wire, size, NULL, now_s).result, TSIG_GOOD);
	assert_int_equal(tsig_verify(&key, wire, size, NULL, now_s + 400).result, TSIG_OTHER_TIME);
	free(wire);
	ldns_pkt_free(pkt);
}

/* --- what is refused --- */

static void test_faults(void **state)
{
	struct tsig_key key = feed_key(), other = key_of("feed.example", TSIG_SHA256, "x"),
			named = key_of("other.example", TSIG_SHA256, SECRET),
			sha1 = key_of("feed.example", TSIG_SHA1, SECRET);
	struct packet good = message_of(9, 0), bare = good, bad;

	(void)state;
	sign(&good, &key, NULL, 0, NULL);
	assert_int_equal(result_of(&good, &key, NULL, NOW), TSIG_GOOD);
	assert_int_equal(result_of(&bare, &key, NULL, NOW), TSIG_MISSING);
	assert_int_equal(result_of(&good, &other, NULL, NOW), TSIG_WRONG);
	assert_int_equal(result_of(&good, &named, NULL, NOW), TSIG_OTHER_KEY);
	assert_int_equal(result_of(&good, &sha1, NULL, NOW), TSIG_OTHER_KEY);
	bad = good; /* a letter of the question */
	bad.octets[13] ^= 1;
	assert_int_equal(result_of(&bad, &key, NULL, NOW), TSIG_WRONG);
	bad = good; /* the id may be another on the way: the one that was signed stands beside it */
	bad.octets[0] ^= 0xff;
	assert_int_equal(result_of(&bad, &key, NULL, NOW), TSIG_GOOD);
	bad = good; /* something behind it */
	bad.size++;
	assert_int_equal(result_of(&bad, &key, NULL, NOW), TSIG_MALFORMED);
	for (size_t size = 0; size < good.size; size++)
		assert_int_equal(
			tsig_verify(&key, good.octets, size, NULL, NOW).result, TSIG_MALFORMED);
}

/* Every octet that is signed counts; the id does not, and the case of the key's names does not. */
static void test_each_octet(void **state)
{
	struct tsig_key key = feed_key();
	struct packet good = message_of(9, 0);

	(void)state;
	sign(&good, &key, NULL, 0, NULL);
	for (size_t i = 2; i < good.size; i++) {
		struct packet bad = good;
		bad.octets[i] ^= 0x01;
		assert_int_not_equal(result_of(&bad, &key, NULL, NOW), TSIG_GOOD);
	}
}

static void test_time(void **state)
{
	struct tsig_key key = feed_key();
	struct packet packet = message_of(9, 0);

	(void)state;
	sign(&packet, &key, NULL, 0, NULL);
	assert_int_equal(result_of(&packet, &key, NULL, NOW + TSIG_FUDGE_S), TSIG_GOOD);
	assert_int_equal(result_of(&packet, &key, NULL, NOW - TSIG_FUDGE_S), TSIG_GOOD);
	struct tsig_check check =
		tsig_verify(&key, packet.octets, packet.size, NULL, NOW + TSIG_FUDGE_S + 1);
	assert_int_equal(check.result, TSIG_OTHER_TIME);
	assert_int_equal(check.skew_s, -(TSIG_FUDGE_S + 1));
	assert_int_equal(tsig_result_error(check.result), 18);
}

/* A signature of the right octets that is shorter: never taken (RFC 8945, 5.2.2.1). */
static void test_short_mac(void **state)
{
	static const struct {
		uint8_t length;
		enum tsig_result result;
	} cases[] = {{16, TSIG_TRUNCATED}, {31, TSIG_TRUNCATED}, {15, TSIG_MALFORMED},
		{0, TSIG_MALFORMED}};
	struct tsig_key key = feed_key();

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct packet packet = message_of(9, 0);
		size_t rdata = packet.size + key.name.length + 10, mac = rdata + 13 + 10;
		uint8_t gone = (uint8_t)(32 - cases[i].length);

		sign(&packet, &key, NULL, 0, NULL);
		memmove(packet.octets + mac + cases[i].length, packet.octets + mac + 32, 6);
		packet.size -= gone;
		packet.octets[mac - 1] = cases[i].length;
		packet.octets[rdata - 1] = (uint8_t)(packet.octets[rdata - 1] - gone);
		assert_int_equal(result_of(&packet, &key, NULL, NOW), cases[i].result);
	}
}

static void test_answer_is_bound_to_its_question(void **state)
{
	struct tsig_key key = feed_key();
	struct packet one = message_of(1, 0), two = message_of(2, 0),
		      answer = message_of(1, DNS_FLAG_QR);
	struct tsig_mac mac_one, mac_two;

	(void)state;
	sign(&one, &key, NULL, 0, &mac_one);
	sign(&two, &key, NULL, 0, &mac_two);
	sign(&answer, &key, &mac_one, 0, NULL);
	assert_int_equal(result_of(&answer, &key, &mac_one, NOW), TSIG_GOOD);
	assert_int_equal(result_of(&answer, &key, &mac_two, NOW), TSIG_WRONG);
	assert_int_equal(result_of(&answer, &key, NULL, NOW), TSIG_WRONG);
}

static void test_told(void **state)
{
	static const struct {
		uint16_t error;
		enum tsig_result result;
	} cases[] = {{16, TSIG_TOLD_WRONG}, {17, TSIG_TOLD_KEY}, {18, TSIG_TOLD_TIME},
		{22, TSIG_TOLD_TRUNCATED}, {99, TSIG_TOLD_OTHER}};
	struct tsig_key key = feed_key();
	struct packet question = message_of(1, 0);
	struct tsig_mac mac;

	(void)state;
	sign(&question, &key, NULL, 0, &mac);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct packet answer = message_of(1, DNS_FLAG_QR | 9);
		sign(&answer, &key, &mac, cases[i].error, NULL);
		assert_int_equal(result_of(&answer, &key, &mac, NOW), cases[i].result);
	}
}

/* The other side's clock stands in its answer. */
static void test_told_time(void **state)
{
	struct tsig_key key = feed_key();
	struct packet question = message_of(1, 0), answer = message_of(1, DNS_FLAG_QR | 9);
	struct tsig_mac mac;

	(void)state;
	sign(&question, &key, NULL, 0, &mac);
	assert_int_equal(tsig_sign(&key, answer.octets, &answer.size, sizeof answer.octets, &mac,
				 NOW, NOW + 3600, 18, NULL),
		TD_OK);
	struct tsig_check check = tsig_verify(&key, answer.octets, answer.size, &mac, NOW);
	assert_int_equal(check.result, TSIG_TOLD_TIME);
	assert_int_equal(check.skew_s, 3600);
}

static void test_no_space(void **state)
{
	struct tsig_key key = feed_key();
	struct packet packet = message_of(1, 0);
	size_t size = packet.size;

	(void)state;
	assert_int_equal(tsig_sign(&key, packet.octets, &size, size + 40, NULL, NOW, NOW, 0, NULL),
		TD_NO_SPACE);
	assert_int_equal(size, packet.size);
	assert_int_equal(packet.octets[11], 0);
}

/* --- streams --- */

/* What has to be signed next, put together by hand. */
struct signer {
	uint8_t text[400000];
	size_t length;
};

static void add(struct signer *signer, const void *octets, size_t size)
{
	memcpy(signer->text + signer->length, octets, size);
	signer->length += size;
}

static void begin_with(struct signer *signer, const struct tsig_mac *mac)
{
	uint8_t length[2] = {0, mac->length};

	signer->length = 0;
	add(signer, length, 2);
	add(signer, mac->octets, mac->length);
}

/* Any but the first message of a stream: only the time is signed beside it. */
static void sign_later(struct signer *signer, struct packet *packet, const struct tsig_key *key)
{
	static const uint8_t timers[8] = {0, 0, 0x65, 0x53, 0xf1, 0, 1, 0x2c}; /* NOW, 300 */
	struct packet plain = *packet;
	struct tsig_mac mac = {.length = 32};

	add(signer, packet->octets, packet->size);
	add(signer, timers, sizeof timers);
	HMAC(EVP_sha256(), key->secret, key->secret_length, signer->text, signer->length,
		mac.octets, NULL);
	sign(packet, key, NULL, 0, NULL);
	memcpy(packet->octets + plain.size + key->name.length + 10 + 13 + 10, mac.octets, 32);
	begin_with(signer, &mac);
}

struct bed {
	struct tsig_key key;
	struct tsig_mac request;
	struct tsig_stream *stream;
	struct signer signer;
};

static enum tsig_result take(struct bed *bed, const struct packet *packet)
{
	return tsig_stream_verify(bed->stream, packet->octets, packet->size, NOW).result;
}

/* A question was signed and sent; the first answer is ready. */
static struct packet bed_begin(struct bed *bed)
{
	struct packet question = message_of(1, 0), first = message_of(1, DNS_FLAG_QR);
	struct tsig_mac mac;

	bed->key = feed_key();
	sign(&question, &bed->key, NULL, 0, &bed->request);
	sign(&first, &bed->key, &bed->request, 0, &mac);
	begin_with(&bed->signer, &mac);
	bed->stream = tsig_stream_new(&bed->key, &bed->request);
	assert_non_null(bed->stream);
	assert_false(tsig_stream_may_end(bed->stream));
	return first;
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct bed));
	return 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;

	tsig_stream_free(bed->stream);
	free(bed);
	return 0;
}

static void test_stream_all_signed(void **state)
{
	struct bed *bed = *state;
	struct packet packet = bed_begin(bed);

	assert_int_equal(take(bed, &packet), TSIG_GOOD);
	for (unsigned i = 0; i < 5; i++) {
		packet = message_of(1, DNS_FLAG_QR);
		sign_later(&bed->signer, &packet, &bed->key);
		assert_int_equal(take(bed, &packet), TSIG_GOOD);
		assert_true(tsig_stream_may_end(bed->stream));
	}
}

static void take_unsigned(struct bed *bed, unsigned count)
{
	struct packet packet = message_of(1, DNS_FLAG_QR);

	for (unsigned i = 0; i < count; i++) {
		packet.octets[20] = (uint8_t)('a' + i % 26);
		add(&bed->signer, packet.octets, packet.size);
		assert_int_equal(take(bed, &packet), TSIG_UNSIGNED);
		assert_false(tsig_stream_may_end(bed->stream));
	}
}

static void test_stream_99_unsigned(void **state)
{
	struct bed *bed = *state;
	struct packet packet = bed_begin(bed);

	assert_int_equal(take(bed, &packet), TSIG_GOOD);
	for (unsigned round = 0; round < 2; round++) {
		take_unsigned(bed, TSIG_UNSIGNED_MAX);
		packet = message_of(1, DNS_FLAG_QR);
		sign_later(&bed->signer, &packet, &bed->key);
		assert_int_equal(take(bed, &packet), TSIG_GOOD);
		assert_true(tsig_stream_may_end(bed->stream));
	}
}

static void test_stream_100_unsigned(void **state)
{
	struct bed *bed = *state;
	struct packet packet = bed_begin(bed);

	assert_int_equal(take(bed, &packet), TSIG_GOOD);
	take_unsigned(bed, TSIG_UNSIGNED_MAX);
	packet = message_of(1, DNS_FLAG_QR);
	assert_int_equal(take(bed, &packet), TSIG_MISSING);
}

static void test_stream_begins_unsigned(void **state)
{
	struct bed *bed = *state;
	struct packet packet;

	bed_begin(bed);
	packet = message_of(1, DNS_FLAG_QR);
	assert_int_equal(take(bed, &packet), TSIG_MISSING);
}

/* An unsigned message in the middle is signed by the next one: who changes it is found then. */
static void test_stream_middle_is_changed(void **state)
{
	struct bed *bed = *state;
	struct packet packet = bed_begin(bed), middle = message_of(1, DNS_FLAG_QR);

	assert_int_equal(take(bed, &packet), TSIG_GOOD);
	add(&bed->signer, middle.octets, middle.size);
	middle.octets[14] ^= 1;
	assert_int_equal(take(bed, &middle), TSIG_UNSIGNED);
	packet = message_of(1, DNS_FLAG_QR);
	sign_later(&bed->signer, &packet, &bed->key);
	assert_int_equal(take(bed, &packet), TSIG_WRONG);
}

static void test_stream_message_is_left_out(void **state)
{
	struct bed *bed = *state;
	struct packet packet = bed_begin(bed);

	assert_int_equal(take(bed, &packet), TSIG_GOOD);
	packet = message_of(1, DNS_FLAG_QR);
	sign_later(&bed->signer, &packet, &bed->key); /* lost */
	packet = message_of(1, DNS_FLAG_QR);
	sign_later(&bed->signer, &packet, &bed->key);
	assert_int_equal(take(bed, &packet), TSIG_WRONG);
}

/* ldns signs a chain too. */
static void test_stream_by_ldns(void **state)
{
	struct bed *bed = *state;
	ldns_rdf *mac;

	bed_begin(bed);
	mac = ldns_native2rdf_int16_data(bed->request.length, bed->request.octets);
	for (unsigned i = 0; i < 4; i++) {
		struct packet packet = message_of(1, DNS_FLAG_QR);
		ldns_pkt *pkt;
		uint8_t *wire;
		size_t size;

		assert_int_equal(ldns_wire2pkt(&pkt, packet.octets, packet.size), LDNS_STATUS_OK);
		assert_int_equal(ldns_pkt_tsig_sign_next(pkt, "feed.example.", secret_base64(), 300,
					 "hmac-sha256.", mac, i > 0),
			LDNS_STATUS_OK);
		assert_int_equal(ldns_pkt2wire(&wire, pkt, &size), LDNS_STATUS_OK);
		assert_int_equal(
			tsig_stream_verify(bed->stream, wire, size, (uint64_t)time(NULL)).result,
			TSIG_GOOD);
		ldns_rdf_deep_free(mac);
		mac = ldns_rdf_clone(ldns_rr_rdf(ldns_pkt_tsig(pkt), 3));
		free(wire);
		ldns_pkt_free(pkt);
	}
	ldns_rdf_deep_free(mac);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dnspython),
		cmocka_unit_test(test_ldns_takes_ours),
		cmocka_unit_test(test_ldns_signs),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_each_octet),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_short_mac),
		cmocka_unit_test(test_answer_is_bound_to_its_question),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_told_time),
		cmocka_unit_test(test_no_space),
		cmocka_unit_test_setup_teardown(test_stream_all_signed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_99_unsigned, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_100_unsigned, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_begins_unsigned, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_middle_is_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_message_is_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_by_ldns, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

/* A build without OpenSSL refuses every key. */
static void test_unavailable(void **state)
{
	struct tsig_key key = {.name.length = 1};
	uint8_t message[12] = {0};
	size_t length = sizeof message;

	(void)state;
	assert_false(tsig_is_available());
	assert_int_equal(tsig_sign(&key, message, &length, sizeof message, NULL, 0, 0, 0, NULL),
		TD_UNSUPPORTED);
	assert_int_equal(tsig_verify(&key, message, length, NULL, 0).result, TSIG_FAILED);
	assert_null(tsig_stream_new(&key, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_unavailable)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
