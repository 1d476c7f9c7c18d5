/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One frame waits to be taken at most: a newer one replaces it. What commands explain on stderr
 * when Redis cannot be read is caught, since the screen is in the way, and its first line shown
 * there.
 */
#include "resolver/control/top_reader.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "resolver/control/client_table.h"
#include "resolver/control/clock.h"
#include "resolver/control/top_state.h"

#define REFRESH_MS 1000
#define RETRY_MS 3000  /* resolvers of a fleet that could not be read are tried again */
#define RENEW_MS 30000 /* the same of all: there may be more */

struct top_reader {
	struct cli *cli;
	struct fleet *fleet;
	int64_t opened_ms; /* monotonic */
	FILE *errors;      /* where cli's went before */
	struct client_tables *tables;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock: */
	struct top_wish wish;
	char of[NAME_TEXT_MAX], search[TOP_SEARCH_MAX];
	unsigned changes;
	bool wished, paused, ended;
	struct top_frame *ready;
	char words[TOP_WORDS_MAX];
};

/* A copy of the wish with texts of its own. */
struct order {
	struct top_wish wish;
	char of[NAME_TEXT_MAX], search[TOP_SEARCH_MAX];
	unsigned changes;
};

void top_frame_free(struct top_frame *frame)
{
	if (!frame)
		return;
	arena_deinit(&frame->arena);
	free(frame);
}

/* --- in the thread --- */

static void append_coverage(struct cli *cli, struct fleet *fleet, struct strbuf *out)
{
	struct cli_coverage coverage;

	cli_fleet_name(fleet, out);
	if (cli_coverage(cli, fleet, &coverage) != TD_OK || !coverage.ever) {
		strbuf_append_text(out, ", nothing recorded yet");
	} else if (coverage.since_ms > 0) {
		strbuf_append_text(out, ", recording since ");
		output_time(out, coverage.since_ms);
	}
	if (fleet_missing(fleet))
		strbuf_printf(out, ", %zu missing", fleet_missing(fleet));
}

static enum td_error read_table(struct top_reader *reader, const struct order *order,
	struct top_table *table, char title[TOP_WORDS_MAX])
{
	struct strbuf words;

	reader->cli->now_ms = clock_wall_ms();
	strbuf_init(&words);
	append_coverage(reader->cli, reader->fleet, &words);
	snprintf(title, TOP_WORDS_MAX, "%s", words.failed ? "" : words.data);
	strbuf_deinit(&words);
	enum td_error error =
		top_load(reader->cli, reader->fleet, reader->tables, &order->wish, table);
	if (error != TD_OK || table->whole)
		return error;
	size_t column = order->wish.column < table->column_count ? order->wish.column : 0;
	top_table_search(table, order->wish.search);
	return top_table_sort(table, column, order->wish.ascending) ? TD_OK : TD_NOMEM;
}

/* A resolver that failed once is set aside for as long as its fleet is open. */
static bool is_worn(const struct top_reader *reader)
{
	const struct fleet *fleet = reader->fleet;

	return fleet && fleet->whole &&
	       clock_mono_ms() - reader->opened_ms > (fleet_missing(fleet) ? RETRY_MS : RENEW_MS);
}

/* Redis again, when it was away. False, with the words for the screen. */
static bool open_fleet(struct top_reader *reader, char words[TOP_WORDS_MAX])
{
	char *text = NULL;
	size_t size = 0;

	if (is_worn(reader))
		fleet_close(&reader->fleet);
	if (reader->fleet)
		return true;
	reader->cli->errors = open_memstream(&text, &size);
	if (!reader->cli->errors) {
		snprintf(words, TOP_WORDS_MAX, "%s", error_text(TD_NOMEM));
		return false;
	}
	reader->fleet = cli_fleet(reader->cli);
	reader->opened_ms = clock_mono_ms();
	fclose(reader->cli->errors);
	reader->cli->errors = reader->errors;
	if (!reader->fleet && text) {
		const char *start = strncmp(text, "teredown: ", 10) == 0 ? text + 10 : text;
		snprintf(words, TOP_WORDS_MAX, "%.*s", (int)strcspn(start, "\n"), start);
	}
	free(text);
	return reader->fleet != NULL;
}

static struct top_frame *read_frame(
	struct top_reader *reader, const struct order *order, char words[TOP_WORDS_MAX])
{
	struct top_frame *frame = calloc(1, sizeof(*frame));

