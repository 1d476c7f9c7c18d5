/* SPDX-License-Identifier: BSD-3-Clause */
/* NOTIFY: whose is taken, what is answered, and what the main thread hears of it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/notify.h"
#include "tests/unit/zone_answer.h"

#define NOW 1700000000
#define OPCODE_NOTIFY 0x2000

struct bed {
	struct notify_zones *zones;
	struct notify_box box;
	uint8_t packet[2048], reply[2048];
	size_t size;
	enum notify_result result;
};

static struct address address_of(uint8_t last)
{
	const uint8_t octets[4] = {192, 0, 2, last};

	return address_v4(octets);
}

static int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof *bed);

	bed->zones = calloc(1, sizeof *bed->zones + 2 * sizeof bed->zones->zones[0]);
	bed->zones->count = 2;
	bed->zones->zones[0].apex = name_of("other.example");
	bed->zones->zones[0].primaries[0] = address_of(1);
	bed->zones->zones[0].primary_count = 1;
	bed->zones->zones[1].apex = zone_apex;
	bed->zones->zones[1].primaries[0] = address_of(1);
	bed->zones->zones[1].primaries[1] = address_of(2);
	bed->zones->zones[1].primary_count = 2;
	bed->box.wake_fd = eventfd(0, EFD_NONBLOCK);
	*state = bed;
	return 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;

	notify_zones_free(bed->zones);
	close(bed->box.wake_fd);
	free(bed);
	return 0;
}

static void notify_of(struct bed *bed, const char *zone, uint16_t flags)
{
	struct name qname = name_of(zone);
	struct wire_writer writer = wire_writer_init(bed->packet, sizeof bed->packet);

	wire_write_u16(&writer, 77);
	wire_write_u16(&writer, flags);
	wire_write_u16(&writer, 1);
	wire_write_u16(&writer, 0);
	wire_write_u32(&writer, 0);
	name_write(&writer, &qname);
	wire_write_u16(&writer, TYPE_SOA);
	wire_write_u16(&writer, CLASS_IN);
	bed->size = writer.position;
}

static size_t answer(struct bed *bed, uint8_t from)
{
	struct address address = address_of(from);

	return notify_answer(bed->zones, &bed->box, bed->packet, bed->size, &address, NOW,
		bed->reply, sizeof bed->reply, &bed->result);
}

static uint64_t woken(const struct bed *bed)
{
	uint64_t count;

	return read(bed->box.wake_fd, &count, sizeof count) == sizeof count ? count : 0;
}

static unsigned heard(struct bed *bed)
{
	return bed->box.heard[0] * 16u + bed->box.heard[1];
}

static void test_taken(void **state)
{
	struct bed *bed = *state;

	notify_of(bed, "RPZ.example", OPCODE_NOTIFY | DNS_FLAG_AA);
	assert_int_equal(answer(bed, 2), bed->size);
	assert_int_equal(bed->result, NOTIFY_TAKEN);
	assert_int_equal(heard(bed), 2);
	assert_int_equal(woken(bed), 1);
	assert_memory_equal(bed->reply, "\000\115\244\000\000\001\000\000\000\000\000\000", 12);
	assert_memory_equal(bed->reply + 12, bed->packet + 12, bed->size - 12);
	/* Many are one mark, that of the last. */
	for (unsigned i = 0; i < 100; i++)
		answer(bed, 1);
	assert_int_equal(heard(bed), 1);
	assert_int_equal(woken(bed), 0);
	bed->box.heard[1] = 0; /* taken by the main thread */
	answer(bed, 1);
	assert_int_equal(woken(bed), 1);
}

