/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Composition root of `teredown dashboard`: signals, the loop, and who owns what. At the end the
 * loop closes every connection, streams too, and waits a second for what is being answered; a
 * request that hangs in a Redis which does not answer does not hold up the end.
 */
#include "config.h"

#include "resolver/control/dashboard/dashboard.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/control/clock.h"
#include "resolver/control/dashboard/assets.h"
#include "resolver/control/client_table.h"
#include "resolver/control/dashboard/host.h"
#include "resolver/control/dashboard/http.h"
#include "resolver/control/dashboard/overview.h"
#include "resolver/control/dashboard/session.h"
#include "resolver/control/dashboard/watch.h"

#define STOP_MS 1000

/* By these names alone, so that a test can put its own clock in their place. */
int64_t dashboard_wall_ms(void)
{
	return clock_wall_ms();
}

int64_t dashboard_mono_ms(void)
{
	return clock_mono_ms();
}

/* --- the configuration --- */

static struct dashboard_options *options_wrap(struct options *options)
{
	struct dashboard_options *wrapped = calloc(1, sizeof(*wrapped));

	if (wrapped) {
		wrapped->options = options;
		wrapped->holders = 1;
	}
	return wrapped;
}

struct dashboard_options *dashboard_options_hold(struct dashboard *dashboard)
{
	pthread_mutex_lock(&dashboard->options_mutex);
	struct dashboard_options *options = dashboard->options;
	options->holders++;
	pthread_mutex_unlock(&dashboard->options_mutex);
	return options;
}

void dashboard_options_drop(struct dashboard_options *options)
{
	if (!options || --options->holders > 0)
		return;
	options_free(options->options);
	free(options);
}

/* Of the file. With a user of its own the dashboard need not be allowed to read the passwords of
 * the daemon. NULL: said why on the standard error. */
static struct options *read_options(const char *path)
{
	struct options *options = options_load_without_passwords(path);
	char why[512];

	if (!options)
		return NULL;
	if (!options->dashboard_redis_user[0]) {
		options_free(options);
		return options_load(path);
	}
	if (options_read_dashboard_password(options, why, sizeof(why)))
		return options;
	log_error("%s", why);
	options_free(options);
	return NULL;
}

static void exchange_options(struct dashboard *dashboard, struct dashboard_options *with)
{
	pthread_mutex_lock(&dashboard->options_mutex);
	struct dashboard_options *before = dashboard->options;
	dashboard->options = with;
	pthread_mutex_unlock(&dashboard->options_mutex);
	dashboard_options_drop(before);
}

static bool same_listeners(const struct options *a, const struct options *b)
{
	if (a->dashboard_listen_count != b->dashboard_listen_count)
		return false;
	for (size_t i = 0; i < a->dashboard_listen_count; i++)
		if (!endpoint_equal(&a->dashboard_listen[i], &b->dashboard_listen[i]))
			return false;
	return true;
}

static void reload(struct dashboard *dashboard)
{
	struct options *options = read_options(dashboard->config);
	struct dashboard_options *wrapped = options ? options_wrap(options) : NULL;

	if (!wrapped) {
		log_error("the configuration has faults: what was in force stays");
		options_free(options);
		return;
	}
	if (!same_listeners(options, dashboard->options->options))
		log_warning("dashboard-listen has changed, which takes a restart of the dashboard");
	http_reload(dashboard->http, options);
	exchange_options(dashboard, wrapped);
	log_info("the configuration was read again");
}

/* --- the loop --- */

static void on_reload(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	reload(argument);
}

static void on_end(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(argument);
}

/* Connections of clients, and a few for each resolver of a fleet. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max < 16384 ? limit.rlim_max : 16384;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void say_where(const struct dashboard *dashboard)
{
	const struct options *options = dashboard->options->options;
	char text[ENDPOINT_TEXT_MAX];

	for (size_t i = 0; i < options->dashboard_listen_count; i++) {
		const struct endpoint *endpoint = &options->dashboard_listen[i];
		log_info("the dashboard is open at %s://%s/", dashboard->tls ? "https" : "http",
			endpoint_to_text(endpoint, text));
		if (!dashboard->tls && !host_is_loopback(&endpoint->address))
			log_warning("%s is no address of this machine alone, and there is no TLS: "
				    "whoever is on the way reads along, tokens too; set "
				    "dashboard-certificate and dashboard-key",
				text);
	}
}

static bool loop(struct dashboard *dashboard, struct event_base *base)
{
	struct event *reloads = evsignal_new(base, SIGHUP, on_reload, dashboard);
	struct event *ends = evsignal_new(base, SIGTERM, on_end, base);
	struct event *interrupts = evsignal_new(base, SIGINT, on_end, base);
	bool ok = reloads && ends && interrupts && event_add(reloads, NULL) == 0 &&
		  event_add(ends, NULL) == 0 && event_add(interrupts, NULL) == 0;

	if (ok) {
		say_where(dashboard);
		event_base_dispatch(base);
	}
	if (reloads)
		event_free(reloads);
	if (ends)
		event_free(ends);
	if (interrupts)
		event_free(interrupts);
	return ok;
}

/* --- life --- */

static void deinit(struct dashboard *dashboard)
{
	sessions_free(dashboard->sessions);
	watch_cache_free(&dashboard->watch);
	overviews_free(&dashboard->overviews);
	client_tables_free(&dashboard->clients);
	assets_free();
	dashboard_options_drop(dashboard->options);
	pthread_mutex_destroy(&dashboard->options_mutex);
	pthread_mutex_destroy(&dashboard->gate.mutex);
}

/* What answers keep from one request to the next. */
static bool init_tables(struct dashboard *dashboard)
{
	struct hash_seed seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return false;
	dashboard->clients = client_tables_new(seed, dashboard->options->options->clients_max);
	dashboard->overviews = overviews_new();
	return dashboard->clients && dashboard->overviews;
}

static bool init(struct dashboard *dashboard, struct cli *cli, bool fleet)
{
	*dashboard = (struct dashboard){.program = cli->program,
		.config = cli->config,
		.config_given = cli->config_given,
		.fleet = fleet,
		.started_ms = dashboard_wall_ms()};
	pthread_mutex_init(&dashboard->options_mutex, NULL);
	pthread_mutex_init(&dashboard->gate.mutex, NULL);
	struct options *options = read_options(cli->config);
	dashboard->options = options ? options_wrap(options) : NULL;
	if (!dashboard->options) {
		options_free(options);
		return false;
	}
	dashboard->watch = watch_cache_new();
	return dashboard->watch && init_tables(dashboard) && assets_load(CHART_JS);
}

int dashboard_run(struct cli *cli, bool fleet)
{
	struct dashboard dashboard;
	struct event_base *base = NULL;
	int code = CLI_ERROR;

	log_setup("teredown dashboard", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	struct http *http = NULL;
	if (init(&dashboard, cli, fleet) && (base = event_base_new()))
		http = http_new(&dashboard, base);
	dashboard.http = http;
	if (http) /* the ports are ours */
		dashboard.sessions = sessions_new(&dashboard);
	if (dashboard.sessions && loop(&dashboard, base))
		code = CLI_OK;
	if (!http_stop(&http, STOP_MS))
		_exit(code); /* a thread still uses all this */
	if (base)
		event_base_free(base);
	deinit(&dashboard);
	return code;
}
