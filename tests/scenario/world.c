/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/scenario/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/edns.h"

static void *io_ask(void *context, const struct upstream_question *question,
	struct query_flight *flight, enum td_error *error)
{
	struct world_worker *worker = context;
	struct world *world = worker->world;
	struct world_ask *ask = &world->asks[world->ask_count];

	if (world->ask_error != TD_OK) {
		*error = world->ask_error;
		return NULL;
	}
	unsigned open = 0;
	for (unsigned i = 0; i < world->ask_count; i++)
		open += world->asks[i].open && world->asks[i].worker == worker->index;
	if (world->ask_max && open >= world->ask_max) {
		*error = TD_FULL;
		return NULL;
	}
	assert(world->ask_count < WORLD_LOG_MAX);
	world->ask_count++;
	*ask = (struct world_ask){*question, flight, worker->index, true};
	return ask;
}

static void io_cancel(void *context, void *handle)
{
	(void)context;
	((struct world_ask *)handle)->open = false;
}

static bool io_unreachable(void *context, const struct upstream_question *question)
{
	const struct world_worker *worker = context;

	(void)question;
	return worker->world->unreachable;
}

static struct world_reply *log_reply(
	struct world *world, const struct query_client *client, const uint8_t *reply, size_t length)
{
	struct world_reply *entry = &world->replies[world->reply_count++];

	assert(world->reply_count <= WORLD_LOG_MAX && length <= sizeof entry->bytes);
	entry->client = *client;
	entry->length = length;
	memcpy(entry->bytes, reply, length);
	return entry;
}

static enum td_error io_respond(
	void *context, const struct query_client *client, const uint8_t *reply, size_t length)
{
	struct world_worker *worker = context;

	if (length)
		log_reply(worker->world, client, reply, length);
	else
		worker->world->unanswered_count++;
	return TD_OK;
}

static void io_mail(void *context, unsigned to, struct query_letter *letter)
{
	struct world_worker *worker = context;
	struct world *world = worker->world;

	assert(world->post_count < WORLD_LOG_MAX);
	world->post[world->post_count].to = to;
	world->post[world->post_count++].letter = letter;
}

static void io_record(void *context, const struct transaction *transaction, const struct now *now)
{
	struct world_worker *worker = context;
	struct world *world = worker->world;
	struct world_record *record = &world->records[world->record_count++];

	(void)now;
	assert(world->record_count <= WORLD_LOG_MAX);
	record->transaction = *transaction;
	record->rule[0] = record->qname[0] = '\0';
	if (transaction->rule)
		strncpy(record->rule, transaction->rule, sizeof record->rule - 1);
	if (transaction->qname)
		name_to_text(transaction->qname, record->qname);
}

static void add_zone(struct policy_builder *builder, const char *name, enum policy_zone_kind kind,
	const char *text)
{
	struct policy_load load;

	assert(policy_builder_zone(builder, name, kind) == TD_OK);
	if (text)
		assert(policy_builder_rpz(builder, name, text, strlen(text), NULL, NULL, &load) ==
				TD_OK &&
			load.skipped == 0);
}

static void open_policy(struct world *world, const char *tunnel_zone, const char *local_zone)
{
	struct policy_builder *builder = policy_builder_new();

	add_zone(builder, "local", ZONE_LOCAL, local_zone);
	add_zone(builder, "tunnel", ZONE_TUNNEL, tunnel_zone);
	world->index = policy_builder_finish(&builder);
	world->policy.view.index = world->index;
	world->policy.view.generation = 1;
	world->policy.view.mode[0][1] = MODE_WATCH;
	world->policy.allow = &world->allow;
	world->policy.allow_count = 1;
	world->policy.block_ttl_s = 60;
	world->policy.limits =
		(struct answer_limits){.ttl_max_s = 86400, .negative_ttl_max_s = 3600};
	world->policy.trust_ad = true;
	world->policy.reason[0] = world->policy.reason[1] = EDE_BLOCKED;
	world->policy.stale_wait_us = 1800 * US_PER_MS;
	world->policy.wait_max_us = 5500 * US_PER_MS;
	world->policy.zone_id[0] = 10;
	world->policy.zone_id[1] = 11;
}

