/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts that outlive a SIGKILL. A kill is played in two ways: the files are copied at an instant
 * and recovered beside the process that goes on; and a child that counts is stepped through, one
 * machine instruction after the other, its tally mended and looked at behind each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/dns/message.h"
#include "resolver/telemetry/batch.h"
#include "resolver/telemetry/clock_watch.h"
#include "resolver/telemetry/memory/memory.h"
#include "resolver/telemetry/memory/memory_log.h"
#include "resolver/telemetry/memory/memory_place.h"
#include "resolver/telemetry/memory/pending_log.h"
#include "resolver/telemetry/memory/region.h"

static const struct hash_seed seed = {.k0 = 3, .k1 = 4};

#define NOON INT64_C(1700049600000000) /* 2023-11-15 12:00:00 UTC */
#define NOON_HOUR (NOON / US_PER_HOUR)
#define MONO (1000 * US_PER_S)
#define TALLIES 4

/* --- answered queries --- */

/* "nNNN.example", and an answer of one address where answer_id says so. */
static struct transaction make(
	uint8_t reply[64], unsigned client, unsigned name, uint64_t answer_id)
{
	static const uint8_t tail[] = "\7example\0\0\1\0\1";
	static const uint8_t record[] = "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0";
	const uint8_t octets[4] = {10, 9, (uint8_t)(client >> 8), (uint8_t)client};
	size_t length = DNS_HEADER_SIZE;

	memset(reply, 0, 64);
	reply[2] = 0x81;
	reply[5] = 1;
	reply[length++] = 4;
	length += (size_t)snprintf((char *)reply + length, 5, "n%03u", name % 1000);
	memcpy(reply + length, tail, sizeof(tail) - 1);
	length += sizeof(tail) - 1;
	if (answer_id) {
		reply[7] = 1;
		memcpy(reply + length, record, sizeof(record) - 1);
		length += sizeof(record) - 1;
		reply[length++] = (uint8_t)name;
	}
	return (struct transaction){
		.client = {.address = address_v4(octets), .port = 5353},
		.qname = reply + DNS_HEADER_SIZE,
		.qname_length = 14,
		.qtype = TYPE_A,
		.reply = reply,
		.reply_length = length,
		.source = SOURCE_CACHE,
		.action = name % 5 == 0 ? TRANSACTION_WATCH : TRANSACTION_NONE,
		.zone = name % 5 == 0 ? 1 : ZONE_ID_NONE,
		.answer_id = answer_id,
	};
}

static void add(struct tally *tally, unsigned client, unsigned name, int64_t wall_us)
{
	uint8_t reply[64];
	struct transaction transaction = make(reply, client, name, name % 3 ? 1000 + name : 0);

	if (tally->queries == 0)
		tally->clock_us = wall_us - MONO;
	tally_add(tally, &seed, &transaction, wall_us);
}

/* --- a process: pending, journal, memory --- */

struct process {
	char *dir; /* state, and memory in it */
	struct now now;
	struct clock_watch clock;
	struct zone_ids zones;
	struct pending pending;
	struct journal *journal;
	struct memory *memory;
	struct batcher batcher;
	struct strbuf octets;
	char boot[BOOT_TEXT_SIZE];
};

static const struct pending_limits limits = {
	.clients = 500, .tops = 500, .details = 5000, .lines = 10, .line_bytes = 1000};

static void open_journal(struct process *process)
{
	struct journal_settings settings = journal_settings_default;
	char path[300];

	snprintf(path, sizeof(path), "%s/journal", process->dir);
	settings.dir = path;
	settings.fsync = JOURNAL_FSYNC_NEVER;
	process->journal = journal_open(&settings);
	assert_non_null(process->journal);
}

static void start_at(struct process *process, const char *dir, size_t tallies, int64_t wall_us)
{
	static uint64_t boots;
	struct memory_settings settings = {.tallies = tallies};

	memset(process, 0, sizeof(*process));
	process->dir = strdup(dir);
	process->now = (struct now){.mono_us = MONO, .wall_us = wall_us};
	snprintf(process->boot, sizeof(process->boot), "%016llx", (unsigned long long)++boots);
	clock_watch_init(&process->clock, &process->now, 0);
	zone_ids_init(&process->zones);
	pending_init(&process->pending, &limits, &seed);
	strbuf_init(&process->octets);
	open_journal(process);
	settings.dir = dir;
	settings.boot = process->boot;
	process->memory = memory_open(
		&settings, &process->pending, &process->zones, process->journal, &process->clock);
	assert_non_null(process->memory);
	zone_ids_add(&process->zones, "first");
	zone_ids_add(&process->zones, "teredo");
	struct batch_settings batches = {.resolver_name = "r",
		.version = "1",
		.zones = &process->zones,
		.retention_days = 1,
		.pair_retention_days = 1,
		.bounds = batch_bounds_default};
	snprintf(batches.boot, sizeof(batches.boot), "%s", process->boot);
	assert_true(batcher_init(&process->batcher, &batches));
}

static void start(struct process *process, const char *dir, size_t tallies)
{
	start_at(process, dir, tallies, NOON);
}

/* Without memory_close it ends as a kill ends it, but for what it held open. */
static void end(struct process *process)
{
	batcher_deinit(&process->batcher);
	memory_close(&process->memory);
	journal_close(&process->journal);
	pending_deinit(&process->pending);
	zone_ids_deinit(&process->zones);
	strbuf_deinit(&process->octets);
	free(process->dir);
}

