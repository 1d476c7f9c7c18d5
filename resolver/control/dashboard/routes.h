/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stands behind which path: one row a method and path. A path that the page has for people
 * (/clients/192.0.2.7) is a row as well, and leads to index.html.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "resolver/control/dashboard/api.h"
#include "resolver/control/dashboard/target.h"

enum route_flag {
	ROUTE_CHANGES = 1 << 0, /* needs a session, and the token against CSRF */
	ROUTE_OPEN = 1 << 1,    /* without a session, even where reading needs one */
	ROUTE_LOCAL = 1 << 2,   /* open to loopback; from elsewhere as all reading */
	ROUTE_INLINE = 1 << 3,  /* the handler waits for nothing and is called in the loop */
	ROUTE_STREAM = 1 << 4,  /* no handler: server-sent events (stream.h) */
};

struct route {
	const char *method; /* GET is HEAD as well */
	const char *path;   /* "/api/v1/clients/{client}": {…} is one segment, not empty */
	api_handler_fn *handler;
	unsigned flags;
	const char *parameters; /* the names it takes, with a space between them; NULL: none. Others
				   are refused with 400. */
	const char *asset;      /* in place of a handler: this file of assets.h */
};

extern const struct route routes[];
extern const size_t route_count;

/* The row, and what stands where it says {…} in parts. NULL: none; *allowed then lists the methods
 * that the path has ("GET, HEAD"), "" for a path that there is not. allowed holds 64 octets. */
const struct route *route_find(const struct target *target, const char *method,
	const char *parts[API_PARTS_MAX], char *allowed);

/* The first parameter that the route does not take; NULL: it takes all of them. */
const char *route_stranger(const struct route *route, const struct target *target);
