/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How fast log formats are read: the sample of each is read over and over, until a million lines
 * (of XML: 100,000 events) have been, and lines a second are printed.
 *
 *   tests/bench/log_formats tests/data/logs [FORMAT]
 *
 * Samples hold many odd lines, so a real log, in which most lines are alike, is about as fast.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolver/control/ingest/log_format.h"

#define LINES 1000000
#define FILE_MAX 65536

static const char *const samples[][2] = {{"netfilter", "netfilter.log"}, {"pf", "pf.log"},
	{"asa", "asa.log"}, {"windows-firewall", "pfirewall.log"}, {"squid", "squid.log"},
	{"w3c", "w3c-proxy.log"}, {"combined", "combined.log"}, {"zeek", "zeek-conn.log"},
	{"zeek-json", "zeek-conn.json"}, {"eventlog-xml", "eventlog.xml"},
	{"windows-dns", "windows-dns.log"}, {"dnsmasq", "dnsmasq.log"},
	{"dnsmasq", "dnsmasq-extra.log"}, {"csv", "firewall.csv"}};

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static size_t load(const char *folder, const char *name, char *out)
{
	char path[1024];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "rb");
	if (!file) {
		perror(path);
		exit(1);
	}
	size_t length = fread(out, 1, FILE_MAX, file);
	fclose(file);
	return length;
}

static size_t read_once(const struct log_format *format, struct log_context *context,
	const char *text, size_t length, size_t *used)
{
	static struct log_entry entry;
	struct log_record record;
	size_t lines = 0;
	while (log_format_record(format, text, length, true, &record)) {
		*used += log_format_read(format, context, text + record.start, record.length,
				 &entry) == LOG_USED;
		text += record.next;
		length -= record.next;
		lines++;
	}
	return lines;
}

static void measure(const char *folder, const char *name, const char *file)
{
	static char text[FILE_MAX];
	const struct log_format *format = log_format_find(name);
	struct log_context context;
	size_t length = load(folder, file, text), lines = 0, used = 0, per_pass = 1;
	char words[128];
	if (!format)
		return;
	size_t wanted = strcmp(name, "eventlog-xml") == 0 ? LINES / 10 : LINES;
	log_context_init(&context, INT64_C(1795330000000));
	if (strcmp(name, "csv") == 0)
		log_context_columns(&context,
			"time=when,src=source ip,dst=destination ip,port=dport,proto=proto,"
			"action=verdict,count=hits",
			words, sizeof(words));
	double start = now();
	while (lines < wanted && per_pass > 0) {
		per_pass = read_once(format, &context, text, length, &used);
		lines += per_pass;
	}
	double seconds = now() - start;
	printf("%-18s %-18s %10.0f lines/s  %6.0f ns a line  %3.0f %% used\n", name, file,
		(double)lines / seconds, seconds * 1e9 / (double)lines,
		100.0 * (double)used / (double)lines);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s FOLDER [FORMAT]\n", argv[0]);
		return 2;
	}
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		if (argc < 3 || strcmp(argv[2], samples[i][0]) == 0)
			measure(argv[1], samples[i][0], samples[i][1]);
	}
	return 0;
}
