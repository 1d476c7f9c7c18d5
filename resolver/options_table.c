/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of options: one row an option. What a value may be, what it is without one, what the
 * manual says of it and which field of struct options it fills stand in that row and nowhere else;
 * setting, comparing and printing are one function for each type. Rejected: a function for each
 * option, and libconfuse's own typed values, which know neither ranges nor units and lose the line
 * of a value.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "resolver/client_names.h"
#include "resolver/options_private.h"
#include "resolver/telemetry/sinks/rotate.h"
#include "resolver/telemetry/sinks/sink_target.h"
#include "resolver/upstream/exchange.h"

#define DNS_PORT 53
#define REDIS_PORT_MAX 65535
#define SOCKET_PATH_MAX 107                  /* sun_path without its NUL */
#define STATE_DIR_MAX (SOCKET_PATH_MAX - 13) /* leaves room for "/control.sock" */

_Static_assert(sizeof(enum query_log) == sizeof(unsigned), "words are stored as unsigned");
_Static_assert(sizeof(enum journal_fsync) == sizeof(unsigned), "words are stored as unsigned");
_Static_assert(sizeof(enum client_identity) == sizeof(unsigned), "words are stored as unsigned");
_Static_assert(sizeof(enum anonymize) == sizeof(unsigned), "words are stored as unsigned");
_Static_assert(sizeof(enum policy_mode) == sizeof(unsigned), "words are stored as unsigned");

/* --- values in text --- */

struct suffix {
	const char *text;
	uint64_t factor;
};

static const struct suffix size_suffixes[] = {
	{"G", UINT64_C(1) << 30}, {"M", UINT64_C(1) << 20}, {"K", UINT64_C(1) << 10}, {NULL, 0}};

static const struct suffix duration_suffixes[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};

static const struct suffix *suffixes_of(const struct option_row *row)
{
	return row->type == OPTION_SIZE ? size_suffixes : duration_suffixes;
}

/* Digits at text, *end behind them. False when there is none or they do not fit. */
static bool parse_digits(const char *text, uint64_t *out, char **end)
{
	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*out = strtoull(text, end, 10);
	return errno == 0;
}

/*
 * A number with a suffix, in units of the field. A number alone counts bytes, or for a duration the
 * unit of the field.
 */
static bool parse_scaled(const struct option_row *row, const char *text, uint64_t *out)
{
	uint64_t number;
	char *end;
	if (!parse_digits(text, &number, &end))
		return false;
	uint64_t factor = row->type == OPTION_SIZE ? 1 : row->scale;
	if (*end != '\0') {
		const struct suffix *s = suffixes_of(row);
		while (s->text && strcasecmp(s->text, end) != 0)
			s++;
		if (!s->text)
			return false;
		factor = s->factor;
	}
	if (number > UINT64_MAX / factor || number * factor % row->scale != 0)
		return false;
	*out = number * factor / row->scale;
	return true;
}

/* The shortest form with a suffix: 67108864 is "64M". */
static void format_scaled(const struct option_row *row, uint64_t value, char *out, size_t size)
{
	uint64_t total = value * row->scale;
	const struct suffix *s = suffixes_of(row);
	while (s->text && (total == 0 || total % s->factor != 0))
		s++;
	if (s->text)
		snprintf(out, size, "%" PRIu64 "%s", total / s->factor, s->text);
	else
		snprintf(out, size, "%" PRIu64, total);
}

static void format_value(const struct option_row *row, uint64_t value, char *out, size_t size)
{
	if (row->type == OPTION_NUMBER)
		snprintf(out, size, "%" PRIu64, value);
	else
		format_scaled(row, value, out, size);
}

