/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Different names are counted by linear counting over a sample: one name in 16, by its hash, sets
 * one of 512 bits, which tells 4,000 names within some percent in 64 octets a client. A set of
 * names or a HyperLogLog for each of thousands of clients would take megabytes.
 */
#include "resolver/telemetry/notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/table.h"
#include "lib/dns/name.h"

#define HOUR_US US_PER_HOUR
#define SAMPLE 16
#define BITS 512
#define TOLD_US HOUR_US /* a name is sent again after this: Redis may have lost it */

enum system {
	SYSTEM_WINDOWS,
	SYSTEM_ANDROID,
	SYSTEM_APPLE,
	SYSTEM_LINUX,
	SYSTEM_NINTENDO,
	SYSTEMS
};

static const char *const system_words[SYSTEMS] = {
	"Windows", "Android", "Apple", "Linux", "Nintendo"};

static const struct {
	const char *name;
	enum system system;
} checks[] = {
	{"www.msftconnecttest.com", SYSTEM_WINDOWS},
	{"ipv6.msftconnecttest.com", SYSTEM_WINDOWS},
	{"www.msftncsi.com", SYSTEM_WINDOWS},
	{"dns.msftncsi.com", SYSTEM_WINDOWS},
	{"connectivitycheck.gstatic.com", SYSTEM_ANDROID},
	{"connectivitycheck.android.com", SYSTEM_ANDROID},
	{"captive.apple.com", SYSTEM_APPLE},
	{"connectivity-check.ubuntu.com", SYSTEM_LINUX},
	{"nmcheck.gnome.org", SYSTEM_LINUX},
	{"network-test.debian.org", SYSTEM_LINUX},
	{"ping.archlinux.org", SYSTEM_LINUX},
	{"conntest.nintendowifi.net", SYSTEM_NINTENDO},
	{"ctest.cdn.nintendo.net", SYSTEM_NINTENDO},
};
#define CHECKS (sizeof(checks) / sizeof(checks[0]))

struct note {
	struct note *older, *newer;
	uint64_t hash;
	struct address client;
	uint32_t generation; /* of names, when the name was looked for */
	uint64_t told;       /* hash of the name that was sent; 0: none */
	int64_t told_us;     /* monotonic */
	int64_t hour_us;     /* monotonic: since when bits and systems are collected */
	bool looked;
	char *why;         /* it looks like a forwarder; NULL: not yet */
	int64_t marked_us; /* monotonic: when Redis was told so */
	uint8_t systems;
	uint64_t bits[BITS / 64];
};

struct notes {
	struct notes_names names;
	struct hash_seed seed;
	struct table table;
	struct note *oldest, *newest;
	struct name check_names[CHECKS];
	struct notes_suspect suspects[NOTES_SUSPECTS]; /* a ring */
	uint64_t suspect_count;
};

/* --- the clients --- */

static bool note_equal(const void *item, const void *key)
{
	return address_equal(&((const struct note *)item)->client, key);
}

static void unlink_note(struct notes *notes, struct note *note)
{
	if (note->older)
		note->older->newer = note->newer;
	else
		notes->oldest = note->newer;
	if (note->newer)
		note->newer->older = note->older;
	else
		notes->newest = note->older;
}

static void append_note(struct notes *notes, struct note *note)
{
	note->older = notes->newest;
	note->newer = NULL;
	if (notes->newest)
		notes->newest->newer = note;
	else
		notes->oldest = note;
	notes->newest = note;
}

static void forget_oldest(struct notes *notes)
{
	struct note *note = notes->oldest;

	unlink_note(notes, note);
	table_remove(&notes->table, note->hash, note_equal, &note->client);
	free(note->why);
	free(note);
}

static struct note *note_of(struct notes *notes, const struct address *client, int64_t mono_us)
{
	uint64_t hash = hash_bytes(&notes->seed, client, sizeof(*client));
	struct note *note = table_find(&notes->table, hash, note_equal, client);

	if (note) {
		unlink_note(notes, note);
		append_note(notes, note);
		return note;
	}
	if (notes->table.count == NOTES_MAX)
		forget_oldest(notes);
	note = calloc(1, sizeof(*note));
	if (!note)
		return NULL;
	note->hash = hash;
	note->client = *client;
	note->hour_us = mono_us;
	if (table_insert(&notes->table, hash, note) != TD_OK) {
		free(note);
		return NULL;
	}
	append_note(notes, note);
	return note;
}

/* --- names --- */

static void look_for_name(struct notes *notes, struct note *note, struct pending *pending,
	uint32_t generation, int64_t mono_us)
{
	char name[NOTES_NAME_SIZE];
	bool again = note->told && mono_us - note->told_us >= TOLD_US;

	if (note->looked && note->generation == generation && !again)
		return;
	if (!notes->names.find(notes->names.context, &note->client, name))
		name[0] = '\0';
	uint64_t hash = name[0] ? hash_bytes(&notes->seed, name, strlen(name)) | 1 : 0;
	note->looked = true;
	note->generation = generation;
	if (hash == note->told && !again)
		return;
	if (!pending_set_field(pending, &note->client, FIELD_NAME, name)) {
		note->looked = false;
		return;
	}
	note->told = hash;
	note->told_us = mono_us;
}

/* --- forwarders --- */

