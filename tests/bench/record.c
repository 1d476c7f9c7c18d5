/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a record of the query log costs, without sockets and threads: transactions go through a ring
 * as a worker writes them and become lines of a file as the collector writes them. Prints nothing;
 * run under a tool that counts instructions, for example
 *
 *   valgrind --tool=callgrind tests/bench/record FILE 20000
 *
 * A fifth of the replies is one address, a fifth NXDOMAIN with an OPT record, and three fifths are
 * a CNAME and one or two addresses, for 64 clients and 512 names.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/compose.h"
#include "lib/dns/edns.h"
#include "lib/dns/message.h"
#include "resolver/telemetry/sinks/querylog.h"
#include "resolver/telemetry/record.h"
#include "resolver/telemetry/sinks/record_json.h"

#define BATCH 64 /* records that the collector finds at a look */
#define NAMES 512
#define START INT64_C(1795294331123456)
#define STEP_US 10 /* 100,000 records a second */

enum shape { SHAPE_ADDRESS, SHAPE_NXDOMAIN, SHAPE_CNAME, SHAPE_CNAME_TWO, SHAPE_CNAME_V6, SHAPES };

struct question {
	struct name name, target;
	uint16_t type;
	uint8_t reply[512];
	size_t reply_length;
};

static void add_address(struct compose *compose, const struct name *owner, unsigned number)
{
	const uint8_t v4[4] = {192, 0, 2, (uint8_t)number};

	compose_rr(compose, SECTION_ANSWER, owner, TYPE_A, 300, v4, sizeof(v4));
}

static void add_address_v6(struct compose *compose, const struct name *owner, unsigned number)
{
	const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 2, [14] = (uint8_t)number, 0x17};

	compose_rr(compose, SECTION_ANSWER, owner, TYPE_AAAA, 300, v6, sizeof(v6));
}

static void add_cname(struct compose *compose, const struct question *question)
{
	compose_rr_name(
		compose, SECTION_ANSWER, &question->name, TYPE_CNAME, 60, &question->target);
}

static void fill_reply(struct compose *compose, const struct question *question, unsigned number)
{
	switch ((enum shape)(number % SHAPES)) {
	case SHAPE_ADDRESS:
		add_address(compose, &question->name, number);
		break;
	case SHAPE_NXDOMAIN:
		edns_write(&compose->writer, false, 0, EDE_NONE, NULL);
		compose->counts[3]++;
		break;
	case SHAPE_CNAME_TWO:
		add_cname(compose, question);
		add_address(compose, &question->target, number);
		add_address(compose, &question->target, number + 1);
		break;
	case SHAPE_CNAME_V6:
		add_cname(compose, question);
		add_address_v6(compose, &question->target, number);
		break;
	default:
		add_cname(compose, question);
		add_address(compose, &question->target, number);
	}
}

static void make_question(struct question *question, unsigned number)
{
	struct compose compose;
	char text[64];
	enum shape shape = (enum shape)(number % SHAPES);
	uint16_t flags = DNS_FLAG_QR | DNS_FLAG_RD | DNS_FLAG_RA;

	snprintf(text, sizeof(text), "www%u.department%u.example.", number, number % 7);
	name_from_text(&question->name, text, strlen(text));
	snprintf(text, sizeof(text), "edge%u.cdn.example.net.", number);
	name_from_text(&question->target, text, strlen(text));
	question->type = shape == SHAPE_CNAME_V6 ? TYPE_AAAA : TYPE_A;
	if (shape == SHAPE_NXDOMAIN)
		flags |= RCODE_NXDOMAIN;
	compose_begin(&compose, question->reply, sizeof(question->reply), (uint16_t)number, flags,
		question->name.wire, question->name.length, question->type, CLASS_IN);
	fill_reply(&compose, question, number);
	question->reply_length = compose_finish(&compose);
}

static bool write_one(struct ring *ring, const struct question *question, uint64_t number)
{
	struct transaction transaction = {
		.client.address = {.family = 4, .octets = {192, 0, 2, (uint8_t)(number % 64)}},
		.client.port = (uint16_t)(1024 + number % 60000),
		.id = (uint16_t)(number * 40503),
		.qname = question->name.wire,
		.qname_length = question->name.length,
		.qtype = question->type,
		.reply = question->reply,
		.reply_length = question->reply_length,
		.source = SOURCE_CACHE,
		.zone = ZONE_ID_NONE,
		.duration_us = (uint32_t)(number % 100),
	};

	return record_write(ring, &transaction, START + (int64_t)number * STEP_US);
}

static void collect(struct ring *ring, struct record_writer *writer, struct strbuf *line,
	struct querylog *log, const struct now *now)
{
	size_t length;
	const struct record *record;

	while ((record = ring_peek(ring, &length)) != NULL) {
		strbuf_clear(line);
		record_writer_append(writer, record, line);
		querylog_append(log, line->data, line->length, now);
		ring_release(ring);
	}
}

int main(int argc, char **argv)
{
	static struct question questions[NAMES];
	static struct zone_ids zones;
	const struct now now = {.wall_us = START};
	struct ring ring;
	struct record_writer writer;
	struct querylog log;
	struct strbuf line;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;

	if (argc < 2 || argc > 3 || count == 0) {
		fprintf(stderr, "usage: record FILE [COUNT]\n");
		return 1;
	}
	zone_ids_init(&zones);
	record_writer_init(&writer, "gw1", &zones);
	strbuf_init(&line);
	if (!ring_init(&ring, 256 << 10) || !querylog_init(&log, argv[1], &now))
		return 1;
	for (unsigned i = 0; i < NAMES; i++)
		make_question(&questions[i], i);
	for (uint64_t i = 0; i < count; i++) {
		if (!write_one(&ring, &questions[i * 7 % NAMES], i))
			return 1;
		if (i % BATCH == BATCH - 1)
			collect(&ring, &writer, &line, &log, &now);
	}
	collect(&ring, &writer, &line, &log, &now);
	querylog_deinit(&log);
	record_writer_deinit(&writer);
	strbuf_deinit(&line);
	ring_deinit(&ring);
	return writer.last_txn != count || log.dropped != 0;
}
