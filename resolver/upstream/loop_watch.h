/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether an upstream server leads back to us, itself or by way of a third. Each server is asked,
 * at the start and now and then, for a name that nobody else knows; who asks us for it shows that
 * what we send to that server comes back. Knows neither sockets nor clocks; the sending is the main
 * thread's (loop_prober.h), the recognising the workers'.
 *
 *   probed → (the name comes within LOOP_WINDOW_US) → looping → probed every LOOP_AGAIN_US …
 *          → (nothing comes) → not looping
 *
 * Locking: one mutex over all servers, held for a walk of the table. What workers ask on a query's
 * path is an atomic number, or, on a miss of a name of that form, one such walk.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/dns/address.h"
#include "lib/dns/name.h"

#define LOOP_SERVERS_MAX 256 /* more are not watched */
#define LOOP_WINDOW_US (5 * US_PER_S)
#define LOOP_AGAIN_US (30 * US_PER_S)         /* a looping server, or one that asked us something */
#define LOOP_NOW_AND_THEN_US (600 * US_PER_S) /* any server */
#define LOOP_NAME_LENGTH 32                   /* octets of a marker, in wire form */

struct loop_watch;

struct loop_watch *loop_watch_new(const struct hash_seed *secret); /* NULL: out of memory */
void loop_watch_free(struct loop_watch *watch);                    /* NULL is fine */

/* Exchanges the servers; what is known of one that stays, stays, but a looping one is asked again at
 * once. Main thread. */
void loop_watch_set_servers(
	struct loop_watch *watch, const struct endpoint *servers, size_t count, int64_t now_us);

/*
 * A server to be asked now, and for what; it counts as asked. False: none is due. Main thread,
 * until false, some time a second.
 */
bool loop_watch_next(
	struct loop_watch *watch, int64_t now_us, struct endpoint *server, struct name *marker);

/* Any thread: whether a name, folded, has the form of a marker. */
bool loop_is_marker(const uint8_t *folded, size_t length);

/*
 * Any thread: somebody asks for that name. True when it is one we sent within LOOP_WINDOW_US: its
 * server is looping from now on.
 */
bool loop_watch_seen(
	struct loop_watch *watch, const uint8_t *folded, size_t length, int64_t now_us);

/* Any thread: a query came from this address. If it is a server's, that one is asked again soon. */
void loop_watch_heard(struct loop_watch *watch, const struct address *address, int64_t now_us);

/* Any thread. Differs from an earlier value when the looping servers do. */
unsigned loop_watch_generation(struct loop_watch *watch);
bool loop_watch_is_looping(struct loop_watch *watch, const struct endpoint *server);

/* Looping servers, and how often that began. Any thread. */
size_t loop_watch_count(struct loop_watch *watch, uint64_t *found);
