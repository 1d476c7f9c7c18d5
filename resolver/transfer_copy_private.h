/* SPDX-License-Identifier: BSD-3-Clause */
/* The octets of a copy (transfer_copy.h), for who writes and who reads them. Big-endian. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/name.h"

/* Head: magic, the length and octets of the zone's name, zeros, CRC-32C of all that. */
#define COPY_MAGIC "TDZONE\001\n"
#define COPY_HEAD_SIZE (8 + 1 + NAME_WIRE_MAX + 4)

/* Of a segment: magic, whole, from, serial, refresh, retry, expire, minimum, records and octets (64
 * bits each), CRC-32C of the octets, CRC-32C of the head. */
#define SEGMENT_MAGIC UINT32_C(0x54445a31)
#define SEGMENT_HEAD_SIZE 56

/* Of a record: removed, length of the trigger, type, TTL, length of RDATA; then both. */
#define ENTRY_HEAD_SIZE 10

/* All of size octets at offset. */
bool copy_pread(int fd, uint8_t *octets, size_t size, uint64_t offset);
