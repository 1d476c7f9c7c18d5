/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A record as dnstap messages. Needs no clock and does no I/O.
 */
#pragma once

#include "resolver/telemetry/sinks/outbox.h"
#include "resolver/telemetry/record.h"

/* Who says it. */
struct dnstap_source {
	const char *identity; /* the resolver's name */
	const char *version;  /* "teredown 0.1.0" */
};

/*
 * Puts those of the kinds in messages (DNSTAP_CLIENT_QUERY …) that the record stands for into the
 * queue, a query before its response. What finds no room there is counted there. A client's
 * address is left out where the record names none that may be known.
 */
void dnstap_put(struct outbox *box, const struct dnstap_source *source, unsigned messages,
	const struct record *record);
