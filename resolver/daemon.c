/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Order of a start: sockets (they may need root), state directory, privileges away, the Redis
 * keeper (forked while there is one thread), rules, telemetry, workers, control socket. A stop is
 * the reverse; workers drain first, so that what they still answer is counted and flushed.
 */
#include "resolver/daemon.h"

#include <errno.h>
#include <event2/event.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "resolver/compile.h"
#include "resolver/daemon_gauges.h"
#include "resolver/daemon_modes.h"
#include "resolver/daemon_policy.h"
#include "resolver/daemon_reload.h"
#include "resolver/daemon_transfer.h"
#include "resolver/daemon_site.h"
#include "resolver/descriptors.h"
#include "resolver/telemetry/redis/name_servers.h"
#include "resolver/telemetry/sinks/sink_target.h"
#include "resolver/upstream/random.h"
#include "resolver/upstream/tls.h"

#define CACHE_SHARDS 16
#define DRAIN_MS 3000
#define FLUSH_MS 2000 /* for Redis, at the end; the journal takes what it did not */
#define KEEPER_STOP_MS 10000
#define CLIENTS_MAX 65536
#define DETAILS_MAX 262144

int64_t daemon_mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

/* --- broadcasts --- */

static void on_worker_reply(void *context, struct worker_message *message)
{
	struct daemon *daemon = context;
	uint64_t one = 1;

	if (mailbox_post(&daemon->replies, &message->letter) &&
		write(daemon->wake_fd, &one, sizeof one) < 0)
		log_error("cannot wake the main thread: %s", strerror(errno));
}

static void take_replies(struct daemon *daemon)
{
	struct letter *next;

	for (struct letter *letter = mailbox_take(&daemon->replies); letter; letter = next) {
		struct broadcast *broadcast = ((struct worker_message *)letter)->context;
		next = letter->next;
		if (--broadcast->waiting > 0)
			continue;
		if (broadcast->old_site && broadcast->old_site != broadcast->site)
			daemon_site_in_force(daemon, broadcast->old_site, broadcast->site);
		broadcast->done(daemon, broadcast);
		if (broadcast->old_policy)
			feeds_policy_free(broadcast->old_rules, broadcast->old_site,
				broadcast->old_policy);
		for (unsigned i = 0; i < daemon->worker_count; i++)
			free(broadcast->messages[i].status.forwards);
		identity_rules_free(broadcast->old_identity);
		free(broadcast);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) == (ssize_t)sizeof count)
		take_replies(context);
}

static struct broadcast *broadcast_new(
	struct daemon *daemon, broadcast_done_fn *done, void *context)
{
	struct broadcast *broadcast = calloc(1, sizeof *broadcast);

	if (!broadcast)
		return NULL;
	broadcast->daemon = daemon;
	broadcast->done = done;
	broadcast->context = context;
	return broadcast;
}

static void broadcast_send(struct broadcast *broadcast, enum worker_request request)
{
	struct daemon *daemon = broadcast->daemon;

	broadcast->waiting = daemon->worker_count;
	for (unsigned i = 0; i < daemon->worker_count; i++) {
		broadcast->messages[i].request = request;
		broadcast->messages[i].policy = daemon->policy;
		broadcast->messages[i].context = broadcast;
	}
	for (unsigned i = 0; i < daemon->worker_count; i++)
		worker_post(daemon->workers[i], &broadcast->messages[i]);
}

bool daemon_broadcast(
	struct daemon *daemon, enum worker_request request, broadcast_done_fn *done, void *context)
{
	struct broadcast *broadcast = broadcast_new(daemon, done, context);

	if (!broadcast)
		return false;
	broadcast->site = daemon->site;
	broadcast_send(broadcast, request);
	return true;
}

