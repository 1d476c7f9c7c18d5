/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop around exchanges, against a small server on loopback sockets in the same event loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/dns/message.h"
#include "resolver/upstream/upstream.h"
#include "tests/unit/fake_server.h"

#define FORGED TRUST_STRANGE_MAX
#define WATCHDOG_S 20

struct fixture {
	struct event_base *base;
	struct fake fakes[2];
	struct server_address servers[2];
	struct upstream *upstream;
	struct upstream_question question;
	bool asking;
	unsigned done, wanted;
	enum td_error error;
	uint8_t reply[DNS_MESSAGE_MAX];
	size_t reply_size;
	struct endpoint from;
};

/* --- what the server does with a packet --- */

static uint8_t *reply_from(uint8_t *packet, size_t size, uint16_t flags)
{
	wire_put_u16(packet, size, 2, flags | DNS_FLAG_QR | DNS_FLAG_RD | DNS_FLAG_RA);
	return packet;
}

static void answer(struct fake *fake, uint8_t *packet, size_t size)
{
	fake_send(fake, reply_from(packet, size, 0), size);
}

static void answer_servfail(struct fake *fake, uint8_t *packet, size_t size)
{
	fake_send(fake, reply_from(packet, size, RCODE_SERVFAIL), size);
}

static void answer_truncated(struct fake *fake, uint8_t *packet, size_t size)
{
	fake_send(fake, reply_from(packet, size, DNS_FLAG_TC), size);
}

static void answer_huge(struct fake *fake, uint8_t *packet, size_t size)
{
	uint8_t huge[6000] = {0};

	memcpy(huge, reply_from(packet, size, 0), size);
	fake_send(fake, huge, sizeof(huge));
}

static void on_answer_later(evutil_socket_t fd, short what, void *context)
{
	struct fake *fake = context;

	(void)fd, (void)what;
	fake_send(fake, fake->pending, fake->pending_size);
}

/* As many forged packets as do not matter, from the right address, then the right one 150 ms later.
 */
static void answer_after_forged(struct fake *fake, uint8_t *packet, size_t size)
{
	static const struct timeval later = {.tv_usec = 150000};

	reply_from(packet, size, 0);
	memcpy(fake->pending, packet, size);
	fake->pending_size = size;
	for (unsigned i = 1; i <= FORGED; i++) {
		wire_put_u16(packet, size, 0, (uint16_t)(fake->ids[fake->packets - 1] + i));
		fake_send(fake, packet, size);
	}
	fake->timer = evtimer_new(fake->base, on_answer_later, fake);
	event_add(fake->timer, &later);
}

/* Other names, and the right reply from another port. */
static void answer_from_elsewhere(struct fake *fake, uint8_t *packet, size_t size)
{
	int other = socket(AF_INET, SOCK_DGRAM, 0);

	reply_from(packet, size, RCODE_NXDOMAIN);
	sendto(other, packet, size, 0, (struct sockaddr *)&fake->peer, fake->peer_length);
	close(other);
	packet[13] ^= 1;
	fake_send(fake, packet, size);
	packet[13] ^= 1;
	answer(fake, packet, size);
}

static void on_next_octet(evutil_socket_t fd, short what, void *context)
{
	struct fake *fake = context;
	static const struct timeval now = {0};

	(void)fd, (void)what;
	if (send(fake->connection, &fake->pending[fake->pending_sent++], 1, MSG_NOSIGNAL) == 1 &&
		fake->pending_sent < fake->pending_size)
		event_add(fake->timer, &now);
}

/* A forged message first, then the reply, octet by octet. */
static void message_octets(struct fake *fake, uint8_t *message, size_t size)
{
	static const struct timeval now = {0};
	struct wire_writer writer = wire_writer_init(fake->pending, sizeof(fake->pending));

	reply_from(message, size, 0);
	message[0] ^= 1;
	wire_write_u16(&writer, (uint16_t)size);
	wire_write_bytes(&writer, message, size);
	message[0] ^= 1;
	wire_write_u16(&writer, (uint16_t)(size + 4000));
	wire_write_bytes(&writer, message, size);
	memset(wire_write_room(&writer, 4000), 7, 4000);
	fake->pending_size = writer.position;
	fake->pending_sent = 0;
	fake->timer = evtimer_new(fake->base, on_next_octet, fake);
	event_add(fake->timer, &now);
}

static void message_hang_up(struct fake *fake, uint8_t *message, size_t size)
{
	static const uint8_t partial[] = {0x01, 0x00, 0xaa};

	(void)message, (void)size;
	send(fake->connection, partial, sizeof(partial), MSG_NOSIGNAL);
	fake_hang_up(fake);
}

