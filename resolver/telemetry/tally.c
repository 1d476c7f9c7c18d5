/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flat tally of a worker. A repeated (client, cached answer) costs two probes with cheap seeded
 * mixing of fixed-size keys: the cache gave the answer a number at its birth, so neither the name
 * nor the reply has to be looked at again. Only a detail seen for the first time since the last
 * handover reads the reply's addresses, from the very bytes that leave.
 *
 * Rejected: a general table with malloc'd items (an allocation a detail, pointers that die with the
 * process), and memset to clear (megabytes touched each second, against a budget of 8 MB for the
 * whole daemon).
 */
#include "resolver/telemetry/tally.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/dns/message.h"
#include "lib/dns/name.h"
#include "lib/dns/wire.h"

#define OTHER 0

/* What was stored before is in memory no later than what is stored behind: a killed thread's stores
 * all arrive, in its own order, so only the compiler has to be told. */
static inline void publish(void)
{
	atomic_signal_fence(memory_order_release);
}

/* Multiplies two keyed words and folds the product: a full mix for keys of fixed size, where
 * SipHash would cost four times as much. */
static inline uint64_t mix(const struct hash_seed *seed, uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)(a ^ seed->k0) * (b ^ seed->k1);
	uint64_t folded = (uint64_t)product ^ (uint64_t)(product >> 64);

	product = (unsigned __int128)(folded ^ seed->k1) * (a ^ UINT64_C(0x9e3779b97f4a7c15));
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline void address_words(const struct address *address, uint64_t words[2])
{
	memcpy(words, address->octets, 16);
}

static inline bool same_address(const struct address *a, const struct address *b)
{
	uint64_t x[2], y[2];

	address_words(a, x);
	address_words(b, y);
	return x[0] == y[0] && x[1] == y[1] && a->family == b->family;
}

static void raise_last(int64_t *last_us, int64_t wall_us)
{
	if (wall_us > *last_us)
		*last_us = wall_us;
}

/* --- clients --- */

static uint32_t client_append(
	struct tally *tally, const struct address *address, int64_t wall_us, uint32_t slot)
{
	uint32_t index = tally->client_count;
	struct tally_client *client = &tally->clients[index];

	memset(client, 0, sizeof(*client));
	client->address = *address;
	client->first_us = wall_us;
	client->last_us = wall_us;
	client->slot = slot;
	publish();
	tally->client_count = index + 1;
	return index;
}

static uint32_t client_index(struct tally *tally, const struct hash_seed *seed,
	const struct address *address, int64_t wall_us)
{
	uint64_t words[2];
	address_words(address, words);
	uint64_t hash = mix(seed, words[0] + address->family, words[1]);
	uint32_t tag = (uint32_t)(hash >> 32);
	const uint32_t mask = TALLY_SLOTS(TALLY_CLIENTS) - 1;
	uint32_t at = (uint32_t)hash & mask;

	for (; tally->client_slots[at].entry != 0; at = (at + 1) & mask) {
		const struct tally_slot *slot = &tally->client_slots[at];
		if (slot->tag == tag &&
			same_address(&tally->clients[slot->entry - 1].address, address))
			return slot->entry - 1;
	}
	if (address->family == 0 || tally->client_count == TALLY_CLIENTS)
		return OTHER;
	uint32_t index = client_append(tally, address, wall_us, at);
	tally->client_slots[at] = (struct tally_slot){.tag = tag, .entry = index + 1};
	return index;
}

/* blocked + cached + forwarded + local = queries: a blocked answer is not counted by its source as
 * well. */
static enum client_counter counter_of_origin(const struct transaction *transaction)
{
	static const enum client_counter by_source[] = {
		[SOURCE_CACHE] = COUNTER_cached,
		[SOURCE_STALE] = COUNTER_cached,
		[SOURCE_UPSTREAM] = COUNTER_forwarded,
		[SOURCE_POLICY] = COUNTER_local,
		[SOURCE_LOCAL] = COUNTER_local,
		[SOURCE_ERROR] = COUNTER_local,
	};

	if (transaction->action == TRANSACTION_BLOCK)
		return COUNTER_blocked;
	return by_source[transaction->source];
}