bool daemon_learn(struct daemon *daemon, const struct name *name, uint16_t type,
	broadcast_done_fn *done, void *context)
{
	struct broadcast *broadcast = broadcast_new(daemon, done, context);

	if (!broadcast)
		return false;
	broadcast->site = daemon->site;
	broadcast->name = *name;
	broadcast->waiting = 1;
	broadcast->messages[0] = (struct worker_message){.request = WORKER_LEARN,
		.name = &broadcast->name,
		.type = type,
		.context = broadcast};
	worker_post(daemon->workers[0], &broadcast->messages[0]);
	return true;
}

static struct query_policy *make_policy(
	const struct daemon *daemon, struct rules *rules, struct site *site)
{
	uint8_t mode[POLICY_GROUPS_MAX][POLICY_ZONES_MAX];

	daemon_modes_fill(daemon, rules, mode);
	struct query_policy *policy = feeds_policy(rules, site,
		(const uint8_t(*)[POLICY_ZONES_MAX])mode, daemon->options, daemon->telemetry);
	if (policy && policy_knows_macs(&policy->view))
		policy->neighbours = clients_identity(daemon->clients).shared;
	return policy;
}

bool daemon_set_policy(struct daemon *daemon, struct rules *rules, broadcast_done_fn *done,
	void *context)
{
	struct broadcast *broadcast = broadcast_new(daemon, done, context);
	struct site *site = daemon->next_site ? daemon->next_site : daemon->site;
	struct query_policy *policy = broadcast ? make_policy(daemon, rules, site) : NULL;

	if (!policy) {
		free(broadcast);
		if (rules != daemon->rules)
			rules_free(rules);
		return false;
	}
	broadcast->old_site = daemon->site;
	broadcast->site = daemon->site = site;
	daemon->next_site = NULL;
	broadcast->old_policy = daemon->policy;
	broadcast->old_rules = daemon->rules;
	daemon->policy = policy;
	daemon->rules = rules;
	for (unsigned i = 0; i < daemon->worker_count; i++)
		broadcast->messages[i].identity = daemon->next_identity;
	if (daemon->next_identity)
		broadcast->old_identity =
			telemetry_change_identity(daemon->telemetry, daemon->next_identity);
	daemon->next_identity = NULL;
	broadcast_send(broadcast, WORKER_SET_POLICY);
	daemon_modes_follow(daemon);
	return true;
}

/* --- signals --- */

static void on_stopped(struct daemon *daemon, struct broadcast *broadcast)
{
	daemon_gauges_tell(daemon, broadcast);
	event_base_loopbreak(daemon->base);
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
	struct daemon *daemon = context;

	(void)what;
	if (number == SIGHUP) {
		if (!daemon->stopping)
			daemon_reload(daemon, NULL);
		return;
	}
	if (daemon->stopping)
		return;
	daemon->stopping = true;
	log_info("%s: answering what is pending, then flushing counts",
		number == SIGTERM ? "SIGTERM" : "SIGINT");
	if (!daemon_broadcast(daemon, WORKER_STOP, on_stopped, NULL))
		event_base_loopbreak(daemon->base);
}

static bool open_loop(struct daemon *daemon)
{
	static const int numbers[] = {SIGHUP, SIGTERM, SIGINT};

	mailbox_init(&daemon->replies);
	signal(SIGPIPE, SIG_IGN);
	daemon->base = event_base_new();
	daemon->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!daemon->base || daemon->wake_fd < 0)
		return false;
	daemon->wake =
		event_new(daemon->base, daemon->wake_fd, EV_READ | EV_PERSIST, on_wake, daemon);
	if (!daemon->wake || event_add(daemon->wake, NULL) != 0)
		return false;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		daemon->signals[i] = evsignal_new(daemon->base, numbers[i], on_signal, daemon);
		if (!daemon->signals[i] || event_add(daemon->signals[i], NULL) != 0)
			return false;
	}
	return true;
}

/* --- start --- */

/* To what the system allows. How many there are. */
static uint64_t raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return UINT64_MAX;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t before = limit.rlim_cur;
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			limit.rlim_cur = before;
	}
	return limit.rlim_cur;
}

