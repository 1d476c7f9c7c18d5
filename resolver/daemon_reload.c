/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A *round* is one compilation and who waits for it. The options of a reload are read when its
 * round begins and taken when it ends, with the modes of that moment: a mode that was changed
 * meanwhile stays changed. Rules get their generation when they come into force, not when they are
 * asked for, since a site may come between and what is kept with answers must be older than both.
 */
#include "resolver/daemon_reload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "resolver/compiler.h"
#include "resolver/cookie_file.h"
#include "resolver/daemon_site.h"
#include "resolver/daemon_transfer.h"
#include "resolver/file_watch.h"

#define SETTLE_MS 250     /* a list that is being written pauses longer than a few octets do */
#define PATIENCE_MS 60000 /* and takes its time */

#define CONFIG_FAULT "the configuration has faults, see the daemon's log; the old one stays"
#define ZONES_FAULT "the zones cannot be used, see the daemon's log; the old rules stay"
#define SITE_FAULT                                                                                \
	"upstream servers or hosts cannot be used, see the daemon's log; everything stays as it " \
	"was"
#define NO_MEMORY "out of memory; everything stays as it was"

struct waiter {
	struct waiter *next;
	struct control_reply *reply;
};

struct round {
	struct options *options; /* to be taken; NULL: the present ones stay */
	struct waiter *waiters;
	bool reload;      /* somebody asked for it, if only by signal */
	bool changed;     /* zones say something else: to be compiled whatever the options say */
	int64_t began_us; /* mono */
	size_t read_count;
	char restart[256];
};

struct daemon_reload {
	struct compiler *compiler;
	struct file_watch *files;
	struct round *running; /* at the compiler; NULL: none */
	struct round *next;    /* behind it; NULL: nobody asked */
};

static void begin(struct daemon *daemon);

/* --- rounds --- */

static struct round *round_new(void)
{
	struct round *round = calloc(1, sizeof(*round));

	if (round)
		round->began_us = daemon_mono_us();
	return round;
}

static void round_free(struct round *round)
{
	if (!round)
		return;
	for (struct waiter *waiter = round->waiters, *next; waiter; waiter = next) {
		next = waiter->next;
		free(waiter);
	}
	options_free(round->options);
	free(round);
}

static void round_fail(struct round *round, const char *why)
{
	for (struct waiter *waiter = round->waiters; waiter; waiter = waiter->next)
		control_reply_fail(waiter->reply, why);
	if (round->reload)
		log_error("reload failed: %s", why);
	round_free(round);
}

/* What changed is told once: it is not lost with the options that it came beside. */
static void fail_options(struct daemon *daemon, struct round *round, const char *why)
{
	bool changed = round->changed;

	round_fail(round, why);
	if (changed)
		daemon_zones_changed(daemon);
}

/* --- what a round brought --- */

/* A file that can no longer be read leaves the secrets as they are. */
static void reload_cookies(struct options *options)
{
	char why[256];

	if (options->cookie_secret_file[0] && !cookie_file_read(options->cookie_secret_file,
						      &options->cookie_secrets, why, sizeof(why)))
		log_error("reload: cookie-secret-file: \"%s\": %s; the old secrets stay",
			options->cookie_secret_file, why);
}

/* What follows from the options that were just taken. */
static bool reload_clients(struct daemon *daemon)
{
	const struct identity_config config = clients_identity(daemon->clients);
	bool good = clients_reload(daemon->clients);
	struct identity_rules *rules = identity_rules_new(&config);

	if (rules) {
		identity_rules_free(daemon->next_identity);
		daemon->next_identity = rules;
	}
	return rules && good;
}

struct watched {
	const char *paths[FILE_WATCH_MAX];
	size_t count, left_out;
};

static void watch_path(struct watched *watched, const char *path)
{
	if (!path)
		return;
	if (watched->count < FILE_WATCH_MAX)
		watched->paths[watched->count++] = path;
	else
		watched->left_out++;
}

static bool follow_files(struct daemon *daemon)
{
	const struct options *options = daemon->options;
	struct watched watched = {.count = 0};

	for (size_t i = 0; options->zone_watch && i < options->zone_count; i++) {
		const struct zone_options *zone = &options->zones[i];
		for (size_t k = 0; k < zone->file_count; k++) {
			watch_path(&watched, zone->files[k].path);
			watch_path(&watched, zone->files[k].patterns);
		}
	}
	if (watched.left_out)
		log_warning(
			"zone-watch: %zu files more than the %d that are watched; they are read "
			"at a reload",
			watched.left_out, FILE_WATCH_MAX);
	return file_watch_set(daemon->reload->files, watched.paths, watched.count);
}

