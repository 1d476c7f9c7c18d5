/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may have a TCP connection, and for how long (RFC 7766, 6.2): places for all, bounds for each
 * address, who has to leave where there is none, and who has been silent or slow for too long. A
 * passive machine: no sockets, and time is passed in. One thread.
 *
 * A connection is idle while no query of it is pending and nothing is on its way to it; octets of a
 * query that is not whole yet change nothing about that, so a query has to be whole within the idle
 * time. It is writing while its client has something to take.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/hash.h"
#include "lib/dns/address.h"

struct tcp_clients;

struct tcp_clients_config {
	unsigned max, per_address_max; /* at least 1 */
	int64_t idle_us;               /* how long a connection may be idle */
	int64_t write_us;              /* how long a client may leave what it is sent */
	struct hash_seed seed;
};

enum tcp_admission {
	TCP_ADMITTED,
	TCP_CLOSE_FIRST, /* this idle connection is to be closed; then ask again */
	TCP_REFUSED,     /* no place, and nobody is idle */
};

enum tcp_state { TCP_IDLE, TCP_PENDING, TCP_WRITING };

struct tcp_clients *tcp_clients_new(
	const struct tcp_clients_config *config); /* NULL: out of memory */
void tcp_clients_free(struct tcp_clients *clients);

/*
 * A new connection: its place in *slot, below max, idle from now; or the place of another that has
 * been idle for longest, of the same address where that has too many. bounded false: the address
 * may have all places.
 */
enum tcp_admission tcp_clients_admit(struct tcp_clients *clients, const struct address *address,
	bool bounded, int64_t now_us, unsigned *slot);
void tcp_clients_leave(struct tcp_clients *clients, unsigned slot);

/* What the connection does from now on; its time begins anew, also in the same state. */
void tcp_clients_set(
	struct tcp_clients *clients, unsigned slot, enum tcp_state state, int64_t now_us);
enum tcp_state tcp_clients_state(const struct tcp_clients *clients, unsigned slot);

/* A connection whose time is over. False: none. */
bool tcp_clients_overdue(const struct tcp_clients *clients, int64_t now_us, unsigned *slot);

/* The one that has been idle for longest. False: nobody is. */
bool tcp_clients_idlest(const struct tcp_clients *clients, unsigned *slot);

size_t tcp_clients_count(const struct tcp_clients *clients);
