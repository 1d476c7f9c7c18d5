/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A rule with hits stands in Redis as the query log has it: a name, or *.name. for all below it;
 * what is a pattern or a prefix of addresses is left to the other two sources. A transaction names
 * both the question and the zone, and is right also where a name of the CNAME chain or an address
 * was what matched. The daemon is asked last, because it says what holds now.
 *
 * What is not known is kept as well, for some seconds: else each request would ask again.
 */
#include "resolver/control/dashboard/name_zones.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/hash.h"
#include "lib/base/table.h"
#include "lib/dns/name.h"
#include "resolver/control/attributes.h"
#include "resolver/control/json_view.h"
#include "resolver/control/protocol.h"
#include "resolver/control/words.h"
#include "resolver/telemetry/redis/schema.h"

#define UNKNOWN_MS 10000  /* until a name that lies nowhere is looked at again */
#define KNOWN_MS 3600000  /* until one that lies somewhere is */
#define RECORDS_MAX 2000  /* of the stream, of each resolver */
#define RECORDS_ALL 20000 /* of all of them */
#define FIELD_MAX 1100

struct kept {
	int64_t until_ms;
	char zone[POLICY_ZONE_NAME_MAX]; /* "" in none */
	char name[];
};

struct name_zones {
	pthread_mutex_t lock; /* guards all below */
	struct table table;
	struct hash_seed seed;
};

struct name_zones *name_zones_new(size_t names_max)
{
	struct name_zones *zones = calloc(1, sizeof(*zones));

	if (!zones)
		return NULL;
	pthread_mutex_init(&zones->lock, NULL);
	table_init(&zones->table, names_max);
	if (getrandom(&zones->seed, sizeof(zones->seed), GRND_NONBLOCK) < 0)
		zones->seed.k0 = (uintptr_t)zones;
	return zones;
}

static void forget_all(struct name_zones *zones)
{
	while (zones->table.count)
		free(table_take_any(&zones->table));
}

void name_zones_free(struct name_zones **zones)
{
	if (!*zones)
		return;
	forget_all(*zones);
	table_deinit(&(*zones)->table);
	pthread_mutex_destroy(&(*zones)->lock);
	free(*zones);
	*zones = NULL;
}

/* --- what is kept --- */

static bool has_name(const void *item, const void *key)
{
	return strcmp(((const struct kept *)item)->name, key) == 0;
}

static uint16_t number_of(const struct name_zones_question *question, const char *zone)
{
	for (size_t i = 0; i < question->zone_count; i++)
		if (strcmp(question->zones[i], zone) == 0)
			return (uint16_t)i;
	return NAME_ZONE_NONE;
}

/* Marks in open which names are still to be looked for; how many that are. */
static size_t take_kept(struct name_zones *zones, const struct name_zones_question *question,
	int64_t now_ms, uint16_t *of, bool *open)
{
	size_t left = 0;

	pthread_mutex_lock(&zones->lock);
	for (size_t i = 0; i < question->name_count; i++) {
		const char *name = question->names[i];
		const struct kept *kept = table_find(&zones->table,
			hash_bytes(&zones->seed, name, strlen(name)), has_name, name);
		open[i] = !kept || kept->until_ms < now_ms;
		of[i] = kept ? number_of(question, kept->zone) : NAME_ZONE_NONE;
		left += open[i];
	}
	pthread_mutex_unlock(&zones->lock);
	return left;
}

static void keep_one(struct name_zones *zones, const char *name, const char *zone, int64_t until_ms)
{
	uint64_t hash = hash_bytes(&zones->seed, name, strlen(name));
	struct kept *kept = table_find(&zones->table, hash, has_name, name);

	if (!kept) {
		kept = malloc(sizeof(*kept) + strlen(name) + 1);
		if (!kept)
			return;
		memcpy(kept->name, name, strlen(name) + 1);
		if (table_insert(&zones->table, hash, kept) != TD_OK) {
			free(kept);
			return;
		}
	}
	kept->until_ms = until_ms;
	snprintf(kept->zone, sizeof(kept->zone), "%s", zone);
}

/* A full table is emptied: what is asked about comes back with the next request. */
static void keep_found(struct name_zones *zones, const struct name_zones_question *question,
	int64_t now_ms, const uint16_t *of, const bool *open)
{
	pthread_mutex_lock(&zones->lock);
	if (zones->table.count + question->name_count > zones->table.limit)
		forget_all(zones);
	for (size_t i = 0; i < question->name_count; i++) {
		bool known = of[i] != NAME_ZONE_NONE;
		if (open[i])
			keep_one(zones, question->names[i], known ? question->zones[of[i]] : "",
				now_ms + (known ? KNOWN_MS : UNKNOWN_MS));
	}
	pthread_mutex_unlock(&zones->lock);
}

/* --- rules with hits --- */

struct search {
	struct cli *cli;
	struct fleet *fleet;
	const struct name_zones_question *question;
	uint16_t *of;
	const bool *open;
	struct words words; /* rules, or names: a number + 1 of a zone each */
	size_t depth;
};

static bool is_open(const struct search *search, size_t i)
{
	return search->open[i] && search->of[i] == NAME_ZONE_NONE;
}

static enum td_error load_rules(struct search *search)
{
	enum td_error error = TD_OK;

	for (size_t z = 0; z < search->question->zone_count && error == TD_OK; z++) {
		struct reader_ranks rules;
		struct word *word;
		error = fleet_ranks(search->fleet, &search->cli->arena, READER_RULES,
			search->question->zones[z], SCHEMA_RULES_MAX + 1, &rules, NULL);
		for (size_t i = 0; i < rules.count && error == TD_OK; i++) {
			error = words_put(&search->words, rules.rows[i].member, &word);
			if (error == TD_OK && !word->count)
				word->count = z + 1;
		}
	}
	return error == TD_FULL ? TD_OK : error;
}

