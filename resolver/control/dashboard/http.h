/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Speaking HTTP (libevent's evhttp), in the one thread of the loop, which never waits: a request is
 * checked, its route found, and what may wait for Redis or the daemon is answered by a pool's
 * thread.
 */
#pragma once

#include <stdbool.h>

struct dashboard;
struct event_base;
struct http;
struct options;

#define HTTP_THREADS 4      /* that answer */
#define HTTP_WAITING_MAX 64 /* requests that wait for one of them; more get a 503 */

/* Listens on all addresses of dashboard-listen. NULL: said why on the standard error. */
struct http *http_new(struct dashboard *dashboard, struct event_base *base);

/* After the configuration was read again: the certificate. */
void http_reload(struct http *http, const struct options *options);

/* Closes everything, and waits at most so long for requests that are being answered. False: one
 * still is, and http, dashboard and what they use must not be freed before the process ends. */
bool http_stop(struct http **http, int timeout_ms);
