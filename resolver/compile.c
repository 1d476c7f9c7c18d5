/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A job is a copy of what the options say of zones, so that nothing it reads can change or go under
 * it. Whether a zone has to be read is told by the marks of its files, not by what changed on the
 * way here: whoever asks for a compilation need not know, and a change that nobody noticed is found
 * by the next one for whatever reason. One zone at a time is read and built, each fault costs its
 * zone only.
 */
#include "resolver/compile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "resolver/zone_text.h"

#define COMPLAINTS_SHOWN 20 /* of one zone; the rest is counted */
#define READS_MAX 3         /* of a file that changes while it is read */

static int64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

/* --- the job --- */

static bool add_source(
	struct compile_zone *zone, const char *path, enum zone_format format, bool required)
{
	struct zone_source *source = &zone->sources[zone->source_count];

	*source =
		(struct zone_source){.path = strdup(path), .format = format, .required = required};
	zone->source_count += source->path != NULL;
	return source->path != NULL;
}

static bool zone_take(
	struct compile_zone *zone, const struct zone_options *options, const struct zone_feed *feed)
{
	memcpy(zone->name, options->name, sizeof(zone->name));
	zone->kind = options->kind;
	if (options->primary_count &&
		(!feed || feed->snapshot(feed->context, zone->name, &zone->snapshot, &zone->version)))
		return true;
	zone->sources = calloc(2 * options->file_count + 1, sizeof(*zone->sources));
	bool good = zone->sources != NULL;
	for (size_t i = 0; good && i < options->file_count; i++) {
		const struct zone_file *file = &options->files[i];
		good = add_source(zone, file->path, options->format, true) &&
		       (!file->patterns ||
			       add_source(zone, file->patterns, FORMAT_PATTERNS, false));
	}
	return good;
}

struct compile_job *compile_job_new(
	const struct options *options, struct rules *old, const struct zone_feed *feed)
{
	struct compile_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->feed = feed;
	job->old = old;
	if (old)
		old->users++;
	job->zones = calloc(options->zone_count + 1, sizeof(*job->zones));
	for (size_t i = 0; job->zones && i < options->zone_count; i++) {
		job->zone_count++;
		if (zone_take(&job->zones[i], &options->zones[i], feed))
			continue;
		compile_job_free(job);
		return NULL;
	}
	if (job->zones)
		return job;
	compile_job_free(job);
	return NULL;
}

void compile_job_free(struct compile_job *job)
{
	if (!job)
		return;
	for (size_t i = 0; i < job->zone_count; i++) {
		struct compile_zone *zone = &job->zones[i];

		zone_sources_free(zone->sources, zone->source_count);
		if (zone->version)
			job->feed->release(job->feed->context, zone->snapshot);
	}
	free(job->zones);
	rules_free(job->rules);
	if (job->old && --job->old->users == 0)
		rules_free(job->old);
	free(job);
}

/* --- reading --- */

/* What is compiled, and how far it came. */
struct compilation {
	struct compile_job *job;
	struct policy_builder *builder;
	struct rules *rules;
	const atomic_bool *cancelled; /* NULL: never */
	int64_t wall_us;
	unsigned complaints;
};

static bool is_cancelled(const struct compilation *compilation)
{
	return compilation->cancelled &&
	       atomic_load_explicit(compilation->cancelled, memory_order_relaxed);
}

static void complain(
	void *context, const char *source, unsigned line, bool skipped, const char *words)
{
	struct compilation *compilation = context;

	if (compilation->complaints++ < COMPLAINTS_SHOWN)
		log_warning("%s:%u: %s%s", source, line, words, skipped ? " (line skipped)" : "");
}

static void end_complaints(struct compilation *compilation, const char *source)
{
	if (compilation->complaints > COMPLAINTS_SHOWN)
		log_warning("%s: %u more lines like these", source,
			compilation->complaints - COMPLAINTS_SHOWN);
	compilation->complaints = 0;
}

__attribute__((format(printf, 3, 4))) static enum td_error fault(
	struct rules_zone *zone, enum td_error error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(zone->fault, sizeof(zone->fault), format, arguments);
	va_end(arguments);
	return error;
}

/* The lines that were passed over, by reason; nothing where there were none. */
static void log_load(const char *path, const struct policy_load *load)
{
	char words[LOAD_TEXT_MAX];

	if (load->skipped || load->repeated || load->foreign || load->overruled)
		log_info("%s: %s", path, policy_load_text(load, words));
}

static enum td_error read_text(struct compilation *compilation, struct rules_zone *zone,
	struct zone_source *source, struct zone_text *text)
{
	enum td_error error = policy_builder_read_input(compilation->builder, source->format,
		source->path, &text->input, complain, compilation, &source->load);

	end_complaints(compilation, source->path);
	if (text->error)
		return fault(
			zone, TD_IO, "%s: cannot be read: %s", source->path, strerror(text->error));
	if (error == TD_MALFORMED)
		return fault(zone, error, "%s: not a zone: no SOA record", source->path);
	if (error)
		return fault(zone, error, "%s: %s", source->path, error_text(error));
	log_load(source->path, &source->load);
	policy_load_add(&zone->load, &source->load);
	return TD_OK;
}

