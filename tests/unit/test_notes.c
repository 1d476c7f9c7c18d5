/* SPDX-License-Identifier: BSD-3-Clause */
/* resolver/telemetry: what is noted of clients: names that are sent, and who looks like a
 * forwarder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/name.h"
#include "resolver/telemetry/notes.h"

static const struct hash_seed seed = {5, 6};
static const struct pending_limits limits = {
	.clients = 100000, .tops = 100000, .details = 100000, .lines = 10, .line_bytes = 1000};

struct bed {
	struct notes *notes;
	struct pending pending;
	struct tally *tally;
	struct now now;
	const char *name; /* that find gives */
	uint32_t generation;
	unsigned finds, suspects;
	struct notes_suspect suspect;
};

static bool find(void *context, const struct address *client, char *out)
{
	struct bed *bed = context;
	(void)client;
	bed->finds++;
	if (bed->name)
		snprintf(out, NOTES_NAME_SIZE, "%s", bed->name);
	return bed->name != NULL;
}

static uint32_t generation(void *context)
{
	return ((struct bed *)context)->generation;
}

static void bed_open(struct bed *bed, bool names)
{
	memset(bed, 0, sizeof(*bed));
	bed->now.mono_us = US_PER_S;
	bed->now.wall_us = 1795000000 * US_PER_S;
	bed->notes = notes_new(
		&(struct notes_names){bed, names ? find : NULL, names ? generation : NULL}, &seed);
	bed->tally = tally_new();
	pending_init(&bed->pending, &limits, &seed);
	assert_non_null(bed->notes);
	assert_non_null(bed->tally);
}

static void bed_close(struct bed *bed)
{
	notes_free(bed->notes);
	tally_free(bed->tally);
	pending_deinit(&bed->pending);
}

static void ask(struct bed *bed, uint32_t client, const char *qname)
{
	uint8_t reply[12] = {0};
	struct name name;
	assert_int_equal(name_from_text(&name, qname, strlen(qname)), TD_OK);
	struct transaction t = {.reply = reply,
		.reply_length = sizeof(reply),
		.qname = name.wire,
		.qname_length = name.length,
		.zone = ZONE_ID_NONE};
	uint8_t octets[4] = {10, (uint8_t)(client >> 16), (uint8_t)(client >> 8), (uint8_t)client};
	t.client.address = address_v4(octets);
	tally_add(bed->tally, &seed, &t, bed->now.wall_us);
}

static void on_suspect(void *context, const struct notes_suspect *suspect)
{
	struct bed *bed = context;
	bed->suspects++;
	bed->suspect = *suspect;
}

static void look(struct bed *bed)
{
	notes_look(bed->notes, bed->tally, &bed->pending, &bed->now, on_suspect, bed);
	tally_clear(bed->tally);
}

/* The field that waits to be sent, in order; NULL: none. */
static const char *take_field(struct bed *bed, enum pending_field field)
{
	static char text[NOTES_NAME_SIZE];
	struct pending_item *item = pending_take(&bed->pending, &bed->pending.details);
	if (!item)
		return NULL;
	assert_int_equal(item->key.kind, PENDING_FIELD);
	assert_int_equal(item->key.when, field);
	pending_field_text(item, text);
	pending_item_free(item);
	return text;
}

static void a_name_is_sent_when_it_changes(void **state)
{
	struct bed bed;
	(void)state;
	bed_open(&bed, true);
	ask(&bed, 1, "a.example");
	look(&bed);
	assert_null(take_field(&bed, FIELD_NAME)); /* none, and none was known */
	bed.name = "desk";
	ask(&bed, 1, "a.example");
	look(&bed);
	assert_int_equal(bed.finds, 1); /* nothing changed, they say */
	bed.generation++;
	ask(&bed, 1, "a.example");
	look(&bed);
	assert_string_equal(take_field(&bed, FIELD_NAME), "desk");
	bed.generation++;
	ask(&bed, 1, "a.example");
	look(&bed);
	assert_null(take_field(&bed, FIELD_NAME));
	bed.now.mono_us += 3601 * US_PER_S;
	ask(&bed, 1, "a.example");
	look(&bed);
	assert_string_equal(take_field(&bed, FIELD_NAME), "desk"); /* Redis may have lost it */
	bed.name = NULL;
	bed.generation++;
	ask(&bed, 1, "a.example");
	look(&bed);
	assert_string_equal(take_field(&bed, FIELD_NAME), "");
	bed_close(&bed);
}

