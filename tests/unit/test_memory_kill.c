/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts that outlive a SIGKILL. A kill is played by copying the files at an instant, and
 * recovering them beside the process that goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/telemetry/memory/memory_place.h"
#include "tests/unit/memory_process.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			killed_between_any_two_steps_nothing_is_lost_or_doubled, folder_setup,
			folder_teardown),
		cmocka_unit_test_setup_teardown(
			a_chain_of_kills_adds_up, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			killed_in_the_midst_of_a_start, folder_setup, folder_teardown),
	};

	log_setup("test_memory_kill", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
