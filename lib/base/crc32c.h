/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): finds torn and flipped octets, no attacker. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Of the octets behind those that gave crc; 0 begins. Any thread. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
