/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/transfer_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct bed *bed, const char *words)
{
	size_t used = strlen(bed->log);

	snprintf(bed->log + used, sizeof bed->log - used, "%s%s", used ? " " : "", words);
}

static const char *on_connect(void *context, const struct endpoint *primary)
{
	struct bed *bed = context;
	char words[16];

	snprintf(words, sizeof words, "call %u", primary->address.octets[3]);
	put(bed, words);
	return bed->refuse_connect ? "no network" : NULL;
}

static void on_send(void *context, const uint8_t *octets, size_t size)
{
	struct bed *bed = context;

	assert_int_equal(octets[0] << 8 | octets[1], size - 2);
	bed->id = (uint16_t)(octets[2] << 8 | octets[3]);
	bed->qtype = octets[2 + 12 + zone_apex.length + 1];
	put(bed, bed->qtype == TYPE_SOA ? "SOA?" : bed->qtype == TYPE_AXFR ? "AXFR?" : "IXFR?");
}

static void on_close(void *context)
{
	(void)context;
}

static uint32_t on_random(void *context, uint32_t bound)
{
	struct bed *bed = context;

	return (uint32_t)((uint64_t)(bound - 1) * bed->random / 100);
}

static bool on_begin(void *context, bool whole)
{
	put(context, whole ? "whole" : "changes");
	return true;
}

static bool on_record(void *context, bool removed, const struct zone_record *record)
{
	struct bed *bed = context;
	const char text[3] = {removed ? '-' : '+', (char)record->owner[1], '\0'};

	put(bed, text);
	return !bed->refuse_record;
}

static bool on_takes_changes(void *context)
{
	return !((struct bed *)context)->no_changes;
}

static const char *on_why(void *context)
{
	(void)context;
	return "the disk is full";
}

static void on_abort(void *context)
{
	(void)context;
}

static bool on_commit(void *context, const struct zone_soa *soa, const struct now *now)
{
	char words[24];

	(void)now;
	snprintf(words, sizeof words, "commit %u", soa->serial);
	put(context, words);
	return !((struct bed *)context)->refuse_commit;
}

static void on_checked(void *context, const struct now *now)
{
	(void)now;
	put(context, "checked");
}

static const struct transfer_io io = {.connect = on_connect,
	.send = on_send,
	.close = on_close,
	.random = on_random,
	.begin = on_begin,
	.record = on_record,
	.takes_changes = on_takes_changes,
	.why = on_why,
	.abort = on_abort,
	.commit = on_commit,
	.checked = on_checked};

struct endpoint endpoint_of(uint8_t number)
{
	const uint8_t octets[4] = {192, 0, 2, number};

	return (struct endpoint){.address = address_v4(octets), .port = 53};
}

struct bed *bed_of(unsigned primaries, const struct zone_soa *have, int64_t checked_s)
{
	static struct bed bed;
	struct transfer_io with = io;

	if (bed.transfer)
		transfer_free(bed.transfer);
	memset(&bed, 0, sizeof bed);
	with.context = &bed;
	bed.now = (struct now){.mono_us = 1000 * US_PER_S, .wall_us = WALL_S * US_PER_S};
	bed.settings = (struct transfer_settings){
		.apex = zone_apex, .primary_count = primaries, .octets_max = 100000};
	for (uint8_t i = 0; i < primaries; i++)
		bed.settings.primaries[i] = endpoint_of((uint8_t)(i + 1));
	bed.transfer = transfer_new(&bed.settings, &with, have, checked_s, &bed.now);
	assert_non_null(bed.transfer);
	return &bed;
}

const struct zone_soa at_5 = {5, 3600, 600, 86400, 60};

void pass(struct bed *bed, int64_t us)
{
	bed->now.mono_us += us;
	bed->now.wall_us += us;
	transfer_tick(bed->transfer, &bed->now);
}

const struct transfer_status *status_of(struct bed *bed)
{
	transfer_status(bed->transfer, &bed->now, &bed->status);
	return &bed->status;
}

void give_octets(struct bed *bed, const void *octets, size_t size)
{
	transfer_input(bed->transfer, octets, size, &bed->now);
}

void give(struct bed *bed, const char *messages)
{
	char copy[512], *rest;

	snprintf(copy, sizeof copy, "%s", messages);
	for (char *part = strtok_r(copy, "|", &rest); part; part = strtok_r(NULL, "|", &rest)) {
		uint8_t length[2];
		answer_of(&bed->answer, bed->id, bed->qtype, part);
		length[0] = (uint8_t)(bed->answer.size >> 8);
		length[1] = (uint8_t)bed->answer.size;
		give_octets(bed, length, 2);
		give_octets(bed, bed->answer.octets, bed->answer.size);
	}
}

void give_rcode(struct bed *bed, uint8_t rcode)
{
	answer_of(&bed->answer, bed->id, bed->qtype, "1");
	bed->answer.octets[3] = rcode;
	const uint8_t length[2] = {0, (uint8_t)bed->answer.size};
	give_octets(bed, length, 2);
	give_octets(bed, bed->answer.octets, bed->answer.size);
}

void connected(struct bed *bed)
{
	transfer_connected(bed->transfer, &bed->now);
}

void lost(struct bed *bed)
{
	transfer_lost(bed->transfer, "reset", &bed->now);
}

void installed(struct bed *bed, const char *why)
{
	transfer_installed(bed->transfer, why, &bed->now);
}

int64_t due_s(const struct bed *bed)
{
	return (transfer_next_due(bed->transfer) - bed->now.mono_us) / US_PER_S;
}

struct bed *current(unsigned primaries)
{
	struct bed *bed = bed_of(primaries, &at_5, WALL_S - 100);

	pass(bed, 0);
	connected(bed);
	give(bed, "5");
	assert_done(bed, "call 1 SOA? checked");
	assert_state(bed, TRANSFER_CURRENT);
	return bed;
}

int end_transfer(void **state)
{
	(void)state;
	struct bed *bed = bed_of(1, NULL, 0);
	transfer_free(bed->transfer);
	return 0;
}