static void share_descriptors(const struct daemon *daemon, struct worker_config *config)
{
	const struct descriptor_shares wanted = {
		config->tcp_connections_max, (unsigned)config->query.waiters_max};
	struct descriptor_shares shares;

	if (!descriptors_share(daemon->descriptors, config->count, daemon->sockets.address_count,
		    &wanted, &shares))
		log_warning("tcp-clients-max: %u connections for each worker instead of %u, since "
			    "the system allows %" PRIu64
			    " open files; raise that (ulimit -n, LimitNOFILE=)",
			shares.tcp_clients, wanted.tcp_clients, daemon->descriptors);
	config->tcp_connections_max = shares.tcp_clients;
	config->query.questions_max = shares.questions;
}

static bool prepare_state_dir(const struct options *options, const struct passwd *user)
{
	const char *path = options->state_dir;

	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		log_error("state-dir %s: %s; make its parent directory, or set the option "
			  "`state-dir`",
			path, strerror(errno));
		return false;
	}
	if (user && geteuid() == 0 && chown(path, user->pw_uid, user->pw_gid) != 0) {
		log_error("state-dir %s: cannot be given to user %s: %s", path, options->user,
			strerror(errno));
		return false;
	}
	return true;
}

/* Only who starts as root can make it; without it, /dev/shm does. */
static void prepare_run_dir(const struct options *options, const struct passwd *user)
{
	if (!user || geteuid() != 0 || strcmp(options->memory_dir, "auto") != 0)
		return;
	if (mkdir(TELEMETRY_RUN_DIR, 0755) == 0 &&
		chown(TELEMETRY_RUN_DIR, user->pw_uid, user->pw_gid) != 0)
		rmdir(TELEMETRY_RUN_DIR);
}

static bool drop_privileges(const struct passwd *user)
{
	if (!user || geteuid() != 0)
		return true;
	if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
		setuid(user->pw_uid) != 0) {
		log_error("cannot become user %s: %s", user->pw_name, strerror(errno));
		return false;
	}
	return true;
}

/* *user is NULL for whoever started us. */
static bool find_user(const struct options *options, const struct passwd **user)
{
	*user = options->user[0] ? getpwnam(options->user) : NULL;
	if (options->user[0] && !*user)
		log_error("user: there is no user \"%s\"", options->user);
	return *user || !options->user[0];
}

bool daemon_become_user(const struct options *options)
{
	const struct passwd *user;

	return find_user(options, &user) && drop_privileges(user);
}

static bool prepare_dirs(const struct options *options)
{
	const struct passwd *user;

	if (!find_user(options, &user))
		return false;
	prepare_run_dir(options, user);
	return prepare_state_dir(options, user);
}

static void seed_new(struct hash_seed *seed)
{
	struct random_pool pool = {0};

	random_bytes(&pool, seed, sizeof *seed);
}

/* Without a file, a secret that ends with us. */
static void make_cookie_secret(struct options *options)
{
	if (options->cookie_secrets.count > 0)
		return;
	seed_new(&options->cookie_secrets.secrets[0]);
	options->cookie_secrets.count = 1;
}

static unsigned dnstap_messages(const struct options *options)
{
	unsigned messages = 0;

	for (size_t i = 0; options->dnstap[0] && i < options->dnstap_messages_count; i++)
		messages |= dnstap_message_parse(options->dnstap_messages[i]);
	return messages;
}

bool daemon_load_tls(struct daemon *daemon, const struct options *options)
{
	char why[256] = "out of memory";

	if (!daemon->tls)
		daemon->tls = tls_context_new(options->tls_ca_file);
	if (daemon->tls && (!options_use_tls(options) ||
				   tls_context_load(daemon->tls, why, sizeof(why))))
		return true;
	log_error("tls-ca-file: %s", why);
	return false;
}

