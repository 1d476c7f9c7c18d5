/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration: one table of options (options_table.c), from which the parser, the checks of
 * `-t`, the print of `-p`, the sample file and the manual page come. libconfuse reads the syntax.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/dns/address.h"
#include "lib/dns/cookie.h"
#include "lib/dns/edns.h"
#include "lib/dns/tsig.h"
#include "policy/policy.h"
#include "resolver/resolv_conf.h"
#include "resolver/schedule.h"
#include "resolver/telemetry/redis/redis_address.h"
#include "resolver/telemetry/telemetry.h"
#include "resolver/upstream/server_address.h"

enum upstream_order { UPSTREAM_FASTEST, UPSTREAM_STRICT };

#define ZONE_FILES_MAX 32 /* of one zone */

struct zone_file {
	char *path;     /* absolute, or relative to zone-dir, already joined */
	char *patterns; /* the pattern list beside it (same path, ending .patterns), or NULL if
			   there is no such file name to try */
};

/* A zone after defaults: the shipped ones come first in their order unless a section names them,
 * then the file's own in its order. */
struct zone_options {
	char name[POLICY_ZONE_NAME_MAX];
	enum policy_zone_kind kind;
	struct zone_file *files;
	size_t file_count;
	bool required; /* the configuration names the files: that one is missing is an error; a
			  pattern list may be missing */
	enum zone_format format;
	enum policy_mode mode;
	enum ede_code reason; /* EDE_BLOCKED, EDE_CENSORED or EDE_FILTERED */
	enum policy_action override; /* of all its rules; ACTION_NONE: each has its own */
	struct name alias;           /* with ACTION_LOCAL_DATA: a CNAME to this name */
	struct endpoint *primaries; /* none: it comes from its file */
	size_t primary_count;
	struct name zone_name; /* of a zone by transfer, folded: as the primaries know it */
	char *key;             /* the title of a section key; NULL: none */
	struct schedule schedule; /* in place of mode, where a rule of it fits */
};

#define ZONE_PRIMARIES_MAX 8

/* A section key "TITLE". */
struct key_options {
	char *title;
	char *secret_file;
	struct tsig_key key; /* without a secret where that was not to be read */
};

#define GROUP_CLIENTS_MAX 1024 /* of one group */

/* One of the two; the other one's family is ADDRESS_NONE. */
struct group_client {
	struct prefix network;
	struct address client; /* ADDRESS_MAC or ADDRESS_LABEL */
};

struct group_zone_options {
	char zone[POLICY_ZONE_NAME_MAX]; /* of the options, not a ZONE_LOCAL */
	bool has_mode;                   /* else that of the zone */
	enum policy_mode mode;
	struct schedule schedule;
};

/* A section group "NAME"; number 1 … in order. */
struct group_options {
	char name[POLICY_ZONE_NAME_MAX];
	struct group_client *clients; /* none is in another group as well */
	size_t client_count;
	struct group_zone_options *zones;
	size_t zone_count;
};

/* A section forward "TITLE", which route_table_add takes. */
struct forward_options {
	char *title;
	struct server_address *upstream;
	size_t upstream_count; /* 0: never forwarded */
};

