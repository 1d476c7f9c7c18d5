/* SPDX-License-Identifier: BSD-3-Clause */
/* dnstap: what a message says, the handshake of Frame Streams, and a file on a disk that is full.
 */
#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "resolver/telemetry/sinks/dnstap.h"
#include "resolver/telemetry/sinks/dnstap.pb-c.h"
#include "resolver/telemetry/sinks/dnstap_message.h"
#include "resolver/telemetry/sinks/frame_stream.h"

#define WHEN INT64_C(1795294331123456)
#define ALL (DNSTAP_CLIENT | DNSTAP_FORWARDER)

static const uint8_t reply[] = "a reply of thirty-two octets....";
static const uint8_t query[] = "a query";
static const struct dnstap_source source = {"gw1", "teredown 1"};

struct bed {
	struct ring ring;
	struct outbox box;
	struct transaction transaction;
};

static struct endpoint endpoint_of(const char *text)
{
	struct endpoint endpoint;

	assert_int_equal(endpoint_from_text(&endpoint, text, 0), TD_OK);
	return endpoint;
}

static int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	log_setup("test_dnstap", LOG_LEVEL_ERROR);
	if (!bed || !ring_init(&bed->ring, 1 << 16) || !outbox_init(&bed->box, 1 << 16))
		return -1;
	bed->transaction = (struct transaction){.client = endpoint_of("192.0.2.7:53124"),
		.server = endpoint_of("192.0.2.1:53"),
		.reply = reply,
		.reply_length = sizeof(reply),
		.query = query,
		.query_length = sizeof(query),
		.zone = ZONE_ID_NONE,
		.rule = "a.rule.",
		.duration_us = 1123456};
	*state = bed;
	return 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;

	ring_deinit(&bed->ring);
	outbox_deinit(&bed->box);
	free(bed);
	return 0;
}

static const struct record *record_of(struct bed *bed)
{
	size_t length;

	assert_true(record_write(&bed->ring, &bed->transaction, WHEN));
	return ring_peek(&bed->ring, &length);
}

/* Message number `number` of the queue; freed by the caller. */
static Dnstap__Dnstap *message_at(const struct bed *bed, size_t number)
{
	size_t place = 0, length;
	const uint8_t *octets = outbox_next(&bed->box, &place, &length);

	for (; number > 0; number--)
		octets = outbox_next(&bed->box, &place, &length);
	assert_non_null(octets);
	Dnstap__Dnstap *message = dnstap__dnstap__unpack(NULL, length, octets);
	assert_non_null(message);
	return message;
}

static void assert_octets(const ProtobufCBinaryData *data, const void *octets, size_t length)
{
	assert_int_equal(data->len, length);
	assert_memory_equal(data->data, octets, length);
}

/* --- messages --- */

static void an_answer_says_all(void **state)
{
	struct bed *bed = *state;

	dnstap_put(&bed->box, &source, ALL, record_of(bed));
	assert_int_equal(bed->box.count, 2);
	Dnstap__Dnstap *outer = message_at(bed, 1);
	const Dnstap__Message *message = outer->message;
	assert_octets(&outer->identity, "gw1", 3);
	assert_octets(&outer->version, "teredown 1", 10);
	assert_int_equal(message->type, DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE);
	assert_int_equal(message->socket_family, DNSTAP__SOCKET_FAMILY__INET);
	assert_int_equal(message->socket_protocol, DNSTAP__SOCKET_PROTOCOL__UDP);
	assert_octets(&message->query_address, "\300\0\002\007", 4);
	assert_octets(&message->response_address, "\300\0\002\001", 4);
	assert_int_equal(message->query_port, 53124);
	assert_int_equal(message->response_port, 53);
	assert_true(message->query_time_sec == WHEN / 1000000 - 1);
	assert_int_equal(message->query_time_nsec, 0);
	assert_true(message->response_time_sec == WHEN / 1000000);
	assert_int_equal(message->response_time_nsec, 123456000);
	assert_octets(&message->response_message, reply, sizeof(reply));
	assert_false(message->has_query_message);
	dnstap__dnstap__free_unpacked(outer, NULL);

	outer = message_at(bed, 0);
	assert_int_equal(outer->message->type, DNSTAP__MESSAGE__TYPE__CLIENT_QUERY);
	assert_octets(&outer->message->query_message, query, sizeof(query));
	assert_false(outer->message->has_response_message);
	assert_false(outer->message->has_response_time_sec);
	dnstap__dnstap__free_unpacked(outer, NULL);
}

