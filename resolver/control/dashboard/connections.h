/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connections of clients, and how long each may do nothing: evhttp bounds the time of one read,
 * so that a client which sends an octet now and then holds a connection for ever. Here a request
 * has CONNECTION_REQUEST_MS to come, from its first octet (or from when the connection was opened)
 * to its last, whatever its pace.
 *
 * There are at most CONNECTIONS_MAX. One more, and another is closed: of those that wait, send or
 * read, the one that has done so for longest. One whose request is being answered, and a stream, is
 * left alone. Loop only.
 *
 * Replies that nobody takes yet hold CONNECTIONS_OUTPUT_MAX in all. Where one more would not fit, those
 * that go for longest are closed to make room for it.
 *
 * What a client sends while it is not its turn stays with the kernel beyond CONNECTION_INPUT_MAX:
 * evhttp goes on reading while a reply or a stream goes, and keeps all of it, however much. A
 * request that is longer is none, and its connection is closed.
 */
#pragma once

#include <stddef.h>

struct bufferevent;
struct connections;
struct dashboard;
struct event_base;

#define CONNECTIONS_MAX 512
#define CONNECTIONS_OUTPUT_MAX \
	((size_t)64 << 20) /* octets of replies, in memory, that have not been taken */
#define CONNECTION_INPUT_MAX \
	(128 << 10) /* octets that are read ahead; a request has to fit, body and all */
#define CONNECTION_REQUEST_MS 10000 /* for a request to come */
#define CONNECTION_IDLE_MS 60000    /* between two requests */
#define CONNECTION_REPLY_MS 60000   /* for a reply to go */

struct connections *connections_new(struct dashboard *dashboard, struct event_base *base);
void connections_free(struct connections *connections); /* after its evhttp; NULL is fine */

/* A connection that is about to be opened; makes room for it. */
void connections_add(struct connections *connections, struct bufferevent *stream);

enum connection_state {
	CONNECTION_READING, /* a request comes */
	CONNECTION_IDLE,    /* kept for the next one */
	CONNECTION_ANSWERING,
	CONNECTION_WRITING, /* a reply goes */
	CONNECTION_STREAMING,
};
/* A reply of this size is about to go there. */
void connections_owe(
	struct connections *connections, const struct bufferevent *stream, size_t size);
void connections_set(struct connections *connections, const struct bufferevent *stream,
	enum connection_state state);
