/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What upstream.c (the group of servers of one worker) and upstream_request.c (one question of it)
 * share. One thread: the worker's.
 */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "lib/base/clock.h"
#include "resolver/upstream/ports.h"
#include "resolver/upstream/random.h"
#include "resolver/upstream/stream.h"
#include "resolver/upstream/upstream.h"

#define UDP_BUFFER_SIZE 4096

/* Of one of the exchange's tries. */
struct transport {
	struct upstream_request *request;
	unsigned slot;
	struct port *port;             /* over UDP, or NULL */
	struct stream_question stream; /* over a connection */
};

struct upstream_request {
	struct upstream *upstream;
	struct upstream_request *next;
	struct upstream_request **link; /* what points to this request in the list of open ones */
	upstream_done_fn *done;         /* NULL: nobody waits */
	void *context;
	struct event deadline;
	struct transport transports[EXCHANGE_TRIES_MAX];
	uint8_t *kept; /* the exchange's kept reply */
	size_t kept_size;
	struct exchange exchange;
};

struct upstream {
	struct event_base *base;
	struct server_group group;
	int64_t timeout_us;
	size_t requests_max;
	struct loop_watch *loops;
	bool was_silent;     /* when upstream_came_back was asked */
	unsigned loops_read; /* the generation that the servers' states follow */
	upstream_tap_fn *tap;
	void *tap_context;
	size_t pending; /* open, but for those that nobody waits for */
	struct upstream_request *open;
	struct upstream_request *free;
	size_t free_count;
	struct upstream_counters counters;
	struct random_pool random;
	struct ports ports;
	struct streams *streams;
	int64_t said_us[UPSTREAM_SERVERS_MAX]; /* when a server's trouble was logged */
	struct event probe;
	int64_t spoofing_said_us; /* when it may be said again */
	uint8_t buffer[UDP_BUFFER_SIZE];
};

static inline int64_t upstream_mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

static inline struct timeval upstream_timeval(int64_t us)
{
	if (us < 0)
		us = 0;
	return (struct timeval){.tv_sec = us / US_PER_S, .tv_usec = us % US_PER_S};
}

/* An open request; done NULL: nobody waits for it. NULL: there are too many, or out of memory. */
struct upstream_request *upstream_request_new(
	struct upstream *upstream, upstream_done_fn *done, void *context);

/* Ends it without a word. */
void upstream_request_drop(struct upstream_request *request);

/*
 * Does what the exchange says until it waits (TD_OK) or is over: cause is the reason then, unless a
 * socket fails. A shortage of our own ends the request at once: no server is to blame, and the next
 * one would meet the same.
 */
enum td_error upstream_request_step(struct upstream_request *request, enum exchange_step step,
	enum td_error cause, int64_t now_us);

/* After anything that an exchange was told: a server may be silent since. */
void upstream_watch(struct upstream *upstream, int64_t now_us);

/* A UDP port of a request has something to read. */
void upstream_request_on_port(struct port *port);

/* What the connections call for the questions they carry; their context is the upstream. */
extern const struct stream_calls upstream_request_stream_calls;
