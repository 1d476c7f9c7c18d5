/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a person sees of a run: a bar while it takes a while, the first lines that could not be
 * read, a line for each source, and what it all comes to. Log lines are text of strangers and reach
 * the terminal escaped.
 */
#include "resolver/control/ingest/ingest.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "resolver/control/clock.h"

#define BAR_EVERY_MS 200
#define BAR_WIDTH 24
#define LINE_SHOWN_MAX 120

/* --- sums --- */

void ingest_count_time(struct ingest_counts *counts, int64_t at_ms)
{
	if (counts->first_ms == 0 || at_ms < counts->first_ms)
		counts->first_ms = at_ms;
	if (at_ms > counts->last_ms)
		counts->last_ms = at_ms;
}

void ingest_counts_add(struct ingest_counts *sum, const struct ingest_counts *more)
{
	sum->lines += more->lines;
	sum->used += more->used;
	sum->skipped += more->skipped;
	sum->unreadable += more->unreadable;
	sum->headers += more->headers;
	sum->old += more->old;
	sum->future += more->future;
	if (more->first_ms)
		ingest_count_time(sum, more->first_ms);
	if (more->last_ms)
		ingest_count_time(sum, more->last_ms);
}

/* --- stderr --- */

static const char *shown_path(const char *path)
{
	return strcmp(path, "-") == 0 ? "standard input" : path;
}

void ingest_say(struct ingest_run *run, const char *path, const char *words)
{
	ingest_progress_end(run);
	cli_error(run->cli, "%s: %s", shown_path(path), words);
}

void ingest_show_unreadable(struct ingest_source *source, const char *line, size_t length)
{
	struct ingest_run *run = source->run;
	char text[LINE_SHOWN_MAX + 1];

	if (run->shown == INGEST_SHOWN_MAX)
		return;
	run->shown++;
	size_t shown = length < LINE_SHOWN_MAX ? length : LINE_SHOWN_MAX;
	for (size_t i = 0; i < shown; i++)
		text[i] = line[i] ? line[i] : ' ';
	text[shown] = '\0';
	ingest_progress_end(run);
	cli_error(run->cli, "%s:%llu: no %s line: %s%s", shown_path(source->path),
		(unsigned long long)(source->before.lines + source->counts.lines),
		log_format_name(source->format), text, shown < length ? " ..." : "");
}

static void append_bar(const struct input *input, struct strbuf *out)
{
	int64_t percent = input->size > 0 ? input->taken * 100 / input->size : 0;
	int filled = (int)(percent * BAR_WIDTH / 100);

	if (percent > 100 || input->size == 0)
		return;
	strbuf_append_char(out, '[');
	for (int i = 0; i < BAR_WIDTH; i++)
		strbuf_append_char(out, i < filled ? '#' : '-');
	strbuf_printf(out, "] %3d %%  ", (int)percent);
}

void ingest_progress(struct ingest_source *source)
{
	struct ingest_run *run = source->run;
	int64_t now_ms = run->progress ? clock_mono_ms() : 0;
	struct strbuf out;

	if (!run->progress || now_ms < run->next_progress_ms)
		return;
	run->next_progress_ms = now_ms + BAR_EVERY_MS;
	uint64_t lines = run->totals.counts.lines + source->counts.lines;
	strbuf_init(&out);
	strbuf_append_text(&out, "\r\033[K");
	append_bar(&source->input, &out);
	output_text(&out, shown_path(source->path));
	strbuf_append_text(&out, ": ");
	output_count(&out, lines, "line");
	strbuf_printf(&out, ", %llu/s",
		(unsigned long long)(lines * 1000 / (uint64_t)(now_ms - run->started_ms + 1)));
	if (!out.failed)
		fputs(out.data, run->cli->errors);
	fflush(run->cli->errors);
	strbuf_deinit(&out);
	run->drawn = true;
}

void ingest_progress_end(struct ingest_run *run)
{
	if (!run->drawn)
		return;
	fputs("\r\033[K", run->cli->errors);
	fflush(run->cli->errors);
	run->drawn = false;
}

/* --- a source --- */

