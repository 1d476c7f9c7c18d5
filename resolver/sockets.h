/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The listening sockets, opened by the main thread before privileges drop: for every address a UDP
 * and a TCP socket a worker, sharing the port (SO_REUSEPORT; the system spreads clients over them).
 * Non-blocking, closed on exec.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"
#include "lib/dns/address.h"

struct listen_socket {
	struct endpoint endpoint;
	bool wildcard; /* UDP packets tell the address that was asked */
	int udp, tcp;  /* -1: closed or taken over */
};

/* [worker][address], worker-major. */
struct listen_sockets {
	struct listen_socket *sockets;
	size_t address_count, worker_count;
};

/* On failure everything is closed again and an error was logged that says what holds the port and
 * what to do. */
enum td_error sockets_open(struct listen_sockets *sockets, const struct endpoint *addresses,
	size_t address_count, size_t worker_count);

/* The address_count sockets of one worker. */
struct listen_socket *sockets_of(const struct listen_sockets *sockets, size_t worker);

/* Closes what was not taken over. */
void sockets_close(struct listen_sockets *sockets);