static struct tally *tally_of(struct process *process, size_t index)
{
	return memory_tally(process->memory, index);
}

static bool is_on(struct process *process)
{
	struct memory_status status;

	memory_status(process->memory, &status);
	return status.on;
}

static uint64_t waiting(struct process *process)
{
	struct journal_status status;

	journal_status(process->journal, &status);
	return status.waiting_queries;
}

static uint64_t healed(struct process *process)
{
	struct memory_status status;

	memory_status(process->memory, &status);
	return status.healed;
}

/* --- folders --- */

static char *make_folder(void)
{
	char path[] = "/dev/shm/test-memory-XXXXXX", *made = mkdtemp(path);
	char other[] = "/tmp/test-memory-XXXXXX";

	if (!made)
		made = mkdtemp(other);
	assert_non_null(made);
	return strdup(made);
}

static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	char inside[600];

	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
		if (unlink(inside) != 0)
			remove_folder(inside);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static void copy_file(const char *from, const char *to)
{
	static char octets[1 << 16];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t length;

	assert_true(in >= 0 && out >= 0);
	while ((length = read(in, octets, sizeof(octets))) > 0)
		assert_int_equal(write(out, octets, (size_t)length), length);
	close(in);
	close(out);
}

static void copy_folder(const char *from, const char *to)
{
	DIR *dir = opendir(from);
	char source[600], target[600];
	struct stat status;

	assert_non_null(dir);
	mkdir(to, 0700);
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(source, sizeof(source), "%s/%s", from, entry->d_name);
		snprintf(target, sizeof(target), "%s/%s", to, entry->d_name);
		assert_int_equal(stat(source, &status), 0);
		if (S_ISDIR(status.st_mode))
			copy_folder(source, target);
		else
			copy_file(source, target);
	}
	closedir(dir);
}

static void path_of(const char *dir, const char *name, char out[600])
{
	char lock[400], instance[17] = "";

	snprintf(lock, sizeof(lock), "%s/journal/lock", dir);
	int fd = open(lock, O_RDONLY);
	assert_int_equal(read(fd, instance, 16), 16);
	close(fd);
	snprintf(out, 600, "%s/%s/%s", dir, instance, name);
}

static int setup(void **state)
{
	*state = make_folder();
	return 0;
}

static int teardown(void **state)
{
	remove_folder(*state);
	free(*state);
	return 0;
}

/* --- what there is, as text: one line an item, sorted --- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *line_of(const struct process *process, const struct pending_item *item)
{
	struct strbuf line;
	char address[ADDRESS_TEXT_MAX];
	const char *zone = zone_ids_name(&process->zones, item->key.zone);

	strbuf_init(&line);
	strbuf_printf(&line, "%u %u %s ", item->key.kind, item->key.when,
		item->key.kind == PENDING_ZONE && zone ? zone : "-");
	strbuf_append_text(&line, address_to_text(&item->key.client, address));
	strbuf_append_char(&line, ' ');
	strbuf_append_text(&line, address_to_text(&item->key.address, address));
	strbuf_append_char(&line, ' ');
	strbuf_append(&line, item->key.name, item->key.name_length);
	for (size_t i = 0; i < pending_counts_of(item->key.kind); i++)
		strbuf_printf(&line, " %llu", (unsigned long long)item->counts[i]);
	strbuf_printf(&line, " %lld %lld", (long long)item->first_us, (long long)item->last_us);
	if (item->owner)
		strbuf_append(&line, item->owner, name_wire_length(item->owner, NAME_WIRE_MAX));
	return line.data;
}

static size_t collect(const struct process *process, char **lines)
{
	const struct pending_item *const lists[] = {
		process->pending.changed, process->pending.unchanged};
	size_t count = 0;

	for (size_t i = 0; i < 2; i++)
		for (const struct pending_item *item = lists[i]; item; item = item->list_next)
			lines[count++] = line_of(process, item);
	qsort(lines, count, sizeof(*lines), by_text);
	return count;
}

static void assert_same_items(const struct process *one, const struct process *other)
{
	static char *first[20000], *second[20000];
	size_t count = collect(one, first);

	assert_int_equal(collect(other, second), count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(first[i], second[i]);
		free(first[i]);
		free(second[i]);
	}
}

/* --- one machine instruction after the other --- */

static void add_in_child(struct tally *tally, unsigned step)
{
	if (step == 3)
		tally_clear(tally);
	else
		add(tally, step == 2 ? 1 : step, step + 1, NOON + (int64_t)step);
}

static void check_mended(const struct tally *shared, struct tally *copy, uint64_t before)
{
	uint64_t named = 0, details = 0;

	memcpy(copy, shared, sizeof(*copy));
	assert_true(tally_mend(copy));
	if (copy->generation == 0 && before != UINT64_MAX)
		assert_in_range(copy->queries, before, before + 1);
	for (uint32_t i = 0; i < copy->client_count; i++) {
		const uint64_t *counters = copy->clients[i].counters;
		uint64_t origins = 0, outcomes = 0;
		for (unsigned c = COUNTER_blocked; c <= COUNTER_local; c++)
			origins += counters[c];
		for (unsigned c = COUNTER_noerror; c <= COUNTER_other; c++)
			outcomes += counters[c];
		assert_int_equal(origins, counters[COUNTER_queries]);
		assert_int_equal(outcomes, counters[COUNTER_queries]);
		named += counters[COUNTER_queries];
	}
	for (uint32_t i = 0; i < copy->detail_count; i++)
		details += copy->details[i].queries;
	assert_int_equal(named, copy->queries);
	assert_true(details <= copy->queries);
}

