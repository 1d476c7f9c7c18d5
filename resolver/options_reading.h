/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the two files that give libconfuse its callbacks: those of sections group stand in a file
 * of their own. The callbacks carry no context, so what is read into is the reader's
 * (options_read.c) and asked for here. While settings_read runs only; main thread.
 */
#pragma once

#include <confuse.h>

#include "resolver/options_private.h"

/* What the default of the first list in a section says: the section begins. */
#define SECTION_BEGINS "?"

#define UNKNOWN_MAX 32 /* names complained of before reading ends */

struct settings *reading_settings(void);
struct faults *reading_faults(void);
void reading_out_of_memory(void);

/* Options that are known to be unknown in such a section, at most UNKNOWN_MAX. Returns how many
 * were written. */
size_t reading_unknown_options(cfg_opt_t *out, const char *section);

/* False: out of memory. */
bool row_settings_append(struct row_settings *row, const char *text, unsigned line);
void row_settings_clear(struct row_settings *row);

struct zone_section *settings_find_zone(struct settings *settings, const char *name);

/* --- options_read_group.c --- */

#define GROUP_OPTIONS_MAX (2 + UNKNOWN_MAX + 1)
#define GROUP_ZONE_OPTIONS_MAX (2 + UNKNOWN_MAX + 1)

/* The options of a section group, and those of a section zone within one; with the end. */
void group_options(cfg_opt_t *out, cfg_opt_t *zone);
void group_zone_options(cfg_opt_t *out);

/* schedule of a section zone. */
cfg_opt_t zone_schedule_option(void);

void group_sections_clear(struct settings *settings);
