/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections that stay open, against a server in the same loop that keeps or breaks every rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/dns/message.h"
#include "lib/dns/wire.h"
#include "resolver/upstream/server.h"
#include "resolver/upstream/stream.h"

#define QUESTIONS_MAX 400
#define CLIENTS_MAX 64

struct bed;
typedef void message_fn(struct bed *bed, unsigned client, const uint8_t *message, size_t size);

struct one {
	struct bed *bed;
	struct stream_question question;
	struct packet packet;
	unsigned number, sent, replies, answers, failures;
	uint16_t id;
};

struct bed {
	struct event_base *base;
	struct evconnlistener *listener;
	struct bufferevent *clients[CLIENTS_MAX];
	unsigned client_count, messages;
	unsigned messages_of[CLIENTS_MAX];
	message_fn *on_message;
	uint8_t held[QUESTIONS_MAX][512]; /* with their length before them */
	unsigned held_of[QUESTIONS_MAX], held_count;
	struct server_address address;
	struct random_pool random;
	struct streams *streams;
	struct one ones[QUESTIONS_MAX];
	unsigned answers, failures, events[STREAM_FULL + 1];
	char words[SERVER_TROUBLE_MAX];
	bool take; /* replies are answers */
};

/* --- the server --- */

static void server_send(struct bed *bed, unsigned client, const uint8_t *message, size_t size)
{
	uint8_t length[2] = {(uint8_t)(size >> 8), (uint8_t)size};

	bufferevent_write(bed->clients[client], length, 2);
	bufferevent_write(bed->clients[client], message, size);
}

static void server_answer(struct bed *bed, unsigned client, const uint8_t *message, size_t size)
{
	uint8_t reply[512];

	memcpy(reply, message, size);
	reply[2] |= 0x80;
	server_send(bed, client, reply, size);
}

static void server_hold(struct bed *bed, unsigned client, const uint8_t *message, size_t size)
{
	uint8_t *held = bed->held[bed->held_count];

	wire_put_u16(held, 512, 0, (uint16_t)size);
	memcpy(held + 2, message, size);
	bed->held_of[bed->held_count++] = client;
}

static void server_release(struct bed *bed, unsigned number)
{
	const uint8_t *held = bed->held[number];

	server_answer(bed, bed->held_of[number], held + 2, (size_t)held[0] << 8 | held[1]);
}

static void server_close(struct bed *bed, unsigned client)
{
	if (bed->clients[client])
		bufferevent_free(bed->clients[client]);
	bed->clients[client] = NULL;
}

static void on_flushed(struct bufferevent *stream, void *context)
{
	struct bed *bed = context;

	for (unsigned i = 0; i < bed->client_count; i++) {
		if (bed->clients[i] == stream)
			server_close(bed, i);
	}
}

/* Once all that was sent has left. */
static void server_close_behind(struct bed *bed, unsigned client)
{
	bufferevent_disable(bed->clients[client], EV_READ);
	bufferevent_setcb(bed->clients[client], NULL, on_flushed, NULL, bed);
}

static void on_server_read(struct bufferevent *stream, void *context)
{
	struct bed *bed = context;
	struct evbuffer *input = bufferevent_get_input(stream);
	unsigned client = 0;
	uint8_t message[2 + 512];

	while (bed->clients[client] != stream)
		client++;
	while (bed->clients[client] == stream && evbuffer_copyout(input, message, 2) == 2) {
		size_t size = (size_t)message[0] << 8 | message[1];

		assert_true(size <= 512);
		if (evbuffer_get_length(input) < 2 + size)
			return;
		evbuffer_remove(input, message, 2 + size);
		bed->messages++;
		bed->messages_of[client]++;
		bed->on_message(bed, client, message + 2, size);
		if (bufferevent_get_enabled(stream) == EV_WRITE)
			return;
	}
}

static void on_server_event(struct bufferevent *stream, short what, void *context)
{
	(void)what;
	on_flushed(stream, context);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
	int length, void *context)
{
	struct bed *bed = context;
	struct bufferevent *stream = bufferevent_socket_new(bed->base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)listener, (void)peer, (void)length;
	assert_true(bed->client_count < CLIENTS_MAX);
	bed->clients[bed->client_count++] = stream;
	bufferevent_setcb(stream, on_server_read, NULL, on_server_event, bed);
	bufferevent_enable(stream, EV_READ | EV_WRITE);
}