static void ask_names(struct bed *bed, uint32_t client, const char *start, unsigned count)
{
	char qname[80];
	for (unsigned i = 0; i < count; i++) {
		snprintf(qname, sizeof(qname), "%s%u.example", start, i);
		ask(bed, client, qname);
		if (tally_wants_handover(bed->tally))
			look(bed);
	}
	look(bed);
}

static void a_busy_desktop_is_no_forwarder(void **state)
{
	static const char *const own[] = {"www.msftconnecttest.com", "dns.msftncsi.com",
		"connectivity-check.ubuntu.com", "detectportal.firefox.com"};
	struct bed bed;
	(void)state;
	bed_open(&bed, false);
	for (unsigned hour = 0; hour < 3; hour++) {
		for (unsigned i = 0; i < 4; i++)
			ask(&bed, 1, own[i]);
		ask_names(&bed, 1, "host", 2500);
		ask_names(&bed, 1, "host", 2500); /* the same once more */
		bed.now.mono_us += 3600 * US_PER_S;
	}
	assert_int_equal(bed.suspects, 0);
	assert_null(take_field(&bed, FIELD_FORWARDER));
	bed_close(&bed);
}

static void many_names_are_a_forwarder(void **state)
{
	struct notes_suspect suspects[NOTES_SUSPECTS];
	struct bed bed;
	uint64_t total;
	(void)state;
	bed_open(&bed, false);
	ask_names(&bed, 1, "host", 6000);
	assert_int_equal(bed.suspects, 1);
	assert_in_range(bed.suspect.names, NOTES_NAMES, 7500);
	assert_string_equal(bed.suspect.systems, "-");
	const char *why = take_field(&bed, FIELD_FORWARDER);
	assert_non_null(strstr(why, "different names in an hour"));
	assert_null(take_field(&bed, FIELD_FORWARDER));
	ask_names(&bed, 1, "other", 6000);
	assert_int_equal(bed.suspects, 1); /* once */
	assert_int_equal(notes_suspects(bed.notes, suspects, &total), 1);
	assert_int_equal(total, 1);
	bed.now.mono_us += 3600 * US_PER_S;
	ask(&bed, 1, "a.example");
	look(&bed);
	assert_non_null(take_field(&bed, FIELD_FORWARDER)); /* marked again */
	bed_close(&bed);
}

static void several_systems_are_a_forwarder(void **state)
{
	struct bed bed;
	(void)state;
	bed_open(&bed, false);
	ask(&bed, 1, "captive.apple.com");
	ask(&bed, 2, "connectivitycheck.gstatic.com");
	ask(&bed, 1, "www.msftconnecttest.com");
	look(&bed);
	assert_int_equal(bed.suspects, 0);
	bed.now.mono_us += 3600 * US_PER_S; /* an hour later, another host of two systems */
	ask(&bed, 1, "connectivitycheck.gstatic.com");
	ask(&bed, 1, "captive.apple.com");
	look(&bed);
	assert_int_equal(bed.suspects, 0);
	ask(&bed, 1, "www.msftconnecttest.com");
	look(&bed);
	assert_int_equal(bed.suspects, 1);
	assert_string_equal(bed.suspect.systems, "Windows,Android,Apple");
	assert_true(bed.suspect.names < 100);
	bed_close(&bed);
}

static void clients_are_bounded(void **state)
{
	struct notes_suspect suspects[NOTES_SUSPECTS];
	struct bed bed;
	uint64_t total;
	(void)state;
	bed_open(&bed, false);
	for (uint32_t client = 0; client < 3 * NOTES_MAX; client++) {
		ask(&bed, client, "captive.apple.com");
		if (tally_wants_handover(bed.tally))
			look(&bed);
	}
	look(&bed);
	for (uint32_t client = 0; client < 40; client++) {
		ask(&bed, client, "captive.apple.com");
		ask(&bed, client, "connectivitycheck.gstatic.com");
		ask(&bed, client, "www.msftconnecttest.com");
	}
	look(&bed);
	assert_int_equal(bed.suspects, 40);
	assert_int_equal(notes_suspects(bed.notes, suspects, &total), NOTES_SUSPECTS);
	assert_int_equal(total, 40);
	assert_int_equal(suspects[NOTES_SUSPECTS - 1].client.octets[3], 39);
	assert_int_equal(suspects[0].client.octets[3], 40 - NOTES_SUSPECTS);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_sent_when_it_changes),
		cmocka_unit_test(a_busy_desktop_is_no_forwarder),
		cmocka_unit_test(many_names_are_a_forwarder),
		cmocka_unit_test(several_systems_are_a_forwarder),
		cmocka_unit_test(clients_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
