/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the store, the journal and the lease do together against a real redis-server: the daemon's
 * part is killed or stopped before it could send, Redis comes back older than it was, emptied, or
 * with another writer, the disk is full. The sums stay exact. Waits by polling up to a deadline.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/telemetry/redis/store.h"
#include "resolver/telemetry/telemetry.h"
#include "tests/unit/answers.h"
#include "tests/unit/redis_process.h"

static const struct hash_seed seed = {.k0 = 3, .k1 = 4};

static const char *resolver_name = "t";

/* What it counts is looked at as sums: every client asks for the same name. */
static struct telemetry *open_telemetry(const char *state_dir, const char *redis)
{
	const struct telemetry_config config = {
		.resolver_name = resolver_name,
		.version = "1",
		.state_dir = state_dir,
		.redis = redis,
		.workers = 1,
		.retention_days = 8,
		.pair_retention_days = 30,
		.clients_max = 5000,
		.details_max = 20000,
		.seed = seed,
	};
	struct telemetry *telemetry = telemetry_new(&config);

	assert_non_null(telemetry);
	assert_int_equal(telemetry_start(telemetry), TD_OK);
	return telemetry;
}

/* So many clients, so many queries each: more than 30 clients need more than one batch. */
static uint64_t ask_around(struct telemetry *telemetry, unsigned clients, unsigned queries)
{
	static struct now now;
	struct answer answer;

	if (now.wall_us == 0)
		now.wall_us = (int64_t)time(NULL) * US_PER_S;
	make_answer(&answer, "www.example.", 1);
	for (unsigned from = 0; from < clients; from++) {
		struct transaction transaction = transaction_of(&answer, from, 1);
		for (unsigned i = 0; i < queries; i++)
			telemetry_answer(telemetry_worker(telemetry, 0), &transaction, &now);
	}
	now.mono_us += US_PER_S;
	telemetry_flush(telemetry_worker(telemetry, 0), &now);
	return (uint64_t)clients * queries;
}

typedef bool status_condition(const struct telemetry_status *status, uint64_t value);

static struct telemetry_status wait_for(
	struct telemetry *telemetry, status_condition *is_so, uint64_t value, const char *what)
{
	struct telemetry_status status;

	for (int waited_ms = 0; waited_ms < DEADLINE_MS; waited_ms += 5) {
		telemetry_status(telemetry, &status);
		if (is_so(&status, value))
			return status;
		pause_ms(5);
	}
	fail_msg("never %s (%" PRIu64 "): %s", what, value, status.store_error);
	return status;
}

static bool has_applied(const struct telemetry_status *status, uint64_t queries)
{
	return status->store_connected && status->queries_applied == queries &&
	       status->queries_waiting == 0 && status->journal_waiting == 0 &&
	       status->batches_applied > 0 && status->journal_due == 0;
}

static bool has_frozen_one(const struct telemetry_status *status, uint64_t ignored)
{
	(void)ignored;
	return status->journal_waiting == 1 && status->journal_queries > 0;
}

static bool has_replayed(const struct telemetry_status *status, uint64_t batches)
{
	return status->store_connected && status->batches_replayed >= batches &&
	       status->journal_waiting == 0 && status->journal_due == 0;
}

static bool is_away(const struct telemetry_status *status, uint64_t ignored)
{
	(void)ignored;
	return !status->store_connected && status->store_error[0] != '\0';
}

static bool is_fenced(const struct telemetry_status *status, uint64_t ignored)
{
	(void)ignored;
	return !status->store_connected && strstr(status->store_error, "another daemon");
}

static void restart_redis(struct telemetry *telemetry)
{
	redis_kill();
	wait_for(telemetry, is_away, 0, "away");
	redis_start();
	redis_connect();
}

/* meta, the clients and the hour all say so. */
static void assert_stored(uint64_t queries)
{
	uint64_t sum = 0;
	redisReply *all = ask("ZRANGE teredown:{t}:clients:queries 0 -1 WITHSCORES");

	for (size_t k = 1; k < all->elements; k += 2)
		sum += strtoull(all->element[k]->str, NULL, 10);
	freeReplyObject(all);
	assert_int_equal(sum, queries);
	assert_int_equal(number_of(ask("HGET teredown:{t}:meta queries")), queries);
	sum = 0;
	redisReply *keys = ask("KEYS teredown:{t}:hour:??????????");
	for (size_t i = 0; i < keys->elements; i++)
		sum += (uint64_t)number_of(ask("HGET %s queries", keys->element[i]->str));
	freeReplyObject(keys);
	assert_int_equal(sum, queries);
}

