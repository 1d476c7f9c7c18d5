/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may read and who may change: the one place that decides. The loop asks before it hands a
 * request to a handler (session.h, access_admits); the handlers of /api/v1/session sign in and out.
 *
 * All functions may be called by any thread once access_new has returned. Those that say so wait
 * for the disk or for a hash, and are not for the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/control/dashboard/digest.h"
#include "resolver/control/dashboard/token.h"

#define ACCESS_ID_TEXT_SIZE DIGEST_TEXT_SIZE
#define ACCESS_COOKIE_MAX 192 /* of a whole Set-Cookie value, with its NUL */

struct access;

struct access_config {
	const char *state_dir;
	bool secure; /* we speak TLS ourselves */
	bool makes;  /* a token where there is none: not where what we print is kept */
};

/*
 * Call it when the port is ours, so that no two dashboards make a token at once. `made` becomes the
 * text of a token that was made now, because there was none: to be shown once, then cleared; else
 * "". What config points to need not stay. Waits.
 *
 * NULL: words say why (the file is damaged, out of memory). Words with a pointer are a warning:
 * there is no token, and none can be kept, so nobody can sign in; else words are "".
 */
struct access *access_new(
	const struct access_config *config, char made[TOKEN_TEXT_SIZE], char *words, size_t size);
void access_free(struct access *access);

/*
 * `teredown dashboard --new-token`: a new one takes the place of the old one, which ends all
 * sessions of a running dashboard as well. False, with words. Waits.
 */
bool access_new_token(const char *state_dir, char made[TOKEN_TEXT_SIZE], char *words, size_t size);

/* --- every request, before its handler --- */

enum access_rule {
	ACCESS_FREE,    /* anybody: the page's files, GET session, openapi.json, healthz */
	ACCESS_READING, /* a session */
	ACCESS_SIGN_IN, /* anybody, but from a page of ours: POST session */
	ACCESS_CHANGE   /* a session, its CSRF token, from a page of ours: all else but GET */
};

/* Headers as they came, NULL where there is none of that name. */
struct access_facts {
	const char *method, *path; /* without what stands behind '?' */
	const char *from;          /* the address that asks */
	const char *host;          /* that we are called so has been checked */
	const char *id;            /* of the session, from its cookie; "" for none */
	const char *csrf, *content_type;
	const char *origin, *referer, *fetch_site;
};

struct access_refusal {
	int status;        /* of HTTP: 401, 403, 415 */
	const char *words; /* static; what is missing, never how near it was */
};

/* True: go on. False: answer so; for a change that is noted in the journal by access_look.
 * Does not wait. */
bool access_admits(struct access *access, enum access_rule rule, const struct access_facts *facts,
	struct access_refusal *refusal);

/* The id in a header Cookie, "" where there is none that could be one; returns out. */
const char *access_cookie_id(
	const struct access *access, const char *header, char out[ACCESS_ID_TEXT_SIZE]);

/* To be called once a second. Looks whether the token's file is another one, which ends all
 * sessions, and writes to the journal what was refused. Waits. */
void access_look(struct access *access);

/* --- for handlers --- */

struct access_view {
	bool signed_in;
	char csrf[DIGEST_TEXT_SIZE]; /* "" when not signed in */
	int64_t left_ms;             /* until it ends, if it is idle from now */
};

/* Of the session with this id ("": none), which counts as its being in use. */
void access_view(struct access *access, const char *id, struct access_view *out);
const char *access_folder(const struct access *access); /* the state directory */

enum access_sign_in {
	ACCESS_SIGNED_IN,
	ACCESS_WRONG,    /* this is not the token */
	ACCESS_TOO_SOON, /* not looked at; *wait_s */
	ACCESS_NO_TOKEN, /* nobody can sign in: there is none, or it cannot be read */
	ACCESS_FAILED    /* out of memory or of random octets */
};

/* Waits. id: of the new session. */
enum access_sign_in access_sign_in(struct access *access, const char *token, const char *from,
	char id[ACCESS_ID_TEXT_SIZE], int *wait_s);

/* The session has ended when it returns. False: there was none. */
bool access_sign_out(struct access *access, const char *id);

/* Whether that session is there still, by the token's file as it is now. Waits. */
bool access_confirms(struct access *access, const char *id);

/* The value of Set-Cookie that gives a browser this id, or takes its cookie away (""). Returns
 * out. */
const char *access_cookie(const struct access *access, const char *id, char out[ACCESS_COOKIE_MAX]);

/* All but `open` only grow. */
struct access_counts {
	uint64_t open, begun, ended, expired, pushed_out; /* sessions */
	uint64_t wrong;                                   /* tokens */
	uint64_t turned_away;                             /* tries to sign in that came too soon */
	uint64_t refused; /* changes: no session, no CSRF token, from elsewhere */
};

void access_count(struct access *access, struct access_counts *out);
