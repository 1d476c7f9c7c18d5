/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of options: one row an option. What a value may be, what it is without one, what the
 * manual says of it and which field of struct options it fills stand in that row and nowhere else;
 * setting, comparing and printing are one function for each type (options_value.c). Rejected: a
 * function for each option, and libconfuse's own typed values, which know neither ranges nor units
 * and lose the line of a value.
 */
#include "config.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "resolver/client_names.h"
#include "resolver/hosts.h"
#include "resolver/options_private.h"
#include "resolver/rate_limit.h"
#include "resolver/telemetry/sinks/rotate.h"
#include "resolver/upstream/server.h"

#define SOCKET_PATH_MAX 107                  /* sun_path without its NUL */
#define STATE_DIR_MAX (SOCKET_PATH_MAX - 13) /* leaves room for "/control.sock" */

_Static_assert(sizeof(enum query_log) == sizeof(unsigned), "words are stored as unsigned");
_Static_assert(sizeof(enum journal_fsync) == sizeof(unsigned), "words are stored as unsigned");
_Static_assert(sizeof(enum client_identity) == sizeof(unsigned), "words are stored as unsigned");
_Static_assert(sizeof(enum anonymize) == sizeof(unsigned), "words are stored as unsigned");
_Static_assert(sizeof(enum policy_mode) == sizeof(unsigned), "words are stored as unsigned");

/* --- defaults that are computed --- */

static void compute_host_name(char *out, size_t size)
{
	if (gethostname(out, size) != 0)
		out[0] = '\0';
	out[size - 1] = '\0';
	if (strlen(out) > 63)
		out[strcspn(out, ".")] = '\0';
}

static void compute_cores(char *out, size_t size)
{
	cpu_set_t set;
	long cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;
	if (cores < 1)
		cores = sysconf(_SC_NPROCESSORS_ONLN);
	snprintf(out, size, "%ld", cores < 1 ? 1 : cores > 64 ? 64 : cores);
}

/* --- the table --- */

const char *const option_mode_words[] = {"ignore", "watch", "block", NULL};
const char *const option_reason_words[] = {"blocked", "censored", "filtered", NULL};
const char *const option_format_words[] = {
	"rpz", "patterns", "hosts", "domains", "wildcards", "dnsmasq", "adblock", NULL};
_Static_assert(sizeof(option_format_words) / sizeof(option_format_words[0]) == ZONE_FORMATS + 1,
	"a word a format");
static const char *const journal_fsync_words[] = {"never", "batch", "second", NULL};
static const char *const switch_words[] = {"off", "on", NULL};
static const char *const upstream_order_words[] = {"fastest", "strict", NULL};
static const char *const query_log_words[] = {"off", "watched", "all", NULL};
static const char *const client_identity_words[] = {"address", "prefix", "mac", NULL};
static const char *const anonymize_words[] = {"off", "prefix", "hash", NULL};
static const char *const dashboard_reading_words[] = {"token", "open", NULL};
static const char *const log_level_words[] = {"error", "warning", "info", "debug", NULL};

#define FIELD(name) \
	.offset = offsetof(struct options, name), .size = sizeof(((struct options *)0)->name)
#define LIST_COUNTED(name, count) FIELD(name), .count_offset = offsetof(struct options, count)
#define LIST(name) LIST_COUNTED(name, name##_count)

