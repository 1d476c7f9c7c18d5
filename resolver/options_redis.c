/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The options of Redis, which must fit each other: the URL, who logs in, TLS. Passwords come from
 * the URL, a file or the environment, in this order; they stay apart from the URL, and neither a
 * fault nor `-p` ever holds one.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/options_private.h"

#ifdef HAVE_TLS
#define TLS_IS_BUILT true
#else
#define TLS_IS_BUILT false
#endif

#define PASSWORD_MAX (REDIS_PASSWORD_SIZE - 1)
#define PASSWORD_VARIABLE "TEREDOWN_REDIS_PASSWORD"
#define SENTINEL_PASSWORD_VARIABLE "TEREDOWN_REDIS_SENTINEL_PASSWORD"

static bool is_external(const char *redis)
{
	return strcmp(redis, "embedded") != 0 && strcmp(redis, "off") != 0;
}

bool option_check_redis(const struct options *options, const char *text, char *why)
{
	struct redis_address address;

	(void)options;
	if (!is_external(text))
		return true;
	enum td_error error = redis_address_parse(&address, text, why, WHY_MAX);
	redis_address_forget(&address);
	return error == TD_OK;
}

/* --- passwords --- */

/* The first line of the file, without its end; NULL and a fault. The password itself is in no
 * message. */
static char *read_password(const char *name, const char *path, unsigned line, struct faults *faults)
{
	char text[PASSWORD_MAX + 2];
	FILE *file = fopen(path, "re");

	if (!file || !fgets(text, sizeof(text), file)) {
		faults_add(faults, line,
			"%s: \"%.200s\" %s%s, expected a readable file with a password in its "
			"first line",
			name, path,
			file ? "is empty" : "cannot be opened: ", file ? "" : strerror(errno));
		if (file)
			fclose(file);
		return NULL;
	}
	fclose(file);
	size_t length = strcspn(text, "\r\n");
	bool whole = length <= PASSWORD_MAX;
	text[length] = '\0';
	char *password = NULL;
	if (!whole || length == 0 || option_has_control(text))
		faults_add(faults, line,
			"%s: the first line of \"%.200s\" is no password, expected 1 to %d "
			"printable bytes",
			name, path, PASSWORD_MAX);
	else if (!(password = strdup(text)))
		faults->no_memory = true;
	explicit_bzero(text, sizeof(text));
	return password;
}

/* Of a file, else of the environment, else NULL. */
static char *find_password(const char *name, const char *path, const char *variable, unsigned line,
	struct faults *faults)
{
	const char *value = getenv(variable);

	if (path && path[0])
		return read_password(name, path, line, faults);
	if (!value || !value[0])
		return NULL;
	if (strlen(value) <= PASSWORD_MAX && !option_has_control(value))
		return strdup(value);
	faults_add(faults, 0,
		"the environment's %s is no password, expected 1 to %d printable bytes", variable,
		PASSWORD_MAX);
	return NULL;
}

/* --- what fits --- */

struct fit {
	struct options *options;
	const struct settings *settings;
	struct faults *faults;
	struct redis_address address;
	bool external, url_user, url_password;
};

static bool is_set(const char *text)
{
	return text && text[0];
}

static void complain(const struct fit *fit, const char *name, const char *words)
{
	faults_add(fit->faults, settings_line(fit->settings, name), "%s: %s", name, words);
}

/* Options that need another to mean something. */
static void check_company(const struct fit *fit)
{
	const struct options *options = fit->options;
	const struct {
		const char *name;
		bool is_set, fits;
		const char *words;
	} rules[] = {
		{"redis-user", is_set(options->redis_user), fit->external && !fit->url_user,
			"goes with a Redis of your own whose URL names no user, expected e.g. "
			"redis = \"redis://HOST\""},
		{"redis-password-file", is_set(options->redis_password_file),
			fit->external && !fit->url_password,
			"goes with a Redis of your own whose URL has no password, expected e.g. "
			"redis = \"redis://[USER@]HOST\""},
		{"redis-sentinel-user", is_set(options->redis_sentinel_user),
			fit->address.kind == REDIS_SENTINEL,
			"expected it with redis = \"sentinel://…\" only"},
		{"redis-sentinel-password-file", is_set(options->redis_sentinel_password_file),
			fit->address.kind == REDIS_SENTINEL,
			"expected it with redis = \"sentinel://…\" only"},
		{"redis-tls", options->redis_tls,
			fit->address.kind == REDIS_SENTINEL || fit->address.kind == REDIS_CLUSTER,
			"expected it with sentinel:// or cluster:// only; for one server write "
			"rediss://HOST"},
		{"redis-ca-file", is_set(options->redis_ca_file), fit->address.tls,
			"expected it with TLS: rediss://, or redis-tls = on"},
		{"redis-cert-file", is_set(options->redis_cert_file), fit->address.tls,
			"expected it with TLS: rediss://, or redis-tls = on"},
		{"redis-key-file", is_set(options->redis_key_file), fit->address.tls,
			"expected it with TLS: rediss://, or redis-tls = on"},
		{"redis-tls-name", is_set(options->redis_tls_name), fit->address.tls,
			"expected it with TLS: rediss://, or redis-tls = on"},
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (rules[i].is_set && !rules[i].fits)
			complain(fit, rules[i].name, rules[i].words);
	}
}

static void check_tls(const struct fit *fit, size_t before)
{
	const struct options *options = fit->options;

	if (fit->address.tls && !TLS_IS_BUILT && fit->faults->count == before)
		complain(fit, options->redis_tls ? "redis-tls" : "redis",
			"this build has no TLS (it was configured without OpenSSL), expected "
			"redis:// or unix:/PATH");
	if (is_set(options->redis_cert_file) != is_set(options->redis_key_file))
		complain(fit,
			is_set(options->redis_cert_file) ? "redis-cert-file" : "redis-key-file",
			"expected redis-cert-file and redis-key-file together");
}

