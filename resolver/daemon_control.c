/* SPDX-License-Identifier: BSD-3-Clause */
/* What the control socket can ask of the daemon. Replies that concern all workers end when the last
 * worker has answered. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "resolver/daemon.h"
#include "resolver/daemon_gauges.h"
#include "resolver/daemon_modes.h"
#include "resolver/daemon_policy.h"
#include "resolver/daemon_reload.h"
#include "resolver/daemon_site.h"
#include "resolver/daemon_transfer.h"
#include "resolver/telemetry/redis/forget.h"
#include "resolver/upstream/server_status.h"

/* --- status --- */

static void add_upstreams(const struct daemon *daemon, const struct broadcast *broadcast,
	int64_t now_us, struct control_reply *reply)
{
	struct server_state servers[UPSTREAM_SERVERS_MAX];
	size_t count = broadcast->messages[0].status.server_count;
	char address[SERVER_SHOWN_MAX], figures[SERVER_STATUS_TEXT_MAX];
	char text[sizeof address + sizeof figures], trouble[sizeof address + SERVER_TROUBLE_MAX];

	for (size_t i = 0; i < count; i++)
		servers[i] = daemon_server(daemon, broadcast, i);
	for (size_t i = 0; i < count; i++) {
		const char *word = server_status_word(
			&servers[i], servers, count,
			daemon->options->upstream_order == UPSTREAM_STRICT);

		if (loop_watch_is_looping(daemon->loops, &servers[i].endpoint))
			word = "loop";
		snprintf(text, sizeof text, "%s %s",
			server_status_address(&servers[i], address),
			server_status_text(&servers[i], word, now_us, figures));
		control_reply_add(reply, "upstream", text);
	}
	for (size_t i = 0; i < count; i++) {
		if (!servers[i].trouble[0])
			continue;
		snprintf(trouble, sizeof trouble, "%s: %s",
			server_status_address(&servers[i], address), servers[i].trouble);
		control_reply_add(reply, "upstream_error", trouble);
	}
}

static void add_figures(const struct daemon *daemon, const struct broadcast *broadcast,
	const struct telemetry_status *telemetry, struct control_reply *reply)
{
	struct daemon_figure figures[DAEMON_FIGURES_MAX];
	size_t count = daemon_figures(daemon, broadcast, telemetry, figures);

	for (size_t i = 0; i < count; i++) {
		if (!(figures[i].where & FIGURE_STATUS))
			continue;
		if (figures[i].text)
			control_reply_add(reply, figures[i].name, figures[i].text);
		else
			control_reply_add_u64(reply, figures[i].name, figures[i].value);
	}
}

static void add_latency(const struct daemon *daemon, const struct broadcast *broadcast,
	struct control_reply *reply)
{
	struct latency latency[LATENCY_CLASSES];
	char text[LATENCY_TEXT_MAX];

	daemon_latency(daemon, broadcast, latency);
	for (unsigned i = 0; i < LATENCY_CLASSES; i++)
		control_reply_add(
			reply, latency_figure_name(i), latency_to_text(&latency[i], text));
}

static void add_sinks(const struct telemetry_status *status, struct control_reply *reply)
{
	char text[320];

	for (size_t i = 0; i < status->sink_count; i++) {
		const struct sink_status *sink = &status->sinks[i];
		snprintf(text, sizeof text,
			"%s to=%s state=%s written=%" PRIu64 " dropped=%" PRIu64, sink->name,
			sink->target, sink->state, sink->written, sink->dropped);
		control_reply_add(reply, "sink", text);
	}
}

static void add_suspects(const struct telemetry_status *status, struct control_reply *reply)
{
	char client[ADDRESS_TEXT_MAX], text[ADDRESS_TEXT_MAX + NOTES_WHY_SIZE + 32];

	for (size_t i = 0; i < status->suspect_count; i++) {
		snprintf(text, sizeof text, "%s names=%u systems=%s",
			address_to_text(&status->suspects[i].client, client),
			status->suspects[i].names, status->suspects[i].systems);
		control_reply_add(reply, "forwarder", text);
	}
}

