/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first paragraph of `teredown who`: what was found, in plain words with the figures behind
 * each sentence. Facts come in, text comes out: no Redis, no daemon, no clock. What is not known is
 * said to be unknown, or not at all; it is never put as zero.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"
#include "lib/dns/name.h"
#include "policy/policy.h"
#include "resolver/control/who_period.h"

enum who_kind { WHO_ADDRESS, WHO_NAME, WHO_CLIENT };

/* What logs said of addresses, by the hour. */
struct who_logs {
	uint64_t dropped, passed, proxied; /* packets, packets, requests */
	uint64_t told;                     /* lookups in all hours that are kept */
	uint64_t lookups;                  /* in the hours from the first drop to the last */
	int64_t first_hour, last_hour;     /* of drops, since 1970; 0: none */
	bool shared;                       /* other names lead there, too */
};

/* Which logs were read, by what they can say. */
enum who_log_kind { WHO_LOG_FIREWALL, WHO_LOG_PROXY, WHO_LOG_DNS, WHO_LOG_EVENTS, WHO_LOG_KINDS };
struct who_log_source {
	size_t files;
	int64_t first_ms, last_ms; /* 0 unknown */
};

/* What the daemon does with a question now. */
enum who_verdict { VERDICT_NONE, VERDICT_WATCH, VERDICT_BLOCK, VERDICT_LOCAL, VERDICT_PASS };
struct who_rule {
	const char *name;  /* asked about */
	const char *owner; /* the end of its CNAME chain, where that is what matches; else NULL */
	enum who_verdict verdict;
	char zone[POLICY_ZONE_NAME_MAX]; /* and these: "" for VERDICT_NONE */
	char mode[16], action[16];
	char rule[NAME_TEXT_MAX];
	uint64_t hits; /* of the rule, by any name and client, as far as Redis counts them */
	bool refused; /* the client is not served at all */
};

struct who_list {
	const char *const *words; /* most important first */
	size_t count;
	bool cut; /* there are more than were read */
};

struct who_facts {
	enum who_kind kind;
	const char *subject;   /* the address, name or client */
	struct who_list names; /* that led to the address; that the client asked and a rule knows */
	struct who_list hosts; /* clients that asked, but for that of a client */
	struct who_list addresses; /* told for the name */
	uint64_t lookups;          /* answers that told the address; queries */
	int64_t first_ms, last_ms; /* of them; 0 unknown */
	int64_t now_ms;
	struct period often,
		seldom; /* of the host that asks most often, and of that which does least */
	struct who_logs logs;
	struct who_log_source sources[WHO_LOG_KINDS];
	const struct who_rule *rules; /* of the names */
	size_t rule_count;
};

/* The paragraph, wrapped nowhere, ended by a newline; nothing where there is nothing to say. */
void who_tell(const struct who_facts *facts, struct strbuf *out);

/* "watch", "block", … for JSON. */
const char *who_verdict_name(enum who_verdict verdict);
/* "answered NXDOMAIN", …: what a client gets, for a table. */
const char *who_verdict_words(const struct who_rule *rule);