/* A rule's zone + 1; 0 for none. */
static uint64_t rule_zone(const struct search *search, const char *rule)
{
	const struct word *word = words_find(&search->words, rule);

	return word ? word->count : 0;
}

/* Behind the first label, whose dots may be escaped; NULL at the root. */
static const char *parent_of(const char *name)
{
	for (; *name; name++) {
		if (*name == '\\' && name[1])
			name++;
		else if (*name == '.')
			return name[1] ? name + 1 : NULL;
	}
	return NULL;
}

static uint16_t find_rule(const struct search *search, const char *name)
{
	char wildcard[NAME_TEXT_MAX + 2];
	uint64_t zone = rule_zone(search, name);

	for (const char *at = parent_of(name); at && !zone; at = parent_of(at)) {
		snprintf(wildcard, sizeof(wildcard), "*.%s", at);
		zone = rule_zone(search, wildcard);
	}
	return zone ? (uint16_t)(zone - 1) : NAME_ZONE_NONE;
}

static enum td_error find_by_rules(struct search *search)
{
	words_init(&search->words, &search->cli->arena,
		(SCHEMA_RULES_MAX + 1) * (search->question->zone_count + 1));
	enum td_error error = load_rules(search);
	for (size_t i = 0; i < search->question->name_count && error == TD_OK; i++)
		if (is_open(search, i))
			search->of[i] = find_rule(search, search->question->names[i]);
	words_deinit(&search->words);
	return error;
}

/* --- transactions --- */

static enum td_error read_records(void *context, struct fleet_member *member)
{
	struct search *search = context;
	struct reader_records records;
	char name[FIELD_MAX], zone[FIELD_MAX];
	enum td_error error = reader_last_records(
		member->reader, &search->cli->arena, READER_TRANSACTIONS, search->depth, &records);

	for (size_t i = 0; i < records.count && error == TD_OK; i++) {
		const struct reader_record *record = &records.rows[i];
		if (!json_field(record->json, record->json_length, "query", name, sizeof(name)))
			continue;
		struct word *word = words_find(&search->words, name);
		if (!word || !json_field(record->json, record->json_length, "policy", zone,
				     sizeof(zone)))
			continue;
		uint16_t number = number_of(search->question, zone);
		if (number != NAME_ZONE_NONE)
			word->count = number + 1u;
	}
	return error;
}

static enum td_error find_by_records(struct search *search)
{
	const struct name_zones_question *question = search->question;
	enum td_error error = TD_OK;
	struct word *word;

	search->depth = RECORDS_ALL / (search->fleet->count + 1);
	if (search->depth > RECORDS_MAX)
		search->depth = RECORDS_MAX;
	words_init(&search->words, &search->cli->arena, question->name_count + 1);
	for (size_t i = 0; i < question->name_count && error == TD_OK; i++)
		if (is_open(search, i))
			error = words_put(&search->words, question->names[i], &word);
	if (error == TD_OK && search->words.count)
		error = fleet_each(search->fleet, read_records, search);
	for (size_t i = 0; i < question->name_count && error == TD_OK; i++)
		if (is_open(search, i))
			search->of[i] = (uint16_t)(rule_zone(search, question->names[i]) - 1);
	words_deinit(&search->words);
	return error;
}

/* --- the daemon --- */

/* About a name that is a word. False: it does not answer, and need not be asked again. */
static bool ask_one(struct search *search, size_t at)
{
	const char *const request[] = {"explain", search->question->names[at]};
	char zone[POLICY_ZONE_NAME_MAX];
	struct control_answer answer;

	enum control_outcome outcome = cli_ask_silently(search->cli, 2, request, &answer);
	const char *decided = control_answer_value(&answer, "decided");
	if (outcome == CONTROL_OK && decided) {
		snprintf(zone, sizeof(zone), "%.*s", (int)strcspn(decided, " "), decided);
		search->of[at] = number_of(search->question, zone);
	}
	control_answer_free(&answer);
	return outcome == CONTROL_OK || outcome == CONTROL_FAILED;
}

static void find_by_asking(struct search *search)
{
	size_t asked = 0;

	for (size_t i = 0; i < search->question->name_count && asked < NAME_ZONES_ASKED_MAX; i++) {
		if (!is_open(search, i) ||
			!protocol_is_word(search->question->names[i], NAME_TEXT_MAX))
			continue;
		asked++;
		if (!ask_one(search, i))
			return;
	}
}

enum td_error name_zones_find(struct name_zones *zones, struct cli *cli, struct fleet *fleet,
	const struct name_zones_question *question, uint16_t *of)
{
	bool *open = arena_alloc(&cli->arena, question->name_count + 1);
	struct search search = {
		.cli = cli, .fleet = fleet, .question = question, .of = of, .open = open};

	if (!open)
		return TD_NOMEM;
	if (take_kept(zones, question, cli->now_ms, of, open) == 0)
		return TD_OK;
	for (size_t i = 0; i < question->name_count; i++)
		if (open[i])
			of[i] = NAME_ZONE_NONE;
	enum td_error error = find_by_rules(&search);
	if (error == TD_OK)
		error = find_by_records(&search);
	if (error == TD_OK && question->ours)
		find_by_asking(&search);
	if (error == TD_OK)
		keep_found(zones, question, cli->now_ms, of, open);
	return error;
}