/* --- the asker --- */

static void on_sent(void *owner, const uint8_t *octets, size_t length)
{
	struct one *one = owner;

	one->sent++;
	one->id = (uint16_t)(octets[0] << 8 | octets[1]);
	assert_int_equal(one->id, packet_id(&one->packet));
	assert_true(length >= one->packet.length);
}

static void on_reply(void *owner, uint8_t *octets, size_t length)
{
	struct one *one = owner;
	struct packet_reply reply;

	one->replies++;
	if (!one->bed->take)
		return;
	assert_true(packet_match(&one->packet, octets, length, &reply));
	stream_answered(&one->question);
	one->answers++;
	one->bed->answers++;
}

static void on_failed(void *owner)
{
	struct one *one = owner;

	assert_false(stream_is_asked(&one->question));
	one->failures++;
	one->bed->failures++;
}

static void on_state(void *context, size_t server, const char *words)
{
	struct bed *bed = context;

	assert_int_equal(server, 0);
	snprintf(bed->words, sizeof(bed->words), "%s", words ? words : "");
}

static void on_count(void *context, enum stream_event event)
{
	((struct bed *)context)->events[event]++;
}

static const struct stream_calls calls = {on_sent, on_reply, on_failed, on_state, on_count};

static void bed_open(struct bed *bed, message_fn *on_message, unsigned idle_ms)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_storage bound;
	socklen_t length = sizeof(bound);

	memset(bed, 0, sizeof(*bed));
	signal(SIGPIPE, SIG_IGN);
	bed->base = event_base_new();
	bed->on_message = on_message;
	bed->take = true;
	bed->listener = evconnlistener_new_bind(bed->base, on_accept, bed,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 128, (struct sockaddr *)&any,
		sizeof(any));
	assert_non_null(bed->listener);
	getsockname(evconnlistener_get_fd(bed->listener), (struct sockaddr *)&bound, &length);
	bed->address.transport = SERVER_TCP;
	assert_true(endpoint_from_sockaddr(&bed->address.endpoint, (struct sockaddr *)&bound));
	const struct streams_config config = {.base = bed->base,
		.random = &bed->random,
		.servers = &bed->address,
		.server_count = 1,
		.idle_timeout_ms = idle_ms,
		.calls = &calls,
		.context = bed};

	bed->streams = streams_new(&config);
	assert_non_null(bed->streams);
}

static void bed_close(struct bed *bed)
{
	streams_free(bed->streams);
	for (unsigned i = 0; i < bed->client_count; i++)
		server_close(bed, i);
	if (bed->listener)
		evconnlistener_free(bed->listener);
	event_base_free(bed->base);
}

static enum td_error ask(struct bed *bed, unsigned number)
{
	struct one *one = &bed->ones[number];
	struct upstream_question question = {.qtype = TYPE_A};
	char name[32];

	one->bed = bed;
	one->number = number;
	snprintf(name, sizeof(name), "n%u.example.", number);
	assert_int_equal(name_from_text(&question.qname, name, strlen(name)), TD_OK);
	packet_compose(&one->packet, &question, &(struct packet_form){.id = 0});
	return stream_ask(bed->streams, 0, &one->question, &one->packet, one);
}

static void ask_many(struct bed *bed, unsigned first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(ask(bed, first + i), TD_OK);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what, (void)context;
}

/* The loop, until *what is count, at most five seconds. */
static void run_until(struct bed *bed, const unsigned *what, unsigned count)
{
	int64_t end_ms = now_ms() + 5000;
	struct event *wake = event_new(bed->base, -1, EV_PERSIST, on_wake, NULL);

	event_add(wake, &(struct timeval){.tv_usec = 20000});
	while (*what < count && now_ms() < end_ms)
		event_base_loop(bed->base, EVLOOP_ONCE);
	event_free(wake);
	assert_int_equal(*what, count);
}