static void check_login(const struct fit *fit)
{
	const struct options *options = fit->options;
	bool password = fit->url_password || options->redis_password;

	if (fit->external && !password && (fit->url_user || is_set(options->redis_user)))
		complain(fit, fit->url_user ? "redis" : "redis-user",
			"names a user without a password, expected redis://user:password@host, "
			"redis-password-file, or the password in the "
			"environment as " PASSWORD_VARIABLE);
	if (is_set(options->redis_sentinel_user) && !options->redis_sentinel_password)
		complain(fit, "redis-sentinel-user",
			"names a user without a password, expected redis-sentinel-password-file as "
			"well");
}

/* Both, and where the daemon's own could stand. */
static void check_dashboard(const struct fit *fit)
{
	const struct options *options = fit->options;
	bool user = is_set(options->dashboard_redis_user);
	bool file = is_set(options->dashboard_redis_password_file);

	if (user != file)
		complain(fit, user ? "dashboard-redis-user" : "dashboard-redis-password-file",
			"expected dashboard-redis-user and dashboard-redis-password-file together");
	else if (user && (!fit->external || fit->url_user || fit->url_password))
		complain(fit, "dashboard-redis-user",
			"goes with a Redis of your own whose URL names no user, expected e.g. "
			"redis = \"redis://HOST\"");
	if (is_set(options->dashboard_certificate) != is_set(options->dashboard_key))
		complain(fit,
			is_set(options->dashboard_certificate) ? "dashboard-certificate"
							       : "dashboard-key",
			"expected dashboard-certificate and dashboard-key together");
}

static void read_passwords(const struct fit *fit)
{
	struct options *options = fit->options;

	if (fit->external && !fit->url_password)
		options->redis_password = find_password("redis-password-file",
			options->redis_password_file, PASSWORD_VARIABLE,
			settings_line(fit->settings, "redis-password-file"), fit->faults);
	if (fit->address.kind == REDIS_SENTINEL)
		options->redis_sentinel_password = find_password("redis-sentinel-password-file",
			options->redis_sentinel_password_file, SENTINEL_PASSWORD_VARIABLE,
			settings_line(fit->settings, "redis-sentinel-password-file"), fit->faults);
}

void options_apply_redis(struct options *options, const struct settings *settings, bool secrets,
	struct faults *faults)
{
	struct fit fit = {.options = options, .settings = settings, .faults = faults};
	char why[WHY_MAX];

	if (!options->redis)
		return;
	fit.external = is_external(options->redis);
	if (fit.external) {
		if (redis_address_parse(&fit.address, options->redis, why, sizeof(why)) != TD_OK)
			return;
		redis_address_userinfo(options->redis, &fit.url_user, &fit.url_password);
		fit.address.tls |= options->redis_tls && fit.address.kind != REDIS_UNIX;
	}
	size_t before = faults->count;
	check_company(&fit);
	if (secrets && faults->count == before)
		read_passwords(&fit);
	if (secrets && faults->count == before)
		check_login(&fit);
	check_dashboard(&fit);
	check_tls(&fit, before);
	redis_address_forget(&fit.address);
}

/* --- for those who connect, and for people --- */

static void forget(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

char *options_redis_url(const struct options *options)
{
	char *url = NULL;

	if (strcmp(options->redis, "embedded") != 0)
		return strdup(options->redis);
	return asprintf(&url, "unix:%s/redis.sock", options->state_dir) < 0 ? NULL : url;
}

struct redis_access options_redis_access(const struct options *options)
{
	return (struct redis_access){.user = options->redis_user,
		.password = options->redis_password,
		.sentinel_user = options->redis_sentinel_user,
		.sentinel_password = options->redis_sentinel_password,
		.tls = options->redis_tls,
		.ca_file = options->redis_ca_file,
		.cert_file = options->redis_cert_file,
		.key_file = options->redis_key_file,
		.tls_name = options->redis_tls_name};
}

/* Sentinels give addresses, no data, and know one password for all who ask. */
static char *find_sentinel_password(const struct options *options, struct faults *faults)
{
	static const char sentinel[] = "sentinel:";

	if (strncmp(options->redis, sentinel, sizeof(sentinel) - 1) != 0)
		return NULL;
	return find_password("redis-sentinel-password-file", options->redis_sentinel_password_file,
		SENTINEL_PASSWORD_VARIABLE, 0, faults);
}

bool options_read_dashboard_password(struct options *options, char *why, size_t size)
{
	const char *path = options->dashboard_redis_password_file;
	struct faults faults = {0};
	char *user = strdup(options->dashboard_redis_user);
	char *password = read_password("dashboard-redis-password-file", path, 0, &faults);
	char *sentinel_password = find_sentinel_password(options, &faults);

	if (!user || !password || faults.count) {
		snprintf(why, size, "%s",
			faults.count ? faults.items[0].words : error_text(TD_NOMEM));
		forget(password);
		forget(sentinel_password);
		free(user);
		faults_free(&faults);
		return false;
	}
	faults_free(&faults);
	options_forget_redis(options);
	free(options->redis_user);
	options->redis_password = password;
	options->redis_sentinel_password = sentinel_password;
	options->redis_user = user;
	return true;
}

void option_print_redis(const char *url, FILE *out)
{
	char *shown = malloc(strlen(url) + 4);

	if (shown) {
		redis_address_show(url, shown);
		option_print_quoted(shown, out);
	}
	free(shown);
}

void options_forget_redis(struct options *options)
{
	forget(options->redis_password);
	forget(options->redis_sentinel_password);
}