static void message_empty(struct fake *fake, uint8_t *message, size_t size)
{
	static const uint8_t empty[] = {0, 0};

	(void)message, (void)size;
	send(fake->connection, empty, sizeof(empty), MSG_NOSIGNAL);
}

/* --- fixture --- */

static void fixture_open(struct fixture *f, unsigned timeout_ms, size_t requests_max)
{
	memset(f, 0, sizeof(*f));
	f->base = event_base_new();
	for (int i = 0; i < 2; i++) {
		assert_true(fake_open(&f->fakes[i], f->base, "127.0.0.1"));
		f->fakes[i].on_packet = answer;
		f->fakes[i].on_message = message_octets;
		f->servers[i] = server_address_plain(&f->fakes[i].endpoint);
	}
	struct upstream_config config = {.servers = f->servers,
		.server_count = 2,
		.strict = true,
		.timeout_ms = timeout_ms,
		.requests_max = requests_max};

	f->upstream = upstream_new(f->base, &config);
	assert_non_null(f->upstream);
	assert_int_equal(name_from_text(&f->question.qname, "www.example.com.", 16), TD_OK);
	f->question.qtype = TYPE_A;
}

static void fixture_close(struct fixture *f)
{
	upstream_free(f->upstream);
	for (int i = 0; i < 2; i++)
		fake_close(&f->fakes[i]);
	event_base_free(f->base);
}

static void on_done(void *context, enum td_error error, const uint8_t *reply, size_t size,
	const struct endpoint *server)
{
	struct fixture *f = context;

	assert_false(f->asking);
	f->done++;
	f->error = error;
	f->reply_size = size;
	if (reply)
		memcpy(f->reply, reply, size);
	if (server)
		f->from = *server;
	if (f->done >= f->wanted)
		event_base_loopbreak(f->base);
}

static struct upstream_request *ask(struct fixture *f)
{
	enum td_error error;

	f->asking = true;
	struct upstream_request *request =
		upstream_ask(f->upstream, &f->question, on_done, f, &error);
	f->asking = false;
	f->error = error;
	assert_int_equal(request == NULL, error != TD_OK);
	return request;
}

static void run(struct fixture *f, unsigned wanted)
{
	struct timeval watchdog = {.tv_sec = WATCHDOG_S};

	f->wanted = f->done + wanted;
	event_base_loopexit(f->base, &watchdog);
	event_base_dispatch(f->base);
	assert_int_equal(f->done, f->wanted);
}

static void run_one(struct fixture *f)
{
	assert_non_null(ask(f));
	run(f, 1);
}

/* --- tests --- */

static void test_answer(void **state)
{
	(void)state;
	struct fixture f;
	size_t count;

	fixture_open(&f, 5000, 10);
	run_one(&f);
	assert_int_equal(f.error, TD_OK);
	assert_int_equal(f.reply_size, 12 + 17 + 4 + 11);
	assert_true(endpoint_equal(&f.from, &f.servers[0].endpoint));
	assert_int_equal(upstream_pending(f.upstream), 0);
	assert_int_equal(upstream_counters(f.upstream)->upstream_udp, 1);
	assert_int_equal(upstream_counters(f.upstream)->upstream_answers, 1);
	assert_int_equal(upstream_servers(f.upstream, &count)[0].answered, 1);
	assert_int_equal(count, 2);
	fixture_close(&f);
}

static void test_forged(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, 5000, 10);
	f.fakes[0].on_packet = answer_after_forged;
	run_one(&f);
	assert_int_equal(f.error, TD_OK);
	assert_int_equal(f.reply[0] << 8 | f.reply[1], f.fakes[0].ids[0]);
	assert_int_equal(f.fakes[0].packets, 1);
	assert_int_equal(f.fakes[1].packets, 0);
	assert_int_equal(upstream_counters(f.upstream)->upstream_mismatched, FORGED);
	fixture_close(&f);
}

static void test_elsewhere(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, 5000, 10);
	f.fakes[0].on_packet = answer_from_elsewhere;
	run_one(&f);
	assert_int_equal(f.error, TD_OK);
	assert_int_equal(f.reply[3] & DNS_FLAG_RCODE, RCODE_NOERROR);
	assert_int_equal(upstream_counters(f.upstream)->upstream_mismatched, 1);
	fixture_close(&f);
}