/* Returns how many instructions there were, 0 where nobody may trace. */
static unsigned step_through(struct tally *shared, unsigned step)
{
	struct tally *copy = tally_new();
	uint64_t before = step == 3 ? UINT64_MAX : shared->queries;
	unsigned instructions = 0;
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(1);
		raise(SIGSTOP);
		add_in_child(shared, step);
		_exit(0);
	}
	assert_true(child > 0);
	while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		instructions++;
		check_mended(shared, copy, before);
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0) {
			kill(child, SIGKILL);
			instructions = 0;
		}
	}
	tally_free(copy);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? instructions : 0;
}

static void killed_at_any_instruction_it_can_be_mended(void **state)
{
	struct tally *shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	(void)state;

	assert_true(shared != MAP_FAILED);
	for (unsigned step = 0; step < 4; step++) {
		uint64_t before = shared->queries;
		if (step_through(shared, step) == 0) {
			munmap(shared, sizeof(*shared));
			skip();
		}
		assert_int_equal(shared->queries, step == 3 ? 0 : before + 1);
	}
	assert_int_equal(shared->generation, 1);
	munmap(shared, sizeof(*shared));
}

static void damaged_tallies_do_no_harm(void **state)
{
	struct tally *tally = tally_new();
	(void)state;

	srand(5);
	for (unsigned round = 0; round < 3000; round++) {
		for (unsigned i = 0; i < 30; i++)
			add(tally, i % 4, (unsigned)rand() % 20, NOON);
		uint8_t *octets = (uint8_t *)tally;
		for (unsigned i = 0; i < 8; i++) {
			size_t from = i % 2 ? offsetof(struct tally, details)
					    : offsetof(struct tally, clients);
			if (i == 2)
				from = 0;
			octets[from + (size_t)rand() % 1500] = (uint8_t)rand();
		}
		if (tally_mend(tally)) {
			struct pending pending;
			pending_init(&pending, &limits, &seed);
			pending_merge(&pending, tally);
			pending_deinit(&pending);
		}
		memset(tally, 0, sizeof(*tally));
	}
	tally_free(tally);
}

/* --- a kill between any two steps --- */

/* What the model of Redis took: the numbers of one boot, in order, each once. */
struct redis {
	char boot[BOOT_TEXT_SIZE];
	uint64_t applied, queries;
};

struct play {
	struct process process;
	struct redis redis;
	uint64_t answered;
	unsigned kills;
};

/* The copied files, recovered: everything that was answered is applied, in the journal or pending.
 */
static void kill_here(struct play *play)
{
	struct process heir;
	char *copy = make_folder();
	uint64_t due = 0;

	copy_folder(play->process.dir, copy);
	start(&heir, copy, TALLIES);
	assert_true(is_on(&heir));
	struct journal_applied applied = {.number = play->redis.applied};
	memcpy(applied.boot, play->redis.boot, sizeof(applied.boot));
	journal_compare(heir.journal, "", &applied, play->redis.applied > 0);
	due = waiting(&heir);
	for (const struct memory_held *held = memory_next_held(heir.memory); held;
		held = held->next) {
		if (strcmp(held->key.boot, play->redis.boot) != 0 ||
			held->key.number > play->redis.applied)
			due += held->key.queries;
	}
	if (play->redis.queries + due + heir.pending.queries != play->answered)
		fail_msg("kill %u: %llu applied, %llu frozen, %llu pending, %llu answered",
			play->kills, (unsigned long long)play->redis.queries,
			(unsigned long long)due, (unsigned long long)heir.pending.queries,
			(unsigned long long)play->answered);
	play->kills++;
	end(&heir);
	remove_folder(copy);
	free(copy);
}

static void play_answers(struct play *play, size_t index, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		add(tally_of(&play->process, index), i % 7, (play->kills + i) % 40, NOON);
	play->answered += count;
	kill_here(play);
}

static void play_merge(struct play *play, size_t first, size_t count)
{
	struct process *process = &play->process;

	for (size_t i = first; i < first + count; i++) {
		pending_merge(&process->pending, tally_of(process, i));
		memory_merged(process->memory, tally_of(process, i));
		kill_here(play);
	}
	memory_commit(process->memory);
	for (size_t i = first; i < first + count; i++) {
		kill_here(play);
		tally_clear(tally_of(process, i));
	}
	kill_here(play);
}

static void play_batch(struct play *play, bool refused, bool applied, bool acknowledged)
{
	struct process *process = &play->process;
	struct batch *batch = batch_cut(&process->batcher, &process->pending, &process->now, false);
	if (!batch)
		return;
	struct journal_key key = {.number = batch->number, .queries = batch->queries};
	kill_here(play);
	memory_frozen(process->memory, batch->number);
	kill_here(play);
	snprintf(key.boot, sizeof(key.boot), "%s", batch->boot);
	strbuf_clear(&process->octets);
	batch_save(batch, &process->octets);
	if (refused)
		memory_hold(process->memory, &key, process->octets.data, process->octets.length);
	else
		assert_int_equal(journal_append(process->journal, &key, process->octets.data,
					 process->octets.length, 0),
			TD_OK);
	kill_here(play);
	if (applied) {
		play->redis.applied = batch->number;
		play->redis.queries += batch->queries;
		kill_here(play);
	}
	if (!acknowledged)
		return;
	assert_true(batch_acknowledged(&process->batcher, key.number));
	memory_release(process->memory, key.boot, key.number);
	journal_acknowledge(process->journal, key.boot, key.number, "");
	kill_here(play);
}