bool option_find_word(const char *const *words, const char *text, unsigned *out)
{
	for (unsigned i = 0; words[i]; i++) {
		if (strcmp(words[i], text) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

void option_list_words(const char *const *words, char *out)
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; words[i] && used < WHY_MAX; i++) {
		const char *between = i == 0 ? "" : words[i + 1] ? ", " : " or ";
		used += (size_t)snprintf(out + used, WHY_MAX - used, "%s%s", between, words[i]);
	}
}

bool option_has_control(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

/* --- checks --- */

static bool refuse(char *why, const char *words)
{
	snprintf(why, WHY_MAX, "%s", words);
	return false;
}

static bool check_resolver_name(const struct options *options, const char *text, char *why)
{
	(void)options;
	for (const char *c = text; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			return refuse(
				why, "is not a name, expected letters, digits, '.', '_' and '-'");
	}
	return true;
}

static bool check_path(const struct options *options, const char *text, char *why)
{
	(void)options;
	return text[0] == '/' ||
	       refuse(why, "is not an absolute path, expected one that begins with /");
}

static bool check_path_or_none(const struct options *options, const char *text, char *why)
{
	return text[0] == '\0' || check_path(options, text, why);
}

static bool check_memory_dir(const struct options *options, const char *text, char *why)
{
	if (strcmp(text, "auto") == 0)
		return true;
	return check_path_or_none(options, text, why);
}

static bool check_log_file(const struct options *options, const char *text, char *why)
{
	struct syslog_target target;
	(void)options;
	if (text[0] == '\0' || text[0] == '/' || strcmp(text, "-") == 0)
		return true;
	if (strncmp(text, "syslog", 6) != 0)
		return refuse(why, "is not an absolute path, expected one that begins with /, - "
				   "for the standard output, or syslog");
	return syslog_target_parse(&target, text) ||
	       refuse(why, "names no facility or destination of syslog, expected "
			   "syslog[:FACILITY][@/PATH] or syslog[:FACILITY][@ADDRESS[:PORT]]");
}

static bool check_dnstap(const struct options *options, const char *text, char *why)
{
	struct dnstap_target target;
	(void)options;
	if (text[0] == '\0')
		return true;
	if (!dnstap_is_available())
		return refuse(why, "cannot be used: this build is without dnstap, expected \"\" "
				   "(build it with libfstrm, libprotobuf-c and protoc-c)");
	return dnstap_target_parse(&target, text) ||
	       refuse(why, "is not known, expected file:/PATH or unix:/PATH (of at most 107 "
			   "bytes) or tcp://ADDRESS:PORT");
}

static bool check_dnstap_message(const struct options *options, const char *text, char *why)
{
	(void)options;
	if (dnstap_message_parse(text))
		return true;
	snprintf(why, WHY_MAX,
		"\"%.80s\" is not known, expected client-query, client-response, "
		"forwarder-query or forwarder-response",
		text);
	return false;
}

static bool check_user(const struct options *options, const char *text, char *why)
{
	(void)options;
	if (text[0] == '\0' || getpwnam(text))
		return true;
	snprintf(why, WHY_MAX,
		"there is no user \"%.80s\" on this system, expected an existing one", text);
	return false;
}

/* --- addresses --- */

static bool address_is_zero(const struct address *address)
{
	static const uint8_t zero[16];
	return memcmp(address->octets, zero, sizeof(zero)) == 0;
}

static bool address_is_multicast(const struct address *address)
{
	return address->family == 4 ? address->octets[0] >= 224 : address->octets[0] == 0xff;
}

static bool address_is_loopback(const struct address *address)
{
	static const uint8_t one[16] = {[15] = 1};
	return address->family == 4 ? address->octets[0] == 127
				    : memcmp(address->octets, one, 16) == 0;
}

bool option_is_ourselves(const struct options *options, const struct endpoint *upstream)
{
	for (size_t i = 0; i < options->listen_count; i++) {
		const struct endpoint *own = &options->listen[i];
		if (endpoint_equal(own, upstream))
			return true;
		if (own->port == upstream->port &&
			own->address.family == upstream->address.family &&
			address_is_zero(&own->address) && address_is_loopback(&upstream->address))
			return true;
	}
	return false;
}

bool option_read_endpoint(struct endpoint *out, const char *text)
{
	const char *percent = strchr(text, '%');
	if (!percent || isdigit((unsigned char)percent[1]))
		return endpoint_from_text(out, text, DNS_PORT) == TD_OK;
	char name[IF_NAMESIZE], numbered[128];
	size_t length = strcspn(percent + 1, "]");
	if (length >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)length, percent + 1);
	unsigned index = if_nametoindex(name);
	int written = snprintf(numbered, sizeof(numbered), "%.*s%u%s", (int)(percent + 1 - text),
		text, index, percent + 1 + length);
	return index != 0 && written < (int)sizeof(numbered) &&
	       endpoint_from_text(out, numbered, DNS_PORT) == TD_OK;
}

/* The row of `listen` stands above that of `upstream`. */
static bool check_upstream(const struct options *options, const char *text, char *why)
{
	struct endpoint endpoint;
	char shown[ENDPOINT_TEXT_MAX];
	if (!option_read_endpoint(&endpoint, text))
		return refuse(why, "is not an address");
	endpoint_to_text(&endpoint, shown);
	if (address_is_zero(&endpoint.address) || address_is_multicast(&endpoint.address)) {
		snprintf(why, WHY_MAX,
			"%s is not the address of one server, expected one such as 9.9.9.9:53",
			shown);
		return false;
	}
	if (option_is_ourselves(options, &endpoint)) {
		snprintf(why, WHY_MAX,
			"%s is an address this resolver listens on, so it would ask itself; "
			"expected another server: "
			"name the provider's or a public one, such as 9.9.9.9",
			shown);
		return false;
	}
	return true;
}

static const char *strip_scheme(const char *text, const char *scheme)
{
	size_t length = strlen(scheme);
	return strncasecmp(text, scheme, length) == 0 ? text + length : NULL;
}

static bool parse_endpoint(const char *text, struct endpoint *out, char *why)
{
	if (strip_scheme(text, "tls://"))
		return refuse(why, "DNS over TLS is not available in this build, expected ADDRESS "
				   "or ADDRESS:PORT");
	if (!option_read_endpoint(out, text) || out->port == 0) {
		snprintf(why, WHY_MAX,
			"\"%.80s\" is not an address, expected one such as 192.0.2.1, 192.0.2.1:53 "
			"or [2001:db8::1]:53",
			text);
		return false;
	}
	return true;
}

static bool parse_prefix(const char *text, struct prefix *out, char *why)
{
	if (prefix_from_text(out, text) == TD_OK)
		return true;
	snprintf(why, WHY_MAX,
		"\"%.80s\" is not a network, expected one such as 192.168.0.0/16, with no bit set "
		"behind its length",
		text);
	return false;
}

static bool check_exclude(const struct options *options, const char *text, char *why)
{
	(void)options;
	if (identity_exclude_check(text))
		return true;
	snprintf(why, WHY_MAX,
		"\"%.80s\" is none of these, expected an address, a network such as "
		"192.0.2.0/24, a MAC address, or a domain name",
		text);
	return false;
}

static bool check_client_names(const struct options *options, const char *text, char *why)
{
	enum name_format format;
	const char *path;
	(void)options;
	if (name_source_read(text, &format, &path))
		return true;
	snprintf(why, WHY_MAX,
		"\"%.80s\" is no source of names, expected hosts:/PATH, dnsmasq:/PATH, isc:/PATH, "
		"kea:/PATH or ptr",
		text);
	return false;
}

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
const char *const option_format_words[] = {"rpz", "patterns", NULL};
static const char *const journal_fsync_words[] = {"never", "batch", "second", NULL};
static const char *const redis_tls_words[] = {"off", "on", NULL};
static const char *const query_log_words[] = {"off", "watched", "all", NULL};
static const char *const client_identity_words[] = {"address", "prefix", "mac", NULL};
static const char *const anonymize_words[] = {"off", "prefix", "hash", NULL};
static const char *const log_level_words[] = {"error", "warning", "info", "debug", NULL};

#define FIELD(name) \
	.offset = offsetof(struct options, name), .size = sizeof(((struct options *)0)->name)
#define LIST_COUNTED(name, count)                 \
	.offset = offsetof(struct options, name), \
	.count_offset = offsetof(struct options, count)
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
		.check = check_resolver_name,
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
		.check = check_path,
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
		.check = check_path,
		.reloadable = true,
		.help = "The directory of the shipped zones, and of any zone file named without a "
			"leading slash."},
	{.name = "user",
		.type = OPTION_TEXT,
		.unit = "the name of a user",
		FIELD(user),
		.min = 0,
		.max = 255,
		.initial = "",
		.check = check_user,
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
		.help = "Memory for the cache of answers."},
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
	{.name = "resolv-conf",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(resolv_conf),
		.min = 0,
		.max = 1024,
		.initial = "/etc/resolv.conf",
		.check = check_path_or_none,
		.help = "The file whose nameserver lines stand in for upstream where that is not "
			"given. Empty: none."},
	{.name = "upstream",
		.type = OPTION_ENDPOINTS,
		.unit = "servers",
		LIST(upstream),
		.min = 0,
		.max = UPSTREAM_SERVERS_MAX,
		.initial_words = "the servers in resolv-conf, without our own addresses",
		.example = "{ \"9.9.9.9\", \"149.112.112.112:53\", \"[2620:fe::fe]:53\" }",
		.check = check_upstream,
		.help = "Servers that are asked what is not known here, the first one first; port "
			"53 where none is given."},
	{.name = "upstream-timeout",
		.type = OPTION_DURATION,
		.unit = "milliseconds",
		FIELD(upstream_timeout_ms),
		.min = 100,
		.max = 60000,
		.scale = 1,
		.initial = "5s",
		.help = "How long one question may take, all servers and repetitions together."},
	{.name = "tcp-clients-max",
		.type = OPTION_NUMBER,
		.unit = "connections",
		FIELD(tcp_clients_max),
		.min = 1,
		.max = 65536,
		.initial = "512",
		.help = "TCP connections of clients open at once, for each worker."},
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
		.check = check_path_or_none,
		.help = "A file whose first line is the password of Redis, for a URL that has none. "
			"Without one, the environment's TEREDOWN_REDIS_PASSWORD is taken."},
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
		.check = check_path_or_none,
		.help = "A file whose first line is the password of the sentinels, where it is "
			"another than that of Redis. Without one, the environment's "
			"TEREDOWN_REDIS_SENTINEL_PASSWORD is taken."},
	{.name = "redis-tls",
		.type = OPTION_WORD,
		FIELD(redis_tls),
		.initial = "off",
		.words = redis_tls_words,
		.help = "Whether the servers of sentinel:// and cluster://, and the sentinels, "
			"speak TLS (1.2 or later). One server is said to by rediss://."},
	{.name = "redis-ca-file",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(redis_ca_file),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = check_path_or_none,
		.help = "The authorities (PEM) to which the certificates of Redis must lead. "
			"Empty: those of the system."},
	{.name = "redis-cert-file",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(redis_cert_file),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = check_path_or_none,
		.help = "Our own certificate (PEM, with what leads to its authority), where Redis "
			"asks for one."},
	{.name = "redis-key-file",
		.type = OPTION_TEXT,
		.unit = "an absolute path or \"\"",
		FIELD(redis_key_file),
		.min = 0,
		.max = 1024,
		.initial = "",
		.check = check_path_or_none,
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
		.check = check_memory_dir,
		.help = "The directory on tmpfs where counts that were not sent yet outlive a "
			"crash of the daemon, in a folder of their own that only its user can "
			"enter: about 2 MB for each worker, and what waits for Redis. auto: "
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
		.check = check_log_file,
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
		.min = 0,
		.max = UINT64_C(1) << 40,
		.scale = 1,
		.initial = "0",
		.help = "The size at which query-log-file is turned: it becomes FILE.1, the one "
			"before it FILE.2, and a new one is begun, always with whole lines. 0: "
			"never, which leaves it to logrotate(8) and SIGHUP."},
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
		.check = check_dnstap,
		.help = "Where DNS messages go in dnstap's form (Frame Streams, "
			"protobuf:dnstap.Dnstap): \"file:/PATH\" (turned by query-log-size, or "
			"after a rename at SIGHUP; what is there at the start is kept as "
			"FILE.1), or a reader at \"unix:/PATH\" or \"tcp://ADDRESS:PORT\". "
			"Empty: none."},
	{.name = "dnstap-messages",
		.type = OPTION_TEXTS,
		.unit = "kinds of messages",
		LIST(dnstap_messages),
		.min = 1,
		.max = 4,
		.initial = "{ \"client-response\" }",
		.check = check_dnstap_message,
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
		.check = check_client_names,
		.help = "Where the names shown beside clients come from, the first source that has "
			"one counts: \"hosts:/PATH\" (a file like /etc/hosts), \"dnsmasq:/PATH\", "
			"\"isc:/PATH\", \"kea:/PATH\" (leases of these DHCP servers), \"ptr\" "
			"(reverse lookups of allowed clients at the servers of upstream). Files have "
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
		.check = check_exclude,
		.help = "Clients (addresses, networks, MAC addresses) and names (with all below "
			"them) that are never recorded: no line in a log, no name, no address. They "
			"are answered as all others, and counted together under \"*excluded\"."},
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
	{.name = "log-level",
		.type = OPTION_WORD,
		FIELD(log_level),
		.initial = "info",
		.words = log_level_words,
		.help = "The least important messages that are shown on the standard error."},
};
const size_t option_row_count = sizeof(option_rows) / sizeof(option_rows[0]);

