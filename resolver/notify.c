/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reply is the question with another header: opcode and id stay, so that the primary stops to
 * repeat it (RFC 1996, 3.7); who signs gets it signed. Anybody else gets what any unknown opcode
 * gets, so nobody can find out which zones there are.
 */
#include "resolver/notify.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/dns/message.h"

#define OPCODE_NOTIFY (4 << 11)
#define RCODE_NOTAUTH 9

/* --- the list --- */

static const struct key_options *find_key(const struct options *options, const char *title)
{
	for (size_t i = 0; title && i < options->key_count; i++)
		if (strcmp(options->keys[i].title, title) == 0)
			return &options->keys[i];
	return NULL;
}

static void add_zone(
	struct notify_zones *zones, const struct options *options, const struct zone_options *from)
{
	struct notify_zone *zone = &zones->zones[zones->count++];
	const struct key_options *key = find_key(options, from->key);

	zone->apex = from->zone_name;
	zone->has_key = key != NULL;
	if (key)
		zone->key = key->key;
	zone->primary_count = from->primary_count;
	for (size_t i = 0; i < from->primary_count; i++)
		zone->primaries[i] = from->primaries[i].address;
}

struct notify_zones *notify_zones_new(const struct options *options, bool *failed)
{
	struct notify_zones *zones;
	size_t count = 0;

	for (size_t i = 0; i < options->zone_count; i++)
		count += options->zones[i].primary_count > 0;
	if (count == 0)
		return NULL;
	zones = calloc(1, sizeof *zones + count * sizeof zones->zones[0]);
	if (!zones)
		*failed = true;
	for (size_t i = 0; zones && i < options->zone_count; i++)
		if (options->zones[i].primary_count > 0)
			add_zone(zones, options, &options->zones[i]);
	return zones;
}

void notify_zones_free(struct notify_zones *zones)
{
	for (size_t i = 0; zones && i < zones->count; i++)
		explicit_bzero(zones->zones[i].key.secret, sizeof zones->zones[i].key.secret);
	free(zones);
}

/* --- a packet --- */

/* The question of a NOTIFY; the reader stands behind it. */
static bool read_question(struct wire_reader *reader, struct name *qname)
{
	struct message_header header = message_read_header(reader);
	uint16_t type, class;

	if (reader->error || (header.flags & DNS_FLAG_OPCODE) != OPCODE_NOTIFY ||
		header.qdcount != 1)
		return false;
	message_read_question(reader, qname, &type, &class);
	return reader->error == TD_OK && type == TYPE_SOA && class == CLASS_IN;
}

/* The number of the primary and one; 0: it is none of the zone's. */
static unsigned primary_of(const struct notify_zone *zone, const struct address *from)
{
	for (size_t i = 0; i < zone->primary_count; i++)
		if (address_equal(&zone->primaries[i], from))
			return (unsigned)i + 1;
	return 0;
}

static const struct notify_zone *find_zone(const struct notify_zones *zones,
	const struct name *apex, const struct address *from, unsigned *primary)
{
	for (size_t i = 0; zones && i < zones->count; i++) {
		if (!name_equal(&zones->zones[i].apex, apex))
			continue;
		*primary = primary_of(&zones->zones[i], from);
		if (*primary)
			return &zones->zones[i];
	}
	return NULL;
}

static void tell(struct notify_box *box, size_t place, unsigned primary)
{
	uint64_t one = 1;

	if (place >= POLICY_ZONES_MAX ||
		atomic_exchange(&box->heard[place], (unsigned char)primary) != 0)
		return;
	/* It is full when the main thread has not come to it for long, and comes. */
	if (box->wake_fd >= 0 && write(box->wake_fd, &one, sizeof one) < 0)
		return;
}

/* Header and question, without a signature. */
static size_t write_reply(
	const uint8_t *packet, size_t question_end, uint16_t rcode, uint8_t *reply, size_t capacity)
{
	if (capacity < question_end)
		return 0;
	memcpy(reply, packet, question_end);
	wire_put_u16(reply, capacity, 2, DNS_FLAG_QR | OPCODE_NOTIFY | DNS_FLAG_AA | rcode);
	wire_put_u16(reply, capacity, 6, 0);
	wire_put_u16(reply, capacity, 8, 0);
	wire_put_u16(reply, capacity, 10, 0);
	return question_end;
}

size_t notify_answer(const struct notify_zones *zones, struct notify_box *box,
	const uint8_t *packet, size_t size, const struct address *from, uint64_t now_s,
	uint8_t *reply, size_t capacity, enum notify_result *result)
{
	struct wire_reader reader = wire_reader_init(packet, size);
	struct tsig_check check = {.result = TSIG_GOOD};
	struct name qname;
	unsigned primary = 0;
	size_t length;

	*result = NOTIFY_NONE;
	if (!read_question(&reader, &qname))
		return 0;
	*result = NOTIFY_REFUSED;
	const struct notify_zone *zone = find_zone(zones, &qname, from, &primary);
	if (!zone)
		return 0;
	if (zone->has_key)
		check = tsig_verify(&zone->key, packet, size, NULL, now_s);
	if (check.result == TSIG_GOOD) {
		*result = NOTIFY_TAKEN;
		tell(box, (size_t)(zone - zones->zones), primary);
	}
	length = write_reply(packet, reader.position, check.result ? RCODE_NOTAUTH : RCODE_NOERROR,
		reply, capacity);
	if (length && zone->has_key &&
		(check.result == TSIG_GOOD || tsig_result_error(check.result)))
		tsig_sign(&zone->key, reply, &length, capacity, &check.mac,
			check.result == TSIG_OTHER_TIME ? check.signed_s : now_s, now_s,
			tsig_result_error(check.result), NULL);
	return length;
}