/* An RCODE over 15 has its upper bits in the OPT record, which is not read here: only errors of
 * ours (BADVERS) have one. */
static enum client_counter counter_of_outcome(
	const struct transaction *transaction, unsigned flags, bool answered)
{
	switch (flags & DNS_FLAG_RCODE) {
	case RCODE_NOERROR:
		if (transaction->source == SOURCE_ERROR)
			return COUNTER_other;
		return answered || (flags & DNS_FLAG_TC) ? COUNTER_noerror : COUNTER_nodata;
	case RCODE_NXDOMAIN:
		return COUNTER_nxdomain;
	case RCODE_SERVFAIL:
		return COUNTER_servfail;
	case RCODE_REFUSED:
		return COUNTER_refused;
	default:
		return COUNTER_other;
	}
}

/* `queries` comes last: mend_client knows by it how far the others came. */
static void client_count(struct tally_client *client, const struct transaction *transaction)
{
	struct wire_reader reader = wire_reader_init(transaction->reply, transaction->reply_length);
	const uint8_t *header = wire_read_bytes(&reader, DNS_HEADER_SIZE);
	unsigned flags = header ? (unsigned)(header[2] << 8 | header[3]) : 0;
	bool answered = header && (header[6] | header[7]) != 0; /* ANCOUNT */

	client->counters[counter_of_origin(transaction)]++;
	client->counters[counter_of_outcome(transaction, flags, answered)]++;
	if (transaction->action == TRANSACTION_WATCH)
		client->counters[COUNTER_watched]++;
	if (flags & DNS_FLAG_TC)
		client->counters[COUNTER_truncated]++;
	if (transaction->tcp)
		client->counters[COUNTER_tcp]++;
	publish();
	client->counters[COUNTER_queries]++;
}

/* --- the appended bytes --- */

/* Room for size bytes, or NULL. */
static void *bytes_append(struct tally *tally, size_t size, size_t alignment, uint32_t *offset)
{
	size_t start = (tally->bytes_used + alignment - 1) & ~(alignment - 1);
	if (start > TALLY_BYTES || TALLY_BYTES - start < size)
		return NULL;
	*offset = (uint32_t)start;
	tally->bytes_used = (uint32_t)(start + size);
	return tally->bytes + start;
}

static bool is_address_record(const struct message_rr *rr)
{
	return rr->rr_class == CLASS_IN &&
	       ((rr->type == TYPE_A && rr->rdata_length == 4) ||
		       (rr->type == TYPE_AAAA && rr->rdata_length == 16));
}

/* The cursor at the first record of the answer section; returns how many there are. */
static unsigned open_answers(struct wire_reader *reader, const struct transaction *transaction)
{
	*reader = wire_reader_init(transaction->reply, transaction->reply_length);
	struct message_header header = message_read_header(reader);

	for (unsigned i = 0; i < header.qdcount && reader->error == TD_OK; i++) {
		struct name qname;
		uint16_t qtype, qclass;
		message_read_question(reader, &qname, &qtype, &qclass);
	}
	return reader->error == TD_OK ? header.ancount : 0;
}

static unsigned count_told(const struct transaction *transaction)
{
	struct wire_reader reader;
	struct message_rr rr;
	unsigned answers = open_answers(&reader, transaction), told = 0;

	for (; answers > 0 && message_read_rr(&reader, &rr); answers--)
		told += is_address_record(&rr);
	return told;
}

/* Stores the owner's name, folded, unless it is the question or the owner of the record before. */
static bool put_owner(struct tally *tally, const struct tally_detail *detail,
	const struct name *owner, const struct tally_told *previous, struct tally_told *told)
{
	uint8_t folded[NAME_WIRE_MAX];
	name_fold(folded, owner->wire, owner->length);
	told->owner_length = owner->length;
	if (owner->length == detail->qname_length &&
		memcmp(folded, tally->bytes + detail->qname, owner->length) == 0) {
		told->owner = detail->qname;
		return true;
	}
	if (previous && owner->length == previous->owner_length &&
		memcmp(folded, tally->bytes + previous->owner, owner->length) == 0) {
		told->owner = previous->owner;
		return true;
	}
	uint8_t *room = bytes_append(tally, owner->length, 1, &told->owner);
	if (room)
		memcpy(room, folded, owner->length);
	return room != NULL;
}