const struct zone_row zone_rows[ZONE_FIELD_COUNT] = {
	[ZONE_FIELD_FORMAT] = {"format", "rpz|patterns",
		"How the file is written: a Response Policy Zone in master file format, or one "
		"name pattern a line. Default: rpz."},
	[ZONE_FIELD_FILE] = {"file", "string",
		"The zone's file, absolute or within zone-dir. Needed unless the zone is a shipped "
		"one. Beside an RPZ zone \"NAME.rpz\", a pattern list \"NAME.patterns\" is read "
		"where there is one."},
	[ZONE_FIELD_MODE] = {"mode", "watch|block|ignore",
		"As the option of that name, for this zone. Default: that option for the tunnel "
		"zones, ignore for bypass, watch for zones of your own. Not for special-use, which "
		"is always in force."},
};

/* --- setting a field --- */

static void *field_of(const struct options *options, const struct option_row *row)
{
	return (char *)options + row->offset;
}

/* The pointer in a field, whatever it points to: pointers of different types must not alias. */
static void *pointer_of(const struct options *options, const struct option_row *row)
{
	void *pointer;
	memcpy(&pointer, field_of(options, row), sizeof(pointer));
	return pointer;
}

static void store_pointer(struct options *options, const struct option_row *row, void *pointer)
{
	memcpy(field_of(options, row), &pointer, sizeof(pointer));
}