static void make_state_dir(char out[96], const char *name)
{
	snprintf(out, 96, "%s/%s", redis_dir, name);
	mkdir(out, 0700);
}

static void in_folder(const char *commands)
{
	char line[512];

	snprintf(line, sizeof(line), "cd %s && %s", redis_dir, commands);
	assert_int_equal(system(line), 0);
}

/* What the child of the test below tells its parent before it dies. */
struct testament {
	uint64_t applied, frozen;
};

/* Counts, freezes Redis, counts on until a batch is frozen too, dies without a word to anyone. */
static void live_and_die(const char *state_dir, int out)
{
	struct testament testament;

	struct telemetry *telemetry = open_telemetry(state_dir, redis_url);
	uint64_t asked = ask_around(telemetry, 100, 3);
	testament.applied = wait_for(telemetry, has_applied, asked, "stored").queries_applied;
	kill(redis_pid, SIGSTOP);
	ask_around(telemetry, 70, 5);
	testament.frozen = wait_for(telemetry, has_frozen_one, 0, "frozen").journal_queries;
	if (write(out, &testament, sizeof(testament)) == (ssize_t)sizeof(testament))
		kill(getpid(), SIGKILL);
	_exit(1);
}

static struct testament run_and_kill(const char *state_dir)
{
	struct testament testament;
	int ends[2], status;

	assert_int_equal(pipe(ends), 0);
	redisFree(redis_client);
	redis_client = NULL;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		live_and_die(state_dir, ends[1]);
	close(ends[1]);
	assert_int_equal(read(ends[0], &testament, sizeof(testament)), sizeof(testament));
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return testament;
}

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void frozen_batches_outlive_sigkill(void **state)
{
	char state_dir[96];
	uint64_t expected = 0;
	(void)state;

	make_state_dir(state_dir, "killed");
	for (unsigned redis_gets_it = 0; redis_gets_it < 2; redis_gets_it++) {
		struct testament testament = run_and_kill(state_dir);
		assert_true(testament.frozen > 0);
		expected += testament.applied + testament.frozen;
		if (redis_gets_it) { /* the request of the dead stands in its socket */
			kill(redis_pid, SIGCONT);
		} else {
			redis_kill();
			redis_start();
		}
		redis_connect();
		int64_t begin_ms = clock_ms();
		struct telemetry *telemetry = open_telemetry(state_dir, redis_url);
		uint64_t more = ask_around(telemetry, 10, 1);
		struct telemetry_status status =
			wait_for(telemetry, has_applied, more, "stored by the second");
		/* The dead one's lease is its successor's, at once. */
		assert_true(clock_ms() - begin_ms < STORE_LEASE_MS / 2);
		assert_true(status.batches_replayed <= 1);
		if (!redis_gets_it)
			assert_int_equal(status.batches_replayed, 1);
		expected += more;
		telemetry_stop(&telemetry, DEADLINE_MS);
		assert_stored(expected);
	}
}

static void what_cannot_be_sent_waits_for_the_next_start(void **state)
{
	char state_dir[96];
	(void)state;

	make_state_dir(state_dir, "stopped");
	struct telemetry *telemetry = open_telemetry(state_dir, "unix:/nonexistent/redis.sock");
	uint64_t asked = ask_around(telemetry, 3000, 2);
	wait_for(telemetry, is_away, 0, "away");
	telemetry_stop(&telemetry, 50);

	/* Twice: the second start has something of its own to leave. */
	telemetry = open_telemetry(state_dir, "unix:/nonexistent/redis.sock");
	asked += ask_around(telemetry, 500, 1);
	telemetry_stop(&telemetry, 50);

	telemetry = open_telemetry(state_dir, redis_url);
	wait_for(telemetry, has_replayed, 40, "replayed");
	assert_stored(asked);
	asked += ask_around(telemetry, 5, 5);
	telemetry_stop(&telemetry, DEADLINE_MS);
	assert_stored(asked);
	assert_int_equal(number_of(ask("HLEN teredown:{t}:applied")), 3);
	assert_int_equal(number_of(ask("HEXISTS teredown:{t}:meta lease_until")), 0);
}

