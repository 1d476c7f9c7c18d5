/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index of rules by itself: time to compile zones, memory they take, and what a look-up costs
 * that finds a rule and one that finds none. Names are asked for in the order of the file, each
 * once a pass, so that with many names little of what one needs is in a cache of the processor.
 *
 *   policy_index [-p PASSES] NAMES FILE...   each file is a zone: RPZ, or plain domains (*.domains)
 *   policy_index -s N NAMES FILE             one file, dealt out to N zones
 *
 * NAMES has a name a line, behind "+" one that has a rule and behind "-" one that has none; both
 * are checked. Prints key=value pairs.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/dns/name.h"
#include "policy/policy.h"

struct text {
	char *data;
	size_t size;
};

/* Folded names one behind the other, each behind its length. */
struct names {
	uint8_t *octets;
	size_t used, capacity, count;
};

/* Processor time: the machine may have other work. */
static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct text text_read(const char *path)
{
	struct text text = {0};
	FILE *file = fopen(path, "re");

	if (!file || fseek(file, 0, SEEK_END) != 0)
		fail(path);
	text.size = (size_t)ftell(file);
	rewind(file);
	text.data = malloc(text.size + 1);
	if (!text.data || fread(text.data, 1, text.size, file) != text.size)
		fail(path);
	text.data[text.size] = '\0';
	fclose(file);
	return text;
}

static void names_add(struct names *names, const char *text, size_t length)
{
	struct name name;

	if (name_from_text(&name, text, length) != TD_OK)
		return;
	if (names->used + NAME_WIRE_MAX + 1 > names->capacity) {
		names->capacity = names->capacity ? names->capacity * 2 : 1 << 20;
		names->octets = realloc(names->octets, names->capacity);
		if (!names->octets)
			fail("names");
	}
	names->octets[names->used++] = name.length;
	name_fold(names->octets + names->used, name.wire, name.length);
	names->used += name.length;
	names->count++;
}

static void names_read(const char *path, struct names *hits, struct names *misses)
{
	struct text text = text_read(path);

	for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n"))
		names_add(line[0] == '+' ? hits : misses, line + 1, strlen(line + 1));
	free(text.data);
}