static size_t *count_of(const struct options *options, const struct option_row *row)
{
	return (size_t *)(void *)((char *)options + row->count_offset);
}

static uint64_t field_value(const struct options *options, const struct option_row *row)
{
	if (row->size == sizeof(uint64_t))
		return *(const uint64_t *)field_of(options, row);
	return *(const unsigned *)field_of(options, row);
}

static void store_value(struct options *options, const struct option_row *row, uint64_t value)
{
	if (row->size == sizeof(uint64_t))
		*(uint64_t *)field_of(options, row) = value;
	else
		*(unsigned *)field_of(options, row) = (unsigned)value;
}

bool option_is_list(const struct option_row *row)
{
	return row->type == OPTION_ENDPOINTS || row->type == OPTION_PREFIXES ||
	       row->type == OPTION_TEXTS;
}

static bool set_number(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	char expected[WHY_MAX];
	uint64_t value;
	char *end;
	bool readable = row->type == OPTION_NUMBER
				? parse_digits(text, &value, &end) && *end == '\0'
				: parse_scaled(row, text, &value);
	if (readable && value >= row->min && value <= row->max) {
		store_value(options, row, value);
		return true;
	}
	option_describe(row, expected);
	snprintf(why, WHY_MAX, "\"%.40s\" %s, expected %.300s", text,
		readable ? "is out of range" : "is not understood", expected);
	return false;
}

