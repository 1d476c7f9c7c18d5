/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replies and their headers. The policy for content allows what comes from here and nothing else:
 * no inline script or style, no frame around us, no other host.
 */
#include "resolver/control/dashboard/exchange.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "resolver/control/dashboard/assets.h"
#include "resolver/control/dashboard/gzip.h"

#define GZIP_LEAST 1024 /* octets of a reply that are worth it */

static const struct {
	const char *name, *value;
} every_reply[] = {
	{"Content-Security-Policy",
		"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: "
		"blob:; connect-src 'self'; font-src 'none'; base-uri 'none'; form-action 'self'; "
		"frame-ancestors 'none'"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Server", "teredown"},
};

const char *exchange_method(const struct evhttp_request *request)
{
	switch (evhttp_request_get_command(request)) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_PATCH:
		return "PATCH";
	case EVHTTP_REQ_OPTIONS:
		return "OPTIONS";
	default:
		return NULL;
	}
}

static void add_header(struct evhttp_request *request, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

void exchange_add_headers(struct evhttp_request *request)
{
	for (size_t i = 0; i < sizeof(every_reply) / sizeof(every_reply[0]); i++)
		add_header(request, every_reply[i].name, every_reply[i].value);
}

/* Sends data, or with HEAD says only how long it is. What stays is not copied, however many ask. */
static void send_body(
	struct evhttp_request *request, int status, const void *data, size_t size, bool stays)
{
	struct evbuffer *body = evbuffer_new();
	char length[24];

	snprintf(length, sizeof(length), "%zu", size);
	if (status != 304)
		add_header(request, "Content-Length", length);
	bool empty = !body || size == 0 || evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
	if (!empty && stays)
		evbuffer_add_reference(body, data, size, NULL, NULL);
	else if (!empty)
		evbuffer_add(body, data, size);
	evhttp_send_reply(request, status, NULL, body);
	if (body)
		evbuffer_free(body);
}

static const char *header(const struct evhttp_request *request, const char *name)
{
	return evhttp_find_header(
		evhttp_request_get_input_headers((struct evhttp_request *)(uintptr_t)request),
		name);
}

bool exchange_takes_gzip(const struct evhttp_request *request)
{
	const char *accept = header(request, "Accept-Encoding");
	const char *gzip = accept ? strcasestr(accept, "gzip") : NULL;

	if (!gzip)
		return false;
	gzip += 4 + strspn(gzip + 4, " ;");
	return strncasecmp(gzip, "q=", 2) != 0 || strtod(gzip + 2, NULL) > 0;
}

void exchange_send_asset(struct evhttp_request *request, const struct asset *asset)
{
	bool gzip = asset->gzip && exchange_takes_gzip(request);
	const char *tag = gzip ? asset->gzip_etag : asset->etag;
	const char *known = header(request, "If-None-Match");

	exchange_add_headers(request);
	add_header(request, "Content-Type", asset->type);
	add_header(request, "Cache-Control", "no-cache");
	add_header(request, "ETag", tag);
	if (asset->gzip)
		add_header(request, "Vary", "Accept-Encoding");
	if (known && (strstr(known, tag) || strcmp(known, "*") == 0)) {
		send_body(request, 304, "", 0, true);
		return;
	}
	if (gzip)
		add_header(request, "Content-Encoding", "gzip");
	send_body(request, 200, gzip ? asset->gzip : asset->data,
		gzip ? asset->gzip_size : asset->size, true);
}

void exchange_send_problem(struct evhttp_request *request, int status, const char *words)
{
	struct api_reply reply;

	strbuf_init(&reply.body);
	api_fail(&reply, status, "%s", words);
	exchange_add_headers(request);
	add_header(request, "Content-Type", reply.type);
	add_header(request, "Cache-Control", "no-store");
	if (status == 503)
		add_header(request, "Retry-After", "1");
	send_body(request, status, reply.body.failed ? "" : reply.body.data,
		reply.body.failed ? 0 : reply.body.length, false);
	strbuf_deinit(&reply.body);
}

/* --- in the thread --- */

static void bound_reply(struct api_reply *reply)
{
	if (reply->body.failed)
		api_fail(reply, 500, "out of memory");
	else if (reply->body.length > API_REPLY_MAX)
		api_fail(reply, 500, "the answer is too long: ask for less of it");
}

void exchange_answer(struct exchange *exchange, struct api_context *context)
{
	struct api_reply *reply = &exchange->reply;

	exchange->route->handler(context, &exchange->request, reply);
	bound_reply(reply);
	if (reply->cookie)
		snprintf(exchange->set_cookie, sizeof(exchange->set_cookie), "%s", reply->cookie);
	if (exchange->takes_gzip && reply->body.length > GZIP_LEAST)
		exchange->gzip = gzip_pack(
			reply->body.data, reply->body.length, GZIP_QUICK, &exchange->gzip_size);
}

void exchange_free(struct exchange *exchange)
{
	strbuf_deinit(&exchange->reply.body);
	free(exchange->gzip);
	explicit_bzero(exchange->body, sizeof(exchange->body)); /* a token may have been in it */
	explicit_bzero(exchange->cookie, sizeof(exchange->cookie));
	free(exchange);
}

size_t exchange_size(const struct exchange *exchange)
{
	return exchange->gzip ? exchange->gzip_size : exchange->reply.body.length;
}

void exchange_send(struct exchange *exchange)
{
	struct evhttp_request *request = exchange->http_request;
	const struct api_reply *reply = &exchange->reply;
	char wait[16];

	exchange_add_headers(request);
	add_header(request, "Content-Type", reply->type);
	add_header(request, "Cache-Control", "no-store");
	if (exchange->set_cookie[0])
		add_header(request, "Set-Cookie", exchange->set_cookie);
	if (reply->retry_after_s || reply->status == 503) {
		snprintf(wait, sizeof(wait), "%d", reply->retry_after_s ? reply->retry_after_s : 1);
		add_header(request, "Retry-After", wait);
	}
	add_header(request, "Vary", "Accept-Encoding");
	if (exchange->gzip)
		add_header(request, "Content-Encoding", "gzip");
	send_body(request, reply->status, exchange->gzip ? exchange->gzip : reply->body.data,
		exchange_size(exchange), false);
}
