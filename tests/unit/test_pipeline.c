/* SPDX-License-Identifier: BSD-3-Clause */
/* Ids of questions on a connection; a message's options and padding there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/edns.h"
#include "lib/dns/message.h"
#include "resolver/upstream/pipeline.h"
#include "resolver/upstream/random.h"
#include "resolver/upstream/stream_message.h"

static void test_ids_are_unique(void **state)
{
	struct pipeline pipeline = {.count = 0};
	int questions[PIPELINE_MAX];
	void *found;

	(void)state;
	for (unsigned i = 0; i < PIPELINE_MAX; i++) {
		/* The same bits again and again, at the end of the range. */
		uint16_t id = pipeline_free_id(&pipeline, 65530);

		assert_int_equal(id, (uint16_t)(65530 + i));
		pipeline_add(&pipeline, id, &questions[i]);
	}
	assert_int_equal(pipeline.live, PIPELINE_MAX);
	for (unsigned i = 0; i < PIPELINE_MAX; i++) {
		assert_true(pipeline_find(&pipeline, (uint16_t)(65530 + i), &found));
		assert_ptr_equal(found, &questions[i]);
	}
	assert_false(pipeline_find(&pipeline, 65529, &found));
	assert_int_equal(pipeline_free_id(&pipeline, 400), 400);
}

static void test_given_up_id_stays_taken(void **state)
{
	struct pipeline pipeline = {.count = 0};
	int one, two, three;
	void *found;

	(void)state;
	pipeline_add(&pipeline, 1, &one);
	pipeline_add(&pipeline, 2, &two);
	pipeline_add(&pipeline, 3, &three);
	pipeline_give_up(&pipeline, 2);
	pipeline_give_up(&pipeline, 2);
	pipeline_give_up(&pipeline, 77);
	assert_int_equal(pipeline.count, 3);
	assert_int_equal(pipeline.live, 2);
	assert_true(pipeline_find(&pipeline, 2, &found));
	assert_null(found);
	assert_int_equal(pipeline_free_id(&pipeline, 2), 4);
	pipeline_remove(&pipeline, 1);
	pipeline_remove(&pipeline, 2);
	pipeline_remove(&pipeline, 2);
	assert_int_equal(pipeline.count, 1);
	assert_int_equal(pipeline.live, 1);
	assert_false(pipeline_find(&pipeline, 2, &found));
	assert_ptr_equal(pipeline_take(&pipeline), &three);
	assert_null(pipeline_take(&pipeline));
	assert_int_equal(pipeline.count, 0);
}

/* As many live ones as there should be, whatever is done in which order. */
static void test_counts_hold(void **state)
{
	struct pipeline pipeline = {.count = 0};
	struct random_pool random = {0};
	bool taken[64] = {false}, live[64] = {false};

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint16_t id = (uint16_t)random_below(&random, 64);
		unsigned count = 0, alive = 0;

		switch (random_below(&random, 3)) {
		case 0:
			if (!taken[id])
				pipeline_add(&pipeline, id, &live[id]);
			live[id] |= !taken[id];
			taken[id] = true;
			break;
		case 1:
			pipeline_give_up(&pipeline, id);
			live[id] = false;
			break;
		default:
			pipeline_remove(&pipeline, id);
			taken[id] = live[id] = false;
		}
		for (unsigned k = 0; k < 64; k++) {
			count += taken[k];
			alive += live[k];
		}
		assert_int_equal(pipeline.count, count);
		assert_int_equal(pipeline.live, alive);
	}
}

static struct packet compose(const char *name, bool without_edns)
{
	struct upstream_question question = {.qtype = TYPE_A};
	const struct packet_form form = {.id = 4711, .without_edns = without_edns};
	struct packet packet;

	assert_int_equal(name_from_text(&question.qname, name, strlen(name)), TD_OK);
	packet_compose(&packet, &question, &form);
	return packet;
}