/* Resident memory of this process. */
static size_t resident(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%*u %lu", &pages) != 1)
		fail("statm");
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static bool ends_in(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && strcmp(text + length - tail, end) == 0;
}

static enum td_error domains_read(struct policy_builder *builder, const struct text *text)
{
	unsigned number = 0;

	for (const char *at = text->data, *end; at < text->data + text->size; at = end + 1) {
		struct name name;
		end = strchr(at, '\n');
		number++;
		if (name_from_text(&name, at, (size_t)(end - at)) != TD_OK)
			continue;
		name_fold(name.wire, name.wire, name.length);
		enum td_error error = policy_builder_name(
			builder, name.wire, true, true, ACTION_NXDOMAIN, number);
		if (error && error != TD_INVALID)
			return error;
	}
	return TD_OK;
}

static void zone_read(
	struct policy_builder *builder, unsigned number, const char *path, const struct text *text)
{
	struct policy_load load;
	char name[16];

	snprintf(name, sizeof(name), "zone-%u", number);
	enum td_error error = policy_builder_zone(builder, name, ZONE_LIST);
	if (!error)
		error = ends_in(path, ".domains") ? domains_read(builder, text)
						  : policy_builder_rpz(builder, path, text->data,
							    text->size, NULL, NULL, &load);
	if (error) {
		fprintf(stderr, "%s: %s\n", path, error_text(error));
		exit(1);
	}
}

#define HEAD_LINES 3 /* of the files that are dealt out */

/* Pairs of lines in turn to as many texts, each with a head of its own. */
static void text_deal(const struct text *text, unsigned count, struct text *out)
{
	static const char head[] = "$TTL 60\n@ SOA . . 1 2 3 4 5\n";
	unsigned line = 0;

	for (unsigned i = 0; i < count; i++) {
		out[i].data = malloc(text->size / count * 2 + 65536);
		if (!out[i].data)
			fail("text");
		memcpy(out[i].data, head, sizeof(head) - 1);
		out[i].size = sizeof(head) - 1;
	}
	for (const char *at = text->data, *end; at < text->data + text->size; at = end, line++) {
		struct text *to = &out[(line - HEAD_LINES) / 2 % count];
		end = strchr(at, '\n') + 1;
		if (line < HEAD_LINES)
			continue;
		memcpy(to->data + to->size, at, (size_t)(end - at));
		to->size += (size_t)(end - at);
	}
}

/* Compiles all zones; the best of several times. */
static struct policy_index *zones_compile(char *const paths[], const struct text *texts,
	unsigned count, unsigned times, double *best_s)
{
	struct policy_index *index = NULL;

	*best_s = 1e9;
	for (unsigned i = 0; i < times; i++) {
		policy_index_free(index);
		double before = now_s();
		struct policy_builder *builder = policy_builder_new();
		for (unsigned zone = 0; zone < count; zone++)
			zone_read(builder, zone, paths[zone], &texts[zone]);
		index = policy_builder_finish(&builder);
		double took = now_s() - before;
		if (took < *best_s)
			*best_s = took;
	}
	return index;
}

/* Nanoseconds a look-up, the best of the passes. */
static double look_up(
	const struct policy_index *index, const struct names *names, unsigned passes, bool wanted)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	double best = 1e9;

	for (unsigned pass = 0; names->count && pass < passes; pass++) {
		size_t found = 0, at = 0;
		double before = now_s();
		while (at < names->used) {
			size_t length = names->octets[at++];
			found += policy_match_name(index, names->octets + at, length, matches) > 0;
			at += length;
		}
		double took = (now_s() - before) * 1e9 / (double)names->count;
		if (found != (wanted ? names->count : 0)) {
			fprintf(stderr, "%zu of %zu names have a rule\n", found, names->count);
			exit(1);
		}
		if (took < best)
			best = took;
	}
	return names->count ? best : 0;
}

int main(int argc, char *argv[])
{
	unsigned passes = 5, split = 0;
	struct names hits = {0}, misses = {0};
	struct text texts[POLICY_ZONES_MAX];
	char *paths[POLICY_ZONES_MAX];
	double compile_s;
	int option;

	while ((option = getopt(argc, argv, "p:s:")) != -1)
		*(option == 'p' ? &passes : &split) = (unsigned)strtoul(optarg, NULL, 10);
	if (argc - optind < 2 || argc - optind - 1 > POLICY_ZONES_MAX || split > POLICY_ZONES_MAX) {
		fprintf(stderr, "policy_index [-p PASSES] [-s ZONES] NAMES FILE...\n");
		return 2;
	}
	names_read(argv[optind], &hits, &misses);
	unsigned count = (unsigned)(argc - optind - 1);
	for (unsigned i = 0; i < count; i++) {
		paths[i] = argv[optind + 1 + (int)i];
		texts[i] = text_read(paths[i]);
	}
	if (split) {
		struct text whole = texts[0];
		text_deal(&whole, split, texts);
		free(whole.data);
		for (count = 0; count < split; count++)
			paths[count] = argv[optind + 1];
	}
	malloc_trim(0);
	size_t before = resident();
	struct policy_index *index =
		zones_compile(paths, texts, count, passes > 1 ? 3 : 1, &compile_s);
	malloc_trim(0);
	size_t memory = resident() - before, rules = 0;
	for (unsigned i = 0; i < count; i++)
		rules += policy_zone_rules(index, i);
	double hit_ns = look_up(index, &hits, passes, true);
	double miss_ns = look_up(index, &misses, passes, false);
	printf("zones=%u rules=%zu compile_s=%.3f memory=%zu hit_ns=%.1f miss_ns=%.1f hits=%zu "
	       "misses=%zu\n",
		count, rules, compile_s, memory, hit_ns, miss_ns, hits.count, misses.count);
	policy_index_free(index);
	for (unsigned i = 0; i < count; i++)
		free(texts[i].data);
	free(hits.octets);
	free(misses.octets);
	return 0;
}
