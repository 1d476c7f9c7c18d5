/* SPDX-License-Identifier: BSD-3-Clause */
/* Records to a syslog daemon that reads, is slow, vanishes, comes back; and what a message is. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "resolver/telemetry/sinks/outbox.h"
#include "resolver/telemetry/sinks/syslog_sink.h"

#define TS "2026-11-21T20:52:11.123456Z"
#define FRONT "{\"ts\":\"" TS "\",\"n\":"

struct bed {
	char dir[40], path[80];
	int daemon; /* its socket */
	struct event_base *base;
	struct syslog_target target;
	struct syslog_sink *sink;
	struct now now;
	unsigned given;
};

static int open_daemon(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	log_setup("test_syslog", LOG_LEVEL_ERROR);
	strcpy(bed->dir, "/tmp/test_syslog.XXXXXX");
	if (!mkdtemp(bed->dir))
		return -1;
	snprintf(bed->path, sizeof(bed->path), "%s/log", bed->dir);
	bed->base = event_base_new();
	bed->now = (struct now){.mono_us = US_PER_S, .wall_us = INT64_C(1795294331123456)};
	bed->target = (struct syslog_target){.facility = 16};
	strcpy(bed->target.path, bed->path);
	bed->daemon = open_daemon(bed->path);
	*state = bed;
	return 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;

	syslog_sink_free(&bed->sink);
	event_base_free(bed->base);
	if (bed->daemon >= 0)
		close(bed->daemon);
	unlink(bed->path);
	rmdir(bed->dir);
	free(bed);
	return 0;
}

static void begin(struct bed *bed)
{
	bed->sink = syslog_sink_new(bed->base, &bed->target, "gw1", &bed->now);
	assert_non_null(bed->sink);
}

static struct syslog_sink_status status_of(const struct bed *bed)
{
	struct syslog_sink_status status;

	syslog_sink_status(bed->sink, &status);
	return status;
}

/* Records with a running number. */
static void give(struct bed *bed, unsigned count)
{
	char line[128];

	for (unsigned i = 0; i < count; i++) {
		int length =
			snprintf(line, sizeof(line), FRONT "%u,\"addresses\":[]}\n", bed->given++);
		syslog_sink_append(bed->sink, line, (size_t)length, sizeof(FRONT), &bed->now);
	}
	syslog_sink_flush(bed->sink, &bed->now);
}

static ssize_t receive(int fd, char *out, size_t size)
{
	ssize_t length = recv(fd, out, size - 1, 0);

	if (length >= 0)
		out[length] = '\0';
	return length;
}

/* The number in the next message; -1: there is none now. */
static long receive_number(struct bed *bed)
{
	char text[512];
	unsigned number;

	if (receive(bed->daemon, text, sizeof(text)) < 0)
		return -1;
	char *object = strchr(text, '{');
	assert_non_null(object);
	assert_int_equal(sscanf(object, FRONT "%u,\"addresses\":[]}", &number), 1);
	return number;
}

static void a_message_is_as_libc_makes_it(void **state)
{
	struct bed *bed = *state;
	char text[512], expected[512];

	setenv("TZ", "UTC", 1);
	begin(bed);
	give(bed, 1);
	assert_true(receive(bed->daemon, text, sizeof(text)) > 0);
	snprintf(expected, sizeof(expected),
		"<134>Nov 21 20:52:11 teredownd[%d]: " FRONT "0,\"addresses\":[]}", (int)getpid());
	assert_string_equal(text, expected);
	assert_int_equal(status_of(bed).written, 1);
}

static void over_udp_it_is_rfc_5424(void **state)
{
	struct bed *bed = *state;
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	char text[512], expected[512];
	const struct timeval limit = {.tv_sec = 10};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	snprintf(text, sizeof(text), "syslog:local0@127.0.0.1:%u", ntohs(address.sin_port));
	assert_true(syslog_target_parse(&bed->target, text));
	begin(bed);
	give(bed, 1);
	assert_true(receive(fd, text, sizeof(text)) > 0);
	snprintf(expected, sizeof(expected),
		"<134>1 " TS " gw1 teredownd %d transaction - " FRONT "0,\"addresses\":[]}",
		(int)getpid());
	assert_string_equal(text, expected);
	close(fd);
}

