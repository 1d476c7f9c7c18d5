/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the files of the configuration: the table of options, what a file said, and what is wrong
 * with it. Main thread only.
 *
 *   text → settings_read (options_read.c) → settings → options.c, row by row → struct options
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "resolver/options.h"

/* --- the table (options_table.c) and the values of its rows (options_value.c) --- */

#define WHY_MAX 400 /* words about a bad value, with their NUL */

enum option_type {
	OPTION_NUMBER,    /* unsigned */
	OPTION_SIZE,      /* "64M"; unsigned or uint64_t, counted in `scale` bytes */
	OPTION_DURATION,  /* "5s"; unsigned, counted in `scale` milliseconds */
	OPTION_WORD,      /* one of `words`; unsigned or an enum, the position in `words` */
	OPTION_TEXT,      /* char * */
	OPTION_ENDPOINTS, /* array of struct endpoint, and its size_t count */
	OPTION_SERVERS,   /* array of struct server_address, and its size_t count */
	OPTION_PREFIXES,  /* array of struct prefix, and its size_t count */
	OPTION_TEXTS,     /* array of char *, and its size_t count */
};

/* Says whether a value of the right form will do; else puts words into why (WHY_MAX bytes). */
typedef bool option_check_fn(const struct options *options, const char *text, char *why);

struct option_row {
	const char *name;
	enum option_type type;
	const char *unit;    /* for people: what is counted, or what a text is; NULL: the words */
	uint64_t min, max;   /* of the field, of a text's length, of a list's entries */
	bool repeats;        /* a list may hold an entry twice */
	bool or_zero;        /* a number or size may be 0 as well, which is no value but "never" */
	uint64_t scale;      /* bytes or milliseconds that 1 in the field stands for */
	const char *initial; /* the default as a file would say it; NULL: computed or none */
	void (*compute)(char *out, size_t size);
	/* Of a default that is computed or depends on the build: it in words, and an example. */
	const char *initial_words, *example;
	const char *const *words; /* OPTION_WORD; ends with NULL */
	option_check_fn *check;   /* NULL: none */
	size_t offset, size;      /* of the field in struct options */
	size_t count_offset;      /* of a list's count */
	uint16_t port;            /* OPTION_ENDPOINTS: where none is given; 0: 53 */
	bool reloadable;          /* SIGHUP brings it into effect */
	const char *effect;       /* said in place of that, where another program reads it */
	const char *help;
};

/* In the order in which they are set and printed; a check may look at the rows above its own. */
extern const struct option_row option_rows[];
extern const size_t option_row_count;

bool option_is_list(const struct option_row *row);

/* Sets the field from a value's text, or appends it to a list. False: nothing is changed and why
 * says it. */
bool option_set(struct options *options, const struct option_row *row, const char *text, char *why);

bool option_equal(const struct options *a, const struct options *b, const struct option_row *row);

void option_exchange(struct options *a, struct options *b, const struct option_row *row);

/* The row of that name, which there is. */
const struct option_row *option_row_find(const char *name);

/* Entries of a list. */
size_t option_count(const struct options *options, const struct option_row *row);

/* The value as a file would say it. Secrets are left out. */
void option_print_value(const struct options *options, const struct option_row *row, FILE *out);
void option_print_quoted(const char *text, FILE *out);

/* "a number from 1 to 64", for faults and for the manual; out holds WHY_MAX. */
void option_describe(const struct option_row *row, char *out);

/* Frees what the fields of the table hold. */
void option_fields_free(struct options *options);

/* A URL with *** in the place of its password. */
void option_print_redis(const char *url, FILE *out);

/* The checks of rows (options_check.c; that of `redis` in options_redis.c). */
option_check_fn option_check_client_names, option_check_dnstap, option_check_dnstap_message,
	option_check_event_command, option_check_exclude, option_check_host, option_check_log_file, option_check_name,
	option_check_memory_dir, option_check_path, option_check_path_or_none, option_check_redis,
	option_check_resolver_name, option_check_upstream, option_check_user;

/* False, with these words in why. */
bool option_refuse(char *why, const char *words);

/* True when upstream is one of our own listen addresses (all addresses of this machine where we listen
 * on any address). */
bool option_is_ourselves(const struct options *options, const struct endpoint *upstream);

/* Options within a section `zone "NAME" { … }`. */
enum zone_field {
	ZONE_FIELD_FORMAT,
	ZONE_FIELD_FILE,
	ZONE_FIELD_MODE,
	ZONE_FIELD_REASON,
	ZONE_FIELD_OVERRIDE,
	ZONE_FIELD_PRIMARY, /* a list: struct zone_section has all of it */
	ZONE_FIELD_ZONE_NAME,
	ZONE_FIELD_KEY,
	ZONE_FIELD_COUNT
};
struct zone_row {
	const char *name;
	const char *form; /* of the value, for the manual */
	const char *help;
};
extern const struct zone_row zone_rows[ZONE_FIELD_COUNT];

extern const char *const option_mode_words[];   /* in the order of enum policy_mode */
extern const char *const option_reason_words[]; /* in the order of EDE codes from EDE_BLOCKED */
extern const char *const option_format_words[]; /* in the order of enum zone_format */

