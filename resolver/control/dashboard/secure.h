/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS for those who come: 1.2 or later, with the certificate and key of the configuration. A build
 * without OpenSSL has the same functions, and secure_new refuses. Loop only.
 */
#pragma once

#include <stddef.h>

struct bufferevent;
struct event_base;
struct secure;

/* Reads both files. NULL, and why: a file that cannot be read, does not hold what it should, does
 * not fit the other, or a key that everyone may read. */
struct secure *secure_new(const char *certificate, const char *key, char *why, size_t why_size);
void secure_free(struct secure *secure); /* NULL is fine; its streams go on */

/* A socket to be given to evhttp. NULL: out of memory. */
struct bufferevent *secure_stream(struct secure *secure, struct event_base *base);
