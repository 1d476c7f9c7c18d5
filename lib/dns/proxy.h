/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PROXY protocol, version 2 (HAProxy, proxy-protocol.txt, 2.2): the header with which a proxy
 * says for whom it speaks, before each datagram or at the beginning of a connection.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/address.h"

#define PROXY_HEADER_MAX 1024 /* octets of a header with its addresses and TLVs */

struct proxy_header {
	size_t length; /* of all of it: what the proxy passes on follows */
	bool local;    /* the proxy speaks for itself, or for someone without an IP address */
	struct endpoint source; /* unless local */
};

/*
 * TD_OK; TD_TRUNCATED when data can be the beginning of a header, and more is needed; TD_MALFORMED
 * when it cannot, or when the header is longer than PROXY_HEADER_MAX. TLVs are stepped over.
 */
enum td_error proxy_read(const uint8_t *data, size_t size, struct proxy_header *out);