static void begin_play(struct play *play, const char *dir)
{
	*play = (struct play){0};
	start(&play->process, dir, TALLIES);
	assert_true(is_on(&play->process));
	memcpy(play->redis.boot, play->process.boot, sizeof(play->redis.boot));
}

static void killed_between_any_two_steps_nothing_is_lost_or_doubled(void **state)
{
	struct play play;

	begin_play(&play, *state);
	kill_here(&play);
	play_answers(&play, 0, 50);
	play_merge(&play, 0, 1);
	play_answers(&play, 1, 30);
	play_answers(&play, 0, 20);
	play_batch(&play, false, true, true);
	play_merge(&play, 0, 2);
	for (unsigned i = 0; i < 8; i++) {
		play_batch(&play, i % 3 == 1, true, true);
		if (i % 3 == 0) {
			play_answers(&play, i % TALLIES, 5);
			play_merge(&play, i % TALLIES, 1);
		}
		memory_settle(play.process.memory, &play.process.now);
	}
	play_answers(&play, 3, 9);
	play_merge(&play, 3, 1);
	play_batch(&play, true, true, false);
	play_answers(&play, 0, 4);
	play_merge(&play, 0, 1);
	assert_true(play.kills > 60);
	end(&play.process);
}

/* The heir of an heir, each killed while it holds what the one before left. */
static void a_chain_of_kills_adds_up(void **state)
{
	uint64_t answered = 0;
	char *dir = strdup(*state);

	for (unsigned i = 0; i < 6; i++) {
		struct process process;
		char *next = make_folder();
		start(&process, dir, TALLIES);
		assert_int_equal(process.pending.queries, answered);
		assert_int_equal(healed(&process), answered);
		for (unsigned j = 0; j < 25; j++)
			add(tally_of(&process, i % TALLIES), j % 5, j, NOON);
		answered += 25;
		if (i % 2) {
			pending_merge(&process.pending, tally_of(&process, i % TALLIES));
			memory_merged(process.memory, tally_of(&process, i % TALLIES));
			memory_commit(process.memory);
		}
		copy_folder(dir, next);
		end(&process);
		remove_folder(dir);
		free(dir);
		dir = next;
	}
	remove_folder(dir);
	free(dir);
}

static void recovered_is_what_was_there(void **state)
{
	struct process process, heir;
	char *copy = make_folder();

	start(&process, *state, TALLIES);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 300; i++)
			add(tally_of(&process, 0), round + i % 9, i % 60, NOON + round * US_PER_S);
		pending_merge(&process.pending, tally_of(&process, 0));
		memory_merged(process.memory, tally_of(&process, 0));
		memory_commit(process.memory);
		tally_clear(tally_of(&process, 0));
		process.pending.details_dropped += round;
	}
	memory_frozen(process.memory, 1);
	memory_rewrite(process.memory);
	copy_folder(*state, copy);
	start(&heir, copy, 2 * TALLIES);
	assert_same_items(&process, &heir);
	assert_int_equal(heir.pending.details_dropped, process.pending.details_dropped);
	end(&heir);
	end(&process);
	remove_folder(copy);
	free(copy);
}

/* The next process wrote its log and died before it had tallies of its own: those that it had
 * recovered lie there still, or none do. */
static void killed_in_the_midst_of_a_start(void **state)
{
	struct process process, heir;
	char *copy = make_folder(), path[600], older[600], kept[600];

	start(&process, *state, TALLIES);
	for (size_t t = 0; t < TALLIES; t++)
		add(tally_of(&process, t), (unsigned)t, 1, NOON);
	copy_folder(*state, copy);
	path_of(*state, MEMORY_TALLIES_NAME, older);
	for (unsigned there = 0; there < 2; there++) {
		start(&heir, copy, TALLIES);
		assert_int_equal(heir.pending.queries, TALLIES);
		snprintf(kept, sizeof(kept), "%s-%u", copy, there);
		copy_folder(copy, kept);
		end(&heir);
		path_of(kept, MEMORY_TALLIES_NAME, path);
		assert_int_equal(unlink(path), 0);
		if (there)
			copy_file(older, path);
		start(&heir, kept, TALLIES);
		assert_int_equal(heir.pending.queries, TALLIES);
		end(&heir);
		remove_folder(kept);
		copy_folder(*state, copy);
	}
	end(&process);
	remove_folder(copy);
	free(copy);
}

