/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the dashboard changes, on the resolver beside it and over its control socket as a command
 * does, with the same words said of it (change_words.h). Each attempt stands in the journal
 * (changes.h) whatever became of it, and the daemon is told on whose behalf it is asked, so its log
 * and its events name the dashboard and the address.
 *
 * That there is a session, that the CSRF token is its own and the page ours was decided before
 * (access.h). Here the session is confirmed against the token's file once more: after `teredown
 * dashboard --new-token` has returned, no session of before changes anything.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/dns/name.h"
#include "lib/dns/text.h"
#include "resolver/control/change_words.h"
#include "resolver/control/dashboard/access.h"
#include "resolver/control/dashboard/body.h"
#include "resolver/control/dashboard/changes.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/dashboard/session.h"
#include "resolver/control/protocol.h"
#include "resolver/modes.h"

#define WORDS_MAX 6
#define MEMBERS_MAX 4
#define VIA_SIZE 80
#define NAME_GIVEN_MAX 1024
#define RELOAD_MS 25000
#define EVERYTHING "*"

/* One request on its way: what is asked, and what is said of it. */
struct attempt {
	struct api_context *context;
	const struct api_request *request;
	struct api_reply *reply;
	struct strbuf what;  /* the journal's object, without its end */
	struct strbuf words; /* sentences, each with a newline */
	const char *group;   /* of mode and reset */
	bool reset;
	char via[VIA_SIZE], seconds[24], name[NAME_TEXT_MAX];
	const char *asked[WORDS_MAX]; /* the request to the daemon; asked[0] is via */
	unsigned count;
};

/* A kind of request: what it may hold, how that becomes words for the daemon, what is said after.
 */
struct kind {
	const char *name;
	const char *members[MEMBERS_MAX + 1];
	/* False: the reply says what is wrong with it. */
	bool (*read)(struct attempt *attempt, const struct json_t *body);
	void (*ask)(struct attempt *attempt, const struct kind *kind);
	void (*say)(struct attempt *attempt, const struct control_answer *answer);
	void (*json)(struct strbuf *out, const struct control_answer *answer);
};

static void begin(struct attempt *attempt, struct api_context *context,
	const struct api_request *request, struct api_reply *reply, const char *name)
{
	*attempt = (struct attempt){.context = context, .request = request, .reply = reply};
	strbuf_init(&attempt->what);
	strbuf_init(&attempt->words);
	strbuf_append_char(&attempt->what, '{');
	strbuf_json_text(&attempt->what, "request", name);
	snprintf(attempt->via, sizeof attempt->via, CONTROL_VIA "dashboard/%.60s", request->from);
	attempt->asked[attempt->count++] = attempt->via;
}

static void end(struct attempt *attempt)
{
	strbuf_deinit(&attempt->what);
	strbuf_deinit(&attempt->words);
}

static void ask_word(struct attempt *attempt, const char *word)
{
	attempt->asked[attempt->count++] = word;
}

/* --- the journal --- */

/* Sentences on one line. */
static void join_lines(struct strbuf *words)
{
	while (words->length && words->data[words->length - 1] == '\n')
		words->data[--words->length] = '\0';
	for (size_t i = 0; i < words->length; i++)
		if (words->data[i] == '\n')
			words->data[i] = ' ';
}

/* False: it stands nowhere but in the log. */
static bool note(struct attempt *attempt, const char *result, const char *words)
{
	const struct change change = {.wall_ms = attempt->context->cli->now_ms,
		.from = attempt->request->from,
		.what = attempt->what.data,
		.result = result,
		.words = words};

	strbuf_append_char(&attempt->what, '}');
	if (attempt->what.failed)
		return false;
	return changes_add(access_folder(sessions_access(attempt->context->shared)), &change);
}

/* --- what the daemon did --- */

static void write_lines(struct strbuf *out, const struct strbuf *words)
{
	const char *at = words->data ? words->data : "";

	strbuf_json_key(out, "changes");
	strbuf_append_char(out, '[');
	for (size_t length; *at; at += length + (at[length] == '\n')) {
		length = strcspn(at, "\n");
		output_json_next(out);
		strbuf_json_string(out, at, length);
	}
	strbuf_append_char(out, ']');
}

static void succeed(
	struct attempt *attempt, const struct kind *kind, const struct control_answer *answer)
{
	struct api_context *context = attempt->context;
	struct api_reply *reply = attempt->reply;
	struct strbuf noted;

	kind->say(attempt, answer);
	strbuf_init(&noted);
	strbuf_append(&noted, attempt->words.data, attempt->words.length);
	join_lines(&noted);
	if (noted.failed || !note(attempt, "done", noted.data ? noted.data : ""))
		strbuf_append_text(&attempt->words,
			"The journal of changes cannot be written; the dashboard's log has it.\n");
	strbuf_deinit(&noted);
	api_begin(context, NULL, reply);
	strbuf_json_text(&reply->body, "resolver", context->cli->options->resolver_name);
	write_lines(&reply->body, &attempt->words);
	kind->json(&reply->body, answer);
	api_end(reply);
}

/* The reply says already why. */
static void fail(struct attempt *attempt, const struct control_answer *answer)
{
	bool refused = attempt->reply->status == 502;

	if (refused)
		attempt->reply->status = 422;
	note(attempt, refused ? "refused" : "failed",
		refused ? answer->words : "teredownd did not answer");
}

static void ask(struct attempt *attempt, const struct kind *kind)
{
	struct access *access = sessions_access(attempt->context->shared);
	struct control_answer answer;

	if (!access_confirms(access, attempt->request->cookie)) {
		api_fail(attempt->reply, 401, "the session has ended: sign in again");
		note(attempt, "refused", "the session has ended");
		return;
	}
	if (api_ask(attempt->context, attempt->reply, attempt->count, attempt->asked, &answer))
		succeed(attempt, kind, &answer);
	else
		fail(attempt, &answer);
	control_answer_free(&answer);
}

/* What was wrong with the request stands in the reply, and is noted as well. */
static void change(const struct kind *kind, struct api_context *context,
	const struct api_request *request, struct api_reply *reply)
{
	struct json_t *body = body_read(request, reply, kind->members);
	struct attempt attempt;

	begin(&attempt, context, request, reply, kind->name);
	if (body && kind->read(&attempt, body))
		kind->ask(&attempt, kind);
	else
		note(&attempt, "refused", "the request was malformed");
	end(&attempt);
	if (body)
		body_free(body);
}

/* --- modes --- */

static void say_mode(struct attempt *attempt, const struct control_answer *answer)
{
	const char *warning = control_answer_value(answer, "warning");

	if (!change_words_mode(&attempt->words, answer, attempt->group, attempt->reset))
		strbuf_append_text(&attempt->words, "Nothing changed, it was so already.\n");
	if (warning)
		strbuf_printf(&attempt->words, "Warning: %s\n", warning);
}

static bool is_mode(const char *word)
{
	return strcmp(word, "watch") == 0 || strcmp(word, "block") == 0 ||
	       strcmp(word, "ignore") == 0;
}

/* The names of zones and groups, so that no other word gets to the daemon ("*" is everything). */
static bool read_name(struct attempt *attempt, const struct json_t *body, const char *member)
{
	const char *name;

	if (!body_word(body, attempt->reply, member, false, POLICY_ZONE_NAME_MAX - 1, &name))
		return false;
	if (name && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0') {
		api_fail(attempt->reply, 400, "%s: a name has lower case letters, digits and '-'",
			member);
		return false;
	}
	strbuf_json_text(&attempt->what, member, name);
	ask_word(attempt, name ? name : EVERYTHING);
	if (strcmp(member, "group") == 0)
		attempt->group = name;
	return true;
}

static bool read_mode(struct attempt *attempt, const struct json_t *body)
{
	const char *mode;
	int64_t length;

	if (!body_word(body, attempt->reply, "mode", true, 16, &mode))
		return false;
	if (!is_mode(mode)) {
		api_fail(attempt->reply, 400, "mode: not one of watch, block, ignore");
		return false;
	}
	strbuf_json_text(&attempt->what, "mode", mode);
	ask_word(attempt, "mode");
	ask_word(attempt, mode);
	if (!read_name(attempt, body, "zone") || !read_name(attempt, body, "group") ||
		!body_number(body, attempt->reply, "seconds", MODE_FOR_MAX_S, &length))
		return false;
	strbuf_json_key(&attempt->what, "seconds");
	snprintf(attempt->seconds, sizeof attempt->seconds, "%lld", (long long)length);
	strbuf_append_text(&attempt->what, length ? attempt->seconds : "null");
	ask_word(attempt, attempt->seconds);
	return true;
}

void api_policy_mode(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	static const struct kind kind = {"policy/mode", {"mode", "zone", "group", "seconds"},
		read_mode, ask, say_mode, change_words_mode_json};

	change(&kind, context, request, reply);
}

static bool read_reset(struct attempt *attempt, const struct json_t *body)
{
	attempt->reset = true;
	ask_word(attempt, "mode");
	ask_word(attempt, "reset");
	return read_name(attempt, body, "zone") && read_name(attempt, body, "group");
}

void api_policy_reset(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	static const struct kind kind = {"policy/reset", {"zone", "group"}, read_reset, ask,
		say_mode, change_words_mode_json};

	change(&kind, context, request, reply);
}

/* --- zones by transfer --- */

static void say_refresh(struct attempt *attempt, const struct control_answer *answer)
{
	if (!change_words_refresh(&attempt->words, answer))
		strbuf_append_text(&attempt->words, "No zone comes by transfer.");
}

static bool read_refresh(struct attempt *attempt, const struct json_t *body)
{
	ask_word(attempt, "refresh");
	if (!read_name(attempt, body, "zone"))
		return false;
	if (strcmp(attempt->asked[attempt->count - 1], EVERYTHING) == 0)
		attempt->count--;
	return true;
}

void api_policy_refresh(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	static const struct kind kind = {"policy/refresh", {"zone"}, read_refresh, ask, say_refresh,
		change_words_refresh_json};

	change(&kind, context, request, reply);
}

/* --- the cache --- */

static void say_flush(struct attempt *attempt, const struct control_answer *answer)
{
	change_words_flush(&attempt->words, answer);
}

static bool read_flush(struct attempt *attempt, const struct json_t *body)
{
	struct name name;
	const char *given;
	bool suffix;

	if (!body_word(body, attempt->reply, "name", true, NAME_GIVEN_MAX, &given) ||
		!body_flag(body, attempt->reply, "suffix", &suffix))
		return false;
	if (name_from_text(&name, given, strlen(given)) != TD_OK) {
		api_fail(attempt->reply, 400, "name: this is no name");
		return false;
	}
	name_to_text(name.wire, attempt->name);
	strbuf_json_text(&attempt->what, "name", attempt->name);
	strbuf_json_bool(&attempt->what, "suffix", suffix);
	ask_word(attempt, "flush");
	ask_word(attempt, suffix ? "suffix" : "name");
	ask_word(attempt, EVERYTHING);
	ask_word(attempt, attempt->name);
	return true;
}

void api_cache_flush(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	static const struct kind kind = {"cache/flush", {"name", "suffix"}, read_flush, ask,
		say_flush, change_words_flush_json};

	change(&kind, context, request, reply);
}

/* --- reload --- */

static void say_reload(struct attempt *attempt, const struct control_answer *answer)
{
	change_words_reload(&attempt->words, answer);
}

static bool read_reload(struct attempt *attempt, const struct json_t *body)
{
	(void)body;
	ask_word(attempt, "reload");
	return true;
}

/* Takes long, so one at a time: the other threads are for those who read. */
static void ask_alone(struct attempt *attempt, const struct kind *kind)
{
	static atomic_flag running = ATOMIC_FLAG_INIT;
	struct cli *cli = attempt->context->cli;

	if (atomic_flag_test_and_set(&running)) {
		api_fail(attempt->reply, 409, "another reload is under way");
		note(attempt, "refused", "another reload is under way");
		return;
	}
	cli->patience_ms = RELOAD_MS;
	ask(attempt, kind);
	cli->patience_ms = 0;
	atomic_flag_clear(&running);
}

void api_reload(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	static const struct kind kind = {
		"reload", {NULL}, read_reload, ask_alone, say_reload, change_words_reload_json};

	change(&kind, context, request, reply);
}

/* --- what was changed --- */

/* Addresses of those who sign in are not for everybody, even where reading is. */
void api_changes(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct access *access = sessions_access(context->shared);
	struct access_view view;
	uint64_t limit;

	access_view(access, request->cookie, &view);
	if (!view.signed_in) {
		api_fail(reply, 401, "the journal of changes is for those who have signed in");
		return;
	}
	if (!api_number(request, reply, "limit", 100, 1, CHANGES_SHOWN_MAX, &limit))
		return;
	api_begin(context, NULL, reply);
	strbuf_json_text(&reply->body, "resolver", context->cli->options->resolver_name);
	strbuf_json_key(&reply->body, "rows");
	if (changes_read(access_folder(access), (size_t)limit, &reply->body))
		api_end(reply);
	else
		api_fail(reply, 503, "the journal of changes cannot be read: %s", strerror(errno));
}
