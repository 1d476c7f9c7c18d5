/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection to a Redis server over a libevent loop: connect, one command at a time, its reply,
 * each within a time limit. hiredis formats commands and reads replies; sockets and timers are the
 * loop's. What to say and when to try again is the caller's business (store.h). Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

struct event_base;
struct redisReply;

struct resp_url {
	bool is_unix;
	char path[108]; /* unix */
	char host[256]; /* a numeric address, or "localhost"; other names are refused: resolving
			   belongs to a later layer */
	uint16_t port;
	char user[128];     /* "" none */
	char password[512]; /* "" none */
	unsigned database;
};

/*
 * "unix:/path" or "redis://[[user]:password@]host[:port][/database]"; user and password may be
 * percent-encoded (RFC 3986). TD_INVALID with words in why (why_size bytes); these never contain
 * the password.
 */
enum td_error resp_url_parse(struct resp_url *out, const char *text, char *why, size_t why_size);

struct resp_callbacks {
	void (*connected)(void *context);
	/* The reply belongs to the connection and is freed after the call. Errors of Redis are
	 * replies too. */
	void (*replied)(void *context, const struct redisReply *reply);
	/* Connecting failed, the connection ended or was silent for too long; it is closed, no
	 * other callback follows. */
	void (*lost)(void *context, const char *words);
};

struct resp;

/* url and callbacks are copied; nothing is connected yet. NULL: out of memory. */
struct resp *resp_new(struct event_base *base, const struct resp_url *url,
	const struct resp_callbacks *callbacks, void *context);
void resp_free(struct resp **resp); /* no callback */

/* Exactly one of connected and lost follows, never before the loop runs again. */
void resp_connect(struct resp *resp, int timeout_ms);

/* Sends a command; replied or lost follows, never before the loop runs again. One at a time; the
 * connection must be open. */
void resp_command(struct resp *resp, size_t argc, const char *const argv[], const size_t lengths[],
	int timeout_ms);

/* Back to the state after resp_new; no callback. */
void resp_close(struct resp *resp);
