/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the tests of upstream: a small DNS server on loopback sockets, UDP and TCP on one port, in
 * the test's own event loop. It answers nothing by itself; what it does with a packet is the
 * test's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/dns/address.h"

struct event;
struct event_base;
struct fake;
typedef void fake_packet_fn(struct fake *fake, uint8_t *packet, size_t size);

struct fake {
	struct event_base *base;
	struct endpoint endpoint;
	int udp, tcp, connection;
	struct event *udp_event, *tcp_event, *connection_event, *timer;
	fake_packet_fn *on_packet;
	fake_packet_fn *on_message; /* over TCP */
	struct sockaddr_storage peer;
	socklen_t peer_length;
	uint8_t pending[8192];
	size_t pending_size, pending_sent;
	unsigned packets, messages;
	uint16_t ports[1000], ids[1000];
};

/*
 * False where the machine has no such address. The TCP port of the same number may be taken: then
 * another pair is tried.
 */
bool fake_open(struct fake *fake, struct event_base *base, const char *address);
void fake_close(struct fake *fake);

/* The port stays bound to nothing: closed. */
void fake_shut(struct fake *fake);

/* To whoever sent the last packet. */
void fake_send(struct fake *fake, const uint8_t *packet, size_t size);

/* Closes the TCP connection, where there is one. */
void fake_hang_up(struct fake *fake);
