/* SPDX-License-Identifier: BSD-3-Clause */
/* Members of the sets of an hour, taken apart. They come from Redis: anything can stand there. */
#pragma once

#include <stdbool.h>

#include "lib/dns/address.h"

#define MEMBER_CLIENT_MAX 64

/* "<client> <address> <kind>" of dropped packets. */
struct drop_member {
	char client[MEMBER_CLIENT_MAX];
	char address[ADDRESS_TEXT_MAX];
	enum drop_kind { DROP_PLAIN, DROP_UDP3544, DROP_PROTO41 } kind;
	bool other; /* what a bound turned away: nobody knows whose */
};

/* False when it is none. */
bool drop_member_parse(struct drop_member *out, const char *member);

/* "<client> <name>" of watched names; name points into member, "" for "*other". */
bool watched_member_parse(const char *member, char client[MEMBER_CLIENT_MAX], const char **name);
