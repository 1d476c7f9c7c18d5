/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS towards a DNS server (RFC 7858) by the strict profile of RFC 8310: TLS 1.2 or later, and no
 * question leaves before the server has shown the certificate or the key that the configuration
 * names. OpenSSL behind libevent's bufferevents. A build without OpenSSL has the same functions:
 * tls_context_new refuses.
 *
 * A context is made by the main thread and read by all; a tls_server belongs to the thread of its
 * loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/upstream/server_address.h"

struct bufferevent;
struct event_base;
struct tls_context;
struct tls_server;

/* The authorities of ca_file, PEM; NULL or "": the system's. Reads nothing. NULL: out of memory. */
struct tls_context *tls_context_new(const char *ca_file);

/*
 * Reads the authorities, once; before that no server can be connected. Main thread, before any
 * thread asks a server of TLS. False with words in why when they cannot be read, or when this build
 * has no TLS.
 */
bool tls_context_load(struct tls_context *context, char *why, size_t why_size);
void tls_context_free(struct tls_context *context); /* NULL is fine */

/*
 * What is known of one server: its sessions, to be resumed. Context and address outlive it. NULL:
 * out of memory.
 */
struct tls_server *tls_server_new(
	const struct tls_context *context, const struct server_address *address);
void tls_server_free(struct tls_server *server); /* NULL is fine; after its streams */

/* A socket to connect, which speaks TLS once it is. Callbacks are deferred. NULL: out of memory. */
struct bufferevent *tls_server_stream(struct tls_server *server, struct event_base *base);

/* To be called before an open stream is freed: says good-bye, and keeps its session good. */
void tls_stream_close(struct bufferevent *stream);

/* True for an open stream whose session was resumed. */
bool tls_stream_is_resumed(struct bufferevent *stream);

/*
 * Why a stream did not open, for a person, when it was TLS. False: it was the socket. The next
 * stream begins without a session.
 */
bool tls_server_failure(
	struct tls_server *server, struct bufferevent *stream, char *words, size_t size);
