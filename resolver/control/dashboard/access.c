/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One lock over the table of sessions (session_table.h), the limit of tries (sign_in.h) and the
 * token's hash, held for microseconds and never while something waits. That the loop decides,
 * before a request is queued, keeps those who may not do something from the threads that may wait.
 *
 * A page elsewhere that makes a browser of ours ask is stopped four times: its requests carry no
 * cookie (SameSite=Strict), it does not know the CSRF token, it cannot send JSON without asking
 * first (which nobody answers), and its Origin is not ours. SameSite alone would not do: a page on
 * another port of the same host counts as the same site.
 */
#include "resolver/control/dashboard/access.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/base/strbuf.h"
#include "resolver/control/clock.h"
#include "resolver/control/dashboard/changes.h"
#include "resolver/control/dashboard/session_table.h"
#include "resolver/control/dashboard/sign_in.h"
#include "resolver/file_mark.h"

#define COOKIE_NAME "teredown_session"
#define COOKIE_NAME_SECURE                                                     \
	"__Host-" COOKIE_NAME /* no other host can set it, nor one without TLS \
			       */
#define CHECKS_MAX 2          /* tokens hashed at once */
#define NOTES_MAX 8           /* refusals between two looks */
#define PATH_KEPT 64
#define FROM_KEPT 64

/* A change that was refused in the loop, until access_look writes it. */
struct note {
	int64_t wall_ms;
	char from[FROM_KEPT], method[16], path[PATH_KEPT];
	const char *words;
};

struct access {
	bool secure, makes;
	char *folder, *path; /* of the state directory, of the token's file */
	pthread_mutex_t lock;
	/* under the lock: */
	struct session_table table;
	struct sign_in_limit limit;
	char hash[TOKEN_HASH_SIZE]; /* "": nobody can sign in */
	struct file_mark mark;      /* of the file it is from */
	unsigned checking;
	struct note notes[NOTES_MAX];
	size_t note_count;
	uint64_t unnoted, wrong, refused;
};

/* Goes on while the machine sleeps. */
static int64_t steady_ms(void)
{
	return clock_read_ms(CLOCK_BOOTTIME);
}

static bool fill_random(uint8_t out[DIGEST_SIZE])
{
	return getrandom(out, DIGEST_SIZE, 0) == DIGEST_SIZE;
}

/* --- the token --- */

bool access_new_token(const char *state_dir, char made[TOKEN_TEXT_SIZE], char *words, size_t size)
{
	uint8_t octets[TOKEN_OCTETS], salt[TOKEN_OCTETS];
	char hash[TOKEN_HASH_SIZE];

	made[0] = '\0';
	if (!fill_random(octets) || !fill_random(salt)) {
		snprintf(words, size, "no random octets: %s", strerror(errno));
		return false;
	}
	token_to_text(octets, made);
	explicit_bzero(octets, sizeof octets);
	if (!token_hash(made, salt, hash)) {
		snprintf(words, size, "libcrypt makes no yescrypt hash: %s", strerror(errno));
	} else if (!token_file_write(state_dir, hash)) {
		snprintf(words, size, "%s/" TOKEN_FILE " cannot be written: %s", state_dir,
			strerror(errno));
	} else {
		return true;
	}
	explicit_bzero(made, TOKEN_TEXT_SIZE);
	return false;
}

static bool read_token(struct access *access, char hash[TOKEN_HASH_SIZE], char *words, size_t size,
	enum td_error *error)
{
	*error = token_file_read(access->folder, hash);
	if (*error == TD_OK)
		return true;
	hash[0] = '\0';
	if (*error == TD_MALFORMED)
		snprintf(words, size,
			"%s is damaged: it holds no hash of a token. "
			"`teredown dashboard --new-token` makes a new one",
			access->path);
	else if (*error == TD_NOT_FOUND)
		snprintf(words, size, "%s is missing", access->path);
	else
		snprintf(words, size, "%s cannot be read: %s", access->path,
			*error == TD_IO ? strerror(errno) : error_text(*error));
	return false;
}

/* True: the access can be used, whether or not somebody can sign in. */
static bool find_token(struct access *access, char made[TOKEN_TEXT_SIZE], char *words, size_t size)
{
	enum td_error error;

	words[0] = '\0';
	access->mark = file_mark_of(access->path);
	if (read_token(access, access->hash, words, size, &error))
		return true;
	if (error != TD_NOT_FOUND)
		return error == TD_IO;
	if (!access->makes)
		snprintf(words, size,
			"there is no token yet; `teredown dashboard --new-token` makes one");
	if (!access->makes || !access_new_token(access->folder, made, words, size))
		return true;
	words[0] = '\0';
	access->mark = file_mark_of(access->path);
	return read_token(access, access->hash, words, size, &error);
}

