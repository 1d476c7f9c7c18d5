/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How often somebody may try to sign in. Addresses are taken by their network (/24, /64), since
 * whoever has one has its neighbours. A network has SIGN_IN_FREE tries, then each one that fails
 * doubles the wait for the next, up to SIGN_IN_WAIT_MAX_MS; it is forgotten SIGN_IN_FORGET_MS after
 * its last try. All networks together have a bucket of tries, so that many of them cannot guess (or
 * keep the processors at hashing) in turns. Loopback is not in that bucket: whoever is at the
 * machine itself cannot be locked out by strangers.
 *
 * A try counts as failed as soon as it begins, so that many at once do not slip through. Passive:
 * no clock; one thread, or the caller's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"

#define SIGN_IN_NETWORKS_MAX 1024
#define SIGN_IN_FREE 5
#define SIGN_IN_WAIT_MAX_MS (15 * 60 * 1000)
#define SIGN_IN_FORGET_MS (60 * 60 * 1000)
#define SIGN_IN_BUCKET 60      /* tries of all networks at once */
#define SIGN_IN_REFILL_MS 2000 /* one more after so long */

struct sign_in_network {
	struct address network; /* ADDRESS_NONE: free */
	uint32_t failures;
	int64_t tried_ms, open_ms; /* the last try; when the next may be */
};

struct sign_in_limit {
	struct sign_in_network networks[SIGN_IN_NETWORKS_MAX];
	int64_t bucket_ms;    /* in units of time: SIGN_IN_REFILL_MS is one try */
	int64_t filled_ms;    /* when that was so */
	uint64_t turned_away; /* tries that came too early */
	uint64_t forgotten;   /* networks, for want of room */
};

void sign_in_init(struct sign_in_limit *limit, int64_t now_ms);

/* Begins a try. 0, or after how many milliseconds the next one may be. An address that is none is
 * one of a network of its own. */
int64_t sign_in_try(struct sign_in_limit *limit, const struct address *address, int64_t now_ms);
/* The try was right: the network starts anew, and the bucket has it back. */
void sign_in_succeeded(struct sign_in_limit *limit, const struct address *address, int64_t now_ms);
/* The try was not looked at: as if it had not been. */
void sign_in_take_back(struct sign_in_limit *limit, const struct address *address, int64_t now_ms);
