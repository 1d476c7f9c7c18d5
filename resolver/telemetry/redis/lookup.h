/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses of a host, found without waiting for them: a numeric address, localhost, /etc/hosts,
 * then A and AAAA asked of given name servers. The daemon gives those it forwards to:
 * /etc/resolv.conf may name the daemon itself, and a resolver that needs itself to find its store
 * would wait for ever. Without name servers the system's resolver is asked, and that one blocks:
 * for commands. Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"

struct event_base;
struct name_servers;

#define LOOKUP_ADDRESSES_MAX 8

/* count 0: words say why. Called from the loop. */
typedef void lookup_done(
	void *context, const struct endpoint addresses[], size_t count, const char *words);

struct lookup;

/* servers outlive it, may be NULL, and are read as a look-up begins. NULL: out of memory. */
struct lookup *lookup_new(struct event_base *base, struct name_servers *servers, lookup_done *done,
	void *context);
void lookup_free(struct lookup *
		*lookup); /* no callback; the loop does not run any more, or nothing is under way */

/* One at a time; host is copied, the addresses have this port. `done` follows within about four
 * seconds, never before the loop runs again. */
void lookup_start(struct lookup *lookup, const char *host, uint16_t port);

/* No callback for what was started. */
void lookup_stop(struct lookup *lookup);
