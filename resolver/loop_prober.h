/* SPDX-License-Identifier: BSD-3-Clause */
/* Sends what loop_watch.h wants sent, over UDP, and says in the log when a server begins or ends to
 * lead back to us. Main thread. */
#pragma once

#include "resolver/upstream/loop_watch.h"

struct event_base;
struct loop_prober;

/* Begins when the loop runs. NULL: out of memory or descriptors. The watch is used until it is
 * freed. */
struct loop_prober *loop_prober_new(struct event_base *base, struct loop_watch *watch);
void loop_prober_free(struct loop_prober *prober); /* NULL is fine */
