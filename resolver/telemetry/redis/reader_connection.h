/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection that waits, for commands: over the same link as the daemon's, so that TLS, Sentinel
 * and Cluster are reached in the same way, with a loop of its own that runs while something is
 * waited for. In a cluster it is bound to one slot: a reader for each resolver. One thread.
 */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"
#include "resolver/telemetry/redis/redis_address.h"

struct redisReply;

struct reader_connection;

/*
 * Connects to what url and access (NULL: nothing beside the URL) say; key is of the slot that is
 * wanted in a cluster. Connecting, and each reply, take at most timeout_ms a server, and no longer
 * than what is left of the patience in access. TD_INVALID
 * (the URL, a TLS file), TD_IO, TD_REFUSED, TD_NOMEM, with words (size bytes, no password in them).
 */
enum td_error reader_connection_open(struct reader_connection **out, const char *url,
	const struct redis_access *access, const char *key, int timeout_ms, char *words,
	size_t size);
void reader_connection_close(struct reader_connection **connection); /* a NULL inside is fine */

/* Sends a command, without waiting; nothing on a connection that is lost. */
void reader_connection_put(
	struct reader_connection *connection, size_t argc, const char *const argv[]);

/* The same with the length of each argument, and as many as there are. */
void reader_connection_put_sized(struct reader_connection *connection, size_t argc,
	const char *const argv[], const size_t lengths[]);

/* The next reply, for the caller to free; NULL when the connection is lost. */
struct redisReply *reader_connection_take(struct reader_connection *connection);

/* Why it was lost. */
const char *reader_connection_words(const struct reader_connection *connection);