const struct option_row option_rows[] = {
	{.name = "resolver-name",
		.type = OPTION_TEXT,
		.unit = "letters, digits, '.', '_' and '-'",
		FIELD(resolver_name),
		.min = 1,
		.max = 63,
		.compute = compute_host_name,
		.initial_words = "the host name",
		.example = "\"gw1\"",
		.check = option_check_resolver_name,
		.help = "The name under which this resolver keeps its records in Redis. Two "
			"daemons that write to one Redis need two names: with one name, the second "
			"waits until the first has ended."},
	{.name = "state-dir",
		.type = OPTION_TEXT,
		.unit = "an absolute path",
		FIELD(state_dir),
		.min = 1,
		.max = STATE_DIR_MAX,
		.initial = STATEDIR,
		.initial_words = "chosen when Teredown was built",
		.example = "\"/var/lib/teredown\"",
		.check = option_check_path,
		.help = "The directory of the control socket, of the embedded Redis and of what "
			"waits for Redis."},
	{.name = "zone-dir",
		.type = OPTION_TEXT,
		.unit = "an absolute path",
		FIELD(zone_dir),
		.min = 1,
		.max = 1024,
		.initial = ZONEDIR,
		.initial_words = "where the zones of Teredown were installed",
		.example = "\"/usr/share/teredown/zones\"",
		.check = option_check_path,
		.reloadable = true,
		.help = "The directory of the shipped zones, and of any zone file named without a "
			"leading slash."},
	{.name = "zone-watch",
		.type = OPTION_WORD,
		FIELD(zone_watch),
		.initial = "on",
		.words = switch_words,
		.reloadable = true,
		.help = "Whether a zone file that changes is read without being asked, a quarter "
			"of a second after its last change; off: at a reload only. Write a new "
			"file aside and rename it: one that is written in place may be read while "
			"it is half there."},
	{.name = "zone-transfer-max",
		.type = OPTION_SIZE,
		.unit = "bytes",
		FIELD(zone_transfer_max),
		.min = UINT64_C(64) << 10,
		.max = UINT64_C(64) << 30,
		.scale = 1,
		.initial = "512M",
		.reloadable = true,
		.help = "The largest transfer of a zone that is taken; a larger one is refused, and "
			"the zone stays as it is. A million names take about 60M."},
	{.name = "user",
		.type = OPTION_TEXT,
		.unit = "the name of a user",
		FIELD(user),
		.min = 0,
		.max = 255,
		.initial = "",
		.check = option_check_user,
		.help = "The user to run as once the sockets are open. Empty: the one who started "
			"the daemon."},
	{.name = "workers",
		.type = OPTION_NUMBER,
		.unit = "threads",
		FIELD(workers),
		.min = 1,
		.max = 64,
		.compute = compute_cores,
		.initial_words = "the number of processors",
		.example = "2",
		.help = "Threads that answer queries."},
	{.name = "cache-size",
		.type = OPTION_SIZE,
		.unit = "bytes",
		FIELD(cache_size),
		.min = UINT64_C(1) << 20,
		.max = UINT64_C(64) << 30,
		.scale = 1,
		.initial = "64M",
		.reloadable = true,
		.help = "Memory for the cache of answers, all in all. When it is full, names that "
			"were asked once leave before those that were asked again."},
	{.name = "cache-save",
		.type = OPTION_WORD,
		FIELD(cache_save),
		.initial = "on",
		.words = switch_words,
		.reloadable = true,
		.help = "Whether the cache is written to the file cache.save in state-dir at a stop, "
			"and read from it at the next start, so that a restart does not ask "
			"everything anew. TTLs go on while the daemon is away, and the rules of the "
			"zones hold for what comes back. The file names what was asked, not by whom, "
			"and only its owner may read it. Off: it is neither written nor read."},
	{.name = "cache-ttl-min",
		.type = OPTION_DURATION,
		.unit = "seconds",
		FIELD(cache_ttl_min_s),
		.min = 0,
		.max = 3600,
		.scale = 1000,
		.initial = "0",
		.reloadable = true,
		.help = "How long an answer is cached at least, whatever its records say. Records "
			"with a TTL of 0 are never cached, and denials are not prolonged. More than "
			"a minute makes changes of others arrive late here."},
	{.name = "cache-ttl-max",
		.type = OPTION_DURATION,
		.unit = "seconds",
		FIELD(cache_ttl_max_s),
		.min = 1,
		.max = 604800,
		.scale = 1000,
		.initial = "1d",
		.reloadable = true,
		.help = "How long an answer is cached at most; it wins over cache-ttl-min. Clients "
			"are told no more than is left of it."},
	{.name = "negative-ttl-max",
		.type = OPTION_DURATION,
		.unit = "seconds",
		FIELD(negative_ttl_max_s),
		.min = 1,
		.max = 86400,
		.scale = 1000,
		.initial = "3h",
		.reloadable = true,
		.help = "How long it is cached at most that a name or its records do not exist "
			"(RFC 2308). Below it, the lesser of the SOA's TTL and its minimum counts."},
	{.name = "listen",
		.type = OPTION_ENDPOINTS,
		.unit = "addresses",
		LIST(listen),
		.min = 1,
		.max = 64,
		.initial = "{ \"127.0.0.1:53\", \"[::1]:53\" }",
		.help = "Addresses on which queries are taken, over UDP and TCP; port 53 where "
			"none is given."},
	{.name = "allow",
		.type = OPTION_PREFIXES,
		.unit = "networks",
		LIST(allow),
		.min = 0,
		.max = 1024,
		.initial = "{ \"127.0.0.0/8\", \"::1\", \"10.0.0.0/8\", \"172.16.0.0/12\", "
			   "\"192.168.0.0/16\", \"169.254.0.0/16\", \"fe80::/10\", \"fc00::/7\" }",
		.reloadable = true,
		.help = "Networks whose clients are served. Everyone else is refused."},
	{.name = "proxy-protocol",
		.type = OPTION_PREFIXES,
		.unit = "networks",
		LIST_COUNTED(proxies, proxy_count),
		.min = 0,
		.max = 1024,
		.initial = "{ }",
		.reloadable = true,
		.help = "Networks of proxies that begin every datagram and every connection with a "
			"header of the PROXY protocol, version 2. The client is whom the header "
			"names, also for allow. What comes from there without such a header is "
			"dropped; a header from elsewhere is not understood."},
	{.name = "trust-forwarder",
		.type = OPTION_PREFIXES,
		.unit = "networks",
		LIST_COUNTED(forwarders, forwarder_count),
		.min = 0,
		.max = 1024,
		.initial = "{ }",
		.reloadable = true,
		.help = "Networks of forwarders that are believed when they say for which client "
			"they ask: by EDNS Client Subnet, or the options that dnsmasq has for MAC "
			"addresses (--add-mac) and names (--add-cpe-id). Counts and records are "
			"then about that client. The options go no further."},
	{.name = "hosts",
		.type = OPTION_TEXTS,
		.unit = "absolute paths",
		LIST(hosts),
		.min = 0,
		.max = HOSTS_FILES_MAX,
		.initial = "{ }",
		.check = option_check_path,
		.reloadable = true,
		.help = "Files like /etc/hosts whose names are answered from here, whatever the "
			"servers of upstream say and whether they answer: A, AAAA and, for the "
			"first name of an address, PTR; other types have no data. They are "
			"watched: a change takes effect within a second. Addresses that are only "
			"true on this machine (loopback, link-local, multicast) and the name "
			"localhost are left out. A zone that blocks such a name still blocks it."},
	{.name = "hosts-ttl",
		.type = OPTION_DURATION,
		.unit = "seconds",
		FIELD(hosts_ttl_s),
		.min = 0,
		.max = 86400,
		.scale = 1000,
		.initial = "1m",
		.reloadable = true,
		.help = "How long clients may cache the names of hosts."},
	{.name = "resolv-conf",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(resolv_conf),
		.min = 0,
		.max = 1024,
		.initial = "/etc/resolv.conf",
		.check = option_check_path_or_none,
		.reloadable = true,
		.help = "The file whose nameserver lines stand in for upstream where that is not "
			"given, without our own addresses. It is watched: what is written there "
			"takes effect within a second, and a file that is missing, broken or names "
			"nobody else changes nothing. Where /etc/resolv.conf names only us or the "
			"stub of systemd-resolved, the files with the servers behind it are looked "
			"at (/run/systemd/resolve/resolv.conf, "
			"/run/NetworkManager/no-stub-resolv.conf, /run/resolvconf/resolv.conf). "
			"Empty: none."},
	{.name = "upstream",
		.type = OPTION_SERVERS,
		.unit = "servers",
		LIST(upstream),
		.min = 0,
		.max = UPSTREAM_SERVERS_MAX,
		.initial_words = "the servers in resolv-conf, without our own addresses",
		.example = "{ \"9.9.9.9\", \"149.112.112.112:53\", \"[2620:fe::fe]:53\" }",
		.check = option_check_upstream,
		.reloadable = true,
		.help = "Servers that are asked what is not known here, the first one first: "
			"ADDRESS[:PORT] over UDP, and TCP where that is cut short; "
			"tcp://ADDRESS[:PORT] over TCP alone; tls://ADDRESS[:PORT]#NAME over TLS "
			"(RFC 7858), where the certificate has to be for NAME, a host name or an "
			"address, by an authority of tls-ca-file; "
			"tls://ADDRESS[:PORT]#pin-sha256=BASE64 where the server's key has to have "
			"this SHA-256 (of its SubjectPublicKeyInfo), whoever signed it. Up to four "
			"pins, each behind a #, and a name besides, which then has to hold as "
			"well. A server of TLS is never asked without it. Ports: 53, over TLS "
			"853."},
	{.name = "upstream-timeout",
		.type = OPTION_DURATION,
		.unit = "milliseconds",
		FIELD(upstream_timeout_ms),
		.min = 100,
		.max = 60000,
		.scale = 1,
		.initial = "5s",
		.reloadable = true,
		.help = "How long one question may take, all servers and repetitions together."},
	{.name = "randomize-case",
		.type = OPTION_WORD,
		FIELD(randomize_case),
		.initial = "on",
		.words = switch_words,
		.help = "Whether the letters of a question leave in random case, which the reply has "
			"to repeat, so that it is harder to forge. A server that does not repeat it "
			"is asked over TCP, and what it says there is believed."},
	{.name = "upstream-cookies",
		.type = OPTION_WORD,
		FIELD(upstream_cookies),
		.initial = "on",
		.words = switch_words,
		.help = "Whether upstream servers are sent a DNS cookie (RFC 7873, 9018), which those "
			"that know cookies have to repeat."},
	{.name = "serve-stale",
		.type = OPTION_DURATION,
		.unit = "seconds",
		FIELD(serve_stale_s),
		.min = 0,
		.max = 7 * 86400,
		.scale = 1000,
		.initial = "1d",
		.reloadable = true,
		.help = "How long after its end an answer may still be given when no upstream "
			"server gives a better one (RFC 8767), with a TTL of 30 seconds and the "
			"Extended DNS Error \"Stale Answer\"; 0 for never. Expired answers take "
			"only room that others do not need."},
	{.name = "stale-client-timeout",
		.type = OPTION_DURATION,
		.unit = "milliseconds",
		FIELD(stale_client_timeout_ms),
		.min = 0,
		.max = 60000,
		.scale = 1,
		.initial = "1800ms",
		.reloadable = true,
		.help = "How long a client waits for a fresh answer before it gets an expired one. "
			"The question goes on, and what comes of it is kept. Nobody waits while "
			"the name is known to fail, or no upstream server answers."},
	{.name = "prefetch",
		.type = OPTION_WORD,
		FIELD(prefetch),
		.initial = "on",
		.words = switch_words,
		.reloadable = true,
		.help = "Whether an answer that is asked for again in the last tenth of its life "
			"(10 seconds or more) is asked for anew before it expires, so that nobody "
			"waits for a popular name."},
	{.name = "failure-ttl",
		.type = OPTION_DURATION,
		.unit = "seconds",
		FIELD(failure_ttl_s),
		.min = 1,
		.max = 300,
		.scale = 1000,
		.initial = "5s",
		.reloadable = true,
		.help = "How long a question is not asked again after the upstream servers failed "
			"to answer it (RFC 9520). Each time it fails again this doubles, up to 30 "
			"seconds; an answer ends it. Where they were silent it begins with one "
			"second."},
	{.name = "upstream-order",
		.type = OPTION_WORD,
		FIELD(upstream_order),
		.initial = "fastest",
		.words = upstream_order_words,
		.reloadable = true,
		.help = "Which server is asked first: the one that answers fastest (those that "
			"differ by less than a quarter and 5 ms count as equal, and are asked in "
			"their order), or strictly the first in the order of upstream that "
			"answers. A server that is silent is asked last in either case, until it "
			"answers a probe."},
	{.name = "upstream-hedge",
		.type = OPTION_WORD,
		FIELD(upstream_hedge),
		.initial = "on",
		.words = switch_words,
		.reloadable = true,
		.help = "Whether a second server is asked when the first is later than it usually "
			"is; the first good answer counts. For a tenth of the questions at most, "
			"but for those to a server that is silent as a whole."},
	{.name = "rebinding-protection",
		.type = OPTION_WORD,
		FIELD(rebinding_protection),
		.initial = "off",
		.words = switch_words,
		.reloadable = true,
		.help = "Whether an answer of upstream servers that tells an address of the inside "
			"(private, of this host, of its link; also as a hint, or within an IPv6 "
			"address) is withheld: the name has no address then, with Extended DNS "
			"Error 15. It keeps web pages of the outside from reaching hosts of the inside "
			"under a name of their own (DNS rebinding)."},
	{.name = "rebinding-allow",
		.type = OPTION_TEXTS,
		.unit = "names",
		LIST(rebinding_allow),
		.min = 0,
		.max = 1024,
		.initial = "{ }",
		.check = option_check_name,
		.reloadable = true,
		.help = "Names that may have addresses of the inside, with all below them: those of "
			"the own network, and of services that work so, such as plex.direct. Names "
			"of a section forward may as well. What counts is the name that is "
			"asked, not one that it is an alias of."},
	{.name = "upstream-idle-timeout",
		.type = OPTION_DURATION,
		.unit = "milliseconds",
		FIELD(upstream_idle_timeout_ms),
		.min = 0,
		.max = 600000,
		.scale = 1,
		.initial = "30s",
		.help = "How long a TCP or TLS connection to a server stays open without a "
			"question, where the server does not ask for less (RFC 7828). 0: each is "
			"closed with its last answer."},
	{.name = "tls-ca-file",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(tls_ca_file),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = option_check_path_or_none,
		.help = "Certificates (PEM) of the authorities that may vouch for the names of "
			"tls:// servers. Empty: those of the system."},
	{.name = "tcp-clients-max",
		.type = OPTION_NUMBER,
		.unit = "connections",
		FIELD(tcp_clients_max),
		.min = 1,
		.max = 65536,
		.initial = "512",
		.help = "TCP connections of clients open at once, for each worker. For one more, the "
			"connection that has been idle for longest is closed; where all are in use, "
			"it is refused."},
	{.name = "tcp-clients-per-address",
		.type = OPTION_NUMBER,
		.unit = "connections",
		FIELD(tcp_clients_per_address),
		.min = 1,
		.max = 65536,
		.initial = "32",
		.help = "Of those, the connections of one address, for each worker: beyond that its "
			"own longest idle one makes room. Proxies of proxy-protocol may have all."},
	{.name = "tcp-idle-timeout",
		.type = OPTION_DURATION,
		.unit = "milliseconds",
		FIELD(tcp_idle_timeout_ms),
		.min = 200,
		.max = 600000,
		.scale = 1,
		.initial = "10s",
		.help = "How long a TCP connection of a client may be without a query, from its "
			"first octet to its last, while none of it is pending; and how long a "
			"client may leave replies that it is sent."},
	{.name = "trust-ad",
		.type = OPTION_WORD,
		FIELD(trust_ad),
		.initial = "on",
		.words = switch_words,
		.reloadable = true,
		.help = "Whether the AD bit of an upstream server, by which it says that it has "
			"validated an answer (DNSSEC), is passed on to clients that set AD or DO. Set "
			"it to off where whoever stands between that server and us could have set it: "
			"nothing protects the bit but the way it comes."},
	{.name = "pass-client-subnet",
		.type = OPTION_TEXTS,
		.unit = "domains",
		LIST_COUNTED(pass_subnet, pass_subnet_count),
		.min = 0,
		.max = 64,
		.initial = "{ }",
		.check = option_check_name,
		.reloadable = true,
		.help = "Domains for which a client's EDNS Client Subnet (RFC 7871) goes upstream, cut "
			"to 24 bits of IPv4 and 56 of IPv6. Such an answer is neither cached nor given "
			"to anybody else. For all other names the option is taken off."},
	{.name = "cookies",
		.type = OPTION_WORD,
		FIELD(cookies),
		.initial = "on",
		.words = switch_words,
		.reloadable = true,
		.help = "Whether clients that send a DNS cookie (RFC 7873, 9018) are given one: with it "
			"a client shows that it has had an answer at its address within the hour."},
	{.name = "cookie-secret-file",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(cookie_secret_file),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = option_check_path_or_none,
		.reloadable = true,
		.help = "A file of secrets for cookies, for several servers that answer under one "
			"address: a line of 32 hexadecimal digits each, the secret in use first, "
			"then, while it is replaced, one more whose cookies are accepted as well. "
			"User has to be able to read it at a reload. Empty: a secret of our own, new at "
			"each start."},
	{.name = "pending-max",
		.type = OPTION_NUMBER,
		.unit = "queries",
		FIELD(pending_max),
		.min = 16,
		.max = 1000000,
		.initial = "16384",
		.help = "Queries that may wait for upstream servers at once, and questions asked of "
			"them, for each worker. When there are more, the one that has waited "
			"longest gives way: its client gets SERVFAIL, counted as gave_way, and its "
			"answer, when it still comes, goes to the cache. What needs no upstream "
			"server is not counted and never waits."},
	{.name = "pending-per-client-max",
		.type = OPTION_NUMBER,
		.unit = "queries",
		FIELD(pending_per_client_max),
		.min = 1,
		.max = 1000000,
		.initial = "1000",
		.help = "Of those, the queries of one client, for each worker: beyond that its own "
			"oldest one gives way. So nobody can gather more answers than these to let "
			"them burst upon a victim at one moment."},
	{.name = "rate-limit",
		.type = OPTION_NUMBER,
		.unit = "queries a second",
		FIELD(rate_limit),
		.min = 0,
		.max = RATE_MAX,
		.initial = "0",
		.reloadable = true,
		.help = "How fast one client may ask over UDP, all workers together, after the two "
			"seconds' worth (at least 10 queries) that it may ask at once. What is too "
			"fast is dropped, see rate-limit-slip, and counted as dropped_rate. Over "
			"TCP, or with a cookie of ours, nobody is limited. Clients outside allow, whoever they are, are "
			"refused ten times a second for each IPv4 address and each IPv6 network of "
			"56 bits, and dropped beyond that. 0: no limit for the others."},
	{.name = "rate-limit-slip",
		.type = OPTION_NUMBER,
		.unit = "queries",
		FIELD(rate_limit_slip),
		.min = 0,
		.max = RATE_SLIP_MAX,
		.initial = "2",
		.reloadable = true,
		.help = "Of the queries of a client that asks too fast, each second (third, …) one "
			"is answered, with TC and without data, so that a client in whose name "
			"somebody else asks comes over TCP and is served. 1: all of them; 0: none."},
	{.name = "rate-limit-prefix-v6",
		.type = OPTION_NUMBER,
		.unit = "bits",
		FIELD(rate_limit_prefix_v6),
		.min = 32,
		.max = 128,
		.initial = "128",
		.reloadable = true,
		.help = "The bits of an IPv6 address that make one client for rate-limit. The "
			"default suits a LAN, whose hosts share one network of 64 bits; 64 or 56 "
			"suit clients that have a network each and could ask from all of it."},
	{.name = "rate-limit-exempt",
		.type = OPTION_PREFIXES,
		.unit = "networks",
		LIST_COUNTED(rate_exempt, rate_exempt_count),
		.min = 0,
		.max = 1024,
		.initial = "{ \"127.0.0.0/8\", \"::1\" }",
		.reloadable = true,
		.help = "Networks whose clients rate-limit is not about: this host, and others that "
			"ask for many."},
	{.name = "redis",
		.type = OPTION_TEXT,
		.unit = "one of these forms",
		FIELD(redis),
		.min = 1,
		.max = 1024,
		.initial = "embedded",
		.check = option_check_redis,
		.help = "Where counts and records are kept: \"embedded\" (a private Redis in "
			"state-dir), \"off\", \"unix:/PATH\", "
			"\"redis://[user:password@]host[:port][/db]\", the same as "
			"\"rediss://…\" for TLS, \"sentinel://NAME@host[:port],host…\" for the "
			"master that these sentinels call NAME, or "
			"\"cluster://[user:password@]host[:port],host…\". Names of hosts are asked "
			"of the servers in upstream, never of teredownd itself. Passwords are "
			"never printed."},
	{.name = "redis-user",
		.type = OPTION_TEXT,
		.unit = "a name or \"\"",
		FIELD(redis_user),
		.min = 0,
		.max = 127,
		.initial = "",
		.help = "The user of Redis (ACL) for a URL that names none. Empty: the default "
			"user."},
	{.name = "redis-password-file",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(redis_password_file),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = option_check_path_or_none,
		.help = "A file whose first line is the password of Redis, for a URL that has none. "
			"Without one, the environment's TEREDOWN_REDIS_PASSWORD is taken. It is read at "
			"the start, before the daemon becomes `user`."},
	{.name = "redis-sentinel-user",
		.type = OPTION_TEXT,
		.unit = "a name or \"\"",
		FIELD(redis_sentinel_user),
		.min = 0,
		.max = 127,
		.initial = "",
		.help = "The user at the sentinels, where they have users of their own."},
	{.name = "redis-sentinel-password-file",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(redis_sentinel_password_file),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = option_check_path_or_none,
		.help = "A file whose first line is the password of the sentinels, where it is "
			"another than that of Redis. Without one, the environment's "
			"TEREDOWN_REDIS_SENTINEL_PASSWORD is taken. It is read at the start, before "
			"the daemon becomes `user`."},
	{.name = "redis-tls",
		.type = OPTION_WORD,
		FIELD(redis_tls),
		.initial = "off",
		.words = switch_words,
		.help = "Whether the servers of sentinel:// and cluster://, and the sentinels, "
			"speak TLS (1.2 or later). One server is said to by rediss://."},
	{.name = "redis-ca-file",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(redis_ca_file),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = option_check_path_or_none,
		.help = "The authorities (PEM) to which the certificates of Redis must lead. "
			"Empty: those of the system."},
	{.name = "redis-cert-file",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(redis_cert_file),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = option_check_path_or_none,
		.help = "Our own certificate (PEM, with what leads to its authority), where Redis "
			"asks for one."},
	{.name = "redis-key-file",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(redis_key_file),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = option_check_path_or_none,
		.help = "The private key (PEM) of redis-cert-file."},
	{.name = "redis-tls-name",
		.type = OPTION_TEXT,
		.unit = "a name, an address or \"\"",
		FIELD(redis_tls_name),
		.min = 0,
		.max = 253,
		.initial = "",
		.help = "What the certificates of Redis must name. Empty: the host that is "
			"connected."},
	{.name = "redis-memory",
		.type = OPTION_SIZE,
		.unit = "whole megabytes",
		FIELD(redis_memory_mb),
		.min = 16,
		.max = 65536,
		.scale = UINT64_C(1) << 20,
		.initial = "256M",
		.help = "The most memory the embedded Redis may use."},
	{.name = "clients-max",
		.type = OPTION_NUMBER,
		.unit = "clients",
		FIELD(clients_max),
		.min = 100,
		.max = 1000000,
		.initial = "100000",
		.help = "The most clients of which Redis keeps counters of their own. When there "
			"are more, those not seen for longest make room and are counted under "
			"\"*other\"."},
	{.name = "names-max",
		.type = OPTION_NUMBER,
		.unit = "names",
		FIELD(names_max),
		.min = 100,
		.max = 1000000,
		.initial = "100000",
		.help = "The most names of which Redis keeps who asked for them, and the most "
			"addresses of which it keeps who was told them. The oldest make room."},
	{.name = "journal-fsync",
		.type = OPTION_WORD,
		FIELD(journal_fsync),
		.initial = "second",
		.words = journal_fsync_words,
		.help = "When batches of counts on their way to Redis, which are written to "
			"state-dir before they are sent, are forced to the disk: never (by the "
			"system, in its time), each batch, or once a second. Only a power cut or "
			"a crash of the system makes a difference."},
	{.name = "memory-dir",
		.type = OPTION_TEXT,
		.unit = "an absolute path, \"auto\" or \"\"",
		FIELD(memory_dir),
		.min = 0,
		.max = 1024,
		.initial = "auto",
		.check = option_check_memory_dir,
		.help = "The directory on tmpfs where counts that were not sent yet outlive a "
			"crash of the daemon, in a folder of their own that only its user can "
			"enter: about 4 MB for each worker, and what waits for Redis. auto: "
			"/run/teredown where that is writable and on tmpfs, else /dev/shm. Empty: "
			"plain memory, which a crash loses."},
	{.name = "query-log",
		.type = OPTION_WORD,
		FIELD(query_log),
		.initial = "watched",
		.words = query_log_words,
		.help = "Which transactions are recorded one by one: none, those that met a rule, "
			"or every one."},
	{.name = "query-log-file",
		.type = OPTION_TEXT,
		.unit = "an absolute path, \"-\", \"syslog\" or \"\"",
		FIELD(query_log_file),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = option_check_log_file,
		.help = "The file that takes a JSON line for each recorded transaction, opened "
			"anew at SIGHUP; - is the standard output. "
			"\"syslog[:FACILITY][@DESTINATION]\" gives each to the syslog daemon "
			"behind a unix socket (/dev/log by default) or a UDP address, with the "
			"facility daemon by default; a record longer than 8 kB goes there without "
			"its addresses and answers, marked \"cut\":true. Empty: none."},
	{.name = "query-log-size",
		.type = OPTION_SIZE,
		.unit = "bytes",
		FIELD(query_log_size),
		.min = 64 << 10,
		.or_zero = true,
		.max = UINT64_C(1) << 40,
		.scale = 1,
		.initial = "0",
		.help = "The size at which query-log-file is turned: it becomes FILE.1, the one "
			"before it FILE.2, and a new one is begun, always with whole lines. Where "
			"query-log-file is a symbolic link, it stays one, and the file that it "
			"leads to is turned. 0: never, which leaves it to logrotate(8) and SIGHUP."},
	{.name = "query-log-keep",
		.type = OPTION_NUMBER,
		.unit = "files",
		FIELD(query_log_keep),
		.min = 1,
		.max = ROTATE_KEEP_MAX,
		.initial = "7",
		.help = "How many old files are kept when query-log-size turns the log, or "
			"a dnstap file."},
	{.name = "dnstap",
		.type = OPTION_TEXT,
		.unit = "one of these forms",
		FIELD(dnstap),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = option_check_dnstap,
		.help = "Where DNS messages go in dnstap's form (Frame Streams, "
			"protobuf:dnstap.Dnstap): \"file:/PATH\" (turned by query-log-size, in the "
			"same way, or after a rename at SIGHUP; what is there at the start is kept "
			"as FILE.1), or a reader at \"unix:/PATH\" or \"tcp://ADDRESS:PORT\". "
			"Empty: none."},
	{.name = "dnstap-messages",
		.type = OPTION_TEXTS,
		.unit = "kinds of messages",
		LIST(dnstap_messages),
		.min = 1,
		.max = 4,
		.initial = "{ \"client-response\" }",
		.check = option_check_dnstap_message,
		.help = "What becomes a dnstap message: client-response (each answer, the very "
			"bytes that left), client-query (the query of each answer; its bytes are "
			"left out under anonymize), forwarder-query and forwarder-response (each "
			"packet to and from an upstream server)."},
	{.name = "retention",
		.type = OPTION_DURATION,
		.unit = "days",
		FIELD(retention_days),
		.min = 1,
		.max = 3650,
		.scale = 86400000,
		.initial = "8d",
		.help = "How long counts by hour and by name are kept in Redis."},
	{.name = "pair-retention",
		.type = OPTION_DURATION,
		.unit = "days",
		FIELD(pair_retention_days),
		.min = 1,
		.max = 3650,
		.scale = 86400000,
		.initial = "30d",
		.help = "How long it is kept who was told which address by which question."},
	{.name = "client-identity",
		.type = OPTION_WORD,
		FIELD(client_identity),
		.initial = "address",
		.words = client_identity_words,
		.help = "What one client is, in all counts and records: an address; an IPv6 "
			"prefix of client-prefix bits (an IPv4 address stays one); or the MAC "
			"address that the system's neighbour table has for an address of our own "
			"links, so that a host with changing addresses stays one client."},
	{.name = "client-prefix",
		.type = OPTION_NUMBER,
		.unit = "bits",
		FIELD(client_prefix),
		.min = 32,
		.max = 120,
		.initial = "64",
		.help = "The bits of an IPv6 address that make a client where client-identity is "
			"prefix."},
	{.name = "client-names",
		.type = OPTION_TEXTS,
		.unit = "sources",
		LIST(client_names),
		.min = 0,
		.max = CLIENT_NAME_SOURCES_MAX,
		.initial = "{ }",
		.check = option_check_client_names,
		.reloadable = true,
		.help = "Where the names shown beside clients come from, the first source that has "
			"one counts: \"hosts:/PATH\" (a file like /etc/hosts), \"dnsmasq:/PATH\", "
			"\"isc:/PATH\", \"kea:/PATH\" (leases of these DHCP servers), \"ptr\" "
			"(reverse lookups of allowed clients at the servers of upstream, or of the section "
			"forward that their network is in). Files have "
			"to be readable by user. Nothing is shown while anonymize is on."},
	{.name = "anonymize",
		.type = OPTION_WORD,
		FIELD(anonymize),
		.initial = "off",
		.words = anonymize_words,
		.help = "What is stored and logged instead of a client's address: off, the "
			"address; prefix, the first bits of it; hash, a pseudonym made with the "
			"key in state-dir/anonymize.key. Applied before anything is counted or "
			"recorded."},
	{.name = "anonymize-prefix-v4",
		.type = OPTION_NUMBER,
		.unit = "bits",
		FIELD(anonymize_prefix_v4),
		.min = 0,
		.max = 32,
		.initial = "24",
		.help = "The bits of an IPv4 address that anonymize = prefix keeps."},
	{.name = "anonymize-prefix-v6",
		.type = OPTION_NUMBER,
		.unit = "bits",
		FIELD(anonymize_prefix_v6),
		.min = 0,
		.max = 120,
		.initial = "48",
		.help = "The bits of an IPv6 address that anonymize = prefix keeps."},
	{.name = "anonymize-renew",
		.type = OPTION_DURATION,
		.unit = "days",
		FIELD(anonymize_renew_days),
		.min = 0,
		.max = 3650,
		.scale = 86400000,
		.initial = "0",
		.help = "After how many days, at midnight UTC, anonymize = hash takes a new key and "
			"destroys the old one, so that nobody can tell any more whose the old "
			"pseudonyms were. 0: never."},
	{.name = "exclude",
		.type = OPTION_TEXTS,
		.unit = "clients or names",
		LIST(exclude),
		.min = 0,
		.max = 1024,
		.initial = "{ }",
		.check = option_check_exclude,
		.reloadable = true,
		.help = "Clients (addresses, networks, MAC addresses) and names (with all below "
			"them) that are never recorded: no line in a log, no name, no address. They "
			"are answered as all others, and counted together under \"*excluded\". What "
			"was recorded of them before stays; see teredown forget."},
	{.name = "mode",
		.type = OPTION_WORD,
		FIELD(mode),
		.initial = "watch",
		.words = option_mode_words,
		.reloadable = true,
		.help = "What the shipped tunnel zones do: block answers as the rule says, watch "
			"answers truthfully and records the hit, ignore does neither."},
	{.name = "block-ttl",
		.type = OPTION_DURATION,
		.unit = "seconds",
		FIELD(block_ttl_s),
		.min = 1,
		.max = 86400,
		.scale = 1000,
		.initial = "1m",
		.reloadable = true,
		.help = "How long clients may cache that a name is blocked."},
	{.name = "break-dnssec",
		.type = OPTION_WORD,
		FIELD(break_dnssec),
		.initial = "on",
		.words = switch_words,
		.reloadable = true,
		.help = "Whether rules also change answers that are signed (DNSSEC) when the client "
			"asks for signatures (DO). With on they do: else whoever sets DO would evade "
			"them; a client that validates finds the answer bogus, which blocks as well. "
			"With off such a client gets the signed answer as it is; to know whether it is "
			"signed, rules on its questions wait for the answer, and apply where it is not "
			"or where none comes. The zone special-use is not concerned."},
	{.name = "event-command",
		.type = OPTION_TEXTS,
		.unit = "a program and its arguments",
		LIST(event_command),
		.min = 0,
		.max = 32,
		.repeats = true,
		.initial = "{ }",
		.check = option_check_event_command,
		.reloadable = true,
		.help = "A program that is run when a client marked by teredown remediate --mark "
			"asks for a tunnel again: its absolute path, then its arguments as they "
			"are; there is no shell. It runs as user, at most one at a time and one a "
			"second, is killed after a minute, and finds TEREDOWN_EVENT, "
			"TEREDOWN_RESOLVER, TEREDOWN_CLIENT, TEREDOWN_ZONE and TEREDOWN_TIME in its "
			"environment, which holds only PATH and LANG besides."},
	{.name = "dashboard-listen",
		.type = OPTION_ENDPOINTS,
		.unit = "addresses",
		LIST(dashboard_listen),
		.min = 1,
		.max = 16,
		.port = 8053,
		.initial = "{ \"127.0.0.1:8053\" }",
		.reloadable = true,
		.effect = " Takes effect when the dashboard starts.",
		.help = "Addresses on which teredown dashboard is open; port 8053 where none is "
			"given. It reads this and the other options of its own when it starts, and "
			"all but this one again at SIGHUP; teredownd has no use for them."},
	{.name = "dashboard-certificate",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(dashboard_certificate),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = option_check_path_or_none,
		.reloadable = true,
		.help = "The certificate of the dashboard (PEM, with what leads to its authority): "
			"with it and dashboard-key, it speaks TLS (1.2 or later) on all of its "
			"addresses. Empty: no TLS."},
	{.name = "dashboard-key",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(dashboard_key),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = option_check_path_or_none,
		.reloadable = true,
		.help = "The private key (PEM) of dashboard-certificate. Only its owner and a group "
			"may be able to read it."},
	{.name = "dashboard-reading",
		.type = OPTION_WORD,
		FIELD(dashboard_reading_open),
		.initial = "token",
		.words = dashboard_reading_words,
		.reloadable = true,
		.help = "Whether reading the dashboard needs its token: token, or open to everyone "
			"who reaches it. Changes need the token in any case."},
	{.name = "dashboard-metrics-clients",
		.type = OPTION_NUMBER,
		.unit = "clients",
		FIELD(dashboard_metrics_clients),
		.min = 0,
		.max = 1000,
		.initial = "50",
		.reloadable = true,
		.help = "Of how many clients of each tunnel zone /metrics has series of their own: "
			"those with the most hits, and those that hit it last. What the others "
			"have is summed as client=\"*other\". 0: /metrics names no clients."},
	{.name = "dashboard-hosts",
		.type = OPTION_TEXTS,
		.unit = "names",
		LIST(dashboard_hosts),
		.min = 0,
		.max = 64,
		.initial = "{ }",
		.check = option_check_host,
		.reloadable = true,
		.help = "Names under which the dashboard is called, besides its own addresses and "
			"localhost, such as that of a proxy in front of it. A request for another "
			"name is refused, so that no foreign page can reach the dashboard by a "
			"name that it lets lead here (DNS rebinding)."},
	{.name = "dashboard-redis-user",
		.type = OPTION_TEXT,
		.unit = "a name or \"\"",
		FIELD(dashboard_redis_user),
		.min = 0,
		.max = 127,
		.initial = "",
		.reloadable = true,
		.help = "The user of Redis (ACL) of the dashboard, which only has to read, where it "
			"is another than redis-user and the URL names none."},
	{.name = "dashboard-redis-password-file",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(dashboard_redis_password_file),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = option_check_path_or_none,
		.reloadable = true,
		.help = "A file whose first line is the password of dashboard-redis-user. The "
			"dashboard reads it, and of the other files with passwords that of the "
			"sentinels only; teredownd does not."},
	{.name = "log-level",
		.type = OPTION_WORD,
		FIELD(log_level),
		.initial = "info",
		.words = log_level_words,
		.help = "The least important messages that are shown on the standard error."},
};
const size_t option_row_count = sizeof(option_rows) / sizeof(option_rows[0]);

