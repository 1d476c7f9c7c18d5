/* SPDX-License-Identifier: BSD-3-Clause */
/* The two writes into packets that happen behind a cursor: patched ids, counts and TTLs. */
#include "lib/dns/wire.h"

#include <assert.h>

void wire_put_u16(uint8_t *data, size_t size, size_t offset, uint16_t value)
{
	assert(size >= 2 && offset <= size - 2);
	data[offset] = (uint8_t)(value >> 8);
	data[offset + 1] = (uint8_t)value;
}

void wire_put_u32(uint8_t *data, size_t size, size_t offset, uint32_t value)
{
	assert(size >= 4 && offset <= size - 4);
	wire_put_u16(data, size, offset, (uint16_t)(value >> 16));
	wire_put_u16(data, size, offset + 2, (uint16_t)value);
}