static void source_json(const struct ingest_source *source, struct strbuf *out)
{
	const struct ingest_counts *counts = &source->counts;

	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "path", source->path);
	strbuf_json_text(out, "source", source->is_nameless ? NULL : source->id);
	strbuf_json_text(out, "format", source->format ? log_format_name(source->format) : NULL);
	strbuf_json_u64(out, "from", (uint64_t)source->resumed);
	strbuf_json_u64(out, "offset", (uint64_t)source->input.offset);
	strbuf_json_u64(out, "lines", counts->lines);
	strbuf_json_u64(out, "used", counts->used);
	strbuf_json_u64(out, "skipped", counts->skipped);
	strbuf_json_u64(out, "unreadable", counts->unreadable);
	strbuf_json_u64(out, "old", counts->old);
	strbuf_json_u64(out, "future", counts->future);
	output_json_time(out, "first", counts->first_ms);
	output_json_time(out, "last", counts->last_ms);
	strbuf_json_bool(out, "unfinished", source->unfinished);
	strbuf_append_char(out, '}');
}

static void append_reasons(const struct ingest_source *source, struct strbuf *out)
{
	const struct ingest_counts *counts = &source->counts;

	if (counts->old) {
		strbuf_append_text(out, "  ");
		output_count(out, counts->old, "line");
		strbuf_printf(out, " older than what is kept (%u days): see `retention`\n",
			source->run->cli->options->retention_days);
	}
	if (counts->future) {
		strbuf_append_text(out, "  ");
		output_count(out, counts->future, "line");
		strbuf_append_text(out, " of a time to come: is it another time zone, or year? "
					"TZ=... sets the zone "
					"of a log that does not tell it\n");
	}
	if (source->unfinished)
		strbuf_append_text(out, "  the last line has no end yet: it is read next time\n");
}

static void source_text(const struct ingest_source *source, struct strbuf *out)
{
	const struct ingest_counts *counts = &source->counts;

	output_text(out, shown_path(source->path));
	strbuf_append_text(out, ": ");
	if (counts->lines == 0) {
		strbuf_append_text(out, source->is_known ? "nothing new\n" : "empty\n");
		append_reasons(source, out);
		return;
	}
	strbuf_printf(out, "%s, ", log_format_name(source->format));
	output_count(out, counts->lines, "line");
	strbuf_printf(out, " read%s: %llu used, %llu skipped, %llu unreadable\n",
		source->resumed > 0 ? " from where it was left" : "",
		(unsigned long long)counts->used, (unsigned long long)counts->skipped,
		(unsigned long long)counts->unreadable);
	if (counts->first_ms) {
		strbuf_append_text(out, "  from ");
		output_time(out, counts->first_ms);
		strbuf_append_text(out, " to ");
		output_time(out, counts->last_ms);
		strbuf_append_char(out, '\n');
	}
	append_reasons(source, out);
}

void ingest_report_source(struct ingest_source *source)
{
	struct ingest_run *run = source->run;

	ingest_counts_add(&run->totals.counts, &source->counts);
	if (source->resumed < source->input.offset)
		run->totals.bytes += (uint64_t)(source->input.offset - source->resumed);
	if (run->cli->json) {
		source_json(source, &run->cli->out);
	} else {
		source_text(source, &run->cli->out);
		cli_flush(run->cli);
	}
}

/* --- all --- */

void ingest_report_begin(struct ingest_run *run)
{
	if (run->cli->json)
		strbuf_append_text(&run->cli->out, "{\"sources\":[");
}