const struct zone_row zone_rows[ZONE_FIELD_COUNT] = {
	[ZONE_FIELD_FORMAT] = {"format", "rpz|patterns|hosts|domains|wildcards|dnsmasq|adblock",
		"How the files are written, see LISTS. Default: rpz."},
	[ZONE_FIELD_FILE] = {"file", "string or { string, ... }",
		"The zone's file, or up to 32 of one format, absolute or within zone-dir. Needed "
		"unless the zone is a shipped one or has a primary. Beside an RPZ zone \"NAME.rpz\", a pattern list \"NAME.patterns\" is read "
		"where there is one."},
	[ZONE_FIELD_MODE] = {"mode", "watch|block|ignore",
		"As the option of that name, for this zone. Default: that option for the tunnel "
		"zones, ignore for bypass, watch for zones of your own. Not for special-use, which "
		"is always in force."},
	[ZONE_FIELD_REASON] = {"reason", "blocked|censored|filtered",
		"What a blocked client is told by Extended DNS Errors (RFC 8914): that this resolver "
		"blocks the name (15), that somebody else demands it (16), or that the client asked "
		"for it (17). Default: blocked."},
	[ZONE_FIELD_OVERRIDE] = {"override",
		"none|nxdomain|nodata|passthru|drop|tcp-only|\"cname NAME\"",
		"What all rules of the zone do, whatever the file says: deny the name, deny the type, "
		"let it through, say nothing, send the client to TCP, or answer with an alias for "
		"NAME. The rules' own local data is not looked at then. Default: none, each rule does "
		"what it says. Changed by a reload without reading anything again; to try a zone out, "
		"use mode = watch. Not for special-use."},
	[ZONE_FIELD_PRIMARY] = {"primary", "{ \"address\", ... }",
		"The servers the zone is transferred from, at most 8, in the order in which they "
		"are asked; in place of file. The port is 53 where none is named."},
	[ZONE_FIELD_ZONE_NAME] = {"zone-name", "string",
		"The zone's name on its primaries. Default: the name of the section."},
	[ZONE_FIELD_KEY] = {"key", "string",
		"The section key with which questions to the primaries are signed; what they answer "
		"has to be signed with it too. Default: none."},
};