static bool take_options(struct daemon *daemon, struct round *round)
{
	struct options *options = round->options;
	struct site *site =
		daemon_load_tls(daemon, options) ? daemon_site_reload(daemon, options) : NULL;

	if (!site)
		return false;
	feeds_site_free(daemon->next_site);
	daemon->next_site = site;
	options_describe_restart(daemon->options, options, round->restart, sizeof(round->restart));
	if (round->restart[0])
		log_warning("reload: these options take effect at a restart: %s", round->restart);
	/* Running parts point into the options they were made with. */
	options_exchange_reloadable(daemon->options, options);
	daemon_apply_cache_options(daemon);
	reload_cookies(daemon->options);
	daemon_transfer_follow(daemon, options);
	cache_resize(daemon->cache, daemon->options->cache_size, daemon_mono_us());
	daemon_watch_loops(daemon);
	daemon_set_name_servers(daemon);
	if (!daemon_site_follow(daemon) || !follow_files(daemon))
		log_error("reload: too little memory or descriptors to watch files");
	if (!reload_clients(daemon))
		log_error("reload: too little memory or descriptors for exclude and client-names");
	telemetry_reopen(daemon->telemetry);
	return true;
}

static void add_faults(const struct rules *rules, struct control_reply *reply)
{
	char text[POLICY_ZONE_NAME_MAX + RULES_FAULT_SIZE];

	for (size_t i = 0; i < rules->zone_count; i++) {
		if (!rules->zones[i].fault[0])
			continue;
		snprintf(text, sizeof(text), "%s %s", rules->zones[i].name, rules->zones[i].fault);
		control_reply_add(reply, "fault", text);
	}
}

static void tell(const struct daemon *daemon, const struct round *round,
	struct control_reply *reply, int64_t took_us)
{
	const struct rules *rules = daemon->rules;

	control_reply_add_u64(reply, "zones", policy_zone_count(rules->index));
	control_reply_add_u64(reply, "rules", rules->rule_count);
	control_reply_add_u64(reply, "skipped", rules->skipped);
	control_reply_add_u64(reply, "read", round->read_count);
	control_reply_add_u64(reply, "took_us", (uint64_t)took_us);
	if (round->restart[0])
		control_reply_add(reply, "restart", round->restart);
	add_faults(rules, reply);
	control_reply_end(reply);
}

static void on_in_force(struct daemon *daemon, struct broadcast *broadcast)
{
	struct round *round = broadcast->context;
	const struct rules *rules = daemon->rules;
	int64_t took_us = daemon_mono_us() - round->began_us;

	transfers_in_force(daemon->transfers, rules);

	log_info("%s: %zu rules in %zu zones, %zu zones read, %zu lines skipped, %" PRId64 " ms",
		round->reload ? "reloaded" : "zones changed", rules->rule_count,
		policy_zone_count(rules->index), round->read_count, rules->skipped,
		took_us / US_PER_MS);
	for (struct waiter *waiter = round->waiters; waiter; waiter = waiter->next)
		tell(daemon, round, waiter->reply, took_us);
	round_free(round);
}

/* Rules of daemon->rules, or new ones, taken over. */
static void put_in_force(struct daemon *daemon, struct round *round, struct rules *rules)
{
	if (round->options && !take_options(daemon, round)) {
		if (rules != daemon->rules)
			rules_free(rules);
		fail_options(daemon, round, SITE_FAULT);
		return;
	}
	if (!daemon_set_policy(daemon, rules, on_in_force, round))
		round_fail(round, NO_MEMORY);
}

static void on_compiled(void *context, struct compile_job *job)
{
	struct daemon *daemon = context;
	struct daemon_reload *reload = daemon->reload;
	struct round *round = reload->running;
	struct rules *rules = job->rules ? job->rules : daemon->rules;
	enum td_error error = job->error;

	reload->running = NULL;
	round->read_count = job->read_count;
	job->rules = NULL;
	if (rules != daemon->rules)
		rules->generation = job->same ? daemon->rules->generation : ++daemon->generation;
	if (daemon->stopping) {
		if (rules != daemon->rules)
			rules_free(rules);
		round_free(round);
	} else if (error) {
		round_fail(round, error == TD_NOMEM ? NO_MEMORY : ZONES_FAULT);
	} else if (rules == daemon->rules && !round->options) {
		round_free(round);
	} else {
		put_in_force(daemon, round, rules);
	}
	compile_job_free(job);
	begin(daemon);
}