static void test_tcp_octets(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, 5000, 10);
	f.fakes[0].on_packet = answer_truncated;
	run_one(&f);
	assert_int_equal(f.error, TD_OK);
	assert_int_equal(f.reply_size, 12 + 17 + 4 + 11 + 4 + 4000); /* keepalive */
	assert_int_equal(f.reply[f.reply_size - 1], 7);
	assert_false(f.reply[2] & (DNS_FLAG_TC >> 8));
	assert_true(endpoint_equal(&f.from, &f.servers[0].endpoint));
	assert_int_equal(f.fakes[0].messages, 1);
	assert_int_equal(upstream_counters(f.upstream)->upstream_tcp, 1);
	fixture_close(&f);
}

static void test_huge_packet_goes_to_tcp(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, 5000, 10);
	f.fakes[0].on_packet = answer_huge;
	run_one(&f);
	assert_int_equal(f.error, TD_OK);
	assert_int_equal(f.fakes[0].messages, 1);
	fixture_close(&f);
}

static void test_tcp_fails(void **state)
{
	(void)state;
	struct fixture f;
	fake_packet_fn *const faults[] = {message_hang_up, message_empty};

	for (size_t i = 0; i < 2; i++) {
		fixture_open(&f, 5000, 10);
		f.fakes[0].on_packet = answer_truncated;
		f.fakes[0].on_message = faults[i];
		run_one(&f);
		assert_int_equal(f.error, TD_OK);
		assert_true(endpoint_equal(&f.from, &f.servers[1].endpoint));
		assert_int_equal(f.fakes[0].packets, 1);
		fixture_close(&f);
	}
}

static void test_tcp_refused(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, 5000, 10);
	f.fakes[0].on_packet = f.fakes[1].on_packet = answer_truncated;
	for (int i = 0; i < 2; i++) {
		event_free(f.fakes[i].tcp_event);
		f.fakes[i].tcp_event = NULL;
		close(f.fakes[i].tcp);
		f.fakes[i].tcp = -1;
	}
	run_one(&f);
	assert_int_equal(f.error, TD_IO);
	fixture_close(&f);
}

static void test_refused_port(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, 5000, 10);
	fake_shut(&f.fakes[0]);
	run_one(&f);
	assert_int_equal(f.error, TD_OK);
	assert_true(endpoint_equal(&f.from, &f.servers[1].endpoint));
	assert_int_equal(upstream_counters(f.upstream)->upstream_timeouts, 0);
	fake_shut(&f.fakes[1]);
	run_one(&f);
	assert_int_equal(f.error, TD_IO);
	fixture_close(&f);
}

static void test_kept_reply(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, 5000, 10);
	f.fakes[0].on_packet = answer_servfail;
	fake_shut(&f.fakes[1]);
	run_one(&f);
	assert_int_equal(f.error, TD_OK);
	assert_int_equal(f.reply[3] & DNS_FLAG_RCODE, RCODE_SERVFAIL);
	assert_true(endpoint_equal(&f.from, &f.servers[0].endpoint));
	fixture_close(&f);
}

static void test_silence(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, 50, 10);
	f.fakes[0].on_packet = f.fakes[1].on_packet = NULL;
	run_one(&f);
	assert_int_equal(f.error, TD_TIMEOUT);
	assert_int_equal(upstream_counters(f.upstream)->upstream_timeouts, 1);
	fixture_close(&f);
}

static void on_busy(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what;
	usleep(200000);
	ask(context);
}

/* The loop's clock stands since before the question: its time is no shorter for that. */
static void test_silence_while_busy(void **state)
{
	(void)state;
	static const struct timeval now = {0};
	struct fixture f;

	fixture_open(&f, 100, 10);
	f.fakes[0].on_packet = f.fakes[1].on_packet = NULL;
	event_base_once(f.base, -1, EV_TIMEOUT, on_busy, &f, &now);
	run(&f, 1);
	assert_int_equal(f.error, TD_TIMEOUT);
	assert_int_equal(f.fakes[0].packets + f.fakes[1].packets, 1);
	assert_int_equal(upstream_counters(f.upstream)->upstream_timeouts, 1);
	fixture_close(&f);
}

static struct server_group *group_of(struct fixture *f)
{
	size_t count;

	return (struct server_group *)upstream_servers(f->upstream, &count);
}

static void wait_for_health(struct fixture *f, int server, enum server_health health)
{
	for (int i = 0; i < 1000 && group_of(f)->servers[server].health != health; i++)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(group_of(f)->servers[server].health, health);
}

/*
 * A silent server: a hedge answers, a probe confirms the silence, nobody asks it any more; when it
 * is back a probe notes it, a copy of a question confirms that, and it is asked first again.
 */