static void on_status(struct daemon *daemon, struct broadcast *broadcast)
{
	struct control_reply *reply = broadcast->context;
	struct telemetry_status telemetry;
	int64_t now_us = daemon_mono_us();
	char text[ENDPOINT_TEXT_MAX];

	telemetry_status(daemon->telemetry, &telemetry);
	control_reply_add(reply, "version", PACKAGE_VERSION);
	control_reply_add(reply, "resolver", daemon->options->resolver_name);
	control_reply_add_u64(reply, "pid", (uint64_t)getpid());
	control_reply_add_u64(
		reply, "uptime_s", (uint64_t)((now_us - daemon->started_us) / US_PER_S));
	control_reply_add_u64(reply, "workers", daemon->worker_count);
	for (size_t i = 0; i < daemon->options->listen_count; i++)
		control_reply_add(
			reply, "listen", endpoint_to_text(&daemon->options->listen[i], text));
	add_upstreams(daemon, broadcast, now_us, reply);
	daemon_site_status(daemon, broadcast, reply);
	daemon_modes_add_zones(daemon, reply);
	daemon_transfer_status(daemon, reply);
	daemon_reload_status(daemon, reply);
	add_figures(daemon, broadcast, &telemetry, reply);
	add_latency(daemon, broadcast, reply);
	add_sinks(&telemetry, reply);
	add_suspects(&telemetry, reply);
	control_reply_end(reply);
}

static void request_status(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	(void)count;
	(void)words;
	if (!daemon_broadcast(daemon, WORKER_STATUS, on_status, reply))
		control_reply_fail(reply, "out of memory");
}

/* --- reload --- */

static void request_reload(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	(void)count;
	(void)words;
	log_info("reload, asked for by uid %u%s", (unsigned)control_reply_uid(reply),
		control_reply_via(reply));
	daemon_reload(daemon, reply);
}

/* --- forget --- */

static void add_forgetting(const struct daemon *daemon, struct control_reply *reply)
{
	static const char *const states[] = {[FORGET_IDLE] = "idle",
		[FORGET_WAITING] = "waiting",
		[FORGET_RUNNING] = "running",
		[FORGET_DONE] = "done",
		[FORGET_FAILED] = "failed"};
	struct forget_status status;

	telemetry_forget_status(daemon->telemetry, &status);
	control_reply_add(reply, "state", states[status.state]);
	control_reply_add(reply, "client", status.client);
	control_reply_add(reply, "words", status.words);
	control_reply_add_u64(reply, "keys", status.keys);
	control_reply_add_u64(reply, "scanned", status.scanned);
	control_reply_add_u64(reply, "deleted", status.deleted);
	control_reply_add_u64(reply, "removed", status.removed);
	control_reply_end(reply);
}

/* Starts it; without a client it says how far it came. */
static void request_forget(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[])
{
	enum td_error error = count > 1 ? telemetry_forget(daemon->telemetry, words[1]) : TD_OK;

	if (count > 1 && error == TD_OK)
		log_info("a client is being forgotten, asked for by uid %u%s",
			(unsigned)control_reply_uid(reply), control_reply_via(reply));
	if (error == TD_UNSUPPORTED)
		control_reply_fail(reply, "redis is off: nothing is kept that could be forgotten");
	else if (error == TD_FULL)
		control_reply_fail(reply, "another client is being forgotten; try again when it is done");
	else if (error != TD_OK)
		control_reply_fail(reply, "this is no client");
	else
		add_forgetting(daemon, reply);
}

/* --- dispatch --- */

void daemon_control(void *context, struct control_reply *reply, unsigned count, char *const words[])
{
	static const struct {
		const char *word;
		unsigned most;
		void (*run)(struct daemon *, struct control_reply *, unsigned, char *const *);
	} requests[] = {{"status", 1, request_status}, {"mode", 5, daemon_modes_request},
		{"reload", 1, request_reload}, {"forget", 2, request_forget},
		{"explain", 3, daemon_explain}, {"policy", 6, daemon_policy}, {"cache", 4, daemon_cache},
		{"flush", 4, daemon_flush}, {"refresh", 2, daemon_refresh}};
	struct daemon *daemon = context;

	if (daemon->stopping) {
		control_reply_fail(reply, "the daemon is stopping");
		return;
	}
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		if (count == 0 || strcmp(words[0], requests[i].word) != 0)
			continue;
		if (count > requests[i].most)
			control_reply_fail(reply, "too many words");
		else
			requests[i].run(daemon, reply, count, words);
		return;
	}
	control_reply_fail(reply,
		"unknown request; known: status, mode, reload, forget, explain, policy, cache, flush, refresh");
}