/* What the message says in its OPT, by the parser of what clients send. */
static void read_options(const uint8_t *message, size_t size, bool *padding, bool *keepalive)
{
	struct wire_reader reader = wire_reader_init(message, size);
	struct message_header header = message_read_header(&reader);
	struct name qname;
	uint16_t qtype, qclass;
	struct message_rr rr;
	struct edns edns;

	*padding = *keepalive = false;
	message_read_question(&reader, &qname, &qtype, &qclass);
	assert_int_equal(header.arcount, 1);
	assert_true(message_read_rr(&reader, &rr));
	assert_int_equal(rr.type, TYPE_OPT);
	assert_int_equal(reader.position, size);
	assert_int_equal(edns_parse(message, size, &rr, &edns), TD_OK);
	struct wire_reader options =
		wire_reader_init(message + edns.options_offset, edns.options_length);

	while (wire_left(&options) > 0) {
		uint16_t code = wire_read_u16(&options), length = wire_read_u16(&options);
		const uint8_t *octets = wire_read_bytes(&options, length);

		*padding |= code == EDNS_OPTION_PADDING;
		*keepalive |= code == EDNS_OPTION_KEEPALIVE && length == 0;
		for (unsigned i = 0; code == EDNS_OPTION_PADDING && i < length; i++)
			assert_int_equal(octets[i], 0);
	}
	assert_int_equal(options.error, TD_OK);
}

/* Every length of a name, so every remainder: a whole number of blocks (RFC 8467, 4.1). */
static void test_padding(void **state)
{
	uint8_t message[STREAM_MESSAGE_MAX];
	char name[256] = "";
	bool padding, keepalive;

	(void)state;
	for (size_t length = 1; length <= 253; length++) {
		name[length - 1] = length % 64 == 0 ? '.' : 'a';
		if (length % 64 == 0)
			continue;
		for (int both = 0; both < 2; both++) {
			const struct stream_message how = {.padded = true, .keepalive = both};
			struct packet packet = compose(name, false);
			size_t size = stream_message_compose(message, &packet, &how);

			assert_int_equal((message[0] << 8 | message[1]) + 2, size);
			assert_int_equal((size - 2) % 128, 0);
			assert_true(size - 2 < packet.length + 8U + 128U);
			read_options(message + 2, size - 2, &padding, &keepalive);
			assert_true(padding);
			assert_int_equal(keepalive, both);
		}
	}
}

static void test_message_without_options(void **state)
{
	uint8_t message[STREAM_MESSAGE_MAX];
	const struct stream_message all = {.padded = true, .keepalive = true}, none = {0};
	struct packet packet = compose("www.example.", false);
	bool padding, keepalive;
	size_t size = stream_message_compose(message, &packet, &none);

	(void)state;
	assert_int_equal(size, packet.length + 2);
	assert_memory_equal(message + 2, packet.octets, packet.length);
	read_options(message + 2, size - 2, &padding, &keepalive);
	assert_false(padding || keepalive);
	packet = compose("www.example.", true);
	size = stream_message_compose(message, &packet, &all);
	assert_int_equal(size, packet.length + 2);
	assert_memory_equal(message + 2, packet.octets, packet.length);
}

/* A reply to the root's NS with an OPT that has these options. */
static size_t reply_with(uint8_t *out, const uint8_t *options, size_t length)
{
	struct wire_writer writer = wire_writer_init(out, 128);

	wire_write_bytes(&writer, "\x12\x34\x81\x80\0\1\0\0\0\0\0\1\0\0\2\0\1", 17);
	wire_write_bytes(&writer, "\0\0\51\4\320\0\0\0\0", 9);
	wire_write_u16(&writer, (uint16_t)length);
	wire_write_bytes(&writer, options, length);
	assert_int_equal(writer.error, TD_OK);
	return writer.position;
}

static void test_keepalive(void **state)
{
	static const uint8_t both[] = {0, 12, 0, 1, 0, 0, 11, 0, 2, 1, 0x2c},
			     empty[] = {0, 11, 0, 0}, other[] = {0, 12, 0, 2, 0, 11};
	uint8_t reply[128];
	uint16_t tenths = 7;

	(void)state;
	size_t size = reply_with(reply, both, sizeof(both));

	assert_true(stream_message_keepalive(reply, size, &tenths));
	assert_int_equal(tenths, 300);
	tenths = 7;
	for (size_t cut = 0; cut < size; cut++)
		assert_false(stream_message_keepalive(reply, cut, &tenths));
	size = reply_with(reply, empty, sizeof(empty));
	assert_false(stream_message_keepalive(reply, size, &tenths));
	size = reply_with(reply, other, sizeof(other));
	assert_false(stream_message_keepalive(reply, size, &tenths));
	size = reply_with(reply, NULL, 0);
	assert_false(stream_message_keepalive(reply, size, &tenths));
	reply[5] = 2; /* two questions */
	assert_false(stream_message_keepalive(reply, size, &tenths));
	assert_int_equal(tenths, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_are_unique),
		cmocka_unit_test(test_given_up_id_stays_taken),
		cmocka_unit_test(test_counts_hold),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_message_without_options),
		cmocka_unit_test(test_keepalive),
	};

	return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