/* TD_TRUNCATED: it was written meanwhile. At a start what there is has to do. */
static enum td_error read_source(
	struct compilation *compilation, struct rules_zone *zone, struct zone_source *source)
{
	struct zone_text text;
	enum td_error error;

	source->mark = (struct file_mark){0};
	if (!zone_text_open(&text, source->path, compilation->cancelled)) {
		if (!source->required && errno == ENOENT)
			return TD_OK;
		return fault(zone, TD_IO, "%s: cannot be read: %s", source->path, strerror(errno));
	}
	source->mark = text.mark;
	source->fresh = file_mark_is_fresh(&text.mark, compilation->wall_us);
	error = read_text(compilation, zone, source, &text);
	if (zone_text_close(&text) || error == TD_NOMEM)
		return error;
	source->fresh = true;
	if (!compilation->job->strict)
		return fault(zone, TD_TRUNCATED, "%s: it is being written", source->path);
	log_warning("%s: it is being written, and read again when it changed", source->path);
	return error;
}

static enum td_error read_once(
	struct compilation *compilation, const struct compile_zone *from, struct rules_zone *zone)
{
	enum td_error error = policy_builder_zone(compilation->builder, from->name, from->kind);

	zone->load = (struct policy_load){0};
	zone->fault[0] = '\0';
	if (error == TD_FULL)
		return fault(zone, error, "too many zones, at most %d", POLICY_ZONES_MAX);
	if (error)
		return fault(zone, error, "%s", error_text(error));
	for (size_t i = 0; !error && i < zone->source_count; i++)
		error = read_source(compilation, zone, &zone->sources[i]);
	return error;
}

/* A file that somebody writes in place is read again, and given up where he goes on. */
static enum td_error read_sources(
	struct compilation *compilation, const struct compile_zone *from, struct rules_zone *zone)
{
	enum td_error error;

	for (unsigned i = 1; (error = read_once(compilation, from, zone)) == TD_TRUNCATED; i++) {
		if (i == READS_MAX)
			break;
		policy_builder_drop(compilation->builder, from->name);
	}
	return error;
}

static enum td_error fill(
	struct compilation *compilation, const struct compile_zone *from, struct rules_zone *zone)
{
	const struct compile_job *job = compilation->job;
	const struct rules_zone *before = rules_zone_find(job->old, from->name);
	struct zone_fill fill = {.builder = compilation->builder,
		.zone = from->name,
		.kind = from->kind,
		.old = before ? job->old->index : NULL,
		.old_version = before ? before->version : 0,
		.report = complain,
		.report_context = compilation};
	enum td_error error = job->feed->fill(job->feed->context, from->snapshot, &fill);

	end_complaints(compilation, from->name);
	zone->version = from->version;
	zone->load = fill.load;
	if (error)
		return fault(zone, error, "%s", fill.why[0] ? fill.why : error_text(error));
	return TD_OK;
}

/* --- keeping --- */

static bool sources_unchanged(const struct compile_zone *zone, const struct rules_zone *before)
{
	if (zone->source_count != before->source_count)
		return false;
	for (size_t i = 0; i < zone->source_count; i++) {
		const struct zone_source *now = &zone->sources[i], *then = &before->sources[i];
		struct file_mark mark = file_mark_of(now->path);

		if (then->fresh || strcmp(now->path, then->path) != 0 ||
			now->format != then->format || now->required != then->required ||
			!file_mark_equal(&mark, &then->mark))
			return false;
	}
	return true;
}

/* Whether what the zone says now is what was compiled before. */
static bool is_unchanged(const struct compile_job *job, const struct compile_zone *zone)
{
	const struct rules_zone *before = rules_zone_find(job->old, zone->name);
	size_t position;

	if (!before || before->fault[0] || before->version != zone->version ||
		!policy_zone_find(job->old->index, zone->name, &position) ||
		policy_zone_kind(job->old->index, position) != zone->kind)
		return false;
	return zone->version || sources_unchanged(zone, before);
}

static bool same_zones(const struct compile_job *job)
{
	if (!job->old || job->old->zone_count != job->zone_count)
		return false;
	for (size_t i = 0; i < job->zone_count; i++)
		if (strcmp(job->zones[i].name, job->old->zones[i].name) != 0)
			return false;
	return true;
}

static bool all_unchanged(const struct compile_job *job)
{
	for (size_t i = 0; i < job->zone_count; i++)
		if (!is_unchanged(job, &job->zones[i]))
			return false;
	return same_zones(job);
}

/* The zone of the old rules, with what is known of it, if there is one. */
static enum td_error keep(struct compilation *compilation, struct rules_zone *zone)
{
	const struct rules *old = compilation->job->old;
	const struct rules_zone *before = rules_zone_find(old, zone->name);
	enum td_error error;