/* The append-only file is copied, Redis takes more, and is then started over the copy. */
static void an_old_file_gets_the_lost_batches_again(void **state)
{
	char state_dir[96];
	(void)state;

	make_state_dir(state_dir, "restored");
	struct telemetry *telemetry = open_telemetry(state_dir, redis_url);
	uint64_t asked = ask_around(telemetry, 200, 2);
	wait_for(telemetry, has_applied, asked, "stored");
	in_folder("cp -a appendonlydir copy");
	for (unsigned i = 0; i < 5; i++) {
		asked += ask_around(telemetry, 100 + i, 3);
		wait_for(telemetry, has_applied, asked, "stored behind the copy");
	}
	assert_stored(asked);
	for (unsigned restores = 0; restores < 2; restores++) {
		redis_kill();
		in_folder("rm -r appendonlydir && cp -a copy appendonlydir");
		asked += ask_around(telemetry, 20, 1); /* never sent before */
		wait_for(telemetry, is_away, 0, "away");
		redis_start();
		redis_connect();
		wait_for(telemetry, has_applied, asked, "stored after the restore");
		assert_stored(asked);
	}

	/* Nothing is sent twice to a Redis that kept all; a daemon started anew heals as well. */
	uint64_t replays = wait_for(telemetry, has_applied, asked, "stored").batches_replayed;
	assert_true(replays > 10);
	restart_redis(telemetry);
	assert_int_equal(
		wait_for(telemetry, has_applied, asked, "found again").batches_replayed, replays);
	assert_stored(asked);
	telemetry_stop(&telemetry, DEADLINE_MS);
	redis_kill();
	in_folder("rm -r appendonlydir && mv copy appendonlydir");
	redis_start();
	redis_connect();
	telemetry = open_telemetry(state_dir, redis_url);
	wait_for(telemetry, has_replayed, 10, "replayed by the next boot");
	assert_stored(asked);
	telemetry_stop(&telemetry, DEADLINE_MS);
}

static void what_was_deleted_is_not_sent_again(void **state)
{
	char state_dir[96];
	(void)state;

	make_state_dir(state_dir, "emptied");
	struct telemetry *telemetry = open_telemetry(state_dir, redis_url);
	uint64_t asked = ask_around(telemetry, 100, 2);
	wait_for(telemetry, has_applied, asked, "stored");
	run(ask("FLUSHALL"));
	uint64_t kept = ask_around(telemetry, 50, 1);
	wait_for(telemetry, has_applied, asked += kept, "stored after FLUSHALL");
	assert_stored(kept);
	restart_redis(telemetry);
	wait_for(telemetry, has_applied, asked, "found again");
	assert_stored(kept);

	/* Emptied while nobody was connected; a batch that it never had is no history. */
	redis_kill();
	wait_for(telemetry, is_away, 0, "away");
	in_folder("rm -r appendonlydir");
	kept = ask_around(telemetry, 10, 7);
	redis_start();
	redis_connect();
	wait_for(telemetry, has_applied, asked += kept, "stored in an empty one");
	assert_stored(kept);
	telemetry_stop(&telemetry, DEADLINE_MS);

	/* `applied` evicted or deleted alone: what was applied is not known, so nothing is doubled.
	 */
	telemetry = open_telemetry(state_dir, redis_url);
	wait_for(telemetry, has_replayed, 0, "connected");
	run(ask("DEL teredown:{t}:applied"));
	restart_redis(telemetry);
	kept += ask_around(telemetry, 10, 1);
	wait_for(telemetry, has_applied, 10, "stored without the history of batches");
	assert_stored(kept);
	telemetry_stop(&telemetry, DEADLINE_MS);

	/* And emptied between two boots. */
	run(ask("FLUSHALL"));
	telemetry = open_telemetry(state_dir, redis_url);
	kept = ask_around(telemetry, 3, 1);
	wait_for(telemetry, has_applied, kept, "stored by the next boot");
	telemetry_stop(&telemetry, DEADLINE_MS);
	assert_stored(kept);
}

