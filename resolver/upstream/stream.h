/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections to the servers of one group, over TCP or TLS, that stay open from question to
 * question (RFC 7766). Many questions are under way on one at a time; answers come in any order and
 * are told apart by ids that are random and unique on their connection.
 *
 *   stream_ask → waiting → (a connection is open and has room) → sent → reply … stream_answered
 *                   ↑                                              │
 *                   └──── the server closed before it answered ────┘   again on another, once
 *
 * A server has one connection until PIPELINE_MAX questions are in flight on it, then another, up to
 * STREAM_CONNECTIONS_MAX; what finds no room waits, up to STREAM_WAITING_MAX. A question has no
 * time limit here: whoever asked gives it up. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/base/error.h"
#include "resolver/upstream/packet.h"
#include "resolver/upstream/random.h"
#include "resolver/upstream/server_address.h"
#include "resolver/upstream/tls.h"

#define STREAM_CONNECTIONS_MAX 8 /* of one server */
#define STREAM_WAITING_MAX 1024  /* questions of one server that no connection has room for */
#define STREAM_CONNECT_MS 3000   /* for a connection to be open, with TLS */
#define STREAM_STRANGE_MAX 64    /* replies in a row that nobody waits for */

struct event_base;
struct stream_connection;
struct stream_server;
struct streams;

enum stream_place { STREAM_NOWHERE, STREAM_WAITING, STREAM_SENT, STREAM_FAILING };

/* In the asker's storage; zeros: nothing is asked. The fields are stream.c's. */
struct stream_question {
	enum stream_place place;
	struct stream_server *server;
	struct stream_connection *connection; /* it was sent on */
	TAILQ_ENTRY(stream_question) entry;   /* among those that wait, or are to fail */
	struct packet *packet;
	void *owner;
	uint16_t id; /* on its connection */
	bool repeated;
};

enum stream_event {
	STREAM_OPENED,   /* a connection */
	STREAM_RESUMED,  /* besides: with a session of before */
	STREAM_FAILED,   /* a connection did not open */
	STREAM_REPEATED, /* a question is asked again, because its connection was closed */
	STREAM_STRANGE,  /* a reply that nobody waits for, or no message */
	STREAM_FULL,     /* a question found no room */
};

/* Called from the loop, `sent` and `count` also from within stream_ask. */
struct stream_calls {
	/*
	 * The question left, in these octets behind their length; its packet has the id of this
	 * connection now. May come a second time.
	 */
	void (*sent)(void *owner, const uint8_t *octets, size_t length);

	/*
	 * A reply with the question's id. When it is the answer, stream_answered is called from
	 * within, first of all; else the wait goes on. The octets are valid during the call, and
	 * may be changed.
	 */
	void (*reply)(void *owner, uint8_t *octets, size_t length);

	/* No connection could be opened, or they were closed twice. Nothing is asked any more. */
	void (*failed)(void *owner);

	/* Whether the server can be connected: words why not, NULL when it could. */
	void (*state)(void *context, size_t server, const char *words);
	void (*count)(void *context, enum stream_event event);
};

struct streams_config {
	struct event_base *base;
	struct random_pool *random;
	const struct server_address *servers; /* copied */
	size_t server_count;
	const struct tls_context *tls; /* NULL: servers of TLS fail; outlives the streams */
	unsigned idle_timeout_ms;      /* 0: a connection is closed with its last answer */
	const struct stream_calls *calls;
	void *context;
};

/* NULL: out of memory. */
struct streams *streams_new(const struct streams_config *config);

/* Questions that are under way end without a call. */
void streams_free(struct streams *streams); /* NULL is fine */

/*
 * Puts the question to that server. The packet, which is the asker's, gets another id. TD_IO: the
 * server cannot be reached. TD_FULL, TD_NOMEM: no room.
 */
enum td_error stream_ask(struct streams *streams, size_t server, struct stream_question *question,
	struct packet *packet, void *owner);

static inline bool stream_is_asked(const struct stream_question *question)
{
	return question->place != STREAM_NOWHERE;
}

/* Ends a question without a call, whatever state it is in. */
void stream_cancel(struct stream_question *question);

/* Within `reply`: that was the answer. */
void stream_answered(struct stream_question *question);

/* Connections that are open. */
size_t streams_open(const struct streams *streams);