static void what_udp_refuses_is_counted(void **state)
{
	struct bed *bed = *state;
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	char text[64];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	snprintf(text, sizeof(text), "syslog@127.0.0.1:%u", ntohs(address.sin_port));
	close(fd);
	assert_true(syslog_target_parse(&bed->target, text));
	begin(bed);
	for (unsigned i = 0; i < 10; i++)
		give(bed, 1);
	assert_true(status_of(bed).dropped > 0);
	assert_int_equal(status_of(bed).written + status_of(bed).dropped, 10);
}

static void a_slow_daemon_gets_all_later(void **state)
{
	struct bed *bed = *state;
	long next = 0;

	begin(bed);
	give(bed, 5000); /* more than its queue takes */
	assert_string_equal(status_of(bed).state, "slow");
	assert_true(status_of(bed).waiting > 0);
	while (next < 5000) {
		long number = receive_number(bed);
		if (number < 0) { /* the loop says that there is room */
			assert_true(status_of(bed).waiting > 0);
			event_base_loop(bed->base, EVLOOP_NONBLOCK);
			continue;
		}
		assert_int_equal(number, next++);
	}
	assert_int_equal(status_of(bed).dropped, 0);
	assert_int_equal(status_of(bed).written, 5000);
}

static void a_daemon_that_never_reads_costs_what_does_not_fit(void **state)
{
	struct bed *bed = *state;

	begin(bed);
	give(bed, 100000);
	struct syslog_sink_status status = status_of(bed);
	assert_true(status.dropped > 0);
	assert_int_equal(status.written + status.waiting + status.dropped, 100000);
}

static void a_daemon_that_restarts_is_found_again(void **state)
{
	struct bed *bed = *state;

	begin(bed);
	give(bed, 1);
	assert_int_equal(receive_number(bed), 0);
	close(bed->daemon); /* its socket's name stays for a while */
	give(bed, 2);
	assert_string_equal(status_of(bed).state, "away");
	unlink(bed->path);
	bed->now.mono_us += 2 * US_PER_S;
	give(bed, 2);
	assert_string_equal(status_of(bed).state, "away");
	bed->daemon = open_daemon(bed->path);
	give(bed, 1); /* not yet */
	assert_string_equal(status_of(bed).state, "away");
	bed->now.mono_us += 2 * US_PER_S;
	syslog_sink_flush(bed->sink, &bed->now);
	assert_string_equal(status_of(bed).state, "writing");
	for (long i = 1; i < 6; i++)
		assert_int_equal(receive_number(bed), i);
	assert_int_equal(status_of(bed).dropped, 0);
}

static void a_daemon_that_is_not_there_yet(void **state)
{
	struct bed *bed = *state;

	close(bed->daemon);
	unlink(bed->path);
	begin(bed);
	give(bed, 3);
	bed->daemon = open_daemon(bed->path);
	bed->now.mono_us += 2 * US_PER_S;
	give(bed, 1);
	for (long i = 0; i < 4; i++)
		assert_int_equal(receive_number(bed), i);
}

static void a_long_record_loses_its_lists(void **state)
{
	struct bed *bed = *state;
	char line[20000], text[9000];

	begin(bed);
	memset(line, 'x', sizeof(line));
	memcpy(line, FRONT "1", sizeof(FRONT));
	line[sizeof(line) - 1] = '\n';
	syslog_sink_append(bed->sink, line, sizeof(line), sizeof(FRONT), &bed->now);
	syslog_sink_append(bed->sink, line, sizeof(line), SYSLOG_MESSAGE_MAX, &bed->now);
	syslog_sink_flush(bed->sink, &bed->now);
	assert_true(receive(bed->daemon, text, sizeof(text)) > 0);
	assert_string_equal(strchr(text, '{'), FRONT "1,\"cut\":true}");
	assert_int_equal(status_of(bed).dropped, 1); /* the other one has too long a front */
}

static void the_longest_message_fits(void **state)
{
	struct bed *bed = *state;
	char line[SYSLOG_MESSAGE_MAX], text[9000];
	size_t header = (size_t)snprintf(
		text, sizeof(text), "<134>Nov 21 20:52:11 teredownd[%d]: ", (int)getpid());
	size_t length = SYSLOG_MESSAGE_MAX - header + 1; /* with its newline */

	begin(bed);
	memset(line, 'x', sizeof(line));
	line[0] = '{';
	syslog_sink_append(bed->sink, line, length, 10, &bed->now);
	syslog_sink_append(bed->sink, line, length + 1, 10, &bed->now);
	syslog_sink_flush(bed->sink, &bed->now);
	assert_int_equal(receive(bed->daemon, text, sizeof(text)), SYSLOG_MESSAGE_MAX);
	assert_memory_equal(text + header, line, length - 1);
	receive(bed->daemon, text, sizeof(text));
	assert_string_equal(text + header, "{xxxxxxxxx,\"cut\":true}");
}

