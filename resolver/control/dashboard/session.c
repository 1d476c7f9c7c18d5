/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between HTTP and access.h: what each kind of route asks for, and a thread that looks once a
 * second whether the token is another one and writes down what was refused. The loop must not wait
 * for the disk, and a thread of the pool may be busy with somebody's question for seconds.
 */
#include "resolver/control/dashboard/session.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/control/cli.h"
#include "resolver/control/dashboard/changes.h"
#include "resolver/control/dashboard/dashboard.h"

struct sessions {
	struct access *access;
	pthread_t thread;
	pthread_mutex_t lock; /* guards stopping */
	pthread_cond_t wake;
	bool stopping;
};

/* --- the thread --- */

static void *look(void *argument)
{
	struct sessions *sessions = argument;
	struct timespec next;

	pthread_mutex_lock(&sessions->lock);
	while (!sessions->stopping) {
		clock_gettime(CLOCK_MONOTONIC, &next);
		next.tv_sec++;
		while (!sessions->stopping &&
			pthread_cond_timedwait(&sessions->wake, &sessions->lock, &next) == 0)
			;
		pthread_mutex_unlock(&sessions->lock);
		access_look(sessions->access);
		pthread_mutex_lock(&sessions->lock);
	}
	pthread_mutex_unlock(&sessions->lock);
	return NULL;
}

static bool start(struct sessions *sessions)
{
	pthread_condattr_t steady;

	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_mutex_init(&sessions->lock, NULL);
	pthread_cond_init(&sessions->wake, &steady);
	pthread_condattr_destroy(&steady);
	if (pthread_create(&sessions->thread, NULL, look, sessions) == 0)
		return true;
	pthread_cond_destroy(&sessions->wake);
	pthread_mutex_destroy(&sessions->lock);
	return false;
}

void sessions_free(struct sessions *sessions)
{
	if (!sessions)
		return;
	pthread_mutex_lock(&sessions->lock);
	sessions->stopping = true;
	pthread_cond_signal(&sessions->wake);
	pthread_mutex_unlock(&sessions->lock);
	pthread_join(sessions->thread, NULL);
	pthread_cond_destroy(&sessions->wake);
	pthread_mutex_destroy(&sessions->lock);
	access_free(sessions->access);
	free(sessions);
}

/* --- the token --- */

static void append_where(struct strbuf *out, const struct options *options)
{
	char text[ENDPOINT_TEXT_MAX];

	strbuf_append_text(out, options->dashboard_certificate[0] ? "https://" : "http://");
	strbuf_append_text(out, options->dashboard_listen_count
					? endpoint_to_text(&options->dashboard_listen[0], text)
					: "");
	strbuf_append_char(out, '/');
}

static void append_token(struct strbuf *out, const struct options *options, const char *token)
{
	strbuf_append_text(out,
		"The token of the dashboard; it is shown once, and kept as a hash only:\n\n    ");
	strbuf_append_text(out, token);
	strbuf_append_text(out, "\n\nSign in with it at ");
	append_where(out, options);
	strbuf_append_text(out, options->dashboard_reading_open
					? " to change something.\n"
					: " to read and to change something.\n");
}

static void show(const struct options *options, const char *token)
{
	struct strbuf out;

	strbuf_init(&out);
	append_token(&out, options, token);
	if (!out.failed)
		fputs(out.data, stdout);
	fflush(stdout);
	if (out.data)
		explicit_bzero(out.data, out.length);
	strbuf_deinit(&out);
}

static bool prints_into_a_log(void)
{
	struct stat status;

	return fstat(STDOUT_FILENO, &status) != 0 || S_ISSOCK(status.st_mode);
}

static struct access *open_access(const struct options *options, bool secure)
{
	const struct access_config config = {
		.state_dir = options->state_dir, .secure = secure, .makes = !prints_into_a_log()};
	char made[TOKEN_TEXT_SIZE], words[512];
	struct access *access = access_new(&config, made, words, sizeof words);

	if (!access)
		log_error("%s", words);
	else if (*words)
		log_warning("%s: nobody can sign in; %s", words,
			options->dashboard_reading_open
				? "reading is open to everyone"
				: "reading needs a token too, so there is nothing to see");
	if (access && *made)
		show(options, made);
	explicit_bzero(made, sizeof made);
	return access;
}

struct sessions *sessions_new(struct dashboard *dashboard)
{
	struct sessions *sessions = calloc(1, sizeof *sessions);
	struct dashboard_options *held = dashboard_options_hold(dashboard);

	if (sessions)
		sessions->access = open_access(held->options, dashboard->tls);
	else
		log_error("out of memory");
	dashboard_options_drop(held);
	if (sessions && sessions->access && start(sessions))
		return sessions;
	if (sessions)
		access_free(sessions->access);
	free(sessions);
	return NULL;
}

struct access *sessions_access(struct dashboard *dashboard)
{
	return dashboard->sessions->access;
}

static void note_new_token(const struct cli *cli)
{
	const struct change change = {.wall_ms = cli->now_ms,
		.from = "command",
		.what = "{\"request\":\"new-token\"}",
		.result = "done",
		.words = "the token is another one, all sessions have ended"};

	changes_add(cli->options->state_dir, &change);
}

int sessions_new_token(struct cli *cli)
{
	char made[TOKEN_TEXT_SIZE], words[512];

	if (!access_new_token(cli->options->state_dir, made, words, sizeof words)) {
		cli_error(cli, "%s", words);
		return CLI_ERROR;
	}
	note_new_token(cli);
	if (cli->json) {
		strbuf_append_char(&cli->out, '{');
		strbuf_json_text(&cli->out, "token", made);
		strbuf_append_text(&cli->out, "}\n");
	} else {
		append_token(&cli->out, cli->options, made);
		strbuf_append_text(&cli->out, "All sessions of before have ended.\n");
	}
	explicit_bzero(made, sizeof made);
	return CLI_OK;
}

/* --- requests --- */

static bool reading_is_open(struct dashboard *dashboard)
{
	struct dashboard_options *held = dashboard_options_hold(dashboard);
	bool open = held->options->dashboard_reading_open;

	dashboard_options_drop(held);
	return open;
}

static enum access_rule rule_of(
	struct dashboard *dashboard, const struct session_question *question)
{
	if (question->changes)
		return ACCESS_CHANGE;
	if (strcmp(question->method, "GET") != 0)
		return ACCESS_SIGN_IN;
	if (question->open || (question->open_local && question->from_loopback) ||
		reading_is_open(dashboard))
		return ACCESS_FREE;
	return ACCESS_READING;
}

int session_check(
	struct dashboard *dashboard, const struct session_question *question, const char **words)
{
	const struct access_facts facts = {.method = question->method,
		.path = question->path,
		.from = question->from,
		.host = question->host,
		.id = question->cookie,
		.csrf = question->csrf,
		.content_type = question->content_type,
		.origin = question->origin,
		.referer = question->referer,
		.fetch_site = question->fetch_site};
	struct access_refusal refusal;

	if (access_admits(
		    sessions_access(dashboard), rule_of(dashboard, question), &facts, &refusal))
		return 0;
	*words = refusal.words;
	return refusal.status;
}