struct access *access_new(
	const struct access_config *config, char made[TOKEN_TEXT_SIZE], char *words, size_t size)
{
	struct access *access = calloc(1, sizeof *access);
	uint8_t random[DIGEST_SIZE];

	made[0] = '\0';
	snprintf(words, size, "out of memory");
	if (!access)
		return NULL;
	access->secure = config->secure;
	access->makes = config->makes;
	access->folder = strdup(config->state_dir);
	pthread_mutex_init(&access->lock, NULL);
	if (!access->folder || asprintf(&access->path, "%s/" TOKEN_FILE, config->state_dir) < 0)
		access->path = NULL;
	if (access->path && !fill_random(random))
		snprintf(words, size, "no random octets: %s", strerror(errno));
	else if (access->path) {
		session_table_init(&access->table, random);
		sign_in_init(&access->limit, steady_ms());
		if (find_token(access, made, words, size))
			return access;
	}
	access_free(access);
	return NULL;
}

void access_free(struct access *access)
{
	if (!access)
		return;
	pthread_mutex_destroy(&access->lock);
	free(access->path);
	free(access->folder);
	explicit_bzero(&access->table, sizeof access->table);
	free(access);
}

/* The new hash, or none, ends every session. */
static void follow_token(struct access *access, const struct file_mark *mark)
{
	char hash[TOKEN_HASH_SIZE], words[512];
	enum td_error error;

	if (!read_token(access, hash, words, sizeof words, &error))
		log_warning("%s; nobody can sign in until there is one", words);
	pthread_mutex_lock(&access->lock);
	bool changed = strcmp(access->hash, hash) != 0;
	if (changed)
		session_table_clear(&access->table);
	memcpy(access->hash, hash, sizeof hash);
	access->mark = *mark;
	pthread_mutex_unlock(&access->lock);
	if (changed)
		log_info("the token is another one: all sessions have ended");
}

static void look_at_token(struct access *access)
{
	struct file_mark now = file_mark_of(access->path);

	pthread_mutex_lock(&access->lock);
	bool same = file_mark_equal(&now, &access->mark);
	pthread_mutex_unlock(&access->lock);
	if (!same)
		follow_token(access, &now);
}

/* --- refusals --- */

/* Only what cannot break out of a string of JSON or of a line of the log is copied. */
static void keep(char *out, size_t size, const char *text)
{
	size_t length = 0;

	for (; text && *text && length + 1 < size; text++)
		if (*text > ' ' && *text < 0x7f)
			out[length++] = *text;
	out[length] = '\0';
}

static void note(struct access *access, const struct access_facts *facts, const char *words)
{
	access->refused++;
	if (access->note_count == NOTES_MAX) {
		access->unnoted++;
		return;
	}
	struct note *note = &access->notes[access->note_count++];
	note->wall_ms = clock_wall_ms();
	note->words = words;
	keep(note->from, sizeof note->from, facts->from);
	keep(note->method, sizeof note->method, facts->method);
	keep(note->path, sizeof note->path, facts->path);
}

static void write_note(const struct access *access, const struct note *note)
{
	struct strbuf what;

	strbuf_init(&what);
	strbuf_append_char(&what, '{');
	strbuf_json_text(&what, "request", "unknown");
	strbuf_json_text(&what, "method", note->method);
	strbuf_json_text(&what, "path", note->path);
	strbuf_append_char(&what, '}');
	const struct change change = {.wall_ms = note->wall_ms,
		.from = note->from,
		.what = what.data,
		.result = "refused",
		.words = note->words,
		.stranger = true};
	if (!what.failed)
		changes_add(access->folder, &change);
	strbuf_deinit(&what);
}

void access_look(struct access *access)
{
	struct note notes[NOTES_MAX];

	look_at_token(access);
	pthread_mutex_lock(&access->lock);
	size_t count = access->note_count;
	uint64_t unnoted = access->unnoted;
	memcpy(notes, access->notes, count * sizeof notes[0]);
	access->note_count = 0;
	access->unnoted = 0;
	pthread_mutex_unlock(&access->lock);
	for (size_t i = 0; i < count; i++)
		write_note(access, &notes[i]);
	if (unnoted)
		log_warning("%llu more changes were refused within a second",
			(unsigned long long)unnoted);
}

/* --- admitting --- */

