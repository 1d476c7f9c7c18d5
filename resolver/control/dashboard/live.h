/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /api/v1/live: the overview once a second, and events as they come, as server-sent events. It is
 * built once for all who listen, by a thread of its own, and not at all while nobody does. Whoever
 * does not read what is sent is dropped. Loop only, but for live_build and live_read_events, which
 * that thread calls.
 */
#pragma once

#include <stdbool.h>

#include "resolver/control/dashboard/api.h"

struct evhttp_request;
struct event_base;
struct live;

#define LIVE_STREAMS_MAX 64
#define LIVE_EVERY_MS 1000
#define LIVE_UNREAD_MAX (256 << 10) /* octets that wait for one stream when the next are due */

/* Whether the stream of that request, whose client is there, may go on; asked every few seconds. */
typedef bool live_may_follow_fn(void *context, struct evhttp_request *request);

struct live *live_new(struct dashboard *dashboard, struct event_base *base,
	live_may_follow_fn *may_follow, void *context);

/* Makes the request a stream. The connection's state must be set by the caller. False: there are
 * enough, and nothing was sent. */
bool live_follow(struct live *live, struct evhttp_request *request);

/* Answers a HEAD: there is nothing that could be followed. */
void live_send_head(struct evhttp_request *request);

/* Before the evhttp is freed; waits at most so long for the thread. False as pool_stop: it must
 * stay as it is. */
bool live_stop(struct live **live, int timeout_ms);

/* --- what is told (the thread) --- */

/* The object of GET /api/v1/overview, into the body of an empty reply. */
void live_build(struct api_context *context, struct api_reply *reply);

/* Where the streams of events of these resolvers have been read to. */
struct live_events;
struct live_events *live_events_new(void);
void live_events_free(struct live_events *events); /* NULL is fine */
/* Appends what came since the last call, each as a whole event of text/event-stream. */
void live_read_events(struct live_events *events, struct api_context *context, struct strbuf *out);