static bool put_told(
	struct tally *tally, struct tally_detail *detail, const struct transaction *transaction)
{
	unsigned count = count_told(transaction);
	if (count == 0)
		return true;
	struct tally_told *told = bytes_append(
		tally, count * sizeof(*told), _Alignof(struct tally_told), &detail->told);
	if (!told)
		return false;

	struct wire_reader reader;
	struct message_rr rr;
	unsigned answers = open_answers(&reader, transaction);
	for (; answers > 0 && message_read_rr(&reader, &rr); answers--) {
		if (!is_address_record(&rr))
			continue;
		struct tally_told *next = &told[detail->told_count];
		const uint8_t *octets = transaction->reply + rr.rdata_offset;
		next->address = rr.type == TYPE_A ? address_v4(octets) : address_v6(octets);
		if (!put_owner(
			    tally, detail, &rr.owner, detail->told_count ? next - 1 : NULL, next))
			return false;
		detail->told_count++;
	}
	return true;
}

/* --- details --- */

/* What is not a hit has none, and pays for none. */
static size_t rule_length(const struct transaction *transaction)
{
	if (transaction->action == TRANSACTION_NONE || !transaction->rule)
		return 0;
	size_t length = strlen(transaction->rule);
	return length <= TALLY_RULE_MAX ? length : 0;
}

static bool same_rule(const struct tally *tally, const struct tally_detail *detail,
	const struct transaction *transaction, size_t length)
{
	return detail->rule_length == length &&
	       (length == 0 ||
		       memcmp(tally->bytes + detail->rule, transaction->rule, length) == 0);
}

/* Stores the rule's text, unless the detail before has the same: one rule is hit by many. */
static bool put_rule(
	struct tally *tally, struct tally_detail *detail, const struct transaction *transaction)
{
	size_t length = rule_length(transaction);

	if (length == 0)
		return true;
	if (tally->detail_count && same_rule(tally, detail - 1, transaction, length)) {
		detail->rule = detail[-1].rule;
	} else {
		uint8_t *room = bytes_append(tally, length, 1, &detail->rule);
		if (!room)
			return false;
		memcpy(room, transaction->rule, length);
	}
	detail->rule_length = (uint8_t)length;
	return true;
}

static uint64_t detail_hash(
	const struct hash_seed *seed, uint32_t client, const struct transaction *transaction)
{
	uint64_t what = transaction->answer_id;
	if (what == 0)
		what = hash_bytes(seed, transaction->qname, transaction->qname_length);
	return mix(seed, what,
		(uint64_t)client << 32 | (uint64_t)transaction->zone << 8 | transaction->action);
}

static bool detail_equal(const struct tally *tally, const struct tally_detail *detail,
	uint32_t client, const struct transaction *transaction)
{
	if (detail->answer_id != transaction->answer_id || detail->client != client ||
		detail->zone != transaction->zone || detail->action != transaction->action ||
		!same_rule(tally, detail, transaction, rule_length(transaction)))
		return false;
	return transaction->answer_id != 0 ||
	       (detail->qname_length == transaction->qname_length &&
		       memcmp(tally->bytes + detail->qname, transaction->qname,
			       detail->qname_length) == 0);
}

static bool detail_fill(struct tally *tally, struct tally_detail *detail, uint32_t client,
	const struct transaction *transaction)
{
	*detail = (struct tally_detail){
		.answer_id = transaction->answer_id,
		.client = client,
		.zone = transaction->zone,
		.action = (uint8_t)transaction->action,
		.qname_length = transaction->qname_length,
	};
	uint8_t *name = bytes_append(tally, transaction->qname_length, 1, &detail->qname);
	if (!name)
		return false;
	memcpy(name, transaction->qname, transaction->qname_length);
	if (!put_rule(tally, detail, transaction))
		return false;
	return transaction->answer_id == 0 || put_told(tally, detail, transaction);
}