	if (!before)
		return TD_NOT_FOUND;
	error = policy_builder_keep(compilation->builder, old->index, zone->name);
	if (error)
		return error;
	*zone = *before;
	zone->sources = zone_sources_copy(before->sources, before->source_count);
	if (zone->sources || before->source_count == 0)
		return TD_OK;
	zone->source_count = 0;
	return TD_NOMEM;
}

/* --- compiling --- */

/* The old rules stay; where there are none the zone is there and has none. */
static enum td_error keep_with_fault(struct compilation *compilation,
	const struct compile_zone *from, struct rules_zone *zone, const char *words)
{
	enum td_error error = keep(compilation, zone);

	if (error == TD_NOT_FOUND) {
		zone->empty = true;
		error = policy_builder_zone(compilation->builder, from->name, from->kind);
	}
	if (!zone->fault[0])
		zone->fault_us = compilation->wall_us;
	snprintf(zone->fault, sizeof(zone->fault), "%s", words);
	if (!error)
		log_error("zone \"%s\": %s; %s", zone->name, zone->fault,
			zone->empty ? "it has no rules" : "its rules stay as they were");
	return error;
}

static enum td_error read_anew(
	struct compilation *compilation, const struct compile_zone *from, struct rules_zone *zone)
{
	enum td_error error;

	zone->read_us = compilation->wall_us;
	zone->sources = zone_sources_copy(from->sources, from->source_count);
	if (from->source_count && !zone->sources)
		return TD_NOMEM;
	zone->source_count = from->source_count;
	error = from->version ? fill(compilation, from, zone)
			      : read_sources(compilation, from, zone);
	compilation->job->read_count += error == TD_OK;
	return error;
}

static enum td_error compile_zone(
	struct compilation *compilation, const struct compile_zone *from, struct rules_zone *zone)
{
	char words[RULES_FAULT_SIZE];
	enum td_error error;

	memcpy(zone->name, from->name, sizeof(zone->name));
	if (is_unchanged(compilation->job, from))
		return keep(compilation, zone);
	error = read_anew(compilation, from, zone);
	if (!error || error == TD_NOMEM || is_cancelled(compilation))
		return error;
	if (compilation->job->strict) {
		log_error("zone \"%s\": %s", zone->name, zone->fault);
		return error;
	}
	memcpy(words, zone->fault, sizeof(words));
	policy_builder_drop(compilation->builder, from->name);
	zone_sources_free(zone->sources, zone->source_count);
	*zone = (struct rules_zone){0};
	memcpy(zone->name, from->name, sizeof(zone->name));
	return keep_with_fault(compilation, from, zone, words);
}

static enum td_error compile_zones(struct compilation *compilation)
{
	struct compile_job *job = compilation->job;
	enum td_error worst = TD_OK;

	compilation->rules->zones = calloc(job->zone_count + 1, sizeof(struct rules_zone));
	if (!compilation->rules->zones)
		return TD_NOMEM;
	for (size_t i = 0; i < job->zone_count; i++) {
		if (is_cancelled(compilation))
			return TD_REFUSED;
		compilation->rules->zone_count++;
		struct rules_zone *zone = &compilation->rules->zones[i];
		enum td_error error = compile_zone(compilation, &job->zones[i], zone);

		if (error == TD_NOMEM)
			return error;
		if (error)
			worst = TD_MALFORMED;
		compilation->rules->rule_count += zone->load.used;
		compilation->rules->skipped += zone->load.skipped;
	}
	return is_cancelled(compilation) ? TD_REFUSED : worst;
}

static enum td_error compile(struct compile_job *job, const atomic_bool *cancelled)
{
	struct compilation compilation = {.job = job,
		.builder = policy_builder_new(),
		.rules = calloc(1, sizeof(*compilation.rules)),
		.cancelled = cancelled,
		.wall_us = clock_us(CLOCK_REALTIME)};
	enum td_error error = TD_NOMEM;

	if (compilation.builder && compilation.rules)
		error = compile_zones(&compilation);
	if (error == TD_OK) {
		compilation.rules->index = policy_builder_finish(&compilation.builder);
		error = compilation.rules->index ? TD_OK : TD_NOMEM;
	}
	policy_builder_free(compilation.builder);
	if (error)
		rules_free(compilation.rules);
	else
		job->rules = compilation.rules;
	job->same = job->read_count == 0 && same_zones(job);
	return error;
}

void compile_run(struct compile_job *job, atomic_bool *cancelled)
{
	int64_t began_us = clock_us(CLOCK_MONOTONIC);

	if (!all_unchanged(job))
		job->error = compile(job, cancelled);
	if (job->error == TD_NOMEM)
		log_error("out of memory while reading zones");
	job->took_us = clock_us(CLOCK_MONOTONIC) - began_us;
}

struct rules *compile_now(
	const struct options *options, const struct zone_feed *feed, uint64_t generation)
{
	struct compile_job *job = compile_job_new(options, NULL, feed);
	struct rules *rules;

	if (!job) {
		log_error("out of memory while reading zones");
		return NULL;
	}
	job->strict = true;
	compile_run(job, NULL);
	rules = job->rules;
	job->rules = NULL;
	compile_job_free(job);
	if (rules)
		rules->generation = generation;
	return rules;
}