/* Told by a CNAME's owner first, then by the question itself, which needs no words in the log. */
static void the_newest_owner_is_recovered(void **state)
{
	static const uint8_t qname[] = "\3one\7example", owner[] = "\3two\7example";
	static const uint64_t counts[CLIENT_COUNTER_COUNT] = {1};
	struct pending_key key = {.kind = PENDING_PAIR, .name_length = sizeof(qname)};
	struct process process, heir;
	char *copy = make_folder();

	start(&process, *state, TALLIES);
	memcpy(key.name, qname, sizeof(qname));
	pending_put(&process.pending, &key, counts, NOON, NOON, owner);
	memory_commit(process.memory);
	pending_put(&process.pending, &key, counts, NOON, NOON, qname);
	memory_commit(process.memory);
	copy_folder(*state, copy);
	start(&heir, copy, TALLIES);
	const struct pending_item *pair = heir.pending.details.head;
	assert_non_null(pair);
	assert_int_equal(pair->counts[PENDING_COUNT_QUERIES], 2);
	assert_true(!pair->owner || memcmp(pair->owner, qname, sizeof(qname)) == 0);
	end(&heir);
	end(&process);
	remove_folder(copy);
	free(copy);
}

static void zones_keep_their_names(void **state)
{
	struct process process, heir;
	char *copy = make_folder();

	start(&process, *state, TALLIES);
	add(tally_of(&process, 0), 1, 5, NOON);
	pending_merge(&process.pending, tally_of(&process, 0));
	memory_merged(process.memory, tally_of(&process, 0));
	memory_commit(process.memory);
	tally_clear(tally_of(&process, 0));
	add(tally_of(&process, 1), 2, 10, NOON);
	copy_folder(*state, copy);
	pending_merge(&process.pending, tally_of(&process, 1));
	/* In the heir "teredo" comes first, so its number is another one. */
	start(&heir, copy, TALLIES);
	assert_string_equal(zone_ids_name(&heir.zones, 0), "teredo");
	assert_same_items(&process, &heir);
	end(&heir);
	end(&process);
	remove_folder(copy);
	free(copy);
}

static void a_clean_end_leaves_nothing(void **state)
{
	struct process process;
	char path[600];

	start(&process, *state, TALLIES);
	path_of(*state, "", path);
	assert_int_equal(access(path, F_OK), 0);
	end(&process);
	assert_int_equal(access(path, F_OK), -1);
}

static void another_number_of_workers(void **state)
{
	static const size_t counts[] = {1, 16, TALLIES};

	for (size_t i = 0; i < 3; i++) {
		struct process process, heir;
		char *copy = make_folder();
		start(&process, *state, TALLIES);
		for (size_t t = 0; t < TALLIES; t++)
			add(tally_of(&process, t), (unsigned)t, 1, NOON);
		copy_folder(*state, copy);
		end(&process);
		start(&heir, copy, counts[i]);
		assert_int_equal(heir.pending.queries, TALLIES);
		end(&heir);
		remove_folder(copy);
		free(copy);
	}
}

/* --- damage --- */

static void write_at(const char *path, off_t offset, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, data, size, offset), (ssize_t)size);
	close(fd);
}

static void tallies_of_another_version_are_set_aside(void **state)
{
	struct process process, heir;
	char *copy = make_folder(), path[600];
	const uint32_t version = 99;

	start(&process, *state, TALLIES);
	add(tally_of(&process, 0), 1, 1, NOON);
	pending_merge(&process.pending, tally_of(&process, 0));
	memory_merged(process.memory, tally_of(&process, 0));
	memory_commit(process.memory);
	tally_clear(tally_of(&process, 0));
	add(tally_of(&process, 1), 1, 1, NOON);
	copy_folder(*state, copy);
	end(&process);
	path_of(copy, MEMORY_TALLIES_NAME, path);
	write_at(path, 4, &version, sizeof(version));

	int dir_fd = open(copy, O_RDONLY | O_DIRECTORY);
	struct region region;
	uint64_t lost;
	const char *name = path + strlen(copy) + 1;
	assert_int_equal(region_read(&region, dir_fd, name, &lost), TD_UNSUPPORTED);
	assert_int_equal(lost, 1);
	close(dir_fd);
	start(&heir, copy, TALLIES);
	assert_true(is_on(&heir));
	assert_int_equal(heir.pending.queries, 1);
	path_of(copy, MEMORY_TALLIES_NAME ".aside", path);
	assert_int_equal(access(path, F_OK), 0);
	end(&heir);
	remove_folder(copy);
	free(copy);
}

/* Two commits; the second is cut at each of its octets. Its tallies were not cleared yet. */
/* Killed between the journal's word and the log's: both have the batch, and it is sent once. */
static void held_and_journaled_is_one_batch(void **state)
{
	struct process process, heir;
	char *copy = make_folder();
	struct journal_key key = {.number = 7, .queries = 5};
	struct journal_status status;

	start(&process, *state, TALLIES);
	snprintf(key.boot, sizeof(key.boot), "%s", process.boot);
	memory_hold(process.memory, &key, "octets", 6);
	assert_int_equal(journal_append(process.journal, &key, "octets", 6, 0), TD_OK);
	copy_folder(*state, copy);
	start(&heir, copy, TALLIES);
	journal_status(heir.journal, &status);
	assert_int_equal(status.waiting_batches, 1);
	assert_null(memory_next_held(heir.memory));
	end(&heir);
	end(&process);
	remove_folder(copy);
	free(copy);
}

