/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the daemon knows of its clients beside their queries: the key of their pseudonyms, their
 * MAC addresses and their names. Kept up to date by the main thread; workers and the collector read
 * struct identity_shared. Main thread only.
 */
#pragma once

#include "resolver/options.h"
#include "resolver/telemetry/identity.h"
#include "resolver/telemetry/notes.h"

struct event_base;
struct clients;
struct tls_context;

/* options and tls, which may be NULL, outlive it. NULL and a logged error. After privileges were
 * dropped. */
struct clients *clients_new(const struct options *options, const struct tls_context *tls);

/* What telemetry needs; it points into the options and what clients own. */
struct identity_config clients_identity(const struct clients *clients);

/* What telemetry asks for names; all zero when there are none. */
struct notes_names clients_names(struct clients *clients);

/* Begins to keep up with what changes. False and a logged error. */
bool clients_start(struct clients *clients, struct event_base *base);

/* Takes what follows from the options, which were changed in place: sources of names, whether
 * neighbours are followed. False: out of memory or descriptors; what failed is as it was. */
bool clients_reload(struct clients *clients);

/* The options' upstream servers are others, for reverse look-ups too. */
void clients_set_upstream(struct clients *clients);

/* When nobody uses what clients_identity gave; NULL is fine. */
void clients_free(struct clients *clients);