static void test_silent_and_back(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, 5000, 10);
	group_of(&f)->hedge = true;
	group_of(&f)->hedge_tokens = 1000;
	f.fakes[0].on_packet = NULL;
	run_one(&f);
	assert_true(endpoint_equal(&f.from, &f.servers[1].endpoint));
	assert_int_equal(upstream_counters(f.upstream)->upstream_hedges, 1);
	assert_int_equal(upstream_counters(f.upstream)->upstream_hedges_won, 1);
	wait_for_health(&f, 0, SERVER_DOWN);
	assert_in_range(upstream_counters(f.upstream)->upstream_probes, 1, 2);
	unsigned packets = f.fakes[0].packets;

	run_one(&f);
	assert_int_equal(f.fakes[0].packets, packets);
	assert_true(endpoint_equal(&f.from, &f.servers[1].endpoint));

	f.fakes[0].on_packet = answer;
	wait_for_health(&f, 0, SERVER_RETURNING);
	run_one(&f);
	assert_true(endpoint_equal(&f.from, &f.servers[1].endpoint));
	assert_int_equal(upstream_counters(f.upstream)->upstream_copies, 1);
	wait_for_health(&f, 0, SERVER_UP);
	run_one(&f);
	assert_true(endpoint_equal(&f.from, &f.servers[0].endpoint));
	assert_int_equal(upstream_pending(f.upstream), 0);
	fixture_close(&f);
}

static void on_answer_both(evutil_socket_t fd, short what, void *context)
{
	struct fixture *f = context;

	(void)fd, (void)what;
	fake_send(&f->fakes[0], f->fakes[0].pending, f->fakes[0].pending_size);
}

static void keep_for_later(struct fake *fake, uint8_t *packet, size_t size)
{
	memcpy(fake->pending, reply_from(packet, size, 0), size);
	fake->pending_size = size;
}

/* Two are asked, the first answers last and wins still, since the second never does. */
static void test_first_is_listened_to(void **state)
{
	(void)state;
	struct fixture f;
	static const struct timeval later = {.tv_usec = 300000};

	fixture_open(&f, 5000, 10);
	group_of(&f)->hedge = true;
	group_of(&f)->hedge_tokens = 1000;
	f.fakes[0].on_packet = keep_for_later;
	f.fakes[1].on_packet = NULL;
	event_base_once(f.base, -1, EV_TIMEOUT, on_answer_both, &f, &later);
	run_one(&f);
	assert_int_equal(f.error, TD_OK);
	assert_true(endpoint_equal(&f.from, &f.servers[0].endpoint));
	assert_int_equal(f.fakes[1].packets, 1);
	fixture_close(&f);
}

/* A question tells how the others do, at once where they were never asked. */
static void test_copies(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, 5000, 10);
	group_of(&f)->strict = false;
	run_one(&f);
	wait_for_health(&f, 1, SERVER_UP);
	for (int i = 0; i < 100 && group_of(&f)->servers[1].srtt_us == 0; i++)
		event_base_loop(f.base, EVLOOP_ONCE);
	assert_true(group_of(&f)->servers[1].srtt_us > 0);
	run_one(&f);
	run_one(&f);
	assert_int_equal(f.fakes[0].packets + f.fakes[1].packets, 4); /* no more: it was measured */
	fixture_close(&f);
}

/* With a probe open, free. */
static void test_free_open(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, 5000, 10);
	f.fakes[0].on_packet = NULL;
	f.fakes[1].on_packet = answer_truncated;
	f.fakes[1].on_message = message_octets;
	group_of(&f)->servers[0].health = SERVER_RETURNING;
	for (int i = 0; i < 5; i++)
		ask(&f);
	assert_int_equal(upstream_pending(f.upstream), 5);
	for (int i = 0; i < 50; i++) /* into the middle of a reply over TCP */
		event_base_loop(f.base, EVLOOP_ONCE);
	fixture_close(&f);
}

static void test_limit_and_cancel(void **state)
{
	(void)state;
	struct fixture f;
	struct upstream_request *requests[3];

	fixture_open(&f, 5000, 3);
	for (int i = 0; i < 3; i++)
		requests[i] = ask(&f);
	assert_null(ask(&f));
	assert_int_equal(f.error, TD_FULL);
	upstream_cancel(requests[1]);
	assert_int_equal(upstream_pending(f.upstream), 2);
	requests[1] = ask(&f);
	assert_non_null(requests[1]);
	upstream_cancel(requests[0]);
	upstream_cancel(requests[2]);
	run(&f, 1);
	assert_int_equal(f.error, TD_OK);
	assert_int_equal(upstream_pending(f.upstream), 0);
	fixture_close(&f);
}

