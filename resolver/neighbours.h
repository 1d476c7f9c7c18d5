/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's neighbour table (ARP and neighbour discovery), as far as it has MAC addresses: all
 * of it at the start, then every change. Loop thread only.
 */
#pragma once

#include <stdint.h>

#include "lib/dns/address.h"

struct event_base;
struct neighbours;

/* A neighbour is known by this MAC address; said again whenever it may have changed. */
typedef void neighbour_fn(void *context, const struct address *address, const uint8_t mac[6]);

/* NULL and a logged error when the kernel gives no such socket. */
struct neighbours *neighbours_open(struct event_base *base, neighbour_fn *found, void *context);
void neighbours_close(struct neighbours *neighbours); /* NULL is fine */
