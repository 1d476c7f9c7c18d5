/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may ask what: called in the loop for each request, after its Host was checked and its route
 * found and before a handler runs. It must not wait and does not hash: a session is looked up by
 * its cookie. What it decides by is in access.h.
 */
#pragma once

#include <stdbool.h>

#include "resolver/control/dashboard/access.h"

struct cli;
struct dashboard;
struct sessions;

/* NULL where the request has no such header. */
struct session_question {
	const char *method;       /* "GET" for HEAD as well */
	const char *path;         /* of the route */
	const char *cookie;       /* the id in our cookie; "" for none */
	const char *csrf;         /* X-CSRF-Token */
	const char *origin;       /* Origin */
	const char *referer;      /* Referer */
	const char *fetch_site;   /* Sec-Fetch-Site */
	const char *content_type; /* Content-Type */
	const char *host;         /* Host, which has been checked */
	const char *from;         /* the address that asks */
	bool from_loopback;
	bool changes;    /* the route changes something: session and CSRF are needed */
	bool open;       /* the route is open to everyone */
	bool open_local; /* the route is open to loopback */
};

/*
 * When the ports are ours. Where there is no token one is made, and printed on the standard output
 * unless that is a socket, as the system's journal is: a secret does not belong there. NULL: out of
 * memory, or the token's file is damaged; said on the standard error.
 */
struct sessions *sessions_new(struct dashboard *dashboard);
void sessions_free(struct sessions *sessions); /* NULL is fine */

/* For handlers, and for http.c, which looks for our cookie. */
struct access *sessions_access(struct dashboard *dashboard);

/* 0: go on. Else the status of HTTP with which it is refused, and a sentence in *words. Loop. */
int session_check(
	struct dashboard *dashboard, const struct session_question *question, const char **words);

/* `teredown dashboard --new-token`; after cli_load. Returns an exit code. */
int sessions_new_token(struct cli *cli);
