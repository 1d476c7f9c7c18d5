/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker: one thread with its own event loop, sockets, upstream requests and counters. The main
 * thread and other workers reach it by letters only. worker_new and worker_free run in the main
 * thread, before and after the thread's life.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/mailbox.h"
#include "resolver/cache.h"
#include "resolver/counters.h"
#include "resolver/query.h"
#include "resolver/sockets.h"
#include "resolver/telemetry/telemetry.h"
#include "resolver/upstream/routes.h"
#include "resolver/upstream/upstream.h"

struct worker;

/* What a worker tells of itself; consistent, since it is copied between two events. */
struct worker_status {
	struct worker_counters counters;
	struct upstream_counters upstream;
	uint64_t pending;
	uint64_t tcp_clients;
	struct server_state servers[UPSTREAM_SERVERS_MAX]; /* of the option upstream */
	size_t server_count;
	struct route_server *forwards; /* of the sections, malloc'd, NULL: none; whoever frees the
					  message frees it */
	size_t forward_count;
};

enum worker_request { WORKER_SET_POLICY, WORKER_STATUS, WORKER_LEARN, WORKER_STOP };

/* A letter from the main thread; comes back as the answer. The sender owns it again then. */
struct worker_message {
	struct letter letter; /* first */
	enum worker_request request;
	unsigned worker;
	const struct query_policy
		*policy; /* WORKER_SET_POLICY: in force when the message comes back */
	const struct identity_rules *identity; /* with it, or NULL: as they are */
	struct worker_status status; /* WORKER_STATUS; WORKER_STOP: at the end */
	const struct name *name;     /* WORKER_LEARN: query_learn's; the sender's */
	uint16_t type;
	void *context; /* the sender's */
};

struct worker_config {
	unsigned index, count;
	struct cache *cache;
	struct telemetry_worker *telemetry;
	const struct query_policy *policy; /* with a site */
	struct query_config query; /* worker, cache, counters and io are filled in by the worker */
	struct upstream_config upstream; /* without tap and what the policy's site says */
	bool tap;                        /* telemetry is shown what goes to and from upstream */
	unsigned tcp_connections_max, tcp_connections_per_client_max, tcp_idle_timeout_ms;
	unsigned drain_ms; /* at a stop: how long pending queries and slow TCP readers may take */
	struct notify_box *notifies; /* what primaries say; outlives the worker */
	struct worker **peers; /* [count], filled before any thread starts */
	/* Takes answered messages, from the worker's thread. */
	void (*reply)(void *context, struct worker_message *message);
	void *reply_context;
};

/* Takes the address_count sockets over. NULL: out of memory or descriptors; logged. */
struct worker *worker_new(
	const struct worker_config *config, struct listen_socket *sockets, size_t address_count);
enum td_error worker_start(struct worker *worker);

/* Any thread. The message comes back through config.reply; WORKER_STOP: as the last thing the
 * worker does. */
void worker_post(struct worker *worker, struct worker_message *message);

/* After the stop message came back, or when it was never started: joins the thread and frees. */
void worker_free(struct worker *worker);
