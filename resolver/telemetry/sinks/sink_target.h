/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where records may go, read from an option's text. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/dns/address.h"

#define SINK_PATH_MAX 108 /* sun_path with its NUL */

struct syslog_target {
	unsigned facility;        /* 0 … 23, RFC 5424 section 6.2.1 */
	char path[SINK_PATH_MAX]; /* of a unix datagram socket, "" for UDP */
	struct endpoint endpoint; /* for UDP */
};

/* "syslog[:FACILITY][@DESTINATION]": a path, or an address with or without a port; by default
 * daemon and /dev/log. */
bool syslog_target_parse(struct syslog_target *out, const char *text);

/* What dnstap messages are made, as bits. */
#define DNSTAP_CLIENT_QUERY 1U       /* the query of each answer, before it */
#define DNSTAP_CLIENT_RESPONSE 2U    /* each answer */
#define DNSTAP_FORWARDER_QUERY 4U    /* each packet to an upstream server */
#define DNSTAP_FORWARDER_RESPONSE 8U /* each of theirs that matches a question */
#define DNSTAP_CLIENT (DNSTAP_CLIENT_QUERY | DNSTAP_CLIENT_RESPONSE)
#define DNSTAP_FORWARDER (DNSTAP_FORWARDER_QUERY | DNSTAP_FORWARDER_RESPONSE)

enum dnstap_kind { DNSTAP_FILE, DNSTAP_UNIX, DNSTAP_TCP };

struct dnstap_target {
	enum dnstap_kind kind;
	char path[SINK_PATH_MAX]; /* of the file or the unix stream socket */
	struct endpoint endpoint; /* for TCP */
};

/* False in a build without libfstrm and protobuf-c. */
bool dnstap_is_available(void);

/* "file:/PATH", "unix:/PATH", "tcp://ADDRESS:PORT". */
bool dnstap_target_parse(struct dnstap_target *out, const char *text);
/* The same text again; out holds SINK_PATH_MAX + 8. */
void dnstap_target_to_text(const struct dnstap_target *target, char *out);

/* The bit of "client-query" and so on; 0: there is no such message. */
unsigned dnstap_message_parse(const char *word);