static void run_until_closed(struct bed *bed)
{
	int64_t end_ms = now_ms() + 5000;
	struct event *wake = event_new(bed->base, -1, EV_PERSIST, on_wake, NULL);

	event_add(wake, &(struct timeval){.tv_usec = 20000});
	while (streams_open(bed->streams) > 0 && now_ms() < end_ms)
		event_base_loop(bed->base, EVLOOP_ONCE);
	event_free(wake);
	assert_int_equal(streams_open(bed->streams), 0);
}

/* --- tests --- */

static void test_answers_in_any_order(void **state)
{
	static struct bed bed;

	(void)state;
	bed_open(&bed, server_hold, 10000);
	ask_many(&bed, 0, 50);
	run_until(&bed, &bed.held_count, 50);
	for (unsigned i = 50; i-- > 0;)
		server_release(&bed, i);
	run_until(&bed, &bed.answers, 50);
	assert_int_equal(bed.client_count, 1);
	assert_int_equal(bed.events[STREAM_OPENED], 1);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(bed.ones[i].answers, 1);
		assert_int_equal(bed.ones[i].sent, 1);
		for (unsigned k = 0; k < i; k++)
			assert_int_not_equal(bed.ones[i].id, bed.ones[k].id);
	}
	/* Later ones go the same way. */
	bed.on_message = server_answer;
	ask_many(&bed, 50, 5);
	run_until(&bed, &bed.answers, 55);
	assert_int_equal(bed.client_count, 1);
	bed_close(&bed);
}

