/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection to the right server, logged in: redis_find.h says whom to ask, resp.h connects, this
 * leads from one to the other. Whatever ends the connection ends the link; opening it again begins
 * a new search with what the last one learned. Loop thread only.
 */
#pragma once

#include "resolver/telemetry/redis/redis_find.h"
#include "resolver/telemetry/redis/resp.h"

struct redis_link;

/*
 * What links are made of, out of the configuration (redis_address_complete): whom to find, and TLS
 * where it is spoken, else NULL. TD_INVALID with words in why: the URL, or a file that TLS needs.
 * In any case the caller ends with redis_tls_free and redis_address_forget.
 */
enum td_error redis_link_understand(struct redis_address *address, struct redis_tls **tls,
	const char *url, const struct redis_access *access, char *why, size_t why_size);

struct redis_link_callbacks {
	/* The right server, logged in, the database selected. */
	void (*opened)(void *context);
	/* As in resp.h. */
	void (*replied)(void *context, struct redisReply *reply);
	/* No server was found, or the connection ended; the link is closed, no other callback
	 * follows. */
	void (*lost)(void *context, const char *words);
};

struct redis_link_settings {
	const struct redis_address *address; /* outlives the link, as do key and tls */
	const char *key;                     /* in a cluster: whose slot is wanted; copied */
	enum find_aim aim;
	struct resp_settings resp;
	int connect_timeout_ms; /* a server */
	int reply_timeout_ms;
};

/* settings and callbacks are copied. NULL: out of memory. */
struct redis_link *redis_link_new(struct event_base *base,
	const struct redis_link_settings *settings, const struct redis_link_callbacks *callbacks,
	void *context);
void redis_link_free(struct redis_link **link); /* no callback */

/* Exactly one of opened and lost follows, never before the loop runs again. */
void redis_link_open(struct redis_link *link);

/* The link must be open; see resp_command, resp_keep_reply. */
void redis_link_command(
	struct redis_link *link, size_t argc, const char *const argv[], const size_t lengths[]);
void redis_link_keep_reply(struct redis_link *link);

/* The server that is connected; with FIND_NAME: the master that was named. */
const struct redis_node *redis_link_node(const struct redis_link *link);

/* No callback. */
void redis_link_close(struct redis_link *link);
