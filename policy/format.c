/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The words for what was read: of formats, of faults, and of a whole text in a line. They stand
 * apart from the readers, so that whoever shows them need not be linked with those.
 */
#include <stdio.h>

#include "policy/policy.h"

static const char *const format_names[] = {
	[FORMAT_RPZ] = "rpz",
	[FORMAT_PATTERNS] = "patterns",
	[FORMAT_HOSTS] = "hosts",
	[FORMAT_DOMAINS] = "domains",
	[FORMAT_WILDCARDS] = "wildcards",
	[FORMAT_DNSMASQ] = "dnsmasq",
	[FORMAT_ADBLOCK] = "adblock",
};
_Static_assert(sizeof(format_names) / sizeof(format_names[0]) == ZONE_FORMATS, "a name a format");

const char *policy_format_name(enum zone_format format)
{
	return (size_t)format < ZONE_FORMATS ? format_names[format] : "unknown";
}

static const char *const fault_names[] = {
	[FAULT_FORM] = "not of this format",
	[FAULT_NAME] = "no domain name",
	[FAULT_UNSUPPORTED] = "not supported",
	[FAULT_FULL] = "too many",
};
_Static_assert(sizeof(fault_names) / sizeof(fault_names[0]) == POLICY_FAULTS, "words a fault");

const char *policy_fault_name(enum policy_fault fault)
{
	return (size_t)fault < POLICY_FAULTS ? fault_names[fault] : "unknown";
}

struct counted {
	unsigned count;
	const char *words;
};

static size_t append_counts(
	char *out, size_t at, const char *before, const struct counted *counts, size_t kinds)
{
	for (size_t i = 0; i < kinds; i++) {
		if (!counts[i].count)
			continue;
		at += (size_t)snprintf(out + at, LOAD_TEXT_MAX - at, "%s%u %s", before,
			counts[i].count, counts[i].words);
		before = ", ";
	}
	return at;
}

const char *policy_load_text(const struct policy_load *load, char *out)
{
	const struct counted counts[] = {{load->repeated, "repeated"},
		{load->foreign, "not for DNS"}, {load->overruled, "overruled by exceptions"},
		{load->skipped, "skipped"}};
	struct counted faults[POLICY_FAULTS];
	size_t at = (size_t)snprintf(out, LOAD_TEXT_MAX, "%u line%s, %u rule%s", load->lines,
		load->lines == 1 ? "" : "s", load->used, load->used == 1 ? "" : "s");

	at = append_counts(out, at, "; ", counts, sizeof(counts) / sizeof(counts[0]));
	for (unsigned i = 0; i < POLICY_FAULTS; i++)
		faults[i] = (struct counted){load->faults[i], fault_names[i]};
	append_counts(out, at, ": ", faults, POLICY_FAULTS);
	return out;
}

void policy_load_add(struct policy_load *sum, const struct policy_load *load)
{
	sum->lines += load->lines;
	sum->used += load->used;
	sum->skipped += load->skipped;
	sum->repeated += load->repeated;
	sum->foreign += load->foreign;
	sum->overruled += load->overruled;
	for (unsigned i = 0; i < POLICY_FAULTS; i++)
		sum->faults[i] += load->faults[i];
}
