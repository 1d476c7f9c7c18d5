/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "lib/dns/message.h"
#include "tests/unit/fake_server.h"

void fake_send(struct fake *fake, const uint8_t *packet, size_t size)
{
	sendto(fake->udp, packet, size, 0, (struct sockaddr *)&fake->peer, fake->peer_length);
}

static void on_fake_udp(evutil_socket_t fd, short what, void *context)
{
	struct fake *fake = context;
	uint8_t packet[4096];
	ssize_t got;

	(void)what;
	for (;;) {
		fake->peer_length = sizeof(fake->peer);
		got = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&fake->peer,
			&fake->peer_length);
		if (got < DNS_HEADER_SIZE)
			return;
		struct endpoint client;

		endpoint_from_sockaddr(&client, (struct sockaddr *)&fake->peer);
		fake->ports[fake->packets % 1000] = client.port;
		fake->ids[fake->packets % 1000] = (uint16_t)(packet[0] << 8 | packet[1]);
		fake->packets++;
		if (fake->on_packet)
			fake->on_packet(fake, packet, (size_t)got);
	}
}

static void on_fake_message(evutil_socket_t fd, short what, void *context)
{
	struct fake *fake = context;
	uint8_t message[4096];
	ssize_t got = recv(fd, message, sizeof(message), 0);

	(void)what;
	if (got < 2 + DNS_HEADER_SIZE)
		return;
	fake->messages++;
	fake->on_message(fake, message + 2, (size_t)got - 2);
}

void fake_hang_up(struct fake *fake)
{
	if (fake->connection < 0)
		return;
	event_free(fake->connection_event);
	close(fake->connection);
	fake->connection = -1;
}

static void on_fake_accept(evutil_socket_t fd, short what, void *context)
{
	struct fake *fake = context;

	(void)what;
	fake_hang_up(fake);
	fake->connection = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
	fake->connection_event = event_new(
		fake->base, fake->connection, EV_READ | EV_PERSIST, on_fake_message, fake);
	event_add(fake->connection_event, NULL);
}

static int fake_socket(struct fake *fake, const char *address, int type)
{
	struct sockaddr_storage storage;
	socklen_t length;
	int fd;

	if (type == SOCK_DGRAM)
		endpoint_from_text(&fake->endpoint, address, 0);
	length = endpoint_to_sockaddr(&fake->endpoint, &storage);
	fd = socket(storage.ss_family, type | SOCK_NONBLOCK, 0);
	if (bind(fd, (struct sockaddr *)&storage, length) != 0) {
		close(fd);
		return -1;
	}
	getsockname(fd, (struct sockaddr *)&storage, &length);
	endpoint_from_sockaddr(&fake->endpoint, (struct sockaddr *)&storage);
	return fd;
}

bool fake_open(struct fake *fake, struct event_base *base, const char *address)
{
	memset(fake, 0, sizeof(*fake));
	fake->base = base;
	fake->connection = -1;
	for (int i = 0; i < 20; i++) {
		fake->udp = fake_socket(fake, address, SOCK_DGRAM);
		if (fake->udp < 0)
			return false;
		fake->tcp = fake_socket(fake, address, SOCK_STREAM);
		if (fake->tcp >= 0)
			break;
		close(fake->udp);
	}
	assert_true(fake->tcp >= 0);
	assert_int_equal(listen(fake->tcp, 8), 0);
	fake->udp_event = event_new(base, fake->udp, EV_READ | EV_PERSIST, on_fake_udp, fake);
	fake->tcp_event = event_new(base, fake->tcp, EV_READ | EV_PERSIST, on_fake_accept, fake);
	event_add(fake->udp_event, NULL);
	event_add(fake->tcp_event, NULL);
	return true;
}

void fake_close(struct fake *fake)
{
	fake_hang_up(fake);
	if (fake->timer)
		event_free(fake->timer);
	if (fake->udp_event)
		event_free(fake->udp_event);
	if (fake->tcp_event)
		event_free(fake->tcp_event);
	close(fake->udp);
	close(fake->tcp);
	memset(fake, 0, sizeof(*fake));
}

void fake_shut(struct fake *fake)
{
	struct endpoint endpoint = fake->endpoint;

	fake_close(fake);
	fake->endpoint = endpoint;
	fake->udp = fake->tcp = fake->connection = -1;
}