static void collect(struct notes *notes, struct note *note, const uint8_t *name, uint8_t length)
{
	uint64_t hash = hash_bytes(&notes->seed, name, length);

	if (hash % SAMPLE == 0)
		note->bits[hash / SAMPLE % (BITS / 64)] |= UINT64_C(1)
							   << (hash / SAMPLE / (BITS / 64) % 64);
	for (size_t i = 0; i < CHECKS; i++) {
		if (notes->check_names[i].length == length &&
			memcmp(notes->check_names[i].wire, name, length) == 0)
			note->systems |= (uint8_t)(1u << checks[i].system);
	}
}

static unsigned bits_set(const struct note *note)
{
	unsigned count = 0;

	for (size_t i = 0; i < BITS / 64; i++)
		count += (unsigned)__builtin_popcountll(note->bits[i]);
	return count;
}

/* How many draws it takes on average until so many of the bits are set: close to the linear
 * counting of Whang, Vander-Zanden and Taylor (1990), without a logarithm. */
static unsigned names_seen(const struct note *note)
{
	unsigned set = bits_set(note);
	double draws = 0;

	for (unsigned i = 0; i < set && i < BITS; i++)
		draws += (double)BITS / (BITS - i);
	return (unsigned)(draws * SAMPLE);
}

static bool looks_like_forwarder(const struct note *note, struct notes_suspect *out)
{
	size_t length = 0;

	*out = (struct notes_suspect){
		.client = note->client, .names = names_seen(note), .systems = "-"};
	for (int i = 0; i < SYSTEMS; i++) {
		if (note->systems >> i & 1)
			length += (size_t)snprintf(out->systems + length,
				sizeof(out->systems) - length, "%s%s", length ? "," : "",
				system_words[i]);
	}
	return out->names >= NOTES_NAMES || __builtin_popcount(note->systems) >= NOTES_SYSTEMS;
}

/* Its mark in Redis, again now and then. */
static void mark(struct note *note, struct pending *pending, int64_t mono_us)
{
	if (note->marked_us && mono_us - note->marked_us < TOLD_US)
		return;
	if (pending_set_field(pending, &note->client, FIELD_FORWARDER, note->why))
		note->marked_us = mono_us;
}

/* True the first time. */
static bool judge(struct notes *notes, struct note *note)
{
	struct notes_suspect suspect;
	char why[NOTES_WHY_SIZE];

	if (note->why || !looks_like_forwarder(note, &suspect))
		return false;
	notes_words(&suspect, why);
	note->why = strdup(why);
	if (note->why)
		notes->suspects[notes->suspect_count++ % NOTES_SUSPECTS] = suspect;
	return note->why != NULL;
}

/* --- public --- */

struct notes *notes_new(const struct notes_names *names, const struct hash_seed *seed)
{
	struct notes *notes = calloc(1, sizeof(*notes));

	if (!notes)
		return NULL;
	notes->names = *names;
	notes->seed = *seed;
	table_init(&notes->table, NOTES_MAX);
	for (size_t i = 0; i < CHECKS; i++)
		name_from_text(&notes->check_names[i], checks[i].name, strlen(checks[i].name));
	return notes;
}

void notes_free(struct notes *notes)
{
	if (!notes)
		return;
	while (notes->oldest)
		forget_oldest(notes);
	table_deinit(&notes->table);
	free(notes);
}

void notes_look(struct notes *notes, const struct tally *tally, struct pending *pending,
	const struct now *now, notes_suspect_fn *suspected, void *context)
{
	struct note *by_index[TALLY_CLIENTS] = {NULL};
	uint32_t generation = notes->names.find ? notes->names.generation(notes->names.context) : 0;

	for (uint32_t i = 1; i < tally->client_count; i++) {
		const struct address *client = &tally->clients[i].address;
		if (client->family == ADDRESS_EXCLUDED)
			continue;
		struct note *note = by_index[i] = note_of(notes, client, now->mono_us);
		if (!note)
			continue;
		if (now->mono_us - note->hour_us >= HOUR_US) {
			memset(note->bits, 0, sizeof(note->bits));
			note->systems = 0;
			note->hour_us = now->mono_us;
		}
		if (notes->names.find)
			look_for_name(notes, note, pending, generation, now->mono_us);
	}
	for (uint32_t i = 0; i < tally->detail_count; i++) {
		const struct tally_detail *detail = &tally->details[i];
		if (by_index[detail->client])
			collect(notes, by_index[detail->client], tally->bytes + detail->qname,
				detail->qname_length);
	}
	for (uint32_t i = 1; i < tally->client_count; i++) {
		if (!by_index[i])
			continue;
		if (judge(notes, by_index[i]))
			suspected(context,
				&notes->suspects[(notes->suspect_count - 1) % NOTES_SUSPECTS]);
		if (by_index[i]->why)
			mark(by_index[i], pending, now->mono_us);
	}
}

void notes_words(const struct notes_suspect *suspect, char *out)
{
	bool several = suspect->systems[0] != '-';

	snprintf(out, NOTES_WHY_SIZE, "about %u different names in an hour%s%s", suspect->names,
		several ? ", online checks of " : "", several ? suspect->systems : "");
}

size_t notes_suspects(
	const struct notes *notes, struct notes_suspect out[NOTES_SUSPECTS], uint64_t *total)
{
	uint64_t count =
		notes->suspect_count < NOTES_SUSPECTS ? notes->suspect_count : NOTES_SUSPECTS;

	for (uint64_t i = 0; i < count; i++)
		out[i] = notes->suspects[(notes->suspect_count - count + i) % NOTES_SUSPECTS];
	*total = notes->suspect_count;
	return (size_t)count;
}
