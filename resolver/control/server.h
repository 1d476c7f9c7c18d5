/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket of the daemon (main thread): a unix stream socket, mode 0600, one request a
 * connection.
 *
 *   request:  words separated by single spaces, one line of at most 4096 bytes
 *             a first word `via=PROGRAM/FROM` says on whose behalf a program asks, for the log
 *   reply:    "ok" or "error <words>", then lines "<key>\t<value>", then the end of the stream
 *
 * Only root and the daemon's own user are served (SO_PEERCRED). Keys repeat for lists. A reply may
 * be finished later, from the same thread.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

struct event_base;
struct control_server;
struct control_reply;

/* One request. words[0..count-1] live during the call. The handler ends the reply, now or later,
 * exactly once. */
typedef void control_handler_fn(
	void *context, struct control_reply *reply, unsigned count, char *const words[]);

/* NULL and a logged error. An abandoned socket file of a dead daemon is replaced; a living one is
 * an error ("another teredownd …"). */
struct control_server *control_server_open(
	struct event_base *base, const char *path, control_handler_fn *handler, void *context);
/* Open replies end with an error. Removes the socket file. */
void control_server_close(struct control_server *server);

uid_t control_reply_uid(const struct control_reply *reply); /* who asks */

/* " via dashboard from 192.0.2.1" where the program that asks says so, else "". Letters, digits and a
 * few signs, as the uid's word. */
const char *control_reply_via(const struct control_reply *reply);
/* The same as it came: "dashboard/192.0.2.1". At most CONTROL_VIA_MAX octets with the NUL. */
#define CONTROL_VIA_MAX 130
const char *control_reply_behalf(const struct control_reply *reply);
void control_reply_add(struct control_reply *reply, const char *key,
	const char *value); /* tabs and newlines in value are escaped */
void control_reply_add_u64(struct control_reply *reply, const char *key, uint64_t value);
void control_reply_end(struct control_reply *reply); /* ok; the reply is gone */
void control_reply_fail(
	struct control_reply *reply, const char *words); /* error; the reply is gone */
