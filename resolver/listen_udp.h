/* SPDX-License-Identifier: BSD-3-Clause */
/* One UDP socket of one worker: batches in (recvmmsg), batches out (sendmmsg). The worker's thread
 * only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "resolver/query.h"
#include "resolver/sockets.h"

struct event_base;
struct udp_listener;
struct udp_batch; /* buffers of one receive batch, shared by the listeners of a worker */

struct udp_batch *udp_batch_new(void); /* NULL: out of memory */
void udp_batch_free(struct udp_batch *batch);

/* Called after each batch whose replies were sent. */
typedef void udp_turn_fn(void *context, const struct now *now);
/* Reads both clocks, at the start of each batch. */
typedef struct now udp_clock_fn(void);
/* Reads the monotonic one, in microseconds, once the replies of a batch are sent. */
typedef int64_t udp_mono_fn(void);

struct udp_listener_config {
	struct event_base *base;
	struct udp_batch *batch;
	struct query_engine *engine;
	struct worker_counters *counters;
	unsigned index; /* reply_path.listener */
	udp_clock_fn *clock;
	udp_mono_fn *mono;
	udp_turn_fn *turn;
	void *turn_context;
};

/* Takes socket->udp over. NULL: out of memory. */
struct udp_listener *udp_listener_new(
	const struct udp_listener_config *config, struct listen_socket *socket);
/* At the end: serves what the system has taken for it so far, which nobody else will. */
void udp_listener_drain(struct udp_listener *listener);
void udp_listener_free(struct udp_listener *listener);

/* A reply that was pending. TD_OK, or TD_IO when the system did not take it. */
enum td_error udp_listener_respond(struct udp_listener *listener, const struct query_client *client,
	const uint8_t *reply, size_t length);