static void a_torn_log_is_recovered(void **state)
{
	struct process process;
	char path[600];
	struct stat before, after;

	start(&process, *state, TALLIES);
	path_of(*state, MEMORY_LOG_NAME, path);
	for (unsigned i = 0; i < 3; i++) {
		add(tally_of(&process, 0), i, i, NOON);
		add(tally_of(&process, 0), i, i + 1, NOON);
		pending_merge(&process.pending, tally_of(&process, 0));
		memory_merged(process.memory, tally_of(&process, 0));
		assert_int_equal(stat(path, &before), 0);
		memory_commit(process.memory);
		assert_int_equal(stat(path, &after), 0);
		if (i < 2)
			tally_clear(tally_of(&process, 0));
	}
	for (off_t size = before.st_size; size <= after.st_size; size += 3) {
		struct process heir;
		char *copy = make_folder(), torn[600];
		copy_folder(*state, copy);
		path_of(copy, MEMORY_LOG_NAME, torn);
		assert_int_equal(truncate(torn, size), 0);
		start(&heir, copy, TALLIES);
		assert_int_equal(heir.pending.queries, 6);
		end(&heir);
		remove_folder(copy);
		free(copy);
	}
	end(&process);
}

static void any_octets_are_survived(void **state)
{
	struct process process;
	char path[600];
	struct stat status;

	start(&process, *state, 1);
	for (unsigned i = 0; i < 40; i++)
		add(tally_of(&process, 0), i, i, NOON);
	pending_merge(&process.pending, tally_of(&process, 0));
	memory_merged(process.memory, tally_of(&process, 0));
	memory_commit(process.memory);
	path_of(*state, MEMORY_LOG_NAME, path);
	assert_int_equal(stat(path, &status), 0);
	uint8_t *octets;
	size_t size;
	int dir_fd = open(*state, O_RDONLY | O_DIRECTORY);
	assert_int_equal(memory_log_read(dir_fd, path + strlen(*state) + 1, &octets, &size), TD_OK);
	close(dir_fd);
	srand(11);
	for (unsigned round = 0; round < 4000; round++) {
		struct pending_log log;
		struct zone_ids zones;
		size_t from = (size_t)rand() % size;
		uint8_t *part = malloc(size - from);
		memcpy(part, octets + from, size - from);
		for (unsigned i = 0; i < 4; i++)
			part[(size_t)rand() % (size - from)] = (uint8_t)rand();
		struct log_cursor cursor = {.at = part, .left = size - from};
		pending_log_init(&log);
		zone_ids_init(&zones);
		while (cursor.left > 0 && !cursor.failed) {
			if (rand() % 2)
				pending_log_read_item(&log, &cursor, &zones);
			else
				pending_log_read_gone(&log, &cursor);
		}
		struct pending pending;
		pending_init(&pending, &limits, &seed);
		pending_log_restore(&log, &pending, rand() % 2 ? US_PER_HOUR : 0);
		pending_deinit(&pending);
		pending_log_deinit(&log);
		zone_ids_deinit(&zones);
		free(part);
	}
	free(octets);
	end(&process);
}

static void limit_files(rlim_t most)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = most;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void without_room_at_the_start_it_is_plain_memory(void **state)
{
	struct process process;
	char path[600];

	limit_files(200000);
	start(&process, *state, TALLIES);
	limit_files(RLIM_INFINITY);
	assert_false(is_on(&process));
	add(tally_of(&process, 0), 1, 1, NOON);
	pending_merge(&process.pending, tally_of(&process, 0));
	memory_merged(process.memory, tally_of(&process, 0));
	memory_commit(process.memory);
	path_of(*state, "", path);
	assert_int_equal(access(path, F_OK), -1);
	end(&process);
}

/* The log cannot grow: what is pending then is not protected, what comes into tallies is, and
 * nothing is there twice. With room again all of it is. */
static void a_log_that_cannot_grow(void **state)
{
	struct process process, heir;
	struct memory_status status;
	char *copy = make_folder(), *again = make_folder(), path[600];
	struct stat size;

	start(&process, *state, TALLIES);
	path_of(*state, MEMORY_LOG_NAME, path);
	assert_int_equal(stat(path, &size), 0);
	limit_files((rlim_t)size.st_size + 100);
	for (unsigned i = 0; i < 60; i++)
		add(tally_of(&process, 0), i, i, NOON);
	pending_merge(&process.pending, tally_of(&process, 0));
	memory_merged(process.memory, tally_of(&process, 0));
	memory_commit(process.memory);
	tally_clear(tally_of(&process, 0));
	limit_files(RLIM_INFINITY);
	memory_status(process.memory, &status);
	assert_false(status.on);
	assert_int_equal(status.failures, 1);
	add(tally_of(&process, 0), 1, 1, NOON);
	copy_folder(*state, copy);
	start(&heir, copy, TALLIES);
	assert_int_equal(heir.pending.queries, 1);
	end(&heir);

	memory_settle(process.memory, &process.now);
	assert_true(is_on(&process));
	copy_folder(*state, again);
	start(&heir, again, TALLIES);
	assert_int_equal(heir.pending.queries, 61);
	end(&heir);
	end(&process);
	remove_folder(copy);
	remove_folder(again);
	free(copy);
	free(again);
}