static void test_refused(void **state)
{
	struct bed *bed = *state;

	notify_of(bed, "rpz.example", OPCODE_NOTIFY);
	assert_int_equal(answer(bed, 3), 0); /* no primary */
	assert_int_equal(bed->result, NOTIFY_REFUSED);
	notify_of(bed, "other.example", OPCODE_NOTIFY);
	assert_int_equal(answer(bed, 2), 0); /* a primary of another zone */
	assert_int_equal(bed->result, NOTIFY_REFUSED);
	notify_of(bed, "sub.rpz.example", OPCODE_NOTIFY);
	assert_int_equal(answer(bed, 1), 0);
	assert_int_equal(bed->result, NOTIFY_REFUSED);
	notify_of(bed, "rpz.example", 0x2800); /* UPDATE */
	assert_int_equal(answer(bed, 1), 0);
	assert_int_equal(bed->result, NOTIFY_NONE);
	assert_int_equal(heard(bed), 0);
	assert_int_equal(woken(bed), 0);
}

static void test_broken(void **state)
{
	struct bed *bed = *state;
	struct address address = address_of(1);

	notify_of(bed, "rpz.example", OPCODE_NOTIFY);
	for (size_t size = 0; size < bed->size; size++) {
		assert_int_equal(notify_answer(bed->zones, &bed->box, bed->packet, size, &address,
					 NOW, bed->reply, sizeof bed->reply, &bed->result),
			0);
		assert_int_equal(bed->result, NOTIFY_NONE);
	}
	assert_int_equal(notify_answer(NULL, &bed->box, bed->packet, bed->size, &address, NOW,
				 bed->reply, sizeof bed->reply, &bed->result),
		0);
	assert_int_equal(bed->result, NOTIFY_REFUSED);
	assert_int_equal(notify_answer(bed->zones, &bed->box, bed->packet, bed->size, &address, NOW,
				 bed->reply, 20, &bed->result),
		0);
}

#ifdef HAVE_TLS

static struct tsig_key key_of(const char *secret)
{
	struct tsig_key key = {.name = name_of("feed"),
		.algorithm = TSIG_SHA256,
		.secret_length = (uint16_t)strlen(secret)};

	memcpy(key.secret, secret, key.secret_length);
	return key;
}

static void sign(struct bed *bed, const struct tsig_key *key, uint64_t at_s, struct tsig_mac *mac)
{
	assert_int_equal(tsig_sign(key, bed->packet, &bed->size, sizeof bed->packet, NULL, at_s,
				 at_s, 0, mac),
		TD_OK);
}

static void test_signed(void **state)
{
	struct bed *bed = *state;
	struct tsig_key key = key_of("secret"), other = key_of("other");
	struct tsig_mac mac;
	size_t length;

	bed->zones->zones[1].has_key = true;
	bed->zones->zones[1].key = key;
	notify_of(bed, "rpz.example", OPCODE_NOTIFY);
	sign(bed, &key, NOW, &mac);
	length = answer(bed, 1);
	assert_int_equal(bed->result, NOTIFY_TAKEN);
	assert_int_equal(tsig_verify(&key, bed->reply, length, &mac, NOW).result, TSIG_GOOD);
	assert_int_equal(bed->reply[3], 0);
	bed->box.heard[1] = 0;

	notify_of(bed, "rpz.example", OPCODE_NOTIFY);
	assert_true(answer(bed, 1) > 0); /* unsigned */
	assert_int_equal(bed->result, NOTIFY_REFUSED);
	assert_int_equal(bed->reply[3], 9);

	sign(bed, &other, NOW, &mac);
	length = answer(bed, 1);
	assert_int_equal(bed->result, NOTIFY_REFUSED);
	assert_int_equal(
		tsig_verify(&other, bed->reply, length, &mac, NOW).result, TSIG_TOLD_WRONG);

	notify_of(bed, "rpz.example", OPCODE_NOTIFY);
	sign(bed, &key, NOW - 1000, &mac);
	length = answer(bed, 1);
	assert_int_equal(bed->result, NOTIFY_REFUSED);
	struct tsig_check check = tsig_verify(&key, bed->reply, length, &mac, NOW - 1000);
	assert_int_equal(check.result, TSIG_TOLD_TIME);
	assert_int_equal(check.skew_s, 1000);
	assert_int_equal(heard(bed), 0);
}

#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_taken),
		TEST(test_refused),
		TEST(test_broken),
#ifdef HAVE_TLS
		TEST(test_signed),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
