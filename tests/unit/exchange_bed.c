/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/exchange_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void setup(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	assert_int_equal(name_from_text(&f->question.qname, "www.Example.com.", 16), TD_OK);
	f->question.qtype = TYPE_A;
	f->now = 1000 * US_PER_S;
	f->id = 100;
	for (uint8_t i = 0; i < 4; i++) {
		uint8_t octets[4] = {192, 0, 2, i};

		f->group.servers[i].endpoint =
			(struct endpoint){.address = address_v4(octets), .port = 53};
	}
}

const struct exchange_try *sent(const struct fixture *f)
{
	return &f->exchange.tries[f->exchange.slot];
}

void next_id(struct fixture *f)
{
	f->id++;
	memset(&f->random, 0, sizeof(f->random));
	f->random.left = sizeof(f->random.bytes);
	memcpy(&f->random.bytes[f->random.left - sizeof(f->id)], &f->id, sizeof(f->id));
}

enum exchange_step start(struct fixture *f, size_t servers)
{
	next_id(f);
	f->group.count = servers;
	return exchange_start(&f->exchange, &f->question, &f->group, f->now + 5000 * MS, &f->random,
		f->now);
}

void reply_make(struct fixture *f, uint16_t flags)
{
	size_t size = DNS_HEADER_SIZE + f->question.qname.length + 4u;

	memcpy(f->reply, sent(f)->packet.octets, size);
	wire_put_u16(f->reply, size, 2, flags | DNS_FLAG_QR | DNS_FLAG_RD | DNS_FLAG_RA);
	wire_put_u16(f->reply, size, 10, 0);
	f->reply_size = size;
}

enum exchange_step input(struct fixture *f)
{
	next_id(f);
	return exchange_input(&f->exchange, f->exchange.slot, f->reply, f->reply_size, f->now);
}

enum exchange_step input_to(struct fixture *f, unsigned slot)
{
	next_id(f);
	return exchange_input(&f->exchange, slot, f->reply, f->reply_size, f->now);
}

enum exchange_step reply(struct fixture *f, uint16_t flags)
{
	reply_make(f, flags);
	f->now += 20 * MS;
	return input(f);
}

enum exchange_step time_out(struct fixture *f)
{
	f->now = f->exchange.deadline_us;
	next_id(f);
	return exchange_timeout(&f->exchange, f->now);
}

uint16_t packet_u16(const struct fixture *f, size_t offset)
{
	struct wire_reader reader =
		wire_reader_init(sent(f)->packet.octets, sent(f)->packet.length);

	wire_read_bytes(&reader, offset);
	return wire_read_u16(&reader);
}