static bool find_session(
	struct access *access, const char *text, uint8_t id[DIGEST_SIZE], int64_t *left_ms)
{
	return digest_from_text(text, id) &&
	       session_table_touch(&access->table, id, steady_ms(), left_ms);
}

/* Whether the origin ("https://gw1:8053", with or without a path behind it) is what the browser
 * called us. Behind a proxy that speaks TLS for us it says https where we see none. */
static bool is_ours(const struct access *access, const char *origin, const char *host)
{
	bool https = strncasecmp(origin, "https://", 8) == 0;
	bool http = strncasecmp(origin, "http://", 7) == 0;

	if (!host || (access->secure ? !https : !https && !http))
		return false;
	origin += https ? 8 : 7;
	size_t length = strcspn(origin, "/?#");
	return length == strlen(host) && strncasecmp(origin, host, length) == 0;
}

static bool is_json(const char *type)
{
	static const char json[] = "application/json";
	size_t length = sizeof json - 1;

	if (!type || strncasecmp(type, json, length) != 0)
		return false;
	type += length;
	type += strspn(type, " \t");
	return *type == '\0' || *type == ';';
}

/* NULL, or what is wrong with where a change comes from. */
static const char *wrong_place(
	const struct access *access, const struct access_facts *facts, int *status)
{
	const char *site = facts->fetch_site;
	const char *origin = facts->origin ? facts->origin : facts->referer;

	*status = 403;
	if (site && strcasecmp(site, "same-origin") != 0 && strcasecmp(site, "none") != 0)
		return "the request comes from another site's page";
	if (origin && !is_ours(access, origin, facts->host))
		return "the request comes from a page elsewhere (Origin)";
	*status = 415;
	if (strcmp(facts->method, "POST") == 0 && !is_json(facts->content_type))
		return "the Content-Type has to be application/json";
	return NULL;
}

static const char *wrong_csrf(
	struct access *access, const uint8_t id[DIGEST_SIZE], const char *given)
{
	uint8_t csrf[DIGEST_SIZE], octets[DIGEST_SIZE];

	session_table_csrf(&access->table, id, csrf);
	if (!given || !digest_from_text(given, octets) || !digest_equal(csrf, octets, sizeof csrf))
		return "the header X-CSRF-Token is missing, or of another session";
	return NULL;
}

/* Under the lock. NULL: go on. */
static const char *why_not(
	struct access *access, enum access_rule rule, const struct access_facts *facts, int *status)
{
	uint8_t id[DIGEST_SIZE];

	*status = 401;
	if (rule == ACCESS_FREE)
		return NULL;
	if (rule == ACCESS_SIGN_IN)
		return wrong_place(access, facts, status);
	if (!find_session(access, facts->id, id, NULL))
		return "sign in first";
	if (rule == ACCESS_READING)
		return NULL;
	const char *words = wrong_place(access, facts, status);
	if (words)
		return words;
	*status = 403;
	return wrong_csrf(access, id, facts->csrf);
}

bool access_admits(struct access *access, enum access_rule rule, const struct access_facts *facts,
	struct access_refusal *refusal)
{
	pthread_mutex_lock(&access->lock);
	refusal->words = why_not(access, rule, facts, &refusal->status);
	if (refusal->words && (rule == ACCESS_CHANGE || rule == ACCESS_SIGN_IN))
		note(access, facts, refusal->words);
	pthread_mutex_unlock(&access->lock);
	return !refusal->words;
}

/* --- cookies --- */

static const char *cookie_name(const struct access *access)
{
	return access->secure ? COOKIE_NAME_SECURE : COOKIE_NAME;
}

/* "a=b; c=d". Of two of our name the first counts: browsers send the one with the longer path in
 * front, and ours has none that could be longer. */
const char *access_cookie_id(
	const struct access *access, const char *header, char out[ACCESS_ID_TEXT_SIZE])
{
	const char *name = cookie_name(access);
	size_t length = strlen(name);

	out[0] = '\0';
	for (const char *at = header; at && *at; at += strcspn(at, ";"), at += *at == ';') {
		at += strspn(at, " \t");
		if (strncmp(at, name, length) != 0 || at[length] != '=')
			continue;
		at += length + 1;
		if (strcspn(at, "; \t") == ACCESS_ID_TEXT_SIZE - 1) {
			memcpy(out, at, ACCESS_ID_TEXT_SIZE - 1);
			out[ACCESS_ID_TEXT_SIZE - 1] = '\0';
		}
		break;
	}
	return out;
}