struct options {
	char *resolver_name;
	char *state_dir;
	char *zone_dir;
	unsigned zone_watch; /* 0 or 1 */
	char *user;          /* to run as after the sockets are open; "" = stay */
	unsigned workers;    /* 1 … 64; default the number of cores */
	uint64_t cache_size; /* bytes */
	unsigned cache_save; /* 0 or 1 */
	unsigned cache_ttl_min_s, cache_ttl_max_s, negative_ttl_max_s;
	struct endpoint *listen;
	size_t listen_count;
	struct prefix *allow;
	size_t allow_count;
	struct prefix *proxies;
	size_t proxy_count;
	struct prefix *forwarders;
	size_t forwarder_count;
	struct server_address *upstream; /* from the file, else from resolv.conf without our own listen
				      addresses; may be none */
	size_t upstream_count;
	bool upstream_from_resolv_conf; /* or would be, if that had any */
	const char *upstream_source; /* the file they are from; NULL: the configuration, or none */
	char *resolv_conf; /* path; "" = none is read */
	unsigned upstream_timeout_ms;
	unsigned randomize_case, upstream_cookies; /* 0 or 1 */
	unsigned rebinding_protection;             /* 0 or 1 */
	char **rebinding_allow;                    /* domain names */
	size_t rebinding_allow_count;
	char **hosts; /* absolute paths of hosts files */
	size_t hosts_count;
	unsigned hosts_ttl_s;
	unsigned upstream_idle_timeout_ms;
	char *tls_ca_file; /* "": the system's authorities */
	unsigned break_dnssec; /* 0 or 1 */
	unsigned trust_ad, cookies; /* 0 or 1 */
	unsigned serve_stale_s; /* 0: off */
	unsigned stale_client_timeout_ms;
	unsigned prefetch; /* 0 or 1 */
	unsigned failure_ttl_s;
	char **pass_subnet;         /* names of domains */
	size_t pass_subnet_count;
	char *cookie_secret_file; /* "" = none */
	/* Out of the file; without one the daemon's own. Never printed. */
	struct cookie_secrets cookie_secrets;
	enum upstream_order upstream_order;
	unsigned upstream_hedge; /* 1: on */
	char *redis; /* "embedded", "off" or a URL (redis_address.h), which may hold a password */
	char *redis_user, *redis_sentinel_user; /* these and the rest: "" = none */
	char *redis_password_file, *redis_sentinel_password_file;
	char *redis_password, *redis_sentinel_password; /* out of a file or the environment; NULL =
							   none; never printed */
	unsigned redis_tls;                             /* 0 or 1 */
	char *redis_ca_file, *redis_cert_file, *redis_key_file, *redis_tls_name;
	unsigned redis_memory_mb;  /* of the embedded one */
	unsigned clients_max, names_max; /* in Redis */
	enum journal_fsync journal_fsync;
	char *memory_dir; /* "auto", "" = none, or a path */
	enum query_log query_log;
	char *query_log_file;
	uint64_t query_log_size; /* octets; 0: the file is never turned */
	unsigned query_log_keep;
	char *dnstap;          /* as dnstap_target_parse takes it; "" = none */
	char **dnstap_messages; /* as dnstap_message_parse takes them */
	size_t dnstap_messages_count;
	unsigned retention_days, pair_retention_days;
	enum policy_mode mode;    /* of the tunnel zones */
	unsigned block_ttl_s;     /* negative TTL of blocked answers */
	unsigned tcp_clients_max; /* connections for each worker */
	unsigned tcp_clients_per_address, tcp_idle_timeout_ms;
	unsigned pending_max, pending_per_client_max; /* queries, for each worker */
	unsigned rate_limit;      /* queries a second of one client; 0: no limit */
	unsigned rate_limit_slip, rate_limit_prefix_v6;
	struct prefix *rate_exempt;
	size_t rate_exempt_count;
	struct endpoint *dashboard_listen; /* of `teredown dashboard`, as what follows */
	size_t dashboard_listen_count;
	char *dashboard_certificate, *dashboard_key; /* "": no TLS */
	char *dashboard_redis_user, *dashboard_redis_password_file; /* "": as the daemon */
	unsigned dashboard_reading_open;             /* 1: reading needs no token */
	unsigned dashboard_metrics_clients;          /* a zone that /metrics names; 0: none */
	char **dashboard_hosts; /* names, or addresses, that a Host may have besides */
	size_t dashboard_hosts_count;
	unsigned log_level;       /* enum log_level */
	enum client_identity client_identity;
	unsigned client_prefix;
	enum anonymize anonymize;
	unsigned anonymize_prefix_v4, anonymize_prefix_v6;
	unsigned anonymize_renew_days; /* 0: never */
	char **client_names; /* as name_source_read takes them */
	size_t client_names_count;
	char **exclude;                /* as identity_exclude_check takes them */
	size_t exclude_count;
	char **event_command; /* a path and its arguments; none: nothing is run */
	size_t event_command_count;
	struct zone_options *zones;
	size_t zone_count;
	struct forward_options *forwards;
	size_t forward_count;
	struct key_options *keys;
	size_t key_count;
	uint64_t zone_transfer_max; /* octets */
	struct group_options *groups; /* fewer than POLICY_GROUPS_MAX */
	size_t group_count;
};

