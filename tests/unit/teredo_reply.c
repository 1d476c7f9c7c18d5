/* SPDX-License-Identifier: BSD-3-Clause */
/* The checksum is computed here once more, so that it does not rest on the code under test. */
#include "tests/unit/teredo_reply.h"

#include <string.h>

#include "lib/dns/wire.h"

static const uint8_t server_address[16] = {
	0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x80, 0, 0xf2, 0x27, 0xbe, 0xc8, 0x61, 0x89};
static const uint8_t prefix_octets[16] = {0x20, 0x01, 0, 0, 0x41, 0x37, 0x9e, 0x76};

static void write_headers(struct wire_writer *writer, const struct teredo_reply *reply)
{
	if (reply->nonce) {
		wire_write_u16(writer, 1);
		wire_write_u8(writer, reply->client_id);
		wire_write_u8(writer, 0);
		for (unsigned i = 0; i < reply->client_id; i++)
			wire_write_u8(writer, 'c');
		wire_write_bytes(writer, reply->nonce, TEREDO_NONCE_SIZE);
		wire_write_u8(writer, reply->confirmation);
	}
	if (!reply->without_origin) {
		wire_write_u16(writer, 0);
		wire_write_u16(writer, (uint16_t)~50000);
		wire_write_u32(writer, ~UINT32_C(0xc6336407));
	}
}

static void write_message(struct wire_writer *writer, const struct teredo_reply *reply)
{
	wire_write_u8(writer, reply->type ? reply->type : 134);
	wire_write_u8(writer, reply->code);
	wire_write_u16(writer, 0); /* checksum */
	wire_write_u32(writer, 0);
	wire_write_u32(writer, 0);
	wire_write_u32(writer, 2000);
	if (!reply->without_prefix) {
		wire_write_u8(writer, 3);
		wire_write_u8(writer, 4);
		wire_write_u8(writer, reply->prefix_length ? reply->prefix_length : 64);
		wire_write_u8(writer, 0x40);
		wire_write_u32(writer, UINT32_MAX);
		wire_write_u32(writer, UINT32_MAX);
		wire_write_u32(writer, 0);
		wire_write_bytes(writer, prefix_octets, sizeof(prefix_octets));
	}
	if (!reply->without_mtu) {
		wire_write_u16(writer, 0x0501);
		wire_write_u16(writer, 0);
		wire_write_u32(writer, 1280);
	}
	if (reply->empty_option)
		wire_write_u32(writer, 0);
}

static uint16_t checksum_of(const uint8_t *destination, const uint8_t *message, size_t size)
{
	uint8_t all[TEREDO_REPLY_MAX + 40] = {0};
	struct wire_writer writer = wire_writer_init(all, sizeof(all));
	uint64_t sum = 0;

	wire_write_bytes(&writer, server_address, 16);
	wire_write_bytes(&writer, destination, 16);
	wire_write_u32(&writer, (uint32_t)size);
	wire_write_u32(&writer, 58);
	wire_write_bytes(&writer, message, size);
	struct wire_reader reader = wire_reader_init(all, (writer.position + 1) & ~(size_t)1);
	while (wire_left(&reader) > 0)
		sum += wire_read_u16(&reader);
	return (uint16_t) ~(sum % 0xffff);
}

size_t teredo_reply_write(uint8_t out[TEREDO_REPLY_MAX], const struct teredo_reply *reply)
{
	uint8_t message[128], destination[16] = {0xfe, 0x80};
	struct wire_writer body = wire_writer_init(message, sizeof(message));
	struct wire_writer writer = wire_writer_init(out, TEREDO_REPLY_MAX);

	memset(destination + 10, 0xff, 6);
	if (reply->cone)
		destination[8] = 0x80;
	write_message(&body, reply);
	uint16_t checksum = checksum_of(destination, message, body.position);
	wire_put_u16(message, sizeof(message), 2, (uint16_t)(checksum + reply->spoil));
	write_headers(&writer, reply);
	wire_write_u32(&writer, UINT32_C(6) << 28);
	wire_write_u16(&writer, (uint16_t)body.position);
	wire_write_u8(&writer, 58);
	wire_write_u8(&writer, reply->hop_limit ? reply->hop_limit : 255);
	wire_write_bytes(&writer, server_address, 16);
	wire_write_bytes(&writer, destination, 16);
	wire_write_bytes(&writer, message, body.position);
	return writer.position;
}