static void targets_are_read(void **state)
{
	static const char *const bad[] = {"", "/dev/log", "syslog:", "syslog:nosuch", "syslogd",
		"syslog@", "syslog@host.example", "syslog:@/dev/log", "syslog@1.2.3.4:99999",
		"syslog@1.2.3.4:0"};
	struct syslog_target target;
	(void)state;

	assert_true(syslog_target_parse(&target, "syslog"));
	assert_int_equal(target.facility, 3);
	assert_string_equal(target.path, "/dev/log");
	assert_true(syslog_target_parse(&target, "syslog:local7@/run/x"));
	assert_int_equal(target.facility, 23);
	assert_string_equal(target.path, "/run/x");
	assert_true(syslog_target_parse(&target, "syslog@192.0.2.1"));
	assert_int_equal(target.endpoint.port, 514);
	assert_string_equal(target.path, "");
	assert_true(syslog_target_parse(&target, "syslog:user@[2001:db8::1]:5514"));
	assert_int_equal(target.endpoint.port, 5514);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(syslog_target_parse(&target, bad[i]));
}

/* --- the queue --- */

static void put_message(struct outbox *box, uint8_t value, size_t length)
{
	uint8_t *at = outbox_reserve(box, length);

	assert_non_null(at);
	memset(at, value, length);
	outbox_commit(box, length);
}

static void a_queue_keeps_order_and_bound(void **state)
{
	struct outbox box;
	size_t length, place;
	uint8_t in = 0, out = 0;
	(void)state;

	assert_true(outbox_init(&box, 1000));
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 1 + round % 5; i++)
			if (box.end - box.first < 700)
				put_message(&box, in++, 20 + round % 50);
		place = 0;
		const uint8_t *first = outbox_next(&box, &place, &length);
		assert_int_equal(first[0], out++);
		assert_int_equal(first[length - 1], first[0]);
		outbox_drop(&box, 1);
	}
	assert_int_equal(box.dropped, 0);
	outbox_drop(&box, box.count);
	assert_null(outbox_reserve(&box, 997));
	assert_non_null(outbox_reserve(&box, 996));
	put_message(&box, 1, 600);
	assert_null(outbox_reserve(&box, 600));
	assert_int_equal(box.dropped, 2);
	outbox_deinit(&box);
}

static void a_stream_passes_whole_messages(void **state)
{
	static const uint8_t expected[] = {0, 0, 0, 2, 7, 7, 0, 0, 0, 1, 8};
	struct outbox box;
	size_t length, messages;
	(void)state;

	assert_true(outbox_init(&box, 100));
	put_message(&box, 7, 2);
	put_message(&box, 8, 1);
	const uint8_t *stream = outbox_stream(&box, &length);
	assert_int_equal(length, sizeof(expected));
	assert_memory_equal(stream, expected, sizeof(expected));
	assert_int_equal(outbox_pass(&box, 5, &messages), 5);
	assert_int_equal(messages, 0);
	assert_int_equal(outbox_pass(&box, 9, &messages), 3);
	assert_int_equal(messages, 1);
	assert_int_equal(outbox_pass(&box, 5, &messages), 0);
	assert_int_equal(box.count, 0);
	outbox_deinit(&box);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_message_is_as_libc_makes_it),
		TEST(over_udp_it_is_rfc_5424),
		TEST(what_udp_refuses_is_counted),
		TEST(a_slow_daemon_gets_all_later),
		TEST(a_daemon_that_never_reads_costs_what_does_not_fit),
		TEST(a_daemon_that_restarts_is_found_again),
		TEST(a_daemon_that_is_not_there_yet),
		TEST(a_long_record_loses_its_lists),
		TEST(the_longest_message_fits),
		cmocka_unit_test(targets_are_read),
		cmocka_unit_test(a_queue_keeps_order_and_bound),
		cmocka_unit_test(a_stream_passes_whole_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
