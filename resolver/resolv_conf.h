/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The name servers of a resolv.conf(5), for a resolver that may be one of them itself.
 *
 * Where the system's file names nobody but us, or systemd-resolved's stub, somebody put a resolver
 * in front of the network's servers, and keeps those in a file of its own: there they are looked
 * for (resolv_conf_uplinks). The stub would ask the same servers, or us.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"
#include "resolver/upstream/server.h"
#include "resolver/upstream/server_address.h"

#define RESOLV_CONF_SYSTEM "/etc/resolv.conf"
#define RESOLV_CONF_MAX (1 << 20) /* octets read of a file */

struct resolv_conf {
	struct server_address servers[UPSTREAM_SERVERS_MAX];
	size_t count;
	unsigned ourselves; /* servers left out because they are this resolver */
	unsigned surplus;   /* servers beyond the bound */
	unsigned bad;       /* lines that name no address, or an interface that is not there */
	const char *path;   /* which file it was: the one asked for, or one of uplinks */
};

/* Whether a server is this resolver. */
typedef bool resolv_conf_own_fn(void *context, const struct endpoint *server);

/* Files with the servers behind a stub, ended by NULL. */
extern const char *const resolv_conf_uplinks[];

/*
 * Reads path, and where that names nobody else the first of uplinks (NULL: none) that does. TD_OK,
 * also with no server; TD_IO, errno set: path cannot be read. A server that is repeated counts
 * once.
 */
enum td_error resolv_conf_read(struct resolv_conf *out, const char *path,
	const char *const *uplinks, resolv_conf_own_fn *is_own, void *context);