static void test_bounds(void **state)
{
	static struct bed bed;
	static struct one more[STREAM_WAITING_MAX + 1];

	(void)state;
	bed_open(&bed, server_hold, 10000);
	ask_many(&bed, 0, 300);
	run_until(&bed, &bed.held_count, 300);
	assert_int_equal(bed.client_count, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_true(bed.messages_of[i] <= 128);
	for (unsigned i = 0; i < STREAM_WAITING_MAX + 1; i++) {
		enum td_error error;

		more[i].bed = &bed;
		more[i].packet = bed.ones[0].packet;
		if (i >= STREAM_CONNECTIONS_MAX * 128 - 300)
			break;
		error = stream_ask(bed.streams, 0, &more[i].question, &more[i].packet, &more[i]);
		assert_int_equal(error, TD_OK);
	}
	assert_true(bed.client_count <= STREAM_CONNECTIONS_MAX);
	for (unsigned i = 0; i < STREAM_WAITING_MAX + 1; i++)
		stream_cancel(&more[i].question);
	bed_close(&bed);
}

static void test_waiting_is_bounded(void **state)
{
	static struct bed bed;
	static struct one many[STREAM_WAITING_MAX + 1];

	(void)state;
	bed_open(&bed, server_hold, 10000);
	ask(&bed, 0);
	for (unsigned i = 0; i < STREAM_WAITING_MAX; i++) {
		many[i].packet = bed.ones[0].packet;
		assert_int_equal(
			stream_ask(bed.streams, 0, &many[i].question, &many[i].packet, &many[i]),
			i + 1 < STREAM_WAITING_MAX ? TD_OK : TD_FULL);
	}
	assert_int_equal(bed.events[STREAM_FULL], 1);
	bed_close(&bed);
}

static void close_behind_answer(
	struct bed *bed, unsigned client, const uint8_t *message, size_t size)
{
	server_answer(bed, client, message, size);
	server_close_behind(bed, client);
}

/* RFC 7766, 6.2.3: whenever it likes. */
static void test_closed_after_each_answer(void **state)
{
	static struct bed bed;

	(void)state;
	bed_open(&bed, close_behind_answer, 10000);
	ask_many(&bed, 0, 30);
	run_until(&bed, &bed.answers, 30);
	assert_int_equal(bed.failures, 0);
	assert_int_equal(bed.client_count, 30);
	/* It was learned: not all of them were sent again and again. */
	assert_true(bed.events[STREAM_REPEATED] <= 30 + 30);
	bed.on_message = server_answer;
	ask_many(&bed, 30, 30);
	run_until(&bed, &bed.answers, 60);
	/* And unlearned: one connection is enough again. */
	bed.on_message = server_hold;
	ask_many(&bed, 60, 30);
	run_until(&bed, &bed.held_count, 30);
	unsigned before = bed.client_count;

	for (unsigned i = 0; i < 30; i++)
		server_release(&bed, i);
	run_until(&bed, &bed.answers, 90);
	assert_int_equal(bed.client_count, before);
	bed_close(&bed);
}

static void close_at_once(struct bed *bed, unsigned client, const uint8_t *message, size_t size)
{
	(void)message, (void)size;
	server_close_behind(bed, client);
	bufferevent_trigger(bed->clients[client], EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS);
}

static void test_closed_without_answer(void **state)
{
	static struct bed bed;

	(void)state;
	bed_open(&bed, close_at_once, 10000);
	ask_many(&bed, 0, 1);
	run_until(&bed, &bed.failures, 1);
	assert_int_equal(bed.ones[0].sent, 2);
	assert_int_equal(bed.client_count, 2);
	assert_int_equal(bed.events[STREAM_REPEATED], 1);
	assert_int_equal(bed.events[STREAM_FAILED], 0);
	bed_close(&bed);
}

static void test_closed_while_idle(void **state)
{
	static struct bed bed;

	(void)state;
	bed_open(&bed, server_answer, 10000);
	ask_many(&bed, 0, 1);
	run_until(&bed, &bed.answers, 1);
	/* Its close is on its way when the next question leaves. */
	server_close(&bed, 0);
	ask_many(&bed, 1, 1);
	run_until(&bed, &bed.answers, 2);
	assert_int_equal(bed.client_count, 2);
	assert_int_equal(bed.failures, 0);
	bed_close(&bed);
}

static void test_refused(void **state)
{
	static struct bed bed;

	(void)state;
	bed_open(&bed, server_answer, 10000);
	evconnlistener_free(bed.listener);
	bed.listener = NULL;
	enum td_error error = ask(&bed, 0);

	if (error == TD_OK)
		run_until(&bed, &bed.failures, 1);
	assert_string_equal(bed.words, "Connection refused");
	assert_int_equal(bed.events[STREAM_FAILED], 1);
	assert_int_equal(bed.ones[0].sent, 0);
	bed_close(&bed);
}

static void test_idle_ones_are_closed(void **state)
{
	static struct bed bed;

	(void)state;
	bed_open(&bed, server_answer, 50);
	ask_many(&bed, 0, 3);
	run_until(&bed, &bed.answers, 3);
	assert_int_equal(streams_open(bed.streams), 1);
	run_until_closed(&bed);
	ask_many(&bed, 3, 1);
	run_until(&bed, &bed.answers, 4);
	assert_int_equal(bed.client_count, 2);
	bed_close(&bed);
	/* None at all is kept. */
	bed_open(&bed, server_answer, 0);
	ask_many(&bed, 0, 3);
	run_until(&bed, &bed.answers, 3);
	run_until_closed(&bed);
	bed_close(&bed);
}

static void answer_keepalive(struct bed *bed, unsigned client, const uint8_t *message, size_t size)
{
	static const uint8_t now[] = {0, 11, 0, 2, 0, 0};
	uint8_t reply[512];
	size_t opt = size - 4 - 2; /* where its length stands: behind it the empty option */

	assert_memory_equal(message + size - 4, "\0\13\0\0", 4);
	memcpy(reply, message, size);
	reply[2] |= 0x80;
	memcpy(reply + size - 4, now, sizeof(now));
	wire_put_u16(reply, sizeof(reply), opt, sizeof(now));
	server_send(bed, client, reply, size + 2);
}

/* RFC 7828: a server that says 0 wants the connection closed. */
static void test_keepalive_of_server(void **state)
{
	static struct bed bed;

	(void)state;
	bed_open(&bed, answer_keepalive, 10000);
	ask_many(&bed, 0, 1);
	run_until(&bed, &bed.answers, 1);
	run_until_closed(&bed);
	bed_close(&bed);
}

static void answer_piecemeal(struct bed *bed, unsigned client, const uint8_t *message, size_t size)
{
	uint8_t octets[2 + 512];

	wire_put_u16(octets, sizeof(octets), 0, (uint16_t)size);
	memcpy(octets + 2, message, size);
	octets[4] |= 0x80;
	for (size_t i = 0; i < 2 + size; i++) {
		bufferevent_write(bed->clients[client], &octets[i], 1);
		bufferevent_flush(bed->clients[client], EV_WRITE, BEV_FLUSH);
		event_base_loop(bed->base, EVLOOP_NONBLOCK);
	}
}

static void test_piecemeal(void **state)
{
	static struct bed bed;

	(void)state;
	bed_open(&bed, server_hold, 10000);
	ask_many(&bed, 0, 1);
	run_until(&bed, &bed.held_count, 1);
	answer_piecemeal(&bed, 0, bed.held[0] + 2, bed.held[0][1]);
	run_until(&bed, &bed.answers, 1);
	bed_close(&bed);
}

static void answer_empty(struct bed *bed, unsigned client, const uint8_t *message, size_t size)
{
	static const uint8_t octets[11] = {0};

	(void)message, (void)size;
	server_send(bed, client, octets, bed->client_count == 1 ? 0 : sizeof(octets));
}

static void test_no_message(void **state)
{
	static struct bed bed;

	(void)state;
	bed_open(&bed, answer_empty, 10000);
	ask_many(&bed, 0, 1);
	run_until(&bed, &bed.failures, 1);
	assert_int_equal(bed.events[STREAM_STRANGE], 2);
	assert_int_equal(bed.client_count, 2);
	bed_close(&bed);
}

static void answer_others_first(
	struct bed *bed, unsigned client, const uint8_t *message, size_t size)
{
	uint8_t other[512];

	memcpy(other, message, size);
	for (unsigned i = 0; i < STREAM_STRANGE_MAX - 1; i++) {
		other[1]++;
		server_answer(bed, client, other, size);
	}
	server_answer(bed, client, message, size);
}

static void test_strange_ids_are_ignored(void **state)
{
	static struct bed bed;

	(void)state;
	bed_open(&bed, answer_others_first, 10000);
	ask_many(&bed, 0, 1);
	run_until(&bed, &bed.answers, 1);
	assert_int_equal(bed.events[STREAM_STRANGE], STREAM_STRANGE_MAX - 1);
	assert_int_equal(bed.ones[0].replies, 1);
	/* One that says nothing else is left, after its asker has seen enough of it. */
	bed.take = false;
	ask_many(&bed, 1, 1);
	run_until(&bed, &bed.ones[1].replies, 1);
	assert_true(stream_is_asked(&bed.ones[1].question));
	bed_close(&bed);
}

static void test_cancelled(void **state)
{
	static struct bed bed;

	(void)state;
	bed_open(&bed, server_hold, 10000);
	ask_many(&bed, 0, 3);
	stream_cancel(&bed.ones[1].question); /* while it waits */
	stream_cancel(&bed.ones[1].question);
	run_until(&bed, &bed.held_count, 2);
	stream_cancel(&bed.ones[0].question); /* while it is under way */
	assert_false(stream_is_asked(&bed.ones[0].question));
	server_release(&bed, 0);
	server_release(&bed, 1);
	run_until(&bed, &bed.answers, 1);
	assert_int_equal(bed.ones[0].replies + bed.ones[1].replies, 0);
	assert_int_equal(bed.ones[2].answers, 1);
	assert_int_equal(bed.events[STREAM_STRANGE], 0);
	bed_close(&bed);
}

/* Ids that are never freed do not fill a connection: another takes over. */
static void test_unanswered_do_not_fill_up(void **state)
{
	static struct bed bed;

	(void)state;
	bed_open(&bed, server_hold, 10000);
	ask_many(&bed, 0, 64);
	run_until(&bed, &bed.held_count, 64);
	for (unsigned i = 0; i < 64; i++)
		stream_cancel(&bed.ones[i].question);
	bed.on_message = server_answer;
	ask_many(&bed, 64, 1);
	run_until(&bed, &bed.answers, 1);
	assert_int_equal(bed.client_count, 2);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_in_any_order),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_waiting_is_bounded),
		cmocka_unit_test(test_closed_after_each_answer),
		cmocka_unit_test(test_closed_without_answer),
		cmocka_unit_test(test_closed_while_idle),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_idle_ones_are_closed),
		cmocka_unit_test(test_keepalive_of_server),
		cmocka_unit_test(test_piecemeal),
		cmocka_unit_test(test_no_message),
		cmocka_unit_test(test_strange_ids_are_ignored),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_unanswered_do_not_fill_up),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
