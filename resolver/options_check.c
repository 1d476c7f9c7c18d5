/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a row's form and range cannot say of a value: names, paths, servers, destinations.
 */
#include "config.h"

#include <ctype.h>
#include <ifaddrs.h>
#include <pwd.h>
#include <string.h>

#include "lib/dns/name.h"
#include "resolver/client_names.h"
#include "resolver/options_private.h"
#include "resolver/telemetry/sinks/sink_target.h"

bool option_check_resolver_name(const struct options *options, const char *text, char *why)
{
	(void)options;
	for (const char *c = text; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			return option_refuse(
				why, "is not a name, expected letters, digits, '.', '_' and '-'");
	}
	return true;
}

bool option_check_path(const struct options *options, const char *text, char *why)
{
	(void)options;
	return text[0] == '/' ||
	       option_refuse(why, "is not an absolute path, expected one that begins with /");
}

bool option_check_path_or_none(const struct options *options, const char *text, char *why)
{
	return text[0] == '\0' || option_check_path(options, text, why);
}

bool option_check_memory_dir(const struct options *options, const char *text, char *why)
{
	if (strcmp(text, "auto") == 0)
		return true;
	return option_check_path_or_none(options, text, why);
}

bool option_check_log_file(const struct options *options, const char *text, char *why)
{
	struct syslog_target target;
	(void)options;
	if (text[0] == '\0' || text[0] == '/' || strcmp(text, "-") == 0)
		return true;
	if (strncmp(text, "syslog", 6) != 0)
		return option_refuse(why,
			"is not an absolute path, expected one that begins with /, - "
			"for the standard output, or syslog");
	return syslog_target_parse(&target, text) ||
	       option_refuse(why,
		       "names no facility or destination of syslog, expected "
		       "syslog[:FACILITY][@/PATH] or syslog[:FACILITY][@ADDRESS[:PORT]]");
}

bool option_check_dnstap(const struct options *options, const char *text, char *why)
{
	struct dnstap_target target;
	(void)options;
	if (text[0] == '\0')
		return true;
	if (!dnstap_is_available())
		return option_refuse(why,
			"cannot be used: this build is without dnstap, expected \"\" "
			"(build it with libfstrm, libprotobuf-c and protoc-c)");
	return dnstap_target_parse(&target, text) ||
	       option_refuse(why, "is not known, expected file:/PATH or unix:/PATH (of at most 107 "
				  "bytes) or tcp://ADDRESS:PORT");
}

bool option_check_dnstap_message(const struct options *options, const char *text, char *why)
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

bool option_check_user(const struct options *options, const char *text, char *why)
{
	(void)options;
	if (text[0] == '\0' || getpwnam(text))
		return true;
	snprintf(why, WHY_MAX,
		"there is no user \"%.80s\" on this system, expected an existing one", text);
	return false;
}

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

/* Whether an interface of this machine has the address. */
static bool is_of_this_machine(const struct address *address)
{
	struct ifaddrs *interfaces;
	struct endpoint endpoint;
	bool found = address_is_loopback(address);
	if (found || getifaddrs(&interfaces) != 0)
		return found;
	for (const struct ifaddrs *at = interfaces; at && !found; at = at->ifa_next)
		found = at->ifa_addr && endpoint_from_sockaddr(&endpoint, at->ifa_addr) &&
			address_equal(&endpoint.address, address);
	freeifaddrs(interfaces);
	return found;
}

bool option_is_ourselves(const struct options *options, const struct endpoint *upstream)
{
	for (size_t i = 0; i < options->listen_count; i++) {
		const struct endpoint *own = &options->listen[i];
		if (endpoint_equal(own, upstream))
			return true;
		if (own->port == upstream->port &&
			own->address.family == upstream->address.family &&
			address_is_zero(&own->address) && is_of_this_machine(&upstream->address))
			return true;
	}
	return false;
}

/* The row of `listen` stands above that of `upstream`. */
bool option_check_upstream(const struct options *options, const char *text, char *why)
{
	struct server_address server;
	const struct address *address = &server.endpoint.address;
	char shown[SERVER_SHOWN_MAX];
	const char *words;
	if (server_address_from_text(&server, text, &words) != TD_OK)
		return option_refuse(why, words);
	server_address_show(&server, shown, sizeof(shown));
	if (address_is_zero(address) || address_is_multicast(address)) {
		snprintf(why, WHY_MAX,
			"%s is not the address of one server, expected one such as 9.9.9.9:53",
			shown);
		return false;
	}
	if (option_is_ourselves(options, &server.endpoint)) {
		snprintf(why, WHY_MAX,
			"%s is an address this resolver listens on, so it would ask itself; "
			"expected another server: "
			"name the provider's or a public one, such as 9.9.9.9",
			shown);
		return false;
	}
	return true;
}

bool option_check_exclude(const struct options *options, const char *text, char *why)
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

bool option_check_name(const struct options *options, const char *text, char *why)
{
	struct name name;

	(void)options;
	if (name_from_text(&name, text, strlen(text)) == TD_OK)
		return true;
	snprintf(why, WHY_MAX, "\"%.80s\" is not a domain name", text);
	return false;
}

/* As it stands in a Host header, without a port. */
bool option_check_host(const struct options *options, const char *text, char *why)
{
	size_t length = strlen(text);
	(void)options;
	if (length > 0 && length < 254 &&
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") ==
			length)
		return true;
	snprintf(why, WHY_MAX,
		"\"%.80s\" is not a name, expected one such as dns.example.net, without port and "
		"scheme",
		text);
	return false;
}

bool option_check_event_command(const struct options *options, const char *text, char *why)
{
	if (options->event_command_count > 0 || *text == '/')
		return true;
	snprintf(why, WHY_MAX,
		"\"%.80s\" is not an absolute path, expected that of a program first, then its "
		"arguments",
		text);
	return false;
}

bool option_check_client_names(const struct options *options, const char *text, char *why)
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