static struct tally_detail *detail_append(struct tally *tally, uint32_t client,
	const struct transaction *transaction, int64_t wall_us, uint32_t slot)
{
	if (tally->detail_count == TALLY_DETAILS)
		return NULL;
	uint32_t bytes_before = tally->bytes_used;
	struct tally_detail *detail = &tally->details[tally->detail_count];
	if (!detail_fill(tally, detail, client, transaction)) {
		tally->bytes_used = bytes_before;
		return NULL;
	}
	detail->slot = slot;
	detail->first_us = wall_us;
	detail->last_us = wall_us;
	publish();
	tally->detail_count++;
	return detail;
}

static struct tally_detail *detail_find(struct tally *tally, const struct hash_seed *seed,
	uint32_t client, const struct transaction *transaction, int64_t wall_us)
{
	uint64_t hash = detail_hash(seed, client, transaction);
	uint32_t tag = (uint32_t)(hash >> 32);
	const uint32_t mask = TALLY_SLOTS(TALLY_DETAILS) - 1;
	uint32_t at = (uint32_t)hash & mask;

	for (; tally->detail_slots[at].entry != 0; at = (at + 1) & mask) {
		const struct tally_slot *slot = &tally->detail_slots[at];
		if (slot->tag != tag)
			continue;
		struct tally_detail *detail = &tally->details[slot->entry - 1];
		if (detail_equal(tally, detail, client, transaction))
			return detail;
	}
	struct tally_detail *detail = detail_append(tally, client, transaction, wall_us, at);
	if (detail)
		tally->detail_slots[at] =
			(struct tally_slot){.tag = tag, .entry = tally->detail_count};
	return detail;
}

/* --- public --- */

struct tally *tally_new(void)
{
	void *block = mmap(NULL, sizeof(struct tally), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return block == MAP_FAILED ? NULL : block;
}

void tally_free(struct tally *tally)
{
	if (tally)
		munmap(tally, sizeof(*tally));
}

void tally_add(struct tally *tally, const struct hash_seed *seed,
	const struct transaction *transaction, int64_t wall_us)
{
	if (tally->queries == 0) {
		tally->hour = wall_us / US_PER_HOUR;
		publish();
		if (tally->client_count == 0)
			client_append(tally, &(struct address){0}, wall_us, 0);
	}
	uint32_t index = client_index(tally, seed, &transaction->client.address, wall_us);
	struct tally_client *client = &tally->clients[index];
	if (client->counters[COUNTER_queries] == 0)
		client->first_us = wall_us;
	client_count(client, transaction);
	raise_last(&client->last_us, wall_us);
	publish();
	tally->queries++;

	if (!transaction->qname || transaction->qname_length == 0)
		return;
	struct tally_detail *detail = detail_find(tally, seed, index, transaction, wall_us);
	if (!detail) {
		tally->details_dropped++;
		return;
	}
	publish();
	detail->queries++;
	raise_last(&detail->last_us, wall_us);
}

bool tally_is_hour(const struct tally *tally, int64_t wall_us)
{
	int64_t start_us = tally->hour * US_PER_HOUR;

	return tally->queries == 0 || (wall_us >= start_us && wall_us - start_us < US_PER_HOUR);
}

bool tally_wants_handover(const struct tally *tally)
{
	return tally->detail_count >= TALLY_DETAILS / 4 * 3 ||
	       tally->bytes_used >= TALLY_BYTES / 4 * 3 ||
	       tally->client_count >= TALLY_CLIENTS / 4 * 3;
}

void tally_clear(struct tally *tally)
{
	for (uint32_t i = OTHER + 1; i < tally->client_count; i++)
		tally->client_slots[tally->clients[i].slot].entry = 0;
	for (uint32_t i = 0; i < tally->detail_count; i++)
		tally->detail_slots[tally->details[i].slot].entry = 0;
	tally->detail_count = 0;
	publish();
	tally->client_count = 0;
	tally->queries = 0;
	tally->hour = 0;
	tally->details_dropped = 0;
	tally->bytes_used = 0;
	publish();
	tally->generation++;
}

/* --- what a dead process left --- */

static uint64_t sum_of(const struct tally_client *client, enum client_counter first,
	enum client_counter last)
{
	uint64_t sum = 0;

