/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What answers a request of the dashboard's API: a handler, called in one of the threads that may wait for Redis and for the
 * control socket, with everything that thread keeps open. The loop that speaks HTTP never waits (http.c, pool.h).
 *
 * A handler writes JSON into reply->body and returns, or says with api_fail why it cannot. It reads what `teredown` commands
 * read, with the same functions, so that a page and a command never differ.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"
#include "resolver/control/cli.h"
#include "resolver/control/fleet.h"

struct dashboard; /* what all threads share: dashboard.h */

#define API_PARTS_MAX 2
#define API_PARAMETERS_MAX 16
#define API_VALUE_MAX 1024     /* octets of a part or a value, decoded; longer ones are refused before a handler runs */
#define API_BODY_MAX 8192      /* octets of a request's body */
#define API_REPLY_MAX (8 << 20) /* octets of a reply; a longer one becomes an error */

struct api_parameter {
	const char *name, *value; /* decoded; no NUL, valid UTF-8 */
};

struct api_request {
	const char *parts[API_PARTS_MAX]; /* what stands in the path where the route says {…}, decoded */
	struct api_parameter parameters[API_PARAMETERS_MAX];
	size_t parameter_count;
	const char *body; /* of a POST, NUL-ended; "" for none */
	size_t body_size;
	const char *from;   /* the address that asked, as text */
	const char *cookie; /* the id of the session it comes with; "" for none */
};

struct api_reply {
	int status;         /* of HTTP; 200 at first */
	const char *type;   /* "application/json" at first */
	int retry_after_s;  /* of the header, 0: none but with 503 */
	const char *cookie; /* value for Set-Cookie, in the arena of the context; NULL: none */
	struct strbuf body;
};

/* One thread that answers. Everything in it is that thread's own but `shared`. */
struct api_context {
	struct cli *cli; /* json set, configuration loaded, now_ms of this request; its arena and `out` are emptied before each call */
	struct dashboard *shared;
	struct api_fleets *fleets; /* connections kept from one request to the next */
};

typedef void api_handler_fn(struct api_context *context, const struct api_request *request, struct api_reply *reply);

/* NULL when the request does not have it. */
const char *api_parameter(const struct api_request *request, const char *name);
/* The number, or missing. False, and the reply is a 400 that names it, when it is not within least…most. */
bool api_number(const struct api_request *request, struct api_reply *reply, const char *name, uint64_t missing, uint64_t least,
	uint64_t most, uint64_t *out);

/* The reply becomes a problem (RFC 9457, application/problem+json) with this status and sentence; what was written is dropped. */
void api_fail(struct api_reply *reply, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * The resolvers the request is about: `?resolver=NAME`, or `?resolver=*` for all; without it ours, or all where the dashboard
 * was started with --fleet. Kept open; do not close. NULL: Redis is away, the reply is a 503 that says so; or it is a 404,
 * because no resolver of that name ever wrote to this Redis (ours may, later).
 */
struct fleet *api_fleet(struct api_context *context, const struct api_request *request, struct api_reply *reply);
/* After a call of fleet.h that failed: the reply is a 503, and the connections are opened anew the next time. */
void api_fleet_failed(struct api_context *context, struct fleet *fleet, struct api_reply *reply);

/* Asks the daemon beside us. False, and the reply is a 503 (502 where the daemon refused, with its words), when it does not
 * answer. The caller frees answer in any case. */
bool api_ask(struct api_context *context, struct api_reply *reply, unsigned count, const char *const words[],
	struct control_answer *answer);

/* "{" and the members every answer has: time, resolver or resolvers and missing, recording_since. Handlers go on with
 * strbuf_json_* and end with api_end. */
void api_begin(struct api_context *context, struct fleet *fleet, struct api_reply *reply);
void api_end(struct api_reply *reply);

/* What is known about the recording of these resolvers, asked of Redis once in a few seconds. False: it cannot be read. */
bool api_coverage(struct api_context *context, struct fleet *fleet, struct cli_coverage *coverage);

/* The first line of what a command's function wrote to cli->errors in this request, for api_fail; "" for nothing. */
const char *api_said(struct api_context *context);