/* --- beginning one --- */

/* The options of this round are those of now: who asked a moment ago sees them as well. */
static bool read_options(const struct daemon *daemon, struct round *round)
{
	if (!round->reload)
		return true;
	round->options = options_load_without_passwords(daemon->config_path);
	return round->options != NULL;
}

static void begin(struct daemon *daemon)
{
	struct daemon_reload *reload = daemon->reload;
	struct round *round = reload->next;
	struct compile_job *job;

	if (reload->running || !round || daemon->stopping)
		return;
	reload->next = NULL;
	if (!read_options(daemon, round)) {
		fail_options(daemon, round, CONFIG_FAULT);
		return;
	}
	job = compile_job_new(round->options ? round->options : daemon->options, daemon->rules,
		daemon->zone_feed);
	if (!job) {
		round_fail(round, NO_MEMORY);
		return;
	}
	reload->running = round;
	compiler_submit(reload->compiler, job);
}

/* The round that is to come. NULL: out of memory. */
static struct round *next_round(struct daemon_reload *reload)
{
	if (!reload->next)
		reload->next = round_new();
	return reload->next;
}

void daemon_reload(struct daemon *daemon, struct control_reply *reply)
{
	struct round *round = next_round(daemon->reload);
	struct waiter *waiter = reply ? calloc(1, sizeof(*waiter)) : NULL;

	if (!round || (reply && !waiter)) {
		log_error("reload failed: %s", NO_MEMORY);
		if (reply)
			control_reply_fail(reply, NO_MEMORY);
		free(waiter);
		return;
	}
	round->reload = true;
	if (waiter) {
		*waiter = (struct waiter){round->waiters, reply};
		round->waiters = waiter;
	}
	begin(daemon);
}

void daemon_zones_changed(struct daemon *daemon)
{
	struct round *round = daemon->stopping ? NULL : next_round(daemon->reload);

	if (daemon->stopping)
		return;
	if (!round) {
		log_error("out of memory: zones that changed are not read");
		return;
	}
	round->changed = true;
	begin(daemon);
}

static void add_status_fault(const struct rules_zone *zone, struct control_reply *reply)
{
	char text[POLICY_ZONE_NAME_MAX + RULES_FAULT_SIZE + 64], since[32];
	time_t since_s = (time_t)(zone->fault_us / US_PER_S);
	struct tm tm;

	if (!zone->fault[0])
		return;
	gmtime_r(&since_s, &tm);
	strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(text, sizeof(text), "%s since %s: %s", zone->name, since, zone->fault);
	control_reply_add(reply, "zone_error", text);
}

void daemon_reload_status(const struct daemon *daemon, struct control_reply *reply)
{
	control_reply_add(reply, "compiling", daemon->reload->running ? "yes" : "no");
	for (size_t i = 0; i < daemon->rules->zone_count; i++)
		add_status_fault(&daemon->rules->zones[i], reply);
}

/* --- start and stop --- */

static void on_files(void *context)
{
	daemon_zones_changed(context);
}

bool daemon_reload_start(struct daemon *daemon)
{
	struct daemon_reload *reload = calloc(1, sizeof(*reload));

	daemon->reload = reload;
	if (reload) {
		reload->compiler = compiler_new(daemon->base, on_compiled, daemon);
		reload->files = file_watch_new(daemon->base, on_files, daemon);
	}
	if (reload && reload->files)
		file_watch_set_times(reload->files, SETTLE_MS, PATIENCE_MS);
	if (reload && reload->compiler && reload->files && follow_files(daemon))
		return true;
	log_error("not enough memory, file descriptors or threads");
	return false;
}

void daemon_reload_stop(struct daemon *daemon)
{
	struct daemon_reload *reload = daemon->reload;

	if (!reload)
		return;
	compiler_free(reload->compiler);
	file_watch_free(reload->files);
	round_free(reload->running);
	round_free(reload->next);
	free(reload);
	daemon->reload = NULL;
}