static bool set_word(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	char expected[WHY_MAX];
	unsigned word;
	if (option_find_word(row->words, text, &word)) {
		store_value(options, row, word);
		return true;
	}
	option_list_words(row->words, expected);
	snprintf(why, WHY_MAX, "\"%.40s\" is not known, expected %.300s", text, expected);
	return false;
}

static bool set_text(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	size_t length = strlen(text);
	if (length < row->min)
		return refuse(why, "is empty, expected a value");
	if (length > row->max) {
		snprintf(why, WHY_MAX, "is too long, expected at most %" PRIu64 " bytes", row->max);
		return false;
	}
	if (row->check && !row->check(options, text, why))
		return false;
	char *copy = strdup(text);
	if (!copy)
		return refuse(why, error_text(TD_NOMEM));
	free(pointer_of(options, row));
	store_pointer(options, row, copy);
	return true;
}

/* Room for one more element at the list's end; NULL and words in why. */
static void *grow_list(
	struct options *options, const struct option_row *row, size_t element, char *why)
{
	size_t count = *count_of(options, row);
	if (count >= row->max) {
		snprintf(why, WHY_MAX, "has too many entries, expected at most %" PRIu64, row->max);
		return NULL;
	}
	void *grown = reallocarray(pointer_of(options, row), count + 1, element);
	if (!grown) {
		refuse(why, error_text(TD_NOMEM));
		return NULL;
	}
	store_pointer(options, row, grown);
	return (char *)grown + count * element;
}