static void test_no_servers(void **state)
{
	(void)state;
	struct event_base *base = event_base_new();
	struct upstream_config config = {.timeout_ms = 5000, .requests_max = 10};
	struct upstream *upstream = upstream_new(base, &config);
	struct upstream_question question = {.qname = {.length = 1}, .qtype = TYPE_NS};
	enum td_error error;

	assert_null(upstream_ask(upstream, &question, on_done, NULL, &error));
	assert_int_equal(error, TD_IO);
	assert_int_equal(upstream_pending(upstream), 0);
	upstream_free(upstream);
	event_base_free(base);
}

static void on_done_ask_again(void *context, enum td_error error, const uint8_t *reply, size_t size,
	const struct endpoint *server)
{
	struct fixture *f = context;

	(void)reply, (void)size, (void)server;
	assert_int_equal(error, TD_OK);
	assert_non_null(ask(f));
}

static void test_ask_within_done(void **state)
{
	(void)state;
	struct fixture f;
	enum td_error error;

	fixture_open(&f, 5000, 1);
	assert_non_null(upstream_ask(f.upstream, &f.question, on_done_ask_again, &f, &error));
	run(&f, 1);
	assert_int_equal(f.error, TD_OK);
	assert_int_equal(f.fakes[0].packets, 2);
	fixture_close(&f);
}

static void test_ipv6(void **state)
{
	(void)state;
	struct fixture f;
	struct fake fake;

	fixture_open(&f, 5000, 10);
	if (!fake_open(&fake, f.base, "::1")) {
		fixture_close(&f);
		skip();
	}
	fake.on_packet = answer_truncated;
	fake.on_message = message_octets;
	upstream_free(f.upstream);
	struct server_address server = server_address_plain(&fake.endpoint);
	struct upstream_config config = {
		.servers = &server, .server_count = 1, .timeout_ms = 5000, .requests_max = 10};

	f.upstream = upstream_new(f.base, &config);
	run_one(&f);
	assert_int_equal(f.error, TD_OK);
	assert_int_equal(f.from.address.family, 6);
	fake_close(&fake);
	fixture_close(&f);
}

/* --- randomness --- */

/*
 * Pearson's statistic of count values below bound over 32 cells: 31 expected, above 90 once in
 * 10^7.
 */
static double chi_square(const uint16_t *values, size_t count, uint32_t first, uint32_t bound)
{
	unsigned cells[32] = {0};
	double expected = (double)count / 32;
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		cells[(uint64_t)(values[i] - first) * 32 / bound]++;
	for (size_t i = 0; i < 32; i++)
		sum += pow(cells[i] - expected, 2) / expected;
	return sum;
}

static int compare_u16(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/*
 * The same of the differences of neighbours, so that a constant step shows; then few values may
 * repeat.
 */
static void assert_random(uint16_t *values, size_t count, uint32_t first)
{
	uint16_t steps[1000];
	size_t repeated = 0;

	assert_true(chi_square(values, count, first, 65536 - first) < 90);
	for (size_t i = 1; i < count; i++)
		steps[i - 1] = (uint16_t)(values[i] - values[i - 1]);
	assert_true(chi_square(steps, count - 1, 0, 65536) < 90);
	qsort(values, count, sizeof(*values), compare_u16);
	for (size_t i = 1; i < count; i++)
		repeated += values[i] == values[i - 1];
	assert_true(repeated < 40); /* 8 expected */
}

static void test_ids_and_ports(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, 5000, 100);
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 100; i++)
			assert_non_null(ask(&f));
		run(&f, 100);
		assert_int_equal(f.error, TD_OK);
	}
	assert_int_equal(f.fakes[0].packets, 1000);
	for (int i = 0; i < 1000; i++)
		assert_true(f.fakes[0].ports[i] >= 1024);
	assert_random(f.fakes[0].ports, 1000, 1024);
	assert_random(f.fakes[0].ids, 1000, 0);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_tcp_octets),
		cmocka_unit_test(test_huge_packet_goes_to_tcp),
		cmocka_unit_test(test_tcp_fails),
		cmocka_unit_test(test_tcp_refused),
		cmocka_unit_test(test_refused_port),
		cmocka_unit_test(test_kept_reply),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_silence_while_busy),
		cmocka_unit_test(test_silent_and_back),
		cmocka_unit_test(test_first_is_listened_to),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_free_open),
		cmocka_unit_test(test_limit_and_cancel),
		cmocka_unit_test(test_no_servers),
		cmocka_unit_test(test_ask_within_done),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_ids_and_ports),
	};

	return cmocka_run_group_tests_name("upstream", tests, NULL, NULL);
}