/* Sets the override of a zone from its text. False: it is none. */
bool option_set_override(struct zone_options *zone, const char *text);
void option_print_override(const struct zone_options *zone, FILE *out);

/* The position of text in words; false when it is none of them. */
bool option_find_word(const char *const *words, const char *text, unsigned *out);

/* "rpz or patterns", "off, watched or all"; out holds WHY_MAX. */
void option_list_words(const char *const *words, char *out);

/* True when text has a byte below 0x20 or 0x7f. */
bool option_has_control(const char *text);

/* --- faults (options_faults.c) --- */

struct fault {
	unsigned line; /* 0: none */
	char *words;
};

/* A set, in order of lines. */
struct faults {
	struct fault *items;
	size_t count, capacity;
	bool no_memory;
};

void faults_add(struct faults *faults, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void faults_print(const struct faults *faults, const char *path, FILE *out);
void faults_free(struct faults *faults);

/* --- what the file says (options_read.c) --- */

struct setting {
	char *text;
	unsigned line; /* 0: the default */
};

struct row_settings {
	struct setting *items;
	size_t count;
	unsigned line; /* where the file gives it first; 0: it does not */
	bool again;    /* the file gives it a second time: what comes is dropped */
};

struct zone_section {
	char *name;
	unsigned line;
	struct setting fields[ZONE_FIELD_COUNT]; /* text NULL: not given */
	struct row_settings files; /* all that `file` names; the first is its field */
	bool files_again; /* the file gives them a second time: what comes is dropped */
	struct row_settings primaries;           /* line 0: not given */
	struct row_settings schedule;            /* line 0: not given */
};

enum key_field { KEY_FIELD_ALGORITHM, KEY_FIELD_SECRET_FILE, KEY_FIELD_COUNT };

struct key_section {
	char *title;
	unsigned line;
	struct setting fields[KEY_FIELD_COUNT]; /* text NULL: not given */
};

struct group_zone_section {
	char *zone;
	unsigned line;
	struct setting mode;          /* text NULL: not given */
	struct row_settings schedule; /* line 0: not given */
	bool again;                   /* the file has it a second time: what comes is dropped */
};

struct group_section {
	char *title;
	unsigned line;
	struct row_settings clients; /* line 0: not given */
	struct group_zone_section *zones;
	size_t zone_count;
	bool again; /* as above */
};

struct forward_section {
	char *title;
	unsigned line;
	struct row_settings upstream; /* line 0: not given */
	bool again;                   /* the file has it a second time: what comes is dropped */
};

struct settings {
	struct row_settings *rows; /* option_row_count of them */
	struct zone_section *zones;
	size_t zone_count;
	struct forward_section *forwards;
	size_t forward_count;
	struct key_section *keys;
	size_t key_count;
	struct group_section *groups;
	size_t group_count;
	size_t group_now; /* while they are read: the one that is */
};

/* The bytes of a file, NUL-terminated, malloc'd; NULL and a fault when it cannot be read or is no
 * text. */
char *settings_load_text(const char *path, struct faults *faults);

/*
 * Reads text; the defaults of lists come as settings too. False when a fault of syntax ended it,
 * with what came before it in settings. settings_free in any case.
 */
bool settings_read(struct settings *settings, const char *text, struct faults *faults);
void settings_free(struct settings *settings);

/* Where the file gives an option of the table; 0: it does not. */
unsigned settings_line(const struct settings *settings, const char *name);

/* --- sections forward (options_forward.c) --- */

/* After the rows. */
void options_apply_forwards(
	struct options *options, const struct settings *settings, struct faults *faults);
void options_forget_forwards(struct options *options);
void options_print_forwards(const struct options *options, FILE *out);
void options_print_forward_sample(FILE *out);
void options_print_forward_manual(FILE *out);

/* --- zones by transfer, sections key (options_transfer.c) --- */

/* After the zones; reads secrets where it is told to. */
void options_apply_transfers(struct options *options, const struct settings *settings, bool secrets,
	struct faults *faults);
void options_forget_keys(struct options *options);
/* Lines of a section zone. */
void options_print_primaries(const struct zone_options *zone, FILE *out);
void options_print_keys(const struct options *options, FILE *out);
void options_print_key_sample(FILE *out);
void options_print_key_manual(FILE *out);
/* --- sections group, and schedules (options_group.c) --- */

/* After the zones. */
void options_apply_groups(
	struct options *options, const struct settings *settings, struct faults *faults);
void options_forget_groups(struct options *options);
void options_print_groups(const struct options *options, FILE *out);
void options_print_group_sample(FILE *out);
void options_print_group_manual(FILE *out);

/* "\tschedule = { … }" and a newline, behind indent; nothing where there is none. */
void options_print_schedule(const struct schedule *schedule, const char *indent, FILE *out);

/* --- Redis (options_redis.c) --- */

/* After the rows: reads passwords (with secrets), and says what does not fit together. */
void options_apply_redis(struct options *options, const struct settings *settings, bool secrets,
	struct faults *faults);
void options_forget_redis(struct options *options);