void world_open(struct world *world, const char *tunnel_zone, const char *local_zone)
{
	struct hash_seed seed = {1, 2};

	memset(world, 0, sizeof *world);
	world->now =
		(struct now){.mono_us = 1000 * US_PER_S, .wall_us = INT64_C(1790000000) * US_PER_S};
	const struct cache_settings settings = {
		.stale_us = 86400 * US_PER_S, .failure_us = 5 * US_PER_S, .prefetch = true};

	world->cache = cache_new(1 << 20, 4, &seed);
	world->rate_limit = rate_limit_new(&seed);
	cache_set(world->cache, &settings);
	assert(prefix_from_text(&world->allow, "192.0.2.0/24") == TD_OK);
	open_policy(world, tunnel_zone, local_zone);
	for (unsigned i = 0; i < WORLD_WORKERS; i++) {
		struct world_worker *worker = &world->workers[i];
		*worker = (struct world_worker){.world = world, .index = i};
		struct query_config config = {.worker = i,
			.cache = world->cache,
			.rate_limit = world->rate_limit,
			.counters = &worker->counters,
			.io = {.context = worker,
				.ask = io_ask,
				.cancel = io_cancel,
				.unreachable = io_unreachable,
				.respond = io_respond,
				.mail = io_mail,
				.record = io_record},
			.waiters_max = 100,
			.waiters_per_client_max = 60};
		worker->engine = query_engine_new(&config);
		query_set_policy(worker->engine, &world->policy);
	}
}

void world_close(struct world *world)
{
	for (unsigned i = 0; i < world->post_count; i++) {
		free(world->post[i].letter->answer);
		free(world->post[i].letter);
	}
	for (unsigned i = 0; i < WORLD_WORKERS; i++)
		query_engine_free(world->workers[i].engine);
	cache_free(world->cache);
	rate_limit_free(world->rate_limit);
	policy_index_free(world->index);
}

void world_assert_balance(const struct world *world)
{
	for (unsigned i = 0; i < WORLD_WORKERS; i++) {
		const struct worker_counters *counters = &world->workers[i].counters;
		uint64_t accounted =
			counters->answered + query_pending(world->workers[i].engine);
#define X(name) accounted += strncmp(#name, "dropped_", 8) == 0 ? counters->name : 0;
		WORKER_COUNTERS(X)
#undef X
		assert(counters->received == accounted);
		assert(counters->answered ==
			latency_count(&counters->latency[LATENCY_CACHED]) +
				latency_count(&counters->latency[LATENCY_FORWARDED]));
	}
}

void world_set_mode(struct world *world, enum policy_mode mode)
{
	world->policy.view.mode[0][1] = (uint8_t)mode;
}

void world_advance_ms(struct world *world, int64_t ms)
{
	world->now.mono_us += ms * US_PER_MS;
	world->now.wall_us += ms * US_PER_MS;
}

void world_run_ms(struct world *world, int64_t ms)
{
	int64_t end_us = world->now.mono_us + ms * US_PER_MS;

	for (;;) {
		struct query_engine *first = NULL;
		int64_t due_us = INT64_MAX;
		for (unsigned i = 0; i < WORLD_WORKERS; i++) {
			int64_t next_us = query_next_due(world->workers[i].engine);
			if (next_us < due_us) {
				first = world->workers[i].engine;
				due_us = next_us;
			}
		}
		if (due_us > end_us)
			break;
		if (due_us > world->now.mono_us) {
			world->now.wall_us += due_us - world->now.mono_us;
			world->now.mono_us = due_us;
		}
		query_tick(first, &world->now);
		world_deliver(world);
	}
	world->now.wall_us += end_us - world->now.mono_us;
	world->now.mono_us = end_us;
}

static size_t build_query(const struct world_query *query, uint8_t *packet, size_t size)
{
	struct compose compose;
	struct name name;

	assert(name_from_text(&name, query->name, strlen(query->name)) == TD_OK);
	compose_begin(&compose, packet, size, query->id, query->flags | DNS_FLAG_RD, name.wire,
		name.length, query->type, CLASS_IN);
	if (query->edns_payload) {
		uint8_t opt[11] = {0, 0, TYPE_OPT, (uint8_t)(query->edns_payload >> 8),
			(uint8_t)query->edns_payload, 0, 0, query->dnssec_ok ? 0x80 : 0};
		static const uint8_t subnet[] = {0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2};
		if (query->subnet)
			opt[10] = sizeof subnet;
		wire_write_bytes(&compose.writer, opt, sizeof opt);
		if (query->subnet)
			wire_write_bytes(&compose.writer, subnet, sizeof subnet);
		compose.counts[3]++;
	}
	return compose_finish(&compose);
}

const struct world_reply *world_ask(
	struct world *world, unsigned worker, const struct world_query *query)
{
	static uint8_t reply[DNS_MESSAGE_MAX];
	static struct query_slot slot;
	uint8_t packet[600];
	size_t size = build_query(query, packet, sizeof packet);
	struct query_client client = {
		.peer.port = (uint16_t)(1000 + query->id), .path.connection = query->tcp};
	const uint8_t octets[4] = {192, 0, 2, query->client};
	size_t length;

