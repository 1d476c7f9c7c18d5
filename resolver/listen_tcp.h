/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS over TCP (RFC 7766) for one worker: many queries on a connection, answered as they are ready,
 * in any order. Bounded: connections (all and by address), the queries of a connection in all and
 * those pending, octets that wait for a slow reader or for the rest of a query, and how long a
 * connection may be idle, a query come or a reply go. The worker's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "resolver/query.h"
#include "resolver/sockets.h"

struct event_base;
struct tcp_server;

struct tcp_server_config {
	struct event_base *base;
	struct query_engine *engine;
	struct worker_counters *counters;
	unsigned connections_max; /* at once */
	unsigned connections_per_client_max;
	unsigned queries_max;     /* of one connection, which then ends */
	unsigned idle_timeout_ms; /* without a whole query; the same for taking replies */
	struct hash_seed seed;
	struct now (*clock)(void);
	int64_t (*mono)(void); /* the monotonic one, in microseconds */
	void (*turn)(void *context, const struct now *now);
	void *turn_context;
};

struct tcp_server *tcp_server_new(const struct tcp_server_config *config); /* NULL: out of memory */
void tcp_server_free(struct tcp_server *server);

/* Takes socket->tcp over and accepts on it. */
enum td_error tcp_server_listen(struct tcp_server *server, struct listen_socket *socket);
/* Accepts nothing more and answers nothing new; replies that are pending can still be sent. */
void tcp_server_stop(struct tcp_server *server);

/* True while a client's system has not acknowledged all replies given to it. */
bool tcp_server_unsent(const struct tcp_server *server);

size_t tcp_server_connections(const struct tcp_server *server);

/* A reply that was pending, or with length 0 the news that there will be none. TD_NOT_FOUND: the
 * connection is gone. */
enum td_error tcp_server_respond(struct tcp_server *server, const struct query_client *client,
	const uint8_t *reply, size_t length);
