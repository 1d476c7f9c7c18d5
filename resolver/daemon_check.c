/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `teredownd -t` looks at beyond the text of the configuration, as the user who will open it.
 * Logs are asked about and not opened: a file that is made would stay behind, and whoever reads a
 * FIFO would take our opening and closing for the daemon's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/compile.h"
#include "resolver/daemon.h"
#include "resolver/telemetry/redis/redis_link.h"
#include "resolver/telemetry/redis/redis_tls.h"
#include "resolver/telemetry/sinks/sink_target.h"
#include "resolver/upstream/tls.h"

static bool check_redis(const struct options *options)
{
	struct redis_access access = options_redis_access(options);
	struct redis_address address;
	struct redis_tls *tls;
	char why[256];

	if (strcmp(options->redis, "embedded") == 0 || strcmp(options->redis, "off") == 0)
		return true;
	bool good = redis_link_understand(
			    &address, &tls, options->redis, &access, why, sizeof(why)) == TD_OK;
	if (!good)
		log_error("redis: %s", why);
	redis_tls_free(&tls);
	redis_address_forget(&address);
	return good;
}

static bool check_tls(const struct options *options)
{
	char why[256];

	if (!options_use_tls(options))
		return true;
	struct tls_context *tls = tls_context_new(options->tls_ca_file);
	bool good = tls && tls_context_load(tls, why, sizeof(why));

	if (!good)
		log_error("tls-ca-file: %s", tls ? why : "out of memory");
	tls_context_free(tls);
	return good;
}

/* Sets errno. */
static bool can_write(const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
		errno = EISDIR;
		return false;
	}
	return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

/* turns: the file is renamed at times, and another made in its place. */
static bool check_file(const char *option, const char *path, bool turns)
{
	char folder[PATH_MAX];
	bool there = can_write(path);

	if (!there && errno != ENOENT) {
		log_error("%s: %s cannot be written: %s", option, path, strerror(errno));
		return false;
	}
	if (there && !turns)
		return true;
	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path + 1), path);
	if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0)
		return true;
	log_error("%s: no file can be made in %s: %s", option, folder, strerror(errno));
	return false;
}

static bool check_logs(const struct options *options)
{
	struct dnstap_target target;
	bool good = true;

	if (options->query_log != QUERY_LOG_OFF && options->query_log_file[0] == '/')
		good = check_file("query-log-file", options->query_log_file,
			options->query_log_size > 0);
	if (dnstap_target_parse(&target, options->dnstap) && target.kind == DNSTAP_FILE)
		good &= check_file("dnstap", target.path, true);
	return good;
}

/* Sets errno. */
static bool can_run(const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
		errno = EISDIR;
		return false;
	}
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

static bool check_event_command(const struct options *options)
{
	if (options->event_command_count == 0 || can_run(options->event_command[0]))
		return true;
	log_error("event-command: %s cannot be run: %s", options->event_command[0],
		strerror(errno));
	return false;
}

struct rules *daemon_check(const struct options *options)
{
	if (!daemon_become_user(options))
		return NULL;
	bool good = check_redis(options);
	good &= check_tls(options);
	good &= check_logs(options);
	good &= check_event_command(options);
	struct rules *rules = compile_now(options, NULL, 1);
	struct site *site = feeds_site(options, 1);
	good &= site != NULL;
	feeds_site_free(site);
	if (rules && !good) {
		rules_free(rules);
		rules = NULL;
	}
	return rules;
}
