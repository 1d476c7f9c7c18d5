/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of a Teredo server, as servers write them and as they should not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/teredo.h"

#define TEREDO_REPLY_MAX 512

struct teredo_reply {
	const uint8_t *nonce; /* NULL: without authentication header */
	uint8_t client_id;    /* octets of a client identifier in it */
	uint8_t confirmation;
	bool without_origin;
	bool cone; /* it answers a solicitation with the cone bit */
	bool without_prefix, without_mtu;
	uint8_t prefix_length; /* 0: 64 */
	uint8_t hop_limit;     /* 0: 255 */
	uint8_t type;          /* of ICMPv6; 0: router advertisement */
	uint8_t code;
	uint8_t empty_option; /* 1: one whose length is 0 stands at the end */
	uint16_t spoil;       /* added to the checksum */
};

/* From the server 65.55.158.118, which sees its client as 198.51.100.7 port 50000. */
size_t teredo_reply_write(uint8_t out[TEREDO_REPLY_MAX], const struct teredo_reply *reply);