static bool open_event_command(struct daemon *daemon)
{
	const struct event_command_settings settings = {.options = daemon->options,
		.interval_ms = EVENT_COMMAND_INTERVAL_MS,
		.patience_ms = EVENT_COMMAND_PATIENCE_MS};

	daemon->event_command = event_command_new(&settings);
	if (!daemon->event_command)
		log_error("not enough memory or file descriptors");
	return daemon->event_command != NULL;
}

void daemon_set_name_servers(struct daemon *daemon)
{
	struct endpoint servers[NAME_SERVERS_MAX];

	name_servers_set(daemon->name_servers, servers,
		options_plain_servers(daemon->options, servers, NAME_SERVERS_MAX));
}

static bool open_name_servers(struct daemon *daemon)
{
	daemon->name_servers = name_servers_new();
	if (daemon->name_servers)
		daemon_set_name_servers(daemon);
	return daemon->name_servers != NULL;
}

static bool open_telemetry(struct daemon *daemon)
{
	const struct options *options = daemon->options;
	char *redis = options_redis_url(options);
	struct redis_access access = options_redis_access(options);
	struct telemetry_config config = {.resolver_name = options->resolver_name,
		.version = PACKAGE_VERSION,
		.state_dir = options->state_dir,
		.journal_fsync = options->journal_fsync,
		.memory_dir = options->memory_dir,
		.redis = redis,
		.redis_access = &access,
		.query_log = options->query_log,
		.query_log_file = options->query_log_file,
		.query_log_size = options->query_log_size,
		.query_log_keep = options->query_log_keep,
		.dnstap = options->dnstap,
		.dnstap_messages = dnstap_messages(options),
		.workers = options->workers,
		.retention_days = options->retention_days,
		.pair_retention_days = options->pair_retention_days,
		.clients_max = CLIENTS_MAX,
		.details_max = DETAILS_MAX,
		.stored_clients_max = options->clients_max,
		.stored_names_max = options->names_max,
		.returned = event_command_returned,
		.returned_context = daemon->event_command};

	access.name_servers = daemon->name_servers;
	seed_new(&config.seed);
	config.identity = clients_identity(daemon->clients);
	config.names = clients_names(daemon->clients);
	if (strcmp(options->redis, "embedded") == 0) {
		daemon->keeper = keeper_start(options->state_dir, options->redis_memory_mb);
		if (!daemon->keeper) {
			free(redis);
			return false;
		}
		config.redis = keeper_url(daemon->keeper);
	}
	daemon->telemetry = redis ? telemetry_new(&config) : NULL;
	free(redis);
	return daemon->telemetry != NULL;
}

static bool open_policy(struct daemon *daemon)
{
	if (!daemon_transfer_open(daemon))
		return false;
	daemon->rules = compile_now(daemon->options, daemon->zone_feed, ++daemon->generation);
	if (!daemon->rules)
		return false;
	daemon->site = feeds_site(daemon->options, ++daemon->generation);
	if (!daemon->site)
		return false;
	daemon->policy = make_policy(daemon, daemon->rules, daemon->site);
	return daemon->policy != NULL;
}

static bool open_workers(struct daemon *daemon)
{
	const struct options *options = daemon->options;
	struct worker_config config = {.count = options->workers,
		.cache = daemon->cache,
		.policy = daemon->policy,
		.query = {.keepalive_ds = (uint16_t)(options->tcp_idle_timeout_ms / 100),
			.loops = daemon->loops,
			.rate_limit = daemon->rate_limit,
			.waiters_max = options->pending_max,
			.keep_queries = (dnstap_messages(options) & DNSTAP_CLIENT) != 0,
			.listen = options->listen,
			.listen_count = options->listen_count,
			.waiters_per_client_max = options->pending_per_client_max},
		.upstream = {.timeout_ms = options->upstream_timeout_ms,
			.randomize_case = options->randomize_case,
			.cookies = options->upstream_cookies,
			.loops = daemon->loops,
			.idle_timeout_ms = options->upstream_idle_timeout_ms,
			.tls = daemon->tls,
			.requests_max = options->pending_max},
		.tcp_connections_max = options->tcp_clients_max,
		.tcp_connections_per_client_max = options->tcp_clients_per_address,
		.tcp_idle_timeout_ms = options->tcp_idle_timeout_ms,
		.drain_ms = DRAIN_MS,
		.tap = (dnstap_messages(options) & DNSTAP_FORWARDER) != 0,
		.notifies = transfers_box(daemon->transfers),
		.peers = daemon->workers,
		.reply = on_worker_reply,
		.reply_context = daemon};

	share_descriptors(daemon, &config);
	seed_new(&config.query.seed);
	for (unsigned i = 0; i < options->workers; i++) {
		config.index = i;
		config.telemetry = telemetry_worker(daemon->telemetry, i);
		daemon->workers[i] = worker_new(
			&config, sockets_of(&daemon->sockets, i), daemon->sockets.address_count);
		if (!daemon->workers[i])
			return false;
	}
	return true;
}