static bool refuse_repeated(const char *text, char *why)
{
	snprintf(why, WHY_MAX, "\"%.80s\" is in the list twice, expected each entry once", text);
	return false;
}

static bool add_endpoint(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	const struct endpoint *items = pointer_of(options, row);
	struct endpoint endpoint = {0};
	if (!parse_endpoint(text, &endpoint, why) ||
		(row->check && !row->check(options, text, why)))
		return false;
	for (size_t i = 0; i < *count_of(options, row); i++) {
		if (endpoint_equal(&items[i], &endpoint))
			return refuse_repeated(text, why);
	}
	struct endpoint *room = grow_list(options, row, sizeof(*room), why);
	if (!room)
		return false;
	*room = endpoint;
	++*count_of(options, row);
	return true;
}

static bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->length == b->length && address_equal(&a->address, &b->address);
}

static bool add_prefix(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	const struct prefix *items = pointer_of(options, row);
	struct prefix prefix = {0};
	if (!parse_prefix(text, &prefix, why))
		return false;
	for (size_t i = 0; i < *count_of(options, row); i++) {
		if (prefix_equal(&items[i], &prefix))
			return refuse_repeated(text, why);
	}
	struct prefix *room = grow_list(options, row, sizeof(*room), why);
	if (!room)
		return false;
	*room = prefix;
	++*count_of(options, row);
	return true;
}

static bool add_text(
	struct options *options, const struct option_row *row, const char *text, char *why)
{
	char *const *items = pointer_of(options, row);
	if (row->check && !row->check(options, text, why))
		return false;
	for (size_t i = 0; i < *count_of(options, row); i++) {
		if (strcmp(items[i], text) == 0)
			return refuse_repeated(text, why);
	}
	char *copy = strdup(text);
	if (!copy)
		return refuse(why, error_text(TD_NOMEM));
	char **room = grow_list(options, row, sizeof(*room), why);
	if (!room) {
		free(copy);
		return false;
	}
	*room = copy;
	++*count_of(options, row);
	return true;
}

bool option_set(struct options *options, const struct option_row *row, const char *text, char *why)
{
	if (option_has_control(text))
		return refuse(why, "has a control character in it, expected printable text");
	switch (row->type) {
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return set_number(options, row, text, why);
	case OPTION_WORD:
		return set_word(options, row, text, why);
	case OPTION_TEXT:
		return set_text(options, row, text, why);
	case OPTION_ENDPOINTS:
		return add_endpoint(options, row, text, why);
	case OPTION_PREFIXES:
		return add_prefix(options, row, text, why);
	case OPTION_TEXTS:
		return add_text(options, row, text, why);
	}
	return refuse(why, error_text(TD_UNSUPPORTED));
}

/* --- reading a field --- */

size_t option_count(const struct options *options, const struct option_row *row)
{
	return *count_of(options, row);
}

static bool items_equal(enum option_type type, const void *a, const void *b, size_t i)
{
	if (type == OPTION_ENDPOINTS)
		return endpoint_equal((const struct endpoint *)a + i, (const struct endpoint *)b + i);
	if (type == OPTION_TEXTS)
		return strcmp(((char *const *)a)[i], ((char *const *)b)[i]) == 0;
	return prefix_equal((const struct prefix *)a + i, (const struct prefix *)b + i);
}

static bool lists_equal(
	const struct options *a, const struct options *b, const struct option_row *row)
{
	size_t count = option_count(a, row);
	if (count != option_count(b, row))
		return false;
	const void *items_a = pointer_of(a, row), *items_b = pointer_of(b, row);
	for (size_t i = 0; i < count; i++) {
		if (!items_equal(row->type, items_a, items_b, i))
			return false;
	}
	return true;
}

