/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where records may go, read from an option's text. Any thread.
 */
#pragma once

#include <stdbool.h>

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