const char *access_cookie(const struct access *access, const char *id, char out[ACCESS_COOKIE_MAX])
{
	snprintf(out, ACCESS_COOKIE_MAX, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s",
		cookie_name(access), id, access->secure ? "; Secure" : "",
		id[0] ? "" : "; Max-Age=0");
	return out;
}

/* --- for handlers --- */

void access_view(struct access *access, const char *id, struct access_view *out)
{
	uint8_t octets[DIGEST_SIZE], csrf[DIGEST_SIZE];

	*out = (struct access_view){0};
	pthread_mutex_lock(&access->lock);
	out->signed_in = find_session(access, id, octets, &out->left_ms);
	if (out->signed_in) {
		session_table_csrf(&access->table, octets, csrf);
		digest_to_text(csrf, out->csrf);
	}
	pthread_mutex_unlock(&access->lock);
}

const char *access_folder(const struct access *access)
{
	return access->folder;
}

/* Takes one of the places for hashing and a copy of the hash, or says why not. */
static enum access_sign_in begin_check(struct access *access, const struct address *address,
	char hash[TOKEN_HASH_SIZE], int *wait_s)
{
	enum access_sign_in result = ACCESS_TOO_SOON;
	int64_t now_ms = steady_ms();

	*wait_s = 1;
	pthread_mutex_lock(&access->lock);
	int64_t wait_ms = sign_in_try(&access->limit, address, now_ms);
	if (wait_ms > 0) {
		*wait_s = (int)((wait_ms + 999) / 1000);
	} else if (access->hash[0] == '\0') {
		result = ACCESS_NO_TOKEN;
	} else if (access->checking == CHECKS_MAX) {
		sign_in_take_back(&access->limit, address, now_ms);
	} else {
		access->checking++;
		memcpy(hash, access->hash, TOKEN_HASH_SIZE);
		result = ACCESS_SIGNED_IN;
	}
	pthread_mutex_unlock(&access->lock);
	return result;
}

/* The token may have become another one while it was hashed. */
static enum access_sign_in end_check(struct access *access, const struct address *address,
	const char *hash, bool right, const uint8_t id[DIGEST_SIZE])
{
	int64_t now_ms = steady_ms();

	pthread_mutex_lock(&access->lock);
	access->checking--;
	right = right && strcmp(access->hash, hash) == 0;
	if (right) {
		sign_in_succeeded(&access->limit, address, now_ms);
		session_table_begin(&access->table, id, now_ms);
	}
	access->wrong += !right;
	pthread_mutex_unlock(&access->lock);
	return right ? ACCESS_SIGNED_IN : ACCESS_WRONG;
}

enum access_sign_in access_sign_in(struct access *access, const char *token, const char *from,
	char id[ACCESS_ID_TEXT_SIZE], int *wait_s)
{
	struct address address = {0};
	char hash[TOKEN_HASH_SIZE], text[TOKEN_TEXT_SIZE];
	uint8_t octets[DIGEST_SIZE];

	id[0] = '\0';
	if (!fill_random(octets))
		return ACCESS_FAILED;
	if (!address_from_text(&address, from))
		address = (struct address){0};
	if (address.family == ADDRESS_V6)
		address = address_v6_unmapped(address.octets);
	look_at_token(access);
	enum access_sign_in result = begin_check(access, &address, hash, wait_s);
	if (result != ACCESS_SIGNED_IN)
		return result;
	bool right = token_from_person(token, text) && token_matches(text, hash);
	explicit_bzero(text, sizeof text);
	result = end_check(access, &address, hash, right, octets);
	if (result == ACCESS_SIGNED_IN)
		digest_to_text(octets, id);
	return result;
}

bool access_sign_out(struct access *access, const char *id)
{
	uint8_t octets[DIGEST_SIZE];

	if (!digest_from_text(id, octets))
		return false;
	pthread_mutex_lock(&access->lock);
	bool ended = session_table_end(&access->table, octets);
	pthread_mutex_unlock(&access->lock);
	return ended;
}

bool access_confirms(struct access *access, const char *id)
{
	struct access_view view;

	look_at_token(access);
	access_view(access, id, &view);
	return view.signed_in;
}

void access_count(struct access *access, struct access_counts *out)
{
	pthread_mutex_lock(&access->lock);
	*out = (struct access_counts){
		.open = session_table_count(&access->table, steady_ms()),
		.begun = access->table.begun,
		.ended = access->table.ended,
		.expired = access->table.expired,
		.pushed_out = access->table.pushed_out,
		.wrong = access->wrong,
		.turned_away = access->limit.turned_away,
		.refused = access->refused,
	};
	pthread_mutex_unlock(&access->lock);
}
