/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS towards Redis: OpenSSL behind a libevent bufferevent. TLS 1.2 or later; the server's
 * certificate must lead to a known authority and name the host that was connected (RFC 6125; for an
 * address, an IP entry), or the name that the configuration gives. A build without OpenSSL has the
 * same functions, and redis_tls_new refuses. Thread: that of the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct bufferevent;
struct event_base;
struct redis_access;
struct redis_tls;

/* NULL with words in why: a file cannot be read, holds no certificate, or does not fit the key; or
 * this build has no TLS. */
struct redis_tls *redis_tls_new(const struct redis_access *access, char *why, size_t why_size);
void redis_tls_free(struct redis_tls **tls);

/* A socket to connect, which speaks TLS once it is; host is what the certificate must name.
 * Callbacks are deferred. NULL: out of memory. */
struct bufferevent *redis_tls_stream(
	const struct redis_tls *tls, struct event_base *base, const char *host);

/* Why such a stream failed, for a person, when it was TLS; false when it was the socket. */
bool redis_tls_failure(struct bufferevent *stream, char *words, size_t size);