	client.peer.address = address_v4(octets);
	client.origin = client.peer;
	length = query_handle(world->workers[worker].engine, packet, size, &client, &world->now,
		&slot, reply, query->tcp ? sizeof reply : DNS_UDP_PAYLOAD);
	if (length == 0)
		return NULL;
	const struct world_reply *logged = log_reply(world, &client, reply, length);
	query_sent(world->workers[worker].engine, &slot, &world->now);
	query_took(world->workers[worker].engine, 1, 7);
	return logged;
}

void world_upstream_begin(struct world *world, unsigned n, struct compose *compose, uint8_t *buffer,
	size_t size, uint16_t flags)
{
	const struct upstream_question *question = &world->asks[n].question;

	assert(n < world->ask_count && world->asks[n].open);
	compose_begin(compose, buffer, size, 1, DNS_FLAG_QR | DNS_FLAG_RA | flags,
		question->qname.wire, question->qname.length, question->qtype, CLASS_IN);
}

void world_upstream_send(struct world *world, unsigned n, struct compose *compose)
{
	struct endpoint server = {.port = 53};
	const uint8_t octets[4] = {198, 51, 100, 53};
	size_t length = compose_finish(compose);
	struct world_ask *ask = &world->asks[n];

	assert(length > 0);
	server.address = address_v4(octets);
	ask->open = false;
	query_answered(world->workers[ask->worker].engine, ask->flight, TD_OK, compose->writer.data,
		length, &server, &world->now);
}

void world_upstream_rcode(struct world *world, unsigned n, uint16_t rcode)
{
	struct compose compose;
	uint8_t buffer[600];

	world_upstream_begin(world, n, &compose, buffer, sizeof buffer, rcode);
	world_upstream_send(world, n, &compose);
}

void world_upstream_fail(struct world *world, unsigned n, enum td_error error)
{
	struct world_ask *ask = &world->asks[n];

	assert(n < world->ask_count && ask->open);
	ask->open = false;
	query_answered(
		world->workers[ask->worker].engine, ask->flight, error, NULL, 0, NULL, &world->now);
}

void world_upstream_address(struct world *world, unsigned n, uint32_t ttl_s, uint8_t last_octet)
{
	const struct upstream_question *question = &world->asks[n].question;
	const uint8_t v4[4] = {203, 0, 113, last_octet};
	const uint8_t v6[16] = {0x20, 1, 0x0d, 0xb8, [15] = last_octet};
	uint8_t buffer[600];
	struct compose compose;

	world_upstream_begin(world, n, &compose, buffer, sizeof buffer, 0);
	compose_rr(&compose, SECTION_ANSWER, &question->qname, question->qtype, ttl_s,
		question->qtype == TYPE_A ? v4 : v6,
		question->qtype == TYPE_A ? sizeof v4 : sizeof v6);
	world_upstream_send(world, n, &compose);
}

void world_deliver(struct world *world)
{
	for (unsigned i = 0; i < world->post_count; i++)
		query_receive(world->workers[world->post[i].to].engine, world->post[i].letter,
			&world->now);
	world->post_count = 0;
}

int world_ede(const struct world_reply *reply)
{
	struct message_rr rr;

	for (unsigned i = 0; world_record_at(reply, i, &rr); i++) {
		const uint8_t *rdata = reply->bytes + rr.rdata_offset;
		if (rr.type != TYPE_OPT)
			continue;
		for (size_t at = 0; at + 6 <= rr.rdata_length;
			at += 4 + (size_t)(rdata[at + 2] << 8 | rdata[at + 3]))
			if ((rdata[at] << 8 | rdata[at + 1]) == EDNS_OPTION_EDE)
				return rdata[at + 4] << 8 | rdata[at + 5];
	}
	return -1;
}

uint16_t world_flags(const struct world_reply *reply)
{
	return (uint16_t)(reply->bytes[2] << 8 | reply->bytes[3]);
}

uint16_t world_rcode(const struct world_reply *reply)
{
	return world_flags(reply) & DNS_FLAG_RCODE;
}

uint16_t world_count(const struct world_reply *reply, unsigned section)
{
	return (uint16_t)(reply->bytes[4 + 2 * section] << 8 | reply->bytes[5 + 2 * section]);
}

bool world_record_at(const struct world_reply *reply, unsigned n, struct message_rr *rr)
{
	struct wire_reader reader = wire_reader_init(reply->bytes, reply->length);
	unsigned total = world_count(reply, 1) + world_count(reply, 2) + world_count(reply, 3);
	struct name qname;
	uint16_t qtype, qclass;

	message_read_header(&reader);
	message_read_question(&reader, &qname, &qtype, &qclass);
	for (unsigned i = 0; i < total && message_read_rr(&reader, rr); i++)
		if (i == n)
			return true;
	return false;
}
