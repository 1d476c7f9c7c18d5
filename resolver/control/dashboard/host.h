/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For whom a request was meant. A page of somebody else whose name was made to lead to our address
 * (DNS rebinding) is held for our own by the browser, but its name stands in Host: only names that
 * are ours are answered. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "lib/dns/address.h"
#include "resolver/options.h"

/*
 * host: the header's value. own: where the connection came in. It is ours when it is that address
 * with its port, localhost with it where the address is loopback, an address of dashboard-listen
 * with its port, or a name of dashboard-hosts with whatever port, since something may stand in
 * front of us.
 */
bool host_is_ours(
	const struct options *options, const char *host, const struct endpoint *own, bool tls);

bool host_is_loopback(const struct address *address);
