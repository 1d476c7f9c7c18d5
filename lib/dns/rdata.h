/* SPDX-License-Identifier: BSD-3-Clause */
/* RDATA taken out of a message, so that it means the same without it. No allocation. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/message.h"

#define RDATA_SCRATCH 4096 /* more than any type with names inside needs */

/*
 * The RDATA of rr, whose names are not compressed any more (RFC 3597, 4): *rdata points into the
 * message where its type can hold no compressed name, else into scratch. TD_MALFORMED: a name that
 * cannot be read, octets too many or too few for its type (A, AAAA and all types with names);
 * TD_NO_SPACE.
 */
enum td_error rdata_plain(const uint8_t *message, size_t size, const struct message_rr *rr,
	uint8_t scratch[RDATA_SCRATCH], const uint8_t **rdata, size_t *length);
