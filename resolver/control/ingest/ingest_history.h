/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions and answers in the logs of other DNS servers, brought together. A log that says in each
 * line whom it is about gives pairs that are certain. Plain logs of dnsmasq do not: which client
 * was told is any of those that had asked for the name lately, and all of them are named, as
 * ambiguous; where nobody had (the end of a CNAME chain), nobody is. One log, one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "lib/dns/name.h"
#include "resolver/control/ingest/ingest_gather.h"
#include "resolver/control/ingest/log_format.h"

#define HISTORY_QUERIES_MAX 512                /* that are remembered */
#define HISTORY_WINDOW_MS (10 * INT64_C(1000)) /* as long as dnsmasq waits for an answer */

struct history;

/* NULL: out of memory. */
struct history *history_new(void);
void history_free(struct history **history);

/* A LOG_DNS_QUERY. */
void history_asked(struct history *history, const struct log_entry *entry);

/* What a LOG_DNS_REPLY tells; name points into the history or the entry. */
struct history_told {
	struct address client; /* family 0: nobody knows */
	const char *name;      /* the question, where it is known, else the owner of the record */
	bool certain;
};
/* Returns how many, at least one. */
size_t history_told(const struct history *history, const struct log_entry *entry,
	struct history_told out[GATHER_NAMES_MAX]);
