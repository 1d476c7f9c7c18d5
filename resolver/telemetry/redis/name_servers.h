/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is asked for the names of Redis' hosts. The main thread sets it, now and again; look-ups of
 * another one read it when they begin. Any thread.
 */
#pragma once

#include <stddef.h>

#include "lib/dns/address.h"

#define NAME_SERVERS_MAX 16

struct name_servers;

/* None yet. NULL: out of memory. */
struct name_servers *name_servers_new(void);
void name_servers_free(struct name_servers *servers); /* NULL is fine */

/* Those beyond NAME_SERVERS_MAX are left out. */
void name_servers_set(struct name_servers *servers, const struct endpoint *list, size_t count);

/* Returns how many there are. NULL has none. */
size_t name_servers_get(struct name_servers *servers, struct endpoint out[NAME_SERVERS_MAX]);
