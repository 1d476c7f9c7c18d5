/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may ask what: called in the loop for each request, after its Host was checked and its route
 * found and before a handler runs. It must not wait and does not hash: a session is looked up by
 * its cookie.
 */
#pragma once

#include <stdbool.h>

struct dashboard;
struct sessions;

/* NULL where the request has no such header. */
struct session_question {
	const char *method;       /* "GET" for HEAD as well */
	const char *cookie;       /* the value of teredown_session; "" for none */
	const char *csrf;         /* X-CSRF-Token */
	const char *origin;       /* Origin */
	const char *fetch_site;   /* Sec-Fetch-Site */
	const char *content_type; /* Content-Type */
	const char *host;         /* Host, which has been checked */
	const char *from;         /* the address that asks */
	bool from_loopback;
	bool changes;    /* the route changes something: session and CSRF are needed */
	bool open;       /* the route is open to everyone */
	bool open_local; /* the route is open to loopback */
};

/* NULL: out of memory, or a file cannot be read; said on the standard error. */
struct sessions *sessions_new(struct dashboard *dashboard);
void sessions_free(struct sessions *sessions);

/* 0: go on. Else the status of HTTP with which it is refused, and a sentence in *words. Loop. */
int session_check(
	struct dashboard *dashboard, const struct session_question *question, const char **words);
