/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /api/v1/session: signing in and out. What is wrong with a token is never said, and no token is
 * written anywhere.
 */
#include <string.h>

#include "resolver/control/dashboard/access.h"
#include "resolver/control/dashboard/body.h"
#include "resolver/control/dashboard/changes.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/dashboard/session.h"

#define TOKEN_GIVEN_MAX 256

static void write_session(struct api_context *context, struct api_reply *reply, const char *id)
{
	const struct cli *cli = context->cli;
	struct strbuf *out = &reply->body;
	struct access_view view;

	access_view(sessions_access(context->shared), id, &view);
	api_begin(context, NULL, reply);
	strbuf_json_text(out, "resolver", cli->options->resolver_name);
	strbuf_json_bool(out, "signed_in", view.signed_in);
	strbuf_json_text(out, "reading", cli->options->dashboard_reading_open ? "open" : "token");
	strbuf_json_text(out, "csrf", view.signed_in ? view.csrf : NULL);
	output_json_time(out, "expires", view.signed_in ? cli->now_ms + view.left_ms : 0);
	api_end(reply);
}

void api_session(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	write_session(context, reply, request->cookie);
}

static void note(const struct api_context *context, const struct api_request *request,
	const char *what, const char *result, const char *words, bool stranger)
{
	const struct change change = {.wall_ms = context->cli->now_ms,
		.from = request->from,
		.what = what,
		.result = result,
		.words = words,
		.stranger = stranger};

	changes_add(access_folder(sessions_access(context->shared)), &change);
}

/* The cookie has to outlive this call. */
static void give_cookie(struct api_context *context, struct api_reply *reply, const char *id)
{
	char *cookie = arena_alloc(&context->cli->arena, ACCESS_COOKIE_MAX);

	if (cookie)
		reply->cookie = access_cookie(sessions_access(context->shared), id, cookie);
	else
		api_fail(reply, 500, "out of memory");
}

static void sign_in(struct api_context *context, const struct api_request *request,
	struct api_reply *reply, const char *token)
{
	static const char what[] = "{\"request\":\"sign-in\"}";
	struct access *access = sessions_access(context->shared);
	char id[ACCESS_ID_TEXT_SIZE];
	int wait_s;

	switch (access_sign_in(access, token, request->from, id, &wait_s)) {
	case ACCESS_SIGNED_IN:
		access_sign_out(access, request->cookie);
		note(context, request, what, "done", "signed in", false);
		write_session(context, reply, id);
		give_cookie(context, reply, id);
		break;
	case ACCESS_WRONG:
		note(context, request, what, "refused", "this is not the token", true);
		api_fail(reply, 401, "this is not the token of this dashboard");
		break;
	case ACCESS_TOO_SOON:
		api_fail(reply, 429, "too many tries to sign in; the next one may be in %d s",
			wait_s);
		reply->retry_after_s = wait_s;
		break;
	case ACCESS_NO_TOKEN:
		note(context, request, what, "failed", "there is no token", true);
		api_fail(reply, 503,
			"nobody can sign in: there is no token, or it cannot be read; "
			"`teredown dashboard --new-token` makes one");
		break;
	case ACCESS_FAILED:
		api_fail(reply, 500, "out of memory or of random octets");
		break;
	}
	explicit_bzero(id, sizeof id);
}

void api_session_begin(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	static const char *const names[] = {"token", NULL};
	struct json_t *body = body_read(request, reply, names);
	const char *token;

	if (body && body_word(body, reply, "token", true, TOKEN_GIVEN_MAX, &token))
		sign_in(context, request, reply, token);
	if (body)
		body_free(body);
}

void api_session_end(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	static const char what[] = "{\"request\":\"sign-out\"}";

	if (access_sign_out(sessions_access(context->shared), request->cookie))
		note(context, request, what, "done", "signed out", false);
	write_session(context, reply, "");
	give_cookie(context, reply, "");
}
