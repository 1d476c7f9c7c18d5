/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queries that wait for an answer, in the order in which they came: all of a worker, and those of
 * each client. Says who gives way when there are too many: the one that has waited longest, which
 * is the least likely to be answered still. Entries are the caller's. One thread; no clock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/base/hash.h"
#include "lib/dns/address.h"

#define WAITING_CLIENT_SLOTS 1024 /* clients that share one, by their hash, share its bound */

struct waiting_entry {
	TAILQ_ENTRY(waiting_entry) all, client;
	uint32_t slot;
};
TAILQ_HEAD(waiting_list, waiting_entry);

struct waiting {
	struct hash_seed seed;
	size_t max, client_max;
	size_t count;
	struct waiting_list all; /* the oldest first */
	struct {
		struct waiting_list list;
		size_t count;
	} clients[WAITING_CLIENT_SLOTS];
};

/* At most max entries, and client_max of one client; both at least 1. */
void waiting_init(
	struct waiting *waiting, const struct hash_seed *seed, size_t max, size_t client_max);

/* Which of the clients' lists is that of this one. */
uint32_t waiting_slot(const struct waiting *waiting, const struct address *client);

/* The entry to be removed before one of this client's can be added; NULL: there is room. */
struct waiting_entry *waiting_must_go(const struct waiting *waiting, uint32_t slot);

void waiting_add(struct waiting *waiting, struct waiting_entry *entry, uint32_t slot);
void waiting_remove(struct waiting *waiting, struct waiting_entry *entry);