static void the_log_is_bounded_by_what_waits(void **state)
{
	struct process process, heir;
	struct memory_status status;
	uint64_t most = 0, answered = 0;
	char *copy = make_folder();

	start(&process, *state, TALLIES);
	for (unsigned round = 0; round < 600; round++) {
		for (unsigned i = 0; i < 80; i++)
			add(tally_of(&process, 0), i % 40, i, NOON + round * US_PER_S);
		answered += 80;
		pending_merge(&process.pending, tally_of(&process, 0));
		memory_merged(process.memory, tally_of(&process, 0));
		memory_commit(process.memory);
		tally_clear(tally_of(&process, 0));
		memory_settle(process.memory, &process.now);
		memory_status(process.memory, &status);
		most = status.bytes > most ? status.bytes : most;
	}
	assert_in_range(most, 100000, 400000);
	copy_folder(*state, copy);
	start(&heir, copy, TALLIES);
	assert_int_equal(heir.pending.queries, answered);
	assert_same_items(&process, &heir);
	end(&heir);
	while (batch_cut(&process.batcher, &process.pending, &process.now, false)) {
		memory_frozen(process.memory, process.batcher.last_number);
		batch_set_aside(&process.batcher);
	}
	memory_settle(process.memory, &process.now);
	memory_status(process.memory, &status);
	assert_in_range(status.bytes, 1, 300000);
	end(&process);
	remove_folder(copy);
	free(copy);
}

/* --- clocks --- */

static void a_step_is_told_from_slewing_and_sleep(void **state)
{
	struct clock_watch watch;
	struct now now = {.mono_us = MONO, .wall_us = NOON};
	(void)state;

	clock_watch_init(&watch, &now, 0);
	for (unsigned i = 0; i < 10000; i++) { /* 500 ppm: 5 s in all */
		now.mono_us += US_PER_S;
		now.wall_us += US_PER_S + 500;
		assert_int_equal(clock_watch_look(&watch, &now, 0), 0);
	}
	now.mono_us += US_PER_S;
	now.wall_us += US_PER_S + 3600 * US_PER_S; /* the machine slept for an hour */
	assert_int_equal(clock_watch_look(&watch, &now, 3600 * US_PER_S), 0);
	assert_int_equal(watch.steps, 0);
	now.wall_us += 7200 * US_PER_S;
	assert_int_equal(clock_watch_look(&watch, &now, 3600 * US_PER_S), 7200 * US_PER_S);
	now.wall_us -= 3 * US_PER_S;
	assert_int_equal(clock_watch_look(&watch, &now, 3600 * US_PER_S), -3 * US_PER_S);
	now.wall_us += 2 * US_PER_S;
	assert_int_equal(clock_watch_look(&watch, &now, 3600 * US_PER_S), 0);
	assert_int_equal(watch.steps, 2);
}

static void tallies_from_before_a_step_or_a_sleep(void **state)
{
	struct clock_watch watch;
	struct now now = {.mono_us = MONO, .wall_us = NOON};
	(void)state;

	clock_watch_init(&watch, &now, 0);
	int64_t before = now.wall_us - now.mono_us;
	now.wall_us += 60 * US_PER_S;
	clock_watch_look(&watch, &now, 60 * US_PER_S);
	assert_int_equal(clock_watch_shift(&watch, before), 0);
	assert_int_equal(clock_watch_shift(&watch, before + 60 * US_PER_S), 0);
	/* A worker may give it only after the next look. */
	now.mono_us += US_PER_S;
	now.wall_us += US_PER_S;
	clock_watch_look(&watch, &now, 60 * US_PER_S);
	assert_int_equal(clock_watch_shift(&watch, before), 0);
	before = now.wall_us - now.mono_us;
	now.wall_us += 90 * US_PER_S;
	clock_watch_look(&watch, &now, 60 * US_PER_S);
	assert_int_equal(clock_watch_shift(&watch, before), 90 * US_PER_S);
	assert_int_equal(clock_watch_shift(&watch, before + 90 * US_PER_S), 0);
}

static void an_unset_clock_is_waited_for_but_not_for_ever(void **state)
{
	struct clock_watch watch;
	struct now now = {.mono_us = MONO, .wall_us = 20 * US_PER_S};
	(void)state;

	clock_watch_init(&watch, &now, 0);
	assert_true(clock_watch_must_wait(&watch, &now));
	struct now set = {.mono_us = MONO, .wall_us = CLOCK_UNSET_US};
	assert_false(clock_watch_must_wait(&watch, &set));
	now.mono_us += CLOCK_WAIT_US;
	assert_false(clock_watch_must_wait(&watch, &now));
}

static const struct pending_item *item_of(const struct pending *pending, enum pending_kind kind)
{
	const struct pending_item *item = pending->changed;

	while (item && item->key.kind != kind)
		item = item->list_next;
	return item;
}

static void what_waits_moves_with_the_clock(void **state)
{
	struct pending pending;
	struct tally *tally = tally_new();
	int64_t shift_us = NOON - 30 * US_PER_S; /* it was begun 30 s after 1970 */
	(void)state;

	pending_init(&pending, &limits, &seed);
	add(tally, 1, 5, 40 * US_PER_S);
	pending_merge(&pending, tally);
	uint64_t queries = pending.queries;
	assert_true(pending_shift(&pending, shift_us));
	assert_int_equal(pending.queries, queries);
	assert_int_equal(item_of(&pending, PENDING_CLIENT)->key.when, NOON_HOUR);
	assert_int_equal(item_of(&pending, PENDING_CLIENT)->first_us, NOON + 10 * US_PER_S);
	assert_int_equal(item_of(&pending, PENDING_TOP)->key.when, NOON_HOUR / 24);
	assert_int_equal(item_of(&pending, PENDING_QUERY)->key.when, NOON_HOUR);
	assert_int_equal(item_of(&pending, PENDING_TIMELINE)->key.when, NOON_HOUR);
	assert_int_equal(item_of(&pending, PENDING_PAIR)->key.when, 0);
	assert_int_equal(item_of(&pending, PENDING_ZONE)->key.zone, 1);

	/* A tally of the same wrong clock, moved by itself, falls on the same items. */
	size_t items = pending.table.count;
	tally_shift(tally, shift_us);
	assert_int_equal(tally->hour, NOON_HOUR);
	pending_merge(&pending, tally);
	assert_int_equal(pending.table.count, items);
	assert_int_equal(pending.queries, 2 * queries);
	tally_free(tally);
	pending_deinit(&pending);
}

