/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EDNS Client Subnet (RFC 7871) where it is passed on: what a client says of itself, cut to what
 * may be told, and what goes back to it. No allocation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUBNET_BITS_V4 24 /* the most that is told (RFC 7871, 11.1) */
#define SUBNET_BITS_V6 56
#define SUBNET_SENT_MAX (4 + 7)   /* an option's data as it is sent upstream */
#define SUBNET_GIVEN_MAX (4 + 16) /* as it goes back to the client */

struct subnet {
	uint8_t sent_length; /* 0: there is none */
	uint8_t sent[SUBNET_SENT_MAX];
	uint8_t given_length;
	uint8_t given[SUBNET_GIVEN_MAX]; /* the client's own, with the scope of what was sent */
};

/*
 * Reads the data of a client's option. False when it is malformed (RFC 7871, 6: family, lengths, a
 * scope, bits behind the prefix): *out is without one then.
 */
bool subnet_read(const uint8_t *data, size_t size, struct subnet *out);

/*
 * Whether the option that came back is about what was sent: family, source and address
 * (RFC 7871, 7.3). One of another subnet is not to be believed.
 */
bool subnet_answers(const struct subnet *subnet, const uint8_t *data, size_t size);
