/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The composition root: makes every part, connects them, and takes them apart in the reverse order.
 * Main thread only. What is asked of all workers at once (a status, a new policy, a stop) is a
 * broadcast: one message each, done when the last has come back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "resolver/cache.h"
#include "resolver/cache_rate.h"
#include "resolver/clients.h"
#include "resolver/control/server.h"
#include "resolver/event_command.h"
#include "resolver/feeds.h"
#include "resolver/loop_prober.h"
#include "resolver/options.h"
#include "resolver/sockets.h"
#include "resolver/telemetry/redis/keeper.h"
#include "resolver/telemetry/telemetry.h"
#include "resolver/worker.h"

struct daemon_modes;
struct daemon_reload;
struct event;
struct event_base;
struct zone_feed;
struct transfers;

struct daemon {
	const char *config_path; /* NULL: defaults */
	struct options *options;
	int64_t started_us; /* mono */
	struct event_base *base;
	struct event *wake, *signals[3];
	struct event *gauges; /* NULL: Redis is off */
	bool gathering;       /* workers are being asked for them */
	int wake_fd;
	struct mailbox replies; /* messages coming back from workers */
	struct listen_sockets sockets;
	uint64_t descriptors; /* that the system allows us */
	struct name_servers *name_servers; /* for the names of Redis' hosts */
	struct tls_context *tls; /* for all threads */
	struct keeper *keeper; /* NULL: Redis is not embedded */
	struct clients *clients;
	struct loop_watch *loops;
	struct loop_prober *loop_prober;
	struct event_command *event_command;
	struct telemetry *telemetry;
	struct cache *cache;
	struct rate_limit *rate_limit;
	struct identity_rules *next_identity; /* of a reload, for the next policy; or NULL */
	struct rules *rules;
	struct site *site;      /* in force, or on its way */
	struct site *next_site; /* for the next policy; or NULL */
	struct daemon_site *watches;
	struct daemon_reload *reload;
	struct transfers *transfers;       /* daemon_transfer.h */
	const struct zone_feed *zone_feed; /* of zones that are in no file; NULL: none */
	struct query_policy *policy; /* in force, or on its way to the workers */
	struct daemon_modes *modes;
	uint64_t generation;
	struct worker *workers[QUERY_WORKERS_MAX];
	unsigned worker_count;
	struct control_server *control;
	struct cache_rate cache_rate;
	LIST_HEAD(, policy_test) policy_tests; /* daemon_policy_test.c: under way */
	unsigned policy_test_count;
	struct cache_loader *cache_loader; /* while the saved cache is read */
	bool opened;                       /* daemon_open has come to its end */
	bool stopping;
};

struct broadcast;
typedef void broadcast_done_fn(struct daemon *daemon, struct broadcast *broadcast);

struct broadcast {
	struct daemon *daemon;
	broadcast_done_fn *done; /* called once; the broadcast is freed afterwards */
	unsigned waiting;
	void *context;
	struct rules *old_rules; /* of a policy change: what no worker uses when it is done */
	struct site *site;     /* that the workers have when it is done */
	struct site *old_site; /* of a policy change; the same: it stayed */
	struct query_policy *old_policy;
	struct identity_rules *old_identity;
	struct name name; /* of daemon_learn */
	struct worker_message messages[QUERY_WORKERS_MAX];
};

/* Everything up to running threads. False after a logged error; daemon_close cleans up in any case.
 */
bool daemon_open(struct daemon *daemon, struct options *options, const char *config_path);

/* Until SIGTERM or SIGINT, pending queries answered. */
void daemon_run(struct daemon *daemon);

void daemon_close(struct daemon *daemon);

int64_t daemon_mono_us(void);

/* Where root started us, the option `user` is what we are from now on. False: logged. */
bool daemon_become_user(const struct options *options);

/*
 * `-t` (daemon_check.c): becomes that user and looks at what a start would open and the options do
 * not say of themselves: zones, the files of TLS, the places of logs. Makes and changes nothing.
 * Every fault is logged. NULL where there is one; else the rules, for rules_free.
 */
