/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where Redis is, as the option `redis` and the options beside it say. Text in, plain values out;
 * nothing is looked up or connected.
 *
 *   unix:/path
 *   redis://[[user]:password@]host[:port][/database]        rediss:// the same behind TLS
 *   sentinel://name@host[:port][,host[:port]…][/database]   name is what the sentinels call the
 * master cluster://[[user]:password@]host[:port][,host[:port]…]
 *
 * A host is a name, an IPv4 address or an IPv6 address in brackets. User and password may be
 * percent-encoded (RFC 3986, 2.1).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

struct name_servers;

#define REDIS_NODES_MAX 16
#define REDIS_HOST_SIZE 256
#define REDIS_USER_SIZE 128
#define REDIS_PASSWORD_SIZE 512

enum redis_kind { REDIS_UNIX, REDIS_SERVER, REDIS_SENTINEL, REDIS_CLUSTER };

struct redis_node {
	char host[REDIS_HOST_SIZE]; /* without brackets; of a unix socket: its path */
	uint16_t port;              /* 0: a unix socket */
};

struct redis_login {
	char user[REDIS_USER_SIZE];         /* "" the default user */
	char password[REDIS_PASSWORD_SIZE]; /* "" no login */
};

struct redis_address {
	enum redis_kind kind;
	bool tls;
	char service[128]; /* REDIS_SENTINEL: the master's name */
	unsigned database;
	struct redis_login login;
	struct redis_login
		sentinel_login; /* no password: that of the data, where a sentinel wants one */
	struct redis_node nodes[REDIS_NODES_MAX]; /* REDIS_UNIX, REDIS_SERVER: one */
	size_t node_count;
};

/* How long somebody goes on waiting in vain, over all connections that share it. */
struct redis_patience {
	int left_ms;
};

/* What the URL does not say. A string that is NULL is as good as "". */
struct redis_access {
	const char *user, *password; /* for a URL that has none */
	const char *sentinel_user, *sentinel_password;
	bool tls;            /* for sentinel:// and cluster://: sentinels and servers speak it */
	const char *ca_file; /* PEM; "": the system's authorities */
	const char *cert_file, *key_file; /* PEM, our own; "": none */
	const char *tls_name; /* in the server's certificate; "": the host that was connected */
	/* Names of hosts are asked of these, which outlive what is made with them; none, or NULL:
	 * of the system's resolver, which may take its time (commands). */
	struct name_servers *name_servers;
	/* Of a connection that waits (reader_connection.h), which it outlives; NULL: its own time limit
	 * is all there is. */
	struct redis_patience *patience;
};

/* TD_INVALID with words in why (why_size bytes): what is wrong and what was expected. They never
 * contain the password. */
enum td_error redis_address_parse(
	struct redis_address *out, const char *text, char *why, size_t why_size);

/* The same, completed by access (NULL: nothing beside). The URL comes first. */
enum td_error redis_address_complete(struct redis_address *out, const char *text,
	const struct redis_access *access, char *why, size_t why_size);

/* Whether a URL names a user, and a password, before its @. Both false for one that cannot be
 * parsed. */
void redis_address_userinfo(const char *text, bool *user, bool *password);

/* The URL with *** in the place of a password, for people. out is as large as text and four octets
 * more. */
void redis_address_show(const char *text, char *out);

/* Overwrites what is secret. */
void redis_address_forget(struct redis_address *address);

/* "host:port", "[v6]:port", "/path"; out holds REDIS_NODE_TEXT_SIZE; returns out. */
#define REDIS_NODE_TEXT_SIZE (REDIS_HOST_SIZE + 9)
const char *redis_node_to_text(const struct redis_node *node, char *out);

bool redis_node_equal(const struct redis_node *a, const struct redis_node *b);

/* A host and a port out of a reply, e.g. of Sentinel. False when they are none. */
bool redis_node_set(struct redis_node *out, const char *host, size_t length, const char *port);
