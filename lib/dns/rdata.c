/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table says what stands in the RDATA of the few types whose names may come compressed; all other
 * types are octets (RFC 3597). Decompressing every type that has names, as some do, would need a
 * row for each type to come.
 */
#include "lib/dns/rdata.h"

#include <stdbool.h>

/* What stands in RDATA, in this order: octets, character strings, names, octets. */
struct rdata_shape {
	uint16_t type;
	uint8_t fixed, strings, names, tail;
};

#define TAIL_ANY 255

/* NULL for types without names that may be compressed. */
static const struct rdata_shape *rdata_shape(uint16_t type)
{
	static const struct rdata_shape shapes[] = {{TYPE_CNAME, 0, 0, 1, 0}, {TYPE_NS, 0, 0, 1, 0},
		{TYPE_PTR, 0, 0, 1, 0}, {TYPE_MX, 2, 0, 1, 0}, {TYPE_SRV, 6, 0, 1, 0},
		{TYPE_DNAME, 0, 0, 1, 0}, {TYPE_SOA, 0, 0, 2, 20}, {3 /* MD */, 0, 0, 1, 0},
		{4 /* MF */, 0, 0, 1, 0}, {7 /* MB */, 0, 0, 1, 0}, {8 /* MG */, 0, 0, 1, 0},
		{9 /* MR */, 0, 0, 1, 0}, {14 /* MINFO */, 0, 0, 2, 0}, {17 /* RP */, 0, 0, 2, 0},
		{18 /* AFSDB */, 2, 0, 1, 0}, {21 /* RT */, 2, 0, 1, 0},
		{24 /* SIG */, 18, 0, 1, TAIL_ANY}, {26 /* PX */, 2, 0, 2, 0},
		{30 /* NXT */, 0, 0, 1, TAIL_ANY}, {35 /* NAPTR */, 4, 3, 1, 0},
		{36 /* KX */, 2, 0, 1, 0}};

	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
		if (shapes[i].type == type)
			return &shapes[i];
	return NULL;
}

static void copy_octets(struct wire_reader *from, struct wire_writer *to, size_t count)
{
	const uint8_t *octets = wire_read_bytes(from, count);

	if (octets)
		wire_write_bytes(to, octets, count);
}

static enum td_error decompress(const uint8_t *message, const struct message_rr *rr,
	const struct rdata_shape *shape, uint8_t scratch[RDATA_SCRATCH], size_t *length)
{
	struct wire_reader reader = wire_reader_init(message, rr->rdata_offset + rr->rdata_length);
	struct wire_writer writer = wire_writer_init(scratch, RDATA_SCRATCH);
	struct name name;

	reader.position = rr->rdata_offset;
	copy_octets(&reader, &writer, shape->fixed);
	for (unsigned i = 0; i < shape->strings && wire_left(&reader); i++)
		copy_octets(&reader, &writer, 1u + reader.data[reader.position]);
	for (unsigned i = 0; i < shape->names && reader.error == TD_OK; i++) {
		name_read(&reader, &name);
		if (reader.error == TD_OK)
			name_write(&writer, &name);
	}
	if (shape->tail != TAIL_ANY && wire_left(&reader) != shape->tail)
		return TD_MALFORMED;
	copy_octets(&reader, &writer, wire_left(&reader));
	*length = writer.position;
	return reader.error != TD_OK ? TD_MALFORMED : writer.error;
}

static bool fits_type(const struct message_rr *rr)
{
	if (rr->type == TYPE_A)
		return rr->rdata_length == 4;
	return rr->type != TYPE_AAAA || rr->rdata_length == 16;
}

enum td_error rdata_plain(const uint8_t *message, size_t size, const struct message_rr *rr,
	uint8_t scratch[RDATA_SCRATCH], const uint8_t **rdata, size_t *length)
{
	const struct rdata_shape *shape = rdata_shape(rr->type);

	if (!fits_type(rr) || rr->rdata_offset + rr->rdata_length > size)
		return TD_MALFORMED;
	*rdata = shape ? scratch : message + rr->rdata_offset;
	*length = rr->rdata_length;
	return shape ? decompress(message, rr, shape, scratch, length) : TD_OK;
}