	for (unsigned i = first; i <= last; i++)
		sum += client->counters[i];
	return sum;
}

/* At most one query is half counted; it is completed. Its origin was counted first. */
static void mend_client(struct tally_client *client)
{
	uint64_t origins = client->counters[COUNTER_blocked] +
			   sum_of(client, COUNTER_cached, COUNTER_local);
	uint64_t outcomes = sum_of(client, COUNTER_noerror, COUNTER_other);

	client->counters[COUNTER_queries] = origins;
	if (outcomes < origins)
		client->counters[COUNTER_other] += origins - outcomes;
}

static bool is_inside(const struct tally *tally, uint32_t offset, size_t size)
{
	return offset <= tally->bytes_used && tally->bytes_used - offset >= size;
}

static bool name_is_sound(const struct tally *tally, uint32_t offset, uint8_t length)
{
	return length > 0 && is_inside(tally, offset, length) &&
	       name_wire_length(tally->bytes + offset, length) == length;
}

static bool told_is_sound(const struct tally *tally, const struct tally_detail *detail)
{
	const struct tally_told *told = (const void *)(tally->bytes + detail->told);

	if (detail->told_count == 0)
		return true;
	if (detail->told % _Alignof(struct tally_told) != 0 ||
		!is_inside(tally, detail->told, detail->told_count * sizeof(*told)))
		return false;
	for (unsigned i = 0; i < detail->told_count; i++) {
		if ((told[i].address.family != 4 && told[i].address.family != 6) ||
			!name_is_sound(tally, told[i].owner, told[i].owner_length))
			return false;
	}
	return true;
}

static bool detail_is_sound(const struct tally *tally, const struct tally_detail *detail)
{
	return detail->client < tally->client_count && detail->action <= TRANSACTION_BLOCK &&
	       detail->queries <= tally->queries &&
	       name_is_sound(tally, detail->qname, detail->qname_length) &&
	       detail->rule_length <= TALLY_RULE_MAX &&
	       is_inside(tally, detail->rule, detail->rule_length) &&
	       told_is_sound(tally, detail);
}

/* What no detail accounts for was dropped, or is the one query that was being counted. */
static void mend_details(struct tally *tally)
{
	uint64_t sum = 0;
	uint32_t sound = 0;

	for (; sound < tally->detail_count; sound++) {
		const struct tally_detail *detail = &tally->details[sound];
		if (!detail_is_sound(tally, detail) || detail->queries > tally->queries - sum)
			break;
		sum += detail->queries;
	}
	if (sound == tally->detail_count)
		return;
	tally->detail_count = sound;
	tally->details_dropped = tally->queries - sum;
}

bool tally_mend(struct tally *tally)
{
	if (tally->client_count > TALLY_CLIENTS || tally->detail_count > TALLY_DETAILS ||
		tally->bytes_used > TALLY_BYTES || tally->hour < 0 || tally->hour > UINT32_MAX)
		return false;
	tally->queries = 0;
	for (uint32_t i = 0; i < tally->client_count; i++) {
		struct tally_client *client = &tally->clients[i];
		uint8_t family = client->address.family;
		if ((i == OTHER) != (family == ADDRESS_NONE) || family > ADDRESS_EXCLUDED)
			return false;
		mend_client(client);
		tally->queries += client->counters[COUNTER_queries];
	}
	mend_details(tally);
	return true;
}

void tally_shift(struct tally *tally, int64_t shift_us)
{
	int64_t first_us = INT64_MAX;

	for (uint32_t i = 0; i < tally->client_count; i++) {
		tally->clients[i].first_us += shift_us;
		tally->clients[i].last_us += shift_us;
		if (tally->clients[i].first_us < first_us)
			first_us = tally->clients[i].first_us;
	}
	for (uint32_t i = 0; i < tally->detail_count; i++) {
		tally->details[i].first_us += shift_us;
		tally->details[i].last_us += shift_us;
	}
	if (first_us != INT64_MAX)
		tally->hour = first_us > 0 ? first_us / US_PER_HOUR : 0;
	tally->clock_us += shift_us;
}