static void only_what_is_asked_for(void **state)
{
	struct bed *bed = *state;
	const struct record *record = record_of(bed);

	dnstap_put(&bed->box, &source, DNSTAP_FORWARDER, record);
	assert_int_equal(bed->box.count, 0);
	dnstap_put(&bed->box, &source, DNSTAP_CLIENT_RESPONSE, record);
	assert_int_equal(bed->box.count, 1);
}

static void a_client_who_is_not_to_be_known_is_left_out(void **state)
{
	struct bed *bed = *state;

	bed->transaction.client.address.family = ADDRESS_PSEUDONYM;
	bed->transaction.query_length = 0;
	dnstap_put(&bed->box, &source, DNSTAP_CLIENT, record_of(bed));
	for (size_t i = 0; i < 2; i++) {
		Dnstap__Dnstap *outer = message_at(bed, i);
		assert_false(outer->message->has_query_address);
		assert_false(outer->message->has_query_port);
		assert_false(outer->message->has_query_message);
		dnstap__dnstap__free_unpacked(outer, NULL);
	}
}

static void a_client_known_by_its_mac_has_its_address(void **state)
{
	struct bed *bed = *state;

	bed->transaction.address = bed->transaction.client.address;
	bed->transaction.client.address.family = ADDRESS_MAC;
	dnstap_put(&bed->box, &source, DNSTAP_CLIENT_RESPONSE, record_of(bed));
	Dnstap__Dnstap *outer = message_at(bed, 0);
	assert_octets(&outer->message->query_address, "\300\0\002\007", 4);
	dnstap__dnstap__free_unpacked(outer, NULL);
}

static void packets_of_upstream(void **state)
{
	struct bed *bed = *state;
	struct record_packet packet = {.kind = RECORD_UPSTREAM_REPLY,
		.server = endpoint_of("[2001:db8::53]:53"),
		.tcp = true,
		.octets = reply,
		.length = sizeof(reply),
		.duration_us = 123456};
	size_t length;

	assert_true(record_write_packet(&bed->ring, &packet, WHEN));
	dnstap_put(&bed->box, &source, ALL, ring_peek(&bed->ring, &length));
	Dnstap__Dnstap *outer = message_at(bed, 0);
	assert_int_equal(outer->message->type, DNSTAP__MESSAGE__TYPE__FORWARDER_RESPONSE);
	assert_int_equal(outer->message->socket_family, DNSTAP__SOCKET_FAMILY__INET6);
	assert_int_equal(outer->message->socket_protocol, DNSTAP__SOCKET_PROTOCOL__TCP);
	assert_int_equal(outer->message->response_address.len, 16);
	assert_int_equal(outer->message->query_time_nsec, 0);
	assert_int_equal(outer->message->response_time_nsec, 123456000);
	assert_octets(&outer->message->response_message, reply, sizeof(reply));
	dnstap__dnstap__free_unpacked(outer, NULL);
}

static void a_full_queue_counts(void **state)
{
	struct bed *bed = *state;
	const struct record *record = record_of(bed);

	for (unsigned i = 0; i < 1000; i++)
		dnstap_put(&bed->box, &source, DNSTAP_CLIENT, record);
	assert_true(bed->box.dropped > 0);
	assert_int_equal(bed->box.count + bed->box.dropped, 2000);
}

/* --- Frame Streams --- */

#define CONTROL(kind) "\0\0\0\0\0\0\0\042\0\0\0" kind "\0\0\0\1\0\0\0\026" FRAME_CONTENT_TYPE
#define CONTROL_LENGTH 42
#define SHORT(kind) "\0\0\0\0\0\0\0\4\0\0\0" kind
#define SHORT_LENGTH 12

static void assert_output(struct frame_stream *stream, const char *expected, size_t length)
{
	size_t have;
	const uint8_t *octets = frame_stream_output(stream, &have);

	assert_int_equal(have, length);
	assert_memory_equal(octets, expected, length);
	frame_stream_sent(stream, have);
}

static bool input(struct frame_stream *stream, const char *octets, size_t length)
{
	return frame_stream_input(stream, (const uint8_t *)octets, length);
}

