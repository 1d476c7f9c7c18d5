/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One request and its reply on the way through the loop, a thread of the pool, and the loop again.
 * The loop owns the evhttp_request; the thread sees `request` and `reply` only.
 */
#pragma once

#include <stdbool.h>

#include "lib/dns/address.h"
#include "resolver/control/dashboard/access.h"
#include "resolver/control/dashboard/api.h"
#include "resolver/control/dashboard/pool.h"
#include "resolver/control/dashboard/routes.h"
#include "resolver/control/dashboard/target.h"

struct asset;
struct evhttp_request;
struct http;


struct exchange {
	struct pool_job job; /* first */
	struct http *http;
	struct evhttp_request *http_request; /* the loop's */
	const struct route *route;
	struct target target;
	struct api_request request;
	struct api_reply reply;
	bool takes_gzip;
	void *gzip; /* of the reply's body; NULL: it goes as it is */
	size_t gzip_size;
	char from[ADDRESS_TEXT_MAX];
	char cookie[ACCESS_ID_TEXT_SIZE]; /* the id in it; "" none */
	char set_cookie[ACCESS_COOKIE_MAX]; /* that goes; "" none */
	char body[API_BODY_MAX + 1];
};

/* Calls the handler. The context's own thread. */
void exchange_answer(struct exchange *exchange, struct api_context *context);

void exchange_free(struct exchange *exchange); /* but for the evhttp_request */

/* --- sending, in the loop --- */

/* Octets of the body that goes. */
size_t exchange_size(const struct exchange *exchange);
/* The reply of the exchange. */
void exchange_send(struct exchange *exchange);
/* A file; HEAD, If-None-Match and gzip are seen to. */
void exchange_send_asset(struct evhttp_request *request, const struct asset *asset);
/* A problem; headers may have been added to the request before. */
void exchange_send_problem(struct evhttp_request *request, int status, const char *words);
/* The headers that every reply has. */
void exchange_add_headers(struct evhttp_request *request);
/* Whether Accept-Encoding has gzip, and not with q=0. */
bool exchange_takes_gzip(const struct evhttp_request *request);
/* "GET"; NULL: a method that we do not know. */
const char *exchange_method(const struct evhttp_request *request);