/*
 * Reads path (NULL: all defaults). Every fault is printed to stderr as "FILE:LINE: option: what is
 * wrong, what was expected" and reading goes on; NULL when there was any. Unknown and repeated
 * options and sections are faults.
 */
struct options *options_load(const char *path);
/* The same without opening files with passwords, for those who log in nowhere: a reload (a new
 * password needs a restart, and whoever the daemon runs as by now need not be allowed to read them)
 * and commands that only ask the daemon. */
struct options *options_load_without_passwords(const char *path);
void options_free(struct options *options);

/* `-p`: the effective configuration as a file that options_load reads back; secrets as "***" with a
 * comment. */
void options_print(const struct options *options, FILE *out);

/* A commented sample with every option, its unit, range and default. */
void options_print_sample(FILE *out);

/* The .TP entries of the manual page teredown.conf(5), in mdoc/man macros, from the same table. */
void options_print_manual(FILE *out);

/* Exchanges what a reload brings into effect, so that freeing `with` frees what was in effect. */
void options_exchange_reloadable(struct options *options, struct options *with);

/* Options that differ and only take effect at a restart, as a comma-separated list in out ("" when
 * none); for SIGHUP. */
void options_describe_restart(
	const struct options *before, const struct options *after, char *out, size_t size);

/* Reads the secret. False: why not, in words that hold no part of it; it stays as it was. */
bool options_read_key(struct key_options *key, char *why, size_t size);

/* What the command line needs to find a running daemon. The buffer holds 108 bytes (sun_path).
 * TD_TOO_LONG. */
enum td_error options_control_path(const struct options *options, char *out, size_t size);

/* The Redis that commands read: options->redis, with "embedded" as "unix:<state-dir>/redis.sock".
 * malloc'd. */
char *options_redis_url(const struct options *options);

/* What the URL does not say; its strings are those of options. Name servers are not set: commands
 * ask the system. */
struct redis_access options_redis_access(const struct options *options);

/* The same for the dashboard, where it has a user of its own: options of
 * options_load_without_passwords get that user's password here. False: why not, without any of it
 * */
bool options_read_dashboard_password(struct options *options, char *why, size_t size);

/* What resolv-conf, which is not "", says now, without our own addresses. As resolv_conf_read. */
enum td_error options_read_resolv_conf(const struct options *options, struct resolv_conf *out);

/* Takes these servers in place of those in upstream. False: out of memory, nothing changed. */
bool options_set_upstream(struct options *options, const struct resolv_conf *conf);

/*
 * Servers for those who ask over UDP alone, without TLS: the plain ones of upstream. Where there are
 * none but others, our own listener, which asks those. Returns how many of out[max] were set.
 */
size_t options_plain_servers(const struct options *options, struct endpoint *out, size_t max);

/* True when some server is to be asked over TLS. */
bool options_use_tls(const struct options *options);

/* "90s", "10m", "2h", "3d", "1w": as in durations of the configuration, with a unit always. False:
 * it is none, or too long to be counted in milliseconds. */
bool options_read_duration(const char *text, uint64_t *out_ms);

/* Default path of the configuration file (SYSCONFDIR "/teredown.conf"). */
extern const char options_default_path[];