static void a_file_begins_and_ends(void **state)
{
	struct frame_stream stream;
	(void)state;

	frame_stream_begin(&stream, false);
	assert_output(&stream, CONTROL("\2"), CONTROL_LENGTH);
	assert_true(frame_stream_is_open(&stream));
	frame_stream_stop(&stream);
	assert_output(&stream, SHORT("\3"), SHORT_LENGTH);
	assert_int_equal(stream.state, FRAME_ENDED);
}

/* Whole frames, then octet by octet. */
static void a_reader_takes_part(void **state)
{
	(void)state;
	for (size_t piece = CONTROL_LENGTH; piece > 0; piece = piece > 1 ? 1 : 0) {
		struct frame_stream stream;
		frame_stream_begin(&stream, true);
		assert_output(&stream, CONTROL("\4"), CONTROL_LENGTH);
		assert_false(frame_stream_is_open(&stream));
		for (size_t at = 0; at < CONTROL_LENGTH; at += piece)
			assert_true(input(&stream, &CONTROL("\1")[at], piece));
		assert_true(frame_stream_is_open(&stream));
		assert_output(&stream, CONTROL("\2"), CONTROL_LENGTH);
		frame_stream_stop(&stream);
		assert_output(&stream, SHORT("\3"), SHORT_LENGTH);
		assert_int_equal(stream.state, FRAME_WAITS_FINISH);
		assert_true(input(&stream, SHORT("\5"), SHORT_LENGTH));
		assert_int_equal(stream.state, FRAME_ENDED);
	}
}

static void a_reader_may_leave_the_type_open(void **state)
{
	struct frame_stream stream;
	(void)state;

	frame_stream_begin(&stream, true);
	assert_true(input(&stream, SHORT("\1"), SHORT_LENGTH));
	assert_true(frame_stream_is_open(&stream));
}

static void nonsense_is_refused(void **state)
{
	static const struct {
		const char *octets;
		size_t length;
	} wrong[] = {
		{"HTTP/1.1 200 OK", 15},
		{"\0\0\0\0\0\0\0\0", 8}, /* no type */
		{"\0\0\0\0\0\0\2\1", 8}, /* longer than any control frame */
		{"\0\0\0\0\377\377\377\377", 8},
		{"\0\0\0\1abcd", 8},          /* a data frame */
		{SHORT("\5"), SHORT_LENGTH},  /* FINISH at the wrong time */
		{SHORT("\2"), SHORT_LENGTH},  /* a writer's frame */
		{SHORT("\77"), SHORT_LENGTH}, /* none at all */
		{CONTROL("\1") CONTROL("\1"), 2 * CONTROL_LENGTH},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct frame_stream stream;
		frame_stream_begin(&stream, true);
		assert_false(input(&stream, wrong[i].octets, wrong[i].length));
	}
}

static void another_type_is_refused(void **state)
{
	struct frame_stream stream;
	char accept[CONTROL_LENGTH];
	(void)state;

	memcpy(accept, CONTROL("\1"), CONTROL_LENGTH);
	accept[CONTROL_LENGTH - 1] ^= 1;
	frame_stream_begin(&stream, true);
	assert_false(input(&stream, accept, sizeof(accept)));
}

/* --- targets --- */

static void targets_and_messages_are_read(void **state)
{
	static const char *const bad[] = {"", "/x", "file:", "file:x", "unix:x", "tcp://",
		"tcp://host:1", "tcp://127.0.0.1", "tcp:127.0.0.1:1", "tcp://127.0.0.1:0"};
	struct dnstap_target target;
	char text[SINK_PATH_MAX + 8];
	(void)state;

	assert_true(dnstap_target_parse(&target, "file:/x y"));
	assert_true(target.kind == DNSTAP_FILE);
	assert_true(dnstap_target_parse(&target, "unix:/x"));
	dnstap_target_to_text(&target, text);
	assert_string_equal(text, "unix:/x");
	assert_true(dnstap_target_parse(&target, "tcp://[::1]:6000"));
	dnstap_target_to_text(&target, text);
	assert_string_equal(text, "tcp://[::1]:6000");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(dnstap_target_parse(&target, bad[i]));
	assert_int_equal(dnstap_message_parse("client-query"), DNSTAP_CLIENT_QUERY);
	assert_int_equal(dnstap_message_parse("client-response"), DNSTAP_CLIENT_RESPONSE);
	assert_int_equal(dnstap_message_parse("forwarder-query"), DNSTAP_FORWARDER_QUERY);
	assert_int_equal(dnstap_message_parse("forwarder-response"), DNSTAP_FORWARDER_RESPONSE);
	assert_int_equal(dnstap_message_parse("client"), 0);
}