static void two_of_one_name_are_fenced(void **state)
{
	char first_dir[96], second_dir[96], renamed_dir[96];
	(void)state;

	make_state_dir(first_dir, "first");
	make_state_dir(second_dir, "second");
	struct telemetry *first = open_telemetry(first_dir, redis_url);
	uint64_t of_first = ask_around(first, 40, 2);
	wait_for(first, has_applied, of_first, "stored");
	struct telemetry *second = open_telemetry(second_dir, redis_url);
	uint64_t of_second = ask_around(second, 40, 3);
	wait_for(second, is_fenced, 0, "fenced");
	/* Over the same state directory it gets no journal, and is fenced as well. */
	struct telemetry *third = open_telemetry(first_dir, redis_url);
	wait_for(third, is_fenced, 0, "fenced beside the same journal");
	telemetry_stop(&third, 50);
	of_first += ask_around(first, 10, 2);
	wait_for(first, has_applied, of_first, "stored on");
	assert_stored(of_first);

	/* Who gives it a name of its own finds what it counted until then under that. */
	make_state_dir(renamed_dir, "renamed");
	struct telemetry *renamed = open_telemetry(renamed_dir, redis_url);
	uint64_t of_renamed = ask_around(renamed, 40, 2);
	wait_for(renamed, is_fenced, 0, "fenced, too");
	telemetry_stop(&renamed, 50);
	resolver_name = "u";
	renamed = open_telemetry(renamed_dir, redis_url);
	resolver_name = "t";
	wait_for(renamed, has_replayed, 1, "replayed under the new name");
	assert_int_equal(number_of(ask("HGET teredown:{u}:meta queries")), of_renamed);
	telemetry_stop(&renamed, DEADLINE_MS);
	assert_stored(of_first);

	telemetry_stop(&first, DEADLINE_MS); /* gives the lease back */
	wait_for(second, has_applied, of_second, "stored by the second");
	assert_stored(of_first + of_second);
	telemetry_stop(&second, DEADLINE_MS);
}

/* The limit of a file's size stands for a full disk: it costs the journal, and no count. */
static void counts_go_on_without_a_disk(void **state)
{
	struct rlimit before, limit;
	char state_dir[96];
	(void)state;

	make_state_dir(state_dir, "full");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 6000;
	struct telemetry *telemetry = open_telemetry(state_dir, redis_url);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	uint64_t asked = ask_around(telemetry, 300, 2);
	struct telemetry_status status = wait_for(telemetry, has_applied, asked, "stored");
	assert_true(status.journal_failures > 0);
	assert_true(status.journal_bytes <= 6000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	telemetry_stop(&telemetry, DEADLINE_MS);
	assert_stored(asked);
}

/* What the journal could not take, Redis acknowledges and then loses: sent again out of memory, and
 * by the next boot from the disk, to which it went with the next batch that could be written. */
static void what_a_full_disk_refused_is_sent_again(void **state)
{
	struct rlimit before, limit;
	char state_dir[96];
	(void)state;

	make_state_dir(state_dir, "refused");
	signal(SIGXFSZ, SIG_IGN);
	struct telemetry *telemetry = open_telemetry(state_dir, redis_url);
	uint64_t asked = ask_around(telemetry, 200, 2);
	wait_for(telemetry, has_applied, asked, "stored");
	in_folder("cp -a appendonlydir copy");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	uint64_t bytes = 0;
	for (unsigned i = 0; i < 3; i++) {
		asked += ask_around(telemetry, 100 + i, 3);
		bytes = wait_for(telemetry, has_applied, asked, "stored behind the copy")
				.journal_bytes;
	}
	redis_kill();
	wait_for(telemetry, is_away, 0, "away");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	in_folder("rm -r appendonlydir && cp -a copy appendonlydir");
	redis_start();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	redis_connect();
	struct telemetry_status status = wait_for(telemetry, has_applied, asked, "stored again");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(status.journal_bytes, bytes);
	assert_true(status.journal_failures > 0);
	assert_int_equal(status.journal_dropped, 0);
	assert_stored(asked);

	asked += ask_around(telemetry, 10, 1);
	status = wait_for(telemetry, has_applied, asked, "written");
	assert_true(status.journal_bytes > bytes + 3 * 100 * 20);
	telemetry_stop(&telemetry, DEADLINE_MS);
	redis_kill();
	in_folder("rm -r appendonlydir && mv copy appendonlydir");
	redis_start();
	redis_connect();
	telemetry = open_telemetry(state_dir, redis_url);
	wait_for(telemetry, has_replayed, status.batches_replayed + 1, "replayed by the next boot");
	assert_stored(asked);
	telemetry_stop(&telemetry, DEADLINE_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(frozen_batches_outlive_sigkill, redis_empty),
		cmocka_unit_test_setup(what_cannot_be_sent_waits_for_the_next_start, redis_empty),
		cmocka_unit_test_setup(an_old_file_gets_the_lost_batches_again, redis_empty),
		cmocka_unit_test_setup(what_was_deleted_is_not_sent_again, redis_empty),
		cmocka_unit_test_setup(two_of_one_name_are_fenced, redis_empty),
		cmocka_unit_test_setup(counts_go_on_without_a_disk, redis_empty),
		cmocka_unit_test_setup(what_a_full_disk_refused_is_sent_again, redis_empty),
	};

	log_setup("test_store_journal", LOG_LEVEL_ERROR);
	return redis_is_installed() ? cmocka_run_group_tests(tests, redis_open, redis_close)
				    : TEST_SKIPPED;
}
