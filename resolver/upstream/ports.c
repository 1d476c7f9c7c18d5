/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random ports. Connected sockets let the kernel drop what comes from elsewhere and report a closed
 * port at once. Leaving the choice of the port to the kernel was rejected, because its range is
 * less than half as wide; a fixed set of sockets was, since its ports can be found out in time
 * (CVE-2020-25705). A socket that serves a few questions within milliseconds and is then gone gives
 * no such time, and is only used so where the load pays for it.
 */
#include "resolver/upstream/ports.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"

#define PORT_FIRST 1024
#define BIND_TRIES 32
#define DRAIN_A_WAKE 16

/* --- idle ports --- */

static void idle_remove(struct port *port)
{
	struct port **link = &port->ports->idle[port->list];

	while (*link != port)
		link = &(*link)->next;
	*link = port->next;
}

/* Late replies, and guesses. */
static void port_drain(struct port *port)
{
	uint8_t octet;

	for (int i = 0; i < DRAIN_A_WAKE; i++) {
		if (recv(port->fd, &octet, sizeof(octet), 0) >= 0) {
			++*port->ports->unexpected;
		} else if (errno != EAGAIN && errno != EINTR) {
			idle_remove(port);
			port_close(port);
			return;
		} else {
			return;
		}
	}
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	struct port *port = context;

	(void)fd, (void)what;
	if (port->owner)
		port->ports->readable(port);
	else
		port_drain(port);
}

static void idle_close_all(struct ports *ports)
{
	for (size_t i = 0; i < UPSTREAM_SERVERS_MAX; i++) {
		while (ports->idle[i]) {
			struct port *port = ports->idle[i];

			ports->idle[i] = port->next;
			port_close(port);
		}
	}
}

static void on_sweep(evutil_socket_t fd, short what, void *context)
{
	struct ports *ports = context;

	(void)fd, (void)what;
	ports->sweeping = false;
	idle_close_all(ports);
}

/* --- opening --- */

static bool socket_bind_random(int fd, uint8_t family, struct random_pool *random)
{
	struct endpoint any = {.address = {.family = family}};
	struct sockaddr_storage storage;

	for (int i = 0; i < BIND_TRIES; i++) {
		any.port = (uint16_t)(PORT_FIRST + random_below(random, 65536 - PORT_FIRST));
		socklen_t length = endpoint_to_sockaddr(&any, &storage);

		if (bind(fd, (struct sockaddr *)&storage, length) == 0)
			return true;
		if (errno != EADDRINUSE && errno != EACCES)
			return false;
	}
	return false;
}

static enum td_error socket_open(
	const struct endpoint *server, struct random_pool *random, int *out)
{
	struct sockaddr_storage storage;
	socklen_t length = endpoint_to_sockaddr(server, &storage);
	int fd = socket(storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno == EAFNOSUPPORT ? TD_IO : TD_NOMEM;
	if (!socket_bind_random(fd, server->address.family, random)) {
		close(fd);
		return TD_NOMEM;
	}
	if (connect(fd, (struct sockaddr *)&storage, length) != 0) {
		close(fd);
		return TD_IO;
	}
	*out = fd;
	return TD_OK;
}

static enum td_error port_open(
	struct ports *ports, const struct endpoint *server, struct port **out)
{
	struct port *port = malloc(sizeof(*port));

	if (!port)
		return TD_NOMEM;
	enum td_error error = socket_open(server, ports->random, &port->fd);

	if (error != TD_OK) {
		free(port);
		return error;
	}
	port->ports = ports;
	port->next = NULL;
	port->server = *server;
	port->uses = 0;
	event_assign(&port->event, ports->base, port->fd, EV_READ | EV_PERSIST, on_readable, port);
	if (event_add(&port->event, NULL) != 0) {
		close(port->fd);
		free(port);
		return TD_NOMEM;
	}
	*out = port;
	return TD_OK;
}

/* --- public --- */

void ports_init(struct ports *ports, struct event_base *base, struct random_pool *random,
	port_readable_fn *readable, uint64_t *unexpected)
{
	*ports = (struct ports){
		.base = base, .random = random, .readable = readable, .unexpected = unexpected};
	evtimer_assign(&ports->sweep, base, on_sweep, ports);
}

void ports_deinit(struct ports *ports)
{
	idle_close_all(ports);
	event_del(&ports->sweep);
}

enum td_error ports_take(struct ports *ports, size_t number, const struct endpoint *server,
	void *owner, int64_t now_us, struct port **out)
{
	assert(number < UPSTREAM_SERVERS_MAX && owner);
	struct port *port = ports->idle[number];

	if (now_us - ports->second_began_us >= US_PER_S) {
		ports->second_began_us = now_us;
		ports->second_taken = 0;
	}
	ports->second_taken++;
	if (port) {
		ports->idle[number] = port->next;
	} else {
		enum td_error error = port_open(ports, server, &port);

		if (error != TD_OK)
			return error;
	}
	port->list = number;
	port->owner = owner;
	port->uses++;
	*out = port;
	return TD_OK;
}

/*
 * A packet may have come from anyone between bind and connect, so the sender is compared although
 * the socket is connected.
 */
ssize_t port_receive(struct port *port, uint8_t *buffer, size_t size)
{
	struct sockaddr_storage storage;
	socklen_t length = sizeof(storage);
	struct endpoint sender;
	ssize_t got =
		recvfrom(port->fd, buffer, size, MSG_TRUNC, (struct sockaddr *)&storage, &length);

	if (got < 0)
		return -1;
	if (!endpoint_from_sockaddr(&sender, (struct sockaddr *)&storage) ||
		!endpoint_equal(&sender, &port->server))
		return 0;
	return got;
}

void port_put(struct port *port)
{
	static const struct timeval later = {.tv_usec = PORTS_SWEEP_MS * 1000};
	struct ports *ports = port->ports;

	if (port->uses >= PORT_USES_MAX || ports->second_taken <= PORTS_FRESH_A_SECOND) {
		port_close(port);
		return;
	}
	if (!ports->sweeping && event_add(&ports->sweep, &later) != 0) {
		port_close(port);
		return;
	}
	ports->sweeping = true;
	port->owner = NULL;
	port->next = ports->idle[port->list];
	ports->idle[port->list] = port;
}

void port_close(struct port *port)
{
	event_del(&port->event);
	close(port->fd);
	free(port);
}