/* --- a file --- */

/* Data frames of a stream that begins with START; -1 when it is broken. */
static long count_frames(const char *path, bool *ended)
{
	static uint8_t octets[1 << 20];
	FILE *file = fopen(path, "r");
	size_t at = CONTROL_LENGTH;
	long frames = 0;

	assert_non_null(file);
	size_t size = fread(octets, 1, sizeof(octets), file);
	fclose(file);
	*ended = false;
	if (size < at || memcmp(octets, CONTROL("\2"), at) != 0)
		return -1;
	while (at + 4 <= size) {
		size_t length = (size_t)octets[at + 2] << 8 | octets[at + 3];
		if (length == 0) {
			*ended = at + SHORT_LENGTH == size &&
				 memcmp(octets + at, SHORT("\3"), SHORT_LENGTH) == 0;
			return *ended ? frames : -1;
		}
		at += 4 + length;
		frames++;
	}
	return at == size ? frames : -1;
}

static void limit_files(rlim_t size)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_leaves_whole_frames_and_goes_on(void **state)
{
	struct bed *bed = *state;
	struct event_base *base = event_base_new();
	struct now now = {.mono_us = US_PER_S};
	struct dnstap_target target = {.kind = DNSTAP_FILE};
	struct dnstap_settings settings = {.target = &target,
		.messages = DNSTAP_CLIENT_RESPONSE,
		.identity = "gw1",
		.version = "1"};
	struct dnstap_status status;
	struct dnstap *dnstap;
	bool ended;
	int fd;

	strcpy(target.path, "/tmp/test_dnstap.XXXXXX");
	fd = mkstemp(target.path);
	assert_true(fd >= 0);
	signal(SIGXFSZ, SIG_IGN);
	dnstap = dnstap_new(base, &settings, &now);
	const struct record *record = record_of(bed);
	for (unsigned i = 0; i < 100; i++)
		dnstap_record(dnstap, record, &now);
	limit_files(5000);
	dnstap_flush(dnstap, &now);
	limit_files(RLIM_INFINITY);
	dnstap_status(dnstap, &status);
	assert_string_equal(status.state, "failing");
	assert_true(status.written > 10 && status.written < 100);
	assert_int_equal(count_frames(target.path, &ended), status.written);
	now.mono_us = INT64_MAX / 2;
	dnstap_finish(dnstap, &now);
	assert_true(dnstap_is_finished(dnstap));
	dnstap_status(dnstap, &status);
	assert_int_equal(status.written, 100);
	assert_int_equal(status.dropped, 0);
	assert_int_equal(count_frames(target.path, &ended), 100);
	assert_true(ended);
	dnstap_free(&dnstap);
	unlink(target.path);
	close(fd);
	event_base_free(base);
}

static void what_is_no_file_stays_where_it_is(void **state)
{
	struct event_base *base = event_base_new();
	struct now now = {.mono_us = US_PER_S};
	struct dnstap_target target = {.kind = DNSTAP_FILE};
	struct dnstap_settings settings = {
		.target = &target, .messages = ALL, .identity = "gw1", .version = "1"};
	struct dnstap_status status;
	struct stat found;
	(void)state;

	strcpy(target.path, "/tmp/test_dnstap.XXXXXX");
	assert_non_null(mkdtemp(target.path));
	struct dnstap *dnstap = dnstap_new(base, &settings, &now);
	dnstap_status(dnstap, &status);
	assert_string_equal(status.state, "away");
	dnstap_free(&dnstap);
	assert_int_equal(stat(target.path, &found), 0);
	assert_true(S_ISDIR(found.st_mode));
	assert_int_equal(rmdir(target.path), 0);
	event_base_free(base);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_answer_says_all),
		TEST(only_what_is_asked_for),
		TEST(a_client_who_is_not_to_be_known_is_left_out),
		TEST(a_client_known_by_its_mac_has_its_address),
		TEST(packets_of_upstream),
		TEST(a_full_queue_counts),
		cmocka_unit_test(a_file_begins_and_ends),
		cmocka_unit_test(a_reader_takes_part),
		cmocka_unit_test(a_reader_may_leave_the_type_open),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(another_type_is_refused),
		cmocka_unit_test(targets_and_messages_are_read),
		TEST(a_full_disk_leaves_whole_frames_and_goes_on),
		cmocka_unit_test(what_is_no_file_stays_where_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