bool option_equal(const struct options *a, const struct options *b, const struct option_row *row)
{
	if (option_is_list(row))
		return lists_equal(a, b, row);
	if (row->type == OPTION_TEXT)
		return strcmp(pointer_of(a, row), pointer_of(b, row)) == 0;
	return field_value(a, row) == field_value(b, row);
}

void option_print_quoted(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text; text++) {
		if (strchr("\"\\$", *text))
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void print_endpoint(const struct endpoint *endpoint, FILE *out)
{
	char text[ENDPOINT_TEXT_MAX];
	if (endpoint->scope_id == 0)
		fprintf(out, "\"%s\"", endpoint_to_text(endpoint, text));
	else
		fprintf(out, "\"[%s%%%" PRIu32 "]:%u\"", address_to_text(&endpoint->address, text),
			endpoint->scope_id, endpoint->port);
}

static void print_prefix(const struct prefix *prefix, FILE *out)
{
	char text[ADDRESS_TEXT_MAX];
	fprintf(out, "\"%s/%u\"", address_to_text(&prefix->address, text), prefix->length);
}

static void print_list(const struct options *options, const struct option_row *row, FILE *out)
{
	const void *items = pointer_of(options, row);
	fputs("{", out);
	for (size_t i = 0; i < option_count(options, row); i++) {
		fputs(i == 0 ? " " : ", ", out);
		if (row->type == OPTION_ENDPOINTS)
			print_endpoint((const struct endpoint *)items + i, out);
		else if (row->type == OPTION_TEXTS)
			option_print_quoted(((char *const *)items)[i], out);
		else
			print_prefix((const struct prefix *)items + i, out);
	}
	fputs(" }", out);
}

void option_print_value(const struct options *options, const struct option_row *row, FILE *out)
{
	char text[32];
	switch (row->type) {
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		format_value(row, field_value(options, row), text, sizeof(text));
		fputs(text, out);
		break;
	case OPTION_WORD:
		fputs(row->words[field_value(options, row)], out);
		break;
	case OPTION_TEXT:
		if (row->offset == offsetof(struct options, redis))
			option_print_redis(options->redis, out);
		else
			option_print_quoted(pointer_of(options, row), out);
		break;
	case OPTION_ENDPOINTS:
	case OPTION_PREFIXES:
	case OPTION_TEXTS:
		print_list(options, row, out);
		break;
	}
}

void option_describe(const struct option_row *row, char *out)
{
	static const char *const things[] = {[OPTION_NUMBER] = "a number",
		[OPTION_SIZE] = "a size such as 64M",
		[OPTION_DURATION] = "a duration"};
	char low[32], high[32];
	switch (row->type) {
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		format_value(row, row->min, low, sizeof(low));
		format_value(row, row->max, high, sizeof(high));
		snprintf(out, WHY_MAX, "%s from %s to %s%s%s", things[row->type], low, high,
			row->type == OPTION_NUMBER ? "" : ", in ",
			row->type == OPTION_NUMBER ? "" : row->unit);
		break;
	case OPTION_WORD:
		option_list_words(row->words, out);
		break;
	case OPTION_TEXT:
		snprintf(out, WHY_MAX, "%s, at most %" PRIu64 " bytes", row->unit, row->max);
		break;
	case OPTION_ENDPOINTS:
	case OPTION_PREFIXES:
	case OPTION_TEXTS:
		snprintf(out, WHY_MAX, "%" PRIu64 " to %" PRIu64 " %s", row->min, row->max,
			row->unit);
		break;
	}
}

static void free_texts(struct options *options, const struct option_row *row)
{
	char **items = pointer_of(options, row);
	for (size_t i = 0; i < option_count(options, row); i++)
		free(items[i]);
}

void option_fields_free(struct options *options)
{
	for (size_t i = 0; i < option_row_count; i++) {
		if (option_rows[i].type == OPTION_TEXTS)
			free_texts(options, &option_rows[i]);
		if (option_is_list(&option_rows[i]) || option_rows[i].type == OPTION_TEXT)
			free(pointer_of(options, &option_rows[i]));
	}
}
