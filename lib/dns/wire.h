/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounded cursors over a packet, with a sticky error: read or write freely, check `error` once at the end.
 * After the first error reads return 0 and writes do nothing. All integers are big-endian.
 * The only pointer arithmetic on packets is here.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/error.h"

struct wire_reader {
	const uint8_t *data;
	size_t size;
	size_t position; /* never beyond size */
	enum td_error error; /* TD_OK, TD_TRUNCATED, or what a parser on top set */
};

struct wire_writer {
	uint8_t *data;
	size_t size;
	size_t position;
	enum td_error error; /* TD_OK or TD_NO_SPACE */
};

static inline struct wire_reader wire_reader_init(const void *data, size_t size)
{
	return (struct wire_reader){.data = data, .size = size};
}

static inline struct wire_writer wire_writer_init(void *data, size_t size)
{
	return (struct wire_writer){.data = data, .size = size};
}

/* The next count bytes, stepped over; NULL (and the sticky error) when there are fewer. */
static inline const uint8_t *wire_read_bytes(struct wire_reader *reader, size_t count)
{
	if (reader->error != TD_OK || reader->size - reader->position < count) {
		if (reader->error == TD_OK)
			reader->error = TD_TRUNCATED;
		return NULL;
	}
	const uint8_t *bytes = reader->data + reader->position;
	reader->position += count;
	return bytes;
}

static inline uint8_t wire_read_u8(struct wire_reader *reader)
{
	const uint8_t *b = wire_read_bytes(reader, 1);
	return b ? b[0] : 0;
}

static inline uint16_t wire_read_u16(struct wire_reader *reader)
{
	const uint8_t *b = wire_read_bytes(reader, 2);
	return b ? (uint16_t)(b[0] << 8 | b[1]) : 0;
}

static inline uint32_t wire_read_u32(struct wire_reader *reader)
{
	const uint8_t *b = wire_read_bytes(reader, 4);
	return b ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3] : 0;
}

static inline uint64_t wire_read_u64(struct wire_reader *reader)
{
	uint64_t high = wire_read_u32(reader);

	return high << 32 | wire_read_u32(reader);
}

static inline size_t wire_left(const struct wire_reader *reader)
{
	return reader->error == TD_OK ? reader->size - reader->position : 0;
}

/* Room for count bytes to be filled by the caller, stepped over; NULL (and TD_NO_SPACE) when there is none. */
static inline uint8_t *wire_write_room(struct wire_writer *writer, size_t count)
{
	if (writer->error != TD_OK || writer->size - writer->position < count) {
		writer->error = TD_NO_SPACE;
		return NULL;
	}
	uint8_t *room = writer->data + writer->position;
	writer->position += count;
	return room;
}

static inline void wire_write_bytes(struct wire_writer *writer, const void *bytes, size_t count)
{
	uint8_t *room = wire_write_room(writer, count);
	if (room && count)
		memcpy(room, bytes, count);
}

static inline void wire_write_u8(struct wire_writer *writer, uint8_t value)
{
	uint8_t *b = wire_write_room(writer, 1);
	if (b)
		b[0] = value;
}

static inline void wire_write_u16(struct wire_writer *writer, uint16_t value)
{
	uint8_t *b = wire_write_room(writer, 2);
	if (b) {
		b[0] = (uint8_t)(value >> 8);
		b[1] = (uint8_t)value;
	}
}

static inline void wire_write_u32(struct wire_writer *writer, uint32_t value)
{
	wire_write_u16(writer, (uint16_t)(value >> 16));
	wire_write_u16(writer, (uint16_t)value);
}

static inline void wire_write_u64(struct wire_writer *writer, uint64_t value)
{
	wire_write_u32(writer, (uint32_t)(value >> 32));
	wire_write_u32(writer, (uint32_t)value);
}

/* Overwrites two or four bytes already written or received at offset; the caller knows that they exist (asserted). */
void wire_put_u16(uint8_t *data, size_t size, size_t offset, uint16_t value);
void wire_put_u32(uint8_t *data, size_t size, size_t offset, uint32_t value);
