/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hosts file is compiled into an index of the kind that serves policy zones, with one zone of
 * local data, and an index of its own: a line that changes in /etc/hosts must not make a million
 * rules of block lists be read again. That index already has what is needed here: bounded names,
 * small nodes, several records a name, NODATA for the other types, no lock. Rejected: putting the
 * names into the cache with a long life, where they would be evicted, flushed, and saved.
 */
#include "resolver/hosts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/dns/message.h"
#include "lib/dns/name.h"
#include "lib/dns/reverse.h"
#include "resolver/name_files.h"

#define ZONE "hosts"

struct hosts_builder {
	struct policy_builder *rules;
	struct hosts *hosts;
};

struct adding {
	struct hosts_builder *builder;
	const char *source;
	policy_report_fn *report;
	void *context;
	enum td_error error; /* that ended it */
};

bool hosts_leaves_out(const struct address *address)
{
	static const uint8_t one[16] = {[15] = 1};
	const uint8_t *octets = address->octets;

	if (address->family == ADDRESS_V4)
		return octets[0] == 127 || (octets[0] == 169 && octets[1] == 254) ||
		       (octets[0] >= 224 && octets[0] < 240);
	return memcmp(octets, one, sizeof(one)) == 0 || octets[0] == 0xff ||
	       (octets[0] == 0xfe && (octets[1] & 0xc0) == 0x80);
}

/* RFC 6761, 6.3: localhost is loopback, whoever says what. */
static bool is_localhost(const struct name *folded)
{
	static const struct name localhost = {11, "\011localhost"};

	return name_is_within(folded, &localhost);
}

static void bad(void *context, unsigned line, const char *words)
{
	struct adding *adding = context;

	adding->builder->hosts->skipped++;
	if (adding->report)
		adding->report(adding->context, adding->source, line, true, words);
}

static void add_record(struct adding *adding, unsigned line, const struct name *folded,
	const struct policy_record *record)
{
	switch (policy_builder_record(adding->builder->rules, folded->wire, record)) {
	case TD_OK:
		adding->builder->hosts->names += record->type != TYPE_PTR;
		break;
	case TD_INVALID: /* said twice */
		break;
	case TD_NOMEM:
		adding->error = TD_NOMEM;
		break;
	default:
		bad(adding, line, "this name has 100 addresses already");
	}
}

static void add_pointer(struct adding *adding, unsigned line, const struct address *address,
	const struct name *name)
{
	struct policy_record record = {.type = TYPE_PTR,
		.ttl_s = adding->builder->hosts->ttl_s,
		.rdata = name->wire,
		.rdata_length = name->length};
	static const uint8_t nobody[16];
	struct name reverse;

	if (memcmp(address->octets, nobody, sizeof(nobody)) == 0) /* a name that is blocked */
		return;
	reverse_name(address, &reverse);
	if (!policy_builder_has(adding->builder->rules, reverse.wire))
		add_record(adding, line, &reverse, &record);
}

static void on_found(void *context, unsigned line, const struct address *address, const char *text,
	size_t length, bool first)
{
	struct adding *adding = context;
	struct hosts *hosts = adding->builder->hosts;
	struct policy_record record = {.type = address->family == ADDRESS_V4 ? TYPE_A : TYPE_AAAA,
		.ttl_s = hosts->ttl_s,
		.rdata = address->octets,
		.rdata_length = (uint16_t)address_octets(address)};
	struct name name, folded;

	if (adding->error)
		return;
	if (name_from_text(&name, text, length) != TD_OK || name.length <= 1) {
		bad(adding, line, "this is not a domain name");
		return;
	}
	folded.length = name.length;
	name_fold(folded.wire, name.wire, name.length);
	if (hosts_leaves_out(address) || is_localhost(&folded)) {
		hosts->left_out++;
		return;
	}
	if (hosts->names >= HOSTS_NAMES_MAX) {
		hosts->dropped++;
		return;
	}
	add_record(adding, line, &folded, &record);
	if (first)
		add_pointer(adding, line, address, &name);
}

struct hosts_builder *hosts_builder_new(uint32_t ttl_s)
{
	struct hosts_builder *builder = calloc(1, sizeof(*builder));

	if (!builder)
		return NULL;
	builder->hosts = calloc(1, sizeof(*builder->hosts));
	builder->rules = policy_builder_new();
	if (!builder->hosts || !builder->rules ||
		policy_builder_zone(builder->rules, ZONE, ZONE_LOCAL) != TD_OK) {
		hosts_builder_free(builder);
		return NULL;
	}
	builder->hosts->ttl_s = ttl_s;
	return builder;
}

void hosts_builder_free(struct hosts_builder *builder)
{
	if (!builder)
		return;
	policy_builder_free(builder->rules);
	hosts_free(builder->hosts);
	free(builder);
}

enum td_error hosts_builder_add(struct hosts_builder *builder, const char *source, const char *text,
	size_t size, policy_report_fn *report, void *context)
{
	struct adding adding = {builder, source, report, context, TD_OK};

	hosts_file_read(text, size, on_found, bad, &adding);
	return adding.error;
}

struct hosts *hosts_builder_finish(struct hosts_builder **builder)
{
	struct hosts *hosts = (*builder)->hosts;

	hosts->index = policy_builder_finish(&(*builder)->rules);
	free(*builder);
	*builder = NULL;
	if (hosts->index)
		return hosts;
	free(hosts);
	return NULL;
}

void hosts_free(struct hosts *hosts)
{
	if (!hosts)
		return;
	policy_index_free(hosts->index);
	free(hosts);
}

bool hosts_find(
	const struct hosts *hosts, const uint8_t *folded, size_t length, struct policy_match *match)
{
	struct policy_match matches[POLICY_MATCHES_MAX];

	if (policy_match_name(hosts->index, folded, length, matches) == 0)
		return false;
	*match = matches[0];
	return true;
}