	*words = '\0';
	if (!frame || !open_fleet(reader, words)) {
		free(frame);
		return NULL;
	}
	enum td_error error = read_table(reader, order, &frame->table, frame->title);
	frame->arena = reader->cli->arena;
	frame->wall_ms = reader->cli->now_ms;
	frame->changes = order->changes;
	arena_init(&reader->cli->arena);
	if (error == TD_OK)
		return frame;
	snprintf(words, TOP_WORDS_MAX, "Redis: %s", fleet_words(reader->fleet));
	fleet_close(&reader->fleet);
	top_frame_free(frame);
	return NULL;
}

static void copy_order(const struct top_reader *reader, struct order *order)
{
	order->wish = reader->wish;
	memcpy(order->of, reader->of, sizeof(order->of));
	memcpy(order->search, reader->search, sizeof(order->search));
	order->wish.of = reader->wish.of ? order->of : NULL;
	order->wish.search = order->search;
	order->changes = reader->changes;
}

/* Until something else is to be read, or a second has gone by and it is not paused. */
static void wait_for_order(struct top_reader *reader, unsigned done)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += REFRESH_MS / 1000;
	while (!reader->ended && (!reader->wished || reader->changes == done)) {
		if (!reader->wished || reader->paused)
			pthread_cond_wait(&reader->wake, &reader->lock);
		else if (pthread_cond_timedwait(&reader->wake, &reader->lock, &until) != 0)
			return;
	}
}

static void *read_on(void *context)
{
	struct top_reader *reader = context;
	char words[TOP_WORDS_MAX];
	unsigned done = 0;
	struct order order;

	pthread_mutex_lock(&reader->lock);
	for (;;) {
		wait_for_order(reader, done);
		if (reader->ended)
			break;
		copy_order(reader, &order);
		pthread_mutex_unlock(&reader->lock);
		struct top_frame *frame = read_frame(reader, &order, words);
		pthread_mutex_lock(&reader->lock);
		done = order.changes;
		memcpy(reader->words, words, sizeof(words));
		if (frame) {
			top_frame_free(reader->ready);
			reader->ready = frame;
		}
	}
	pthread_mutex_unlock(&reader->lock);
	return NULL;
}

/* --- outside --- */

static void reader_deinit(struct top_reader *reader)
{
	pthread_mutex_destroy(&reader->lock);
	pthread_cond_destroy(&reader->wake);
	client_tables_free(&reader->tables);
	top_frame_free(reader->ready);
	free(reader);
}

static void init_wake(pthread_cond_t *wake)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

struct top_reader *top_reader_new(struct cli *cli, struct fleet *fleet)
{
	struct top_reader *reader = calloc(1, sizeof(*reader));
	struct hash_seed seed;

	if (!reader || getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
		free(reader);
		return NULL;
	}
	reader->cli = cli;
	reader->fleet = fleet;
	reader->opened_ms = clock_mono_ms();
	reader->errors = cli->errors;
	reader->tables = client_tables_new(seed, cli->options->clients_max);
	pthread_mutex_init(&reader->lock, NULL);
	init_wake(&reader->wake);
	if (reader->tables && pthread_create(&reader->thread, NULL, read_on, reader) == 0)
		return reader;
	reader_deinit(reader);
	return NULL;
}

void top_reader_free(struct top_reader **reader)
{
	if (!*reader)
		return;
	pthread_mutex_lock(&(*reader)->lock);
	(*reader)->ended = true;
	pthread_cond_signal(&(*reader)->wake);
	pthread_mutex_unlock(&(*reader)->lock);
	pthread_join((*reader)->thread, NULL);
	fleet_close(&(*reader)->fleet);
	reader_deinit(*reader);
	*reader = NULL;
}

void top_reader_wish(struct top_reader *reader, const struct top_wish *wish, unsigned changes)
{
	pthread_mutex_lock(&reader->lock);
	reader->wish = *wish;
	snprintf(reader->of, sizeof(reader->of), "%s", wish->of ? wish->of : "");
	snprintf(reader->search, sizeof(reader->search), "%s", wish->search);
	reader->changes = changes;
	reader->wished = true;
	pthread_cond_signal(&reader->wake);
	pthread_mutex_unlock(&reader->lock);
}

void top_reader_pause(struct top_reader *reader, bool paused)
{
	pthread_mutex_lock(&reader->lock);
	reader->paused = paused;
	pthread_cond_signal(&reader->wake);
	pthread_mutex_unlock(&reader->lock);
}

struct top_frame *top_reader_take(struct top_reader *reader)
{
	pthread_mutex_lock(&reader->lock);
	struct top_frame *frame = reader->ready;
	reader->ready = NULL;
	pthread_mutex_unlock(&reader->lock);
	return frame;
}

void top_reader_words(struct top_reader *reader, char out[TOP_WORDS_MAX])
{
	pthread_mutex_lock(&reader->lock);
	memcpy(out, reader->words, TOP_WORDS_MAX);
	pthread_mutex_unlock(&reader->lock);
}