static void end_json(struct ingest_run *run, struct strbuf *out)
{
	const struct ingest_totals *totals = &run->totals;
	const struct join_totals *join = join_totals(run->join);

	strbuf_append_char(out, ']');
	strbuf_json_u64(out, "lines", totals->counts.lines);
	strbuf_json_u64(out, "used", totals->counts.used);
	strbuf_json_u64(out, "skipped", totals->counts.skipped);
	strbuf_json_u64(out, "unreadable", totals->counts.unreadable);
	strbuf_json_u64(out, "bytes", totals->bytes);
	strbuf_json_u64(out, "drops", totals->drops);
	strbuf_json_u64(out, "tunnel_drops", totals->tunnel_drops);
	strbuf_json_u64(out, "passes", totals->passes);
	strbuf_json_u64(out, "tunnel_passes", totals->tunnel_passes);
	strbuf_json_u64(out, "proxy_hits", totals->proxy_hits);
	strbuf_json_u64(out, "events", totals->events);
	strbuf_json_u64(out, "answers", totals->answers);
	strbuf_json_u64(out, "certain_answers", totals->certain_answers);
	strbuf_json_u64(out, "joined", join->joined);
	strbuf_json_u64(out, "unjoined", join->drops - join->joined);
	strbuf_json_u64(out, "addresses", join->addresses);
	strbuf_json_u64(out, "never_looked_up", join->strange);
	strbuf_json_bool(out, "at_least", join->at_least);
	strbuf_json_u64(out, "dropped", totals->dropped);
	strbuf_json_bool(out, "interrupted", ingest_stopped != 0);
	strbuf_append_text(out, "}\n");
}

static unsigned percent(uint64_t part, uint64_t of)
{
	return of ? (unsigned)((double)part * 100 / (double)of) : 0;
}

static void append_traffic(const struct ingest_totals *totals, struct strbuf *out)
{
	output_count(out, totals->drops, "drop");
	strbuf_printf(out,
		", %llu of tunnels (UDP 3544, protocol 41); %llu passed, %llu of tunnels; ",
		(unsigned long long)totals->tunnel_drops, (unsigned long long)totals->passes,
		(unsigned long long)totals->tunnel_passes);
	output_count(out, totals->proxy_hits, "proxy request");
	strbuf_append_text(out, ".\n");
	if (totals->answers)
		strbuf_printf(out,
			"%llu answers of another DNS server, %llu of them certain, the rest "
			"ambiguous (log-queries=extra tells).\n",
			(unsigned long long)totals->answers,
			(unsigned long long)totals->certain_answers);
	if (totals->events) {
		output_count(out, totals->events, "event");
		strbuf_append_text(out, " that tell the state of Teredo on a computer.\n");
	}
}

static void append_join(struct ingest_run *run, struct strbuf *out)
{
	const struct join_totals *join = join_totals(run->join);
	const char *least = join->at_least ? "at least " : "";

	if (join->drops == 0)
		return;
	strbuf_printf(out, "%llu drops (%u %%) are of clients that had been told the address.\n",
		(unsigned long long)join->joined, percent(join->joined, join->drops));
	strbuf_printf(out, "They go to %s", least);
	strbuf_printf(out, "%llu %s", (unsigned long long)join->addresses,
		join->addresses == 1 ? "address" : "addresses");
	strbuf_printf(out, ", of which nobody ever looked up %s%llu here.\n", least,
		(unsigned long long)join->strange);
}

static bool has_command(const char *name)
{
	for (size_t i = 0; cli_commands[i]; i++)
		if (strcmp(cli_commands[i]->name, name) == 0)
			return true;
	return false;
}

static void end_text(struct ingest_run *run, struct strbuf *out)
{
	const struct ingest_totals *totals = &run->totals;

	if (totals->counts.unreadable > run->shown)
		strbuf_printf(out, "%llu more lines could not be read.\n",
			(unsigned long long)(totals->counts.unreadable - run->shown));
	if (totals->counts.used == 0)
		return;
	append_traffic(totals, out);
	append_join(run, out);
	if (totals->dropped) {
		output_count(out, totals->dropped, "time");
		strbuf_append_text(out, " a bound was reached, and a detail counted under *other "
					"only.\n");
	}
	if (ingest_stopped && !run->follow)
		strbuf_append_text(out, "Interrupted: run it again, it goes on from here.\n");
	if (totals->drops && has_command("drops"))
		cli_next(run->cli, out, "drops", NULL);
}

void ingest_report_end(struct ingest_run *run)
{
	ingest_progress_end(run);
	if (run->cli->json)
		end_json(run, &run->cli->out);
	else
		end_text(run, &run->cli->out);
}