/*
 * Not those of sections forward: the server of corp.example that sends us everything else would give our
 * question back, and rightly so.
 */
void daemon_watch_loops(struct daemon *daemon)
{
	const struct options *options = daemon->options;
	struct endpoint servers[LOOP_SERVERS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < options->upstream_count && count < LOOP_SERVERS_MAX; i++)
		if (options->upstream[i].transport == SERVER_UDP)
			servers[count++] = options->upstream[i].endpoint;
	loop_watch_set_servers(daemon->loops, servers, count, daemon_mono_us());
}

static bool open_loop_watch(struct daemon *daemon)
{
	struct hash_seed secret;

	seed_new(&secret);
	daemon->loops = loop_watch_new(&secret);
	if (!daemon->loops)
		return false;
	daemon_watch_loops(daemon);
	daemon->loop_prober = loop_prober_new(daemon->base, daemon->loops);
	return daemon->loop_prober != NULL;
}

/* Threads inherit the mask: signals are the main thread's. */
static bool start_threads(struct daemon *daemon)
{
	sigset_t all, before;
	bool good;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	good = telemetry_start(daemon->telemetry) == TD_OK;
	for (unsigned i = 0; good && i < daemon->options->workers; i++) {
		good = worker_start(daemon->workers[i]) == TD_OK;
		daemon->worker_count += good;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!good)
		log_error("cannot start threads: %s", strerror(errno));
	return good;
}

static bool open_control(struct daemon *daemon)
{
	char path[108];

	if (options_control_path(daemon->options, path, sizeof path) != TD_OK) {
		log_error("state-dir: its path is too long for a unix socket (107 bytes with "
			  "/control.sock)");
		return false;
	}
	daemon->control = control_server_open(daemon->base, path, daemon_control, daemon);
	return daemon->control != NULL;
}

static void log_ready(const struct daemon *daemon)
{
	char text[ENDPOINT_TEXT_MAX];

	for (size_t i = 0; i < daemon->options->listen_count; i++)
		log_info("answering on %s", endpoint_to_text(&daemon->options->listen[i], text));
	if (daemon->options->upstream_count == 0)
		log_warning("no upstream server is known: only local, blocked and special-use "
			    "names are answered; set the option `upstream`");
	log_info("ready: %u workers, %zu rules in %zu zones, redis %s", daemon->worker_count,
		daemon->rules->rule_count, policy_zone_count(daemon->rules->index),
		daemon->keeper                          ? "embedded"
		: strcmp(daemon->options->redis, "off") ? "external"
							: "off");
}

void daemon_apply_cache_options(const struct daemon *daemon)
{
	const struct options *options = daemon->options;
	const struct cache_settings settings = {
		.stale_us = (int64_t)options->serve_stale_s * US_PER_S,
		.failure_us = (int64_t)options->failure_ttl_s * US_PER_S,
		.prefetch = options->prefetch};

	cache_set(daemon->cache, &settings);
}

