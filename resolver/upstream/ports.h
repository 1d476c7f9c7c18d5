/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UDP sockets, each bound to a random port of 1024-65535 and connected to one server. A socket
 * carries one question at a time. It is closed after the first one, until a worker asks more than
 * PORTS_FRESH_A_SECOND questions in a second: then it serves PORT_USES_MAX of them, one after the
 * other, because opening it costs more than the exchange itself. None is open for longer than
 * PORTS_SWEEP_MS without a question. One thread.
 */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"
#include "lib/dns/address.h"
#include "resolver/upstream/random.h"
#include "resolver/upstream/server.h"

#define PORTS_FRESH_A_SECOND 2000
#define PORT_USES_MAX 8
#define PORTS_SWEEP_MS 100

struct ports;

struct port {
	struct ports *ports;
	struct port *next; /* in the list of idle ones */
	struct event event;
	struct endpoint server;
	size_t list; /* which idle list it belongs to */
	int fd;
	unsigned uses;
	void *owner; /* of the user; NULL: idle */
};

/* There is something to receive on a port that has an owner. */
typedef void port_readable_fn(struct port *port);

struct ports {
	struct event_base *base;
	struct random_pool *random;
	port_readable_fn *readable;
	struct port *idle[UPSTREAM_SERVERS_MAX];
	struct event sweep;
	bool sweeping;
	int64_t second_began_us;
	unsigned second_taken;
	uint64_t *unexpected; /* counts packets that come to idle ports */
};

void ports_init(struct ports *ports, struct event_base *base, struct random_pool *random,
	port_readable_fn *readable, uint64_t *unexpected);

/* Closes the idle ones; those with an owner have to be closed before. */
void ports_deinit(struct ports *ports);

/*
 * A port connected to server, the one of this number below UPSTREAM_SERVERS_MAX. TD_NOMEM: this
 * machine is short of something. TD_IO: the server cannot be reached. The owner is a pointer other
 * than NULL.
 */
enum td_error ports_take(struct ports *ports, size_t number, const struct endpoint *server,
	void *owner, int64_t now_us, struct port **out);

/*
 * One packet from the server: its size, which is above size when it was cut. 0: from somebody else.
 * -1: errno.
 */
ssize_t port_receive(struct port *port, uint8_t *buffer, size_t size);

/* Gives a port back whose question was answered: it is closed, or waits for the next question. */
void port_put(struct port *port);

/* Gives a port back on which an answer may still come: it is closed in any case. */
void port_close(struct port *port);