static void two_hours_that_become_one_are_added(void **state)
{
	struct pending pending;
	struct tally *tally = tally_new();
	(void)state;

	pending_init(&pending, &limits, &seed);
	add(tally, 1, 1, NOON - 2 * US_PER_S);
	pending_merge(&pending, tally);
	tally_clear(tally);
	add(tally, 1, 1, NOON + 2 * US_PER_S);
	pending_merge(&pending, tally);
	assert_int_equal(pending.clients.count, 2);
	assert_true(pending_shift(&pending, 60 * US_PER_S));
	assert_int_equal(pending.clients.count, 1);
	assert_int_equal(pending.clients.head->counts[COUNTER_queries], 2);
	tally_free(tally);
	pending_deinit(&pending);
}

/* What is known of a client is of no hour: its key says which word it is. */
static void words_about_a_client_stay_what_they_are(void **state)
{
	struct batch_settings settings = {
		.resolver_name = "r", .version = "1", .boot = "1", .bounds = batch_bounds_default};
	struct now now = {.mono_us = MONO, .wall_us = NOON};
	struct address client = address_v4((const uint8_t[]){10, 9, 0, 1});
	struct pending pending;
	struct batcher batcher;
	(void)state;

	pending_init(&pending, &limits, &seed);
	assert_true(pending_set_field(&pending, &client, FIELD_NAME, "console"));
	assert_true(pending_shift(&pending, NOON));
	assert_int_equal(pending.details.head->key.when, FIELD_NAME);
	assert_true(batcher_init(&batcher, &settings));
	const struct batch *batch = batch_cut(&batcher, &pending, &now, false);
	assert_non_null(batch);
	size_t at = BATCH_ARGV_HEADER + BATCH_HEADER_COUNT;
	assert_memory_equal(batch->argv[at + 2], "name", 4);
	assert_memory_equal(batch->argv[at + 3], "console", 7);
	batcher_deinit(&batcher);
	pending_deinit(&pending);
}

static void the_clock_was_set_while_nobody_ran(void **state)
{
	struct process process, heir;
	char *copy = make_folder();

	start_at(&process, *state, TALLIES, 50 * US_PER_S);
	add(tally_of(&process, 0), 1, 5, 50 * US_PER_S);
	pending_merge(&process.pending, tally_of(&process, 0));
	memory_merged(process.memory, tally_of(&process, 0));
	memory_commit(process.memory);
	tally_clear(tally_of(&process, 0));
	add(tally_of(&process, 1), 1, 5, 50 * US_PER_S);
	copy_folder(*state, copy);
	end(&process);
	start(&heir, copy, TALLIES);
	assert_int_equal(heir.pending.queries, 2);
	assert_int_equal(heir.pending.clients.count, 1);
	assert_int_equal(heir.pending.clients.head->key.when, NOON_HOUR);
	end(&heir);
	remove_folder(copy);
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_any_instruction_it_can_be_mended),
		cmocka_unit_test(damaged_tallies_do_no_harm),
		cmocka_unit_test_setup_teardown(
			killed_between_any_two_steps_nothing_is_lost_or_doubled, setup, teardown),
		cmocka_unit_test_setup_teardown(a_chain_of_kills_adds_up, setup, teardown),
		cmocka_unit_test_setup_teardown(recovered_is_what_was_there, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_in_the_midst_of_a_start, setup, teardown),
		cmocka_unit_test_setup_teardown(the_newest_owner_is_recovered, setup, teardown),
		cmocka_unit_test_setup_teardown(zones_keep_their_names, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clean_end_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(another_number_of_workers, setup, teardown),
		cmocka_unit_test_setup_teardown(
			tallies_of_another_version_are_set_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(held_and_journaled_is_one_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(a_torn_log_is_recovered, setup, teardown),
		cmocka_unit_test_setup_teardown(any_octets_are_survived, setup, teardown),
		cmocka_unit_test_setup_teardown(
			without_room_at_the_start_it_is_plain_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(a_log_that_cannot_grow, setup, teardown),
		cmocka_unit_test_setup_teardown(the_log_is_bounded_by_what_waits, setup, teardown),
		cmocka_unit_test(a_step_is_told_from_slewing_and_sleep),
		cmocka_unit_test(tallies_from_before_a_step_or_a_sleep),
		cmocka_unit_test(an_unset_clock_is_waited_for_but_not_for_ever),
		cmocka_unit_test(what_waits_moves_with_the_clock),
		cmocka_unit_test(two_hours_that_become_one_are_added),
		cmocka_unit_test(words_about_a_client_stay_what_they_are),
		cmocka_unit_test_setup_teardown(
			the_clock_was_set_while_nobody_ran, setup, teardown),
	};

	signal(SIGXFSZ, SIG_IGN);
	log_setup("test_memory", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