bool daemon_open(struct daemon *daemon, struct options *options, const char *config_path)
{
	struct hash_seed seed;

	*daemon = (struct daemon){.config_path = config_path,
		.options = options,
		.started_us = daemon_mono_us(),
		.wake_fd = -1};
	daemon->descriptors = raise_descriptor_limit();
	make_cookie_secret(options);
	if (sockets_open(&daemon->sockets, options->listen, options->listen_count,
		    options->workers) != TD_OK ||
		!prepare_dirs(options) || !daemon_become_user(options) || !daemon_load_tls(daemon, options) ||
		!(daemon->clients = clients_new(options, daemon->tls)) || !open_event_command(daemon) || !open_name_servers(daemon) || !open_telemetry(daemon) || !daemon_modes_open(daemon) || !open_policy(daemon))
		return false;
	seed_new(&seed);
	daemon->cache = cache_new(options->cache_size, CACHE_SHARDS, &seed);
	seed_new(&seed);
	daemon->rate_limit = rate_limit_new(&seed);
	if (!daemon->cache || !daemon->rate_limit || !open_loop(daemon) || !open_loop_watch(daemon) || !clients_start(daemon->clients, daemon->base) ||
		!event_command_start(daemon->event_command, daemon->base)) {
		log_error("not enough memory or file descriptors");
		return false;
	}
	daemon_apply_cache_options(daemon);
	if (!open_control(daemon) || !open_workers(daemon) || !start_threads(daemon) ||
		!daemon_gauges_start(daemon) || !daemon_site_start(daemon) ||
		!daemon_reload_start(daemon) || !daemon_modes_start(daemon))
		return false;
	daemon_transfer_start(daemon);
	daemon_cache_load(daemon);
	log_ready(daemon);
	daemon->opened = true;
	return true;
}

void daemon_run(struct daemon *daemon)
{
	event_base_dispatch(daemon->base);
}

/* --- stop --- */

/* A start that failed half-way has threads but no loop: they are stopped and waited for here. */
static void stop_started_workers(struct daemon *daemon)
{
	if (daemon->stopping || daemon->worker_count == 0)
		return;
	daemon->stopping = true;
	if (daemon_broadcast(daemon, WORKER_STOP, on_stopped, NULL))
		event_base_dispatch(daemon->base);
}

void daemon_close(struct daemon *daemon)
{
	stop_started_workers(daemon);
	daemon_policy_forget(daemon);
	control_server_close(daemon->control);
	daemon_reload_stop(daemon);
	daemon_transfer_close(daemon);
	daemon_site_stop(daemon);
	daemon_modes_close(daemon);
	for (unsigned i = 0; i < QUERY_WORKERS_MAX; i++)
		worker_free(daemon->workers[i]);
	if (daemon->telemetry)
		telemetry_stop(&daemon->telemetry, FLUSH_MS);
	name_servers_free(daemon->name_servers);
	loop_prober_free(daemon->loop_prober);
	loop_watch_free(daemon->loops);
	event_command_free(daemon->event_command);
	identity_rules_free(daemon->next_identity);
	clients_free(daemon->clients);
	tls_context_free(daemon->tls);
	if (daemon->keeper)
		keeper_stop(&daemon->keeper, KEEPER_STOP_MS);
	sockets_close(&daemon->sockets);
	daemon_cache_save(daemon);
	cache_free(daemon->cache);
	rate_limit_free(daemon->rate_limit);
	if (daemon->rules)
		feeds_policy_free(daemon->rules, daemon->site, daemon->policy);
	feeds_site_free(daemon->next_site);
	for (size_t i = 0; i < sizeof daemon->signals / sizeof daemon->signals[0]; i++)
		if (daemon->signals[i])
			event_free(daemon->signals[i]);
	if (daemon->gauges)
		event_free(daemon->gauges);
	if (daemon->wake)
		event_free(daemon->wake);
	if (daemon->base)
		event_base_free(daemon->base);
	if (daemon->wake_fd >= 0)
		close(daemon->wake_fd);
	options_free(daemon->options);
}