struct rules *daemon_check(const struct options *options);

/* Sends the request to every worker. False: out of memory, done is not called. */
bool daemon_broadcast(
	struct daemon *daemon, enum worker_request request, broadcast_done_fn *done, void *context);

/* Has a worker ask upstream for no client (query_learn); done is called when it has begun. False: out
 * of memory, done is not called. */
bool daemon_learn(struct daemon *daemon, const struct name *name, uint16_t type,
	broadcast_done_fn *done, void *context);

/*
 * Puts the modes of this moment (daemon_modes.h) over these rules (the present ones, or new ones, taken over) into force, and the
 * next site where there is one; done is called when every worker has them. False: out of memory; nothing changed.
 */
bool daemon_set_policy(struct daemon *daemon, struct rules *rules, broadcast_done_fn *done,
	void *context);

/* Tells those who look up the names of Redis' hosts which upstream servers there are now. */
void daemon_set_name_servers(struct daemon *daemon);

/* Tells the watch for loops which upstream servers there are, at the start and when they change. Those
 * asked over TCP and TLS, and those of sections forward, are not watched. */
void daemon_watch_loops(struct daemon *daemon);

/* Reads what TLS to upstream servers needs, once some server is one of TLS; false and said. */
bool daemon_load_tls(struct daemon *daemon, const struct options *options);

/* What the cache is told of the options, at the start and when they change. */
void daemon_apply_cache_options(const struct daemon *daemon);

/* The handler of the control socket (daemon_control.c); context is the daemon. */
control_handler_fn daemon_control;

/*
 * The request `explain NAME [CLIENT]` (daemon_explain.c), read only. Replies:
 *   verdict   block, watch, local (data of our own), pass (a rule that lets it through), none
 *   host      the name of a hosts file that answers it
 *   forward   the section it belongs to, " never" behind it: such names are never forwarded
 *   servers   whom that section asks
 *   decided   the rule behind it: "<zone> mode=… action=… rule=…"; absent for none
 *   match     each rule that matches, in the order of zones
 *   access    allowed or refused, of a client that is an address
 */
void daemon_explain(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[]);

/* A line of the reply: "<zone> mode=… action=… rule=…". */
void daemon_add_match(struct control_reply *reply, const char *key, const struct policy_view *view,
	const struct policy_match *match);

/* The same of a record: "OWNER TTL TYPE DATA", as in a zone file; names in its RDATA may be compressed
 * in the message. */
void daemon_add_rr(struct control_reply *reply, const char *key, const uint8_t *message,
	size_t size, const struct message_rr *rr);

/*
 * The request `cache` (daemon_cache.c): figures, a line each. With `lookup TYPE NAME` (TYPE may be
 * *), for each entry of that name
 *   entry     "type=… rcode=… kind=… dnssec-ok=… checking-disabled=… state=… left_s=… …"
 *   record    each record of its answer and authority sections, TTLs as they are now
 *   match     each rule that matches
 * then `failure` with the type, for each question that failed lately, and `more`: yes or no.
 */
void daemon_cache(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[]);

/* What the workers have counted of the cache, when they are asked. */
void daemon_cache_note(struct daemon *daemon, const struct broadcast *broadcast);

/* The request `flush all TYPE`, `flush name TYPE NAME`, `flush suffix TYPE NAME`. When the reply
 * ends, nobody is served what was cached before. Replies: entries, failures. */
void daemon_flush(
	struct daemon *daemon, struct control_reply *reply, unsigned count, char *const words[]);

/*
 * The saved cache (daemon_cache_file.c), in state-dir/cache.save. Loading goes on beside everything
 * else once the loop runs; what is wrong with the file is logged, and the cache begins empty.
 */
void daemon_cache_load(struct daemon *daemon);
/* After the workers have ended. What cannot be written is logged, and the old file stays. */
void daemon_cache_save(struct daemon *daemon);
/* What was flushed is not to come back with the file. */
void daemon_cache_forget_saved(const struct daemon *daemon);
