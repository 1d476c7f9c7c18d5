/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection to a Redis server over a libevent loop: find its address, connect, commands and
 * their replies, each within a time limit. hiredis formats commands and reads replies; sockets, TLS
 * and timers are the loop's. Whom to connect, what to say and when to try again is the caller's
 * business (redis_link.h). Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/telemetry/redis/redis_address.h"

struct endpoint;
struct event_base;
struct redisReply;
struct redis_tls;

struct resp_callbacks {
	void (*connected)(void *context);
	/* The reply is freed after the call, unless it is kept (resp_keep_reply). Errors of Redis
	 * are replies too. */
	void (*replied)(void *context, struct redisReply *reply);
	/* Connecting failed, the connection ended or was silent for too long; it is closed, no
	 * other callback follows. Of several addresses the words are those that tell most. */
	void (*lost)(void *context, const char *words);
};

struct resp_settings {
	const struct redis_tls *tls;         /* NULL: plain; outlives the connection */
	struct name_servers *name_servers;   /* of names of hosts, see lookup.h */
	size_t reply_bytes_max; /* a longer reply ends the connection */
};

struct resp;

/* settings and callbacks are copied; nothing is connected yet. NULL: out of memory. */
struct resp *resp_new(struct event_base *base, const struct resp_settings *settings,
	const struct resp_callbacks *callbacks, void *context);
void resp_free(struct resp **resp); /* no callback */

/* Exactly one of connected and lost follows, never before the loop runs again. Every address of the
 * host is tried, together for at most timeout_ms; finding them has a limit of its own. */
void resp_connect(struct resp *resp, const struct redis_node *node, int timeout_ms);

/* Sends a command; replied or lost follows, never before the loop runs again. Replies come in the
 * order of the commands, the next one always within timeout_ms. The connection must be open. */
void resp_command(struct resp *resp, size_t argc, const char *const argv[], const size_t lengths[],
	int timeout_ms);

/* Within replied: the reply belongs to the caller, who frees it with freeReplyObject. */
void resp_keep_reply(struct resp *resp);

/* Back to the state after resp_new; no callback. */
void resp_close(struct resp *resp);
