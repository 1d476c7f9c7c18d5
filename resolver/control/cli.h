/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The frame of the `teredown` command: options, the table of commands, and what all of them share:
 * the daemon's configuration, the control socket, Redis, and the sentences that explain why an
 * answer is empty and what to do next.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/strbuf.h"
#include "resolver/control/client.h"
#include "resolver/control/fleet.h"
#include "resolver/control/output.h"
#include "resolver/options.h"

enum cli_exit {
	CLI_OK = 0,
	CLI_ERROR = 1,
	CLI_USAGE = 2,
	CLI_NOTHING = 3,
	CLI_PARTIAL = 4,
	CLI_UNMET = 5 /* what was to be verified does not hold */
};

/* Options of commands; those of every command (-c, --json, -h, -V) are not here. letter (0: it has
 * a long name only; no two that one command takes have the same), long name, argument (NULL: none),
 * help. */
#define CLI_OPTIONS(X)                                                                   \
	X(LINES, 'n', "lines", "N", "at most N rows")                                    \
	X(ZONE, 'z', "zone", "ZONE", "this zone only")                                   \
	X(DAYS, 'd', "days", "N", "count the last N days, today included (days in UTC)") \
	X(ONCE, '1', "once", NULL, "print once and end")                                 \
	X(RESOLVER, 'r', "resolver", "NAME", "read this resolver instead of our own")    \
	X(FLEET, 'f', "fleet", NULL, "read all resolvers that record in this Redis")     \
	X(YES, 'y', "yes", NULL, "do not ask whether it is meant")                       \
	X(FORMAT, 'F', "format", "FORMAT", "json, csv or cof")                           \
	X(SINCE, 's', "since", "TIME", "not what ended before")                          \
	X(UNTIL, 'u', "until", "TIME", "not what began after")                           \
	X(CLIENT, 'C', "client", "CLIENT", "of this client only")                        \
	X(NAME, 'N', "name", "NAME", "of this name only, or of those below *.NAME")      \
	X(ADDRESS, 'a', "address", "ADDRESS", "of this address only")                    \
	X(WITH_CLIENTS, 'w', "with-clients", NULL, "cof names clients, a line a pair")   \
	X(SPAN, 'S', "span", "SPAN", "a row is 1h, 2h, 3h, 4h, 6h, 8h, 12h, or 1d to 31d") \
	X(BY, 'b', "by", "WHAT", "a column a source (the default), client or name")      \
	X(SCALE, 'x', "scale", "SCALE", "of the bars: linear (the default) or log")      \
	X(CSV, 'v', "csv", NULL, "print CSV")                                            \
	X(EVENTS, 'e', "events", NULL, "events instead of transactions")                 \
	X(POWERSHELL, 0, "powershell", NULL, "a PowerShell script for all hosts")        \
	X(NETSH, 0, "netsh", NULL, "netsh, by way of winrs")                             \
	X(REGISTRY, 0, "registry", NULL, "a .reg file")                                  \
	X(GPO, 0, "gpo", NULL, "the setting of a group policy")                          \
	X(INTUNE, 0, "intune", NULL, "the setting in Intune")                            \
	X(LINUX, 0, "linux", NULL, "a shell script for hosts with miredo")               \
	X(FIREWALL, 0, "firewall", NULL, "firewall lines where Teredo has to stay")      \
	X(UNDO, 0, "undo", NULL, "what takes it back")                                   \
	X(MARK, 0, "mark", NULL, "record these hosts as remediated (with --undo: no more)") \
	X(FILE, 'f', "file", "FILE", "a list of hosts; - is standard input")             \
	X(PORT, 'p', "port", "N", "UDP port of hosts that name none, 3544 unless given") \
	X(RATE, 0, "rate", "N", "packets a second, 50 unless given, at most 1000")       \
	X(TRIES, 0, "tries", "N", "solicitations before a host is given up, 3 unless given") \
	X(WAIT, 0, "wait", "TIME", "for the answer to each, 2s unless given")            \
	X(DEADLINE, 0, "deadline", "TIME", "end after that time at the latest") \
	X(AS, 0, "as", "FORMAT", "read it as this format")                             \
	X(FOLLOW, 0, "follow", NULL, "wait for more, until it is ended")               \
	X(COLUMNS, 0, "columns", "ROLES", "which columns of CSV are what")             \
	X(SOURCE, 0, "source", "NAME", "know it again under this name")                  \
	X(ALL, 0, "all", NULL, "everything")                                           \
	X(SUFFIX, 0, "suffix", NULL, "the name and all names below it")                \
	X(NO_ASK, 0, "no-ask", NULL, "ask nobody for an answer that is not cached")    \
	X(TYPE, 't', "type", "TYPE", "records of this type only")                        \
	X(GROUP, 'g', "group", "GROUP", "for the clients of this group only")            \
	X(FOR, 0, "for", "TIME", "only so long: 90s, 10m, 2h, 3d, 1w")                   \
	X(RULES, 0, "rules", NULL, "how often which rule was hit")                       \
	X(NEW_TOKEN, 0, "new-token", NULL, "make a new token and show it; all sessions end")

enum cli_option {
#define X(name, letter, word, argument, help) CLI_##name,
	CLI_OPTIONS(X)
#undef X
		CLI_OPTION_COUNT
};

#define CLI_TAKES(name) (UINT64_C(1) << CLI_##name)
_Static_assert(CLI_OPTION_COUNT <= 64, "a command's options are bits of a word");

struct cli {
	const char *program; /* as it was called */
	const char *config;  /* given with -c, or the default one where it exists; NULL: none */
	bool config_given;
	bool json;
	bool terminal; /* stdout is one */
	bool colour;
	const char *option[CLI_OPTION_COUNT]; /* argument, "" for a flag, NULL when not given */
	int64_t now_ms;                       /* wall clock at the start */
	int patience_ms;                      /* with teredownd; 0: as usual */
	FILE *file;                           /* stdout */
	FILE *errors;                         /* stderr */
	struct strbuf out;                    /* what is to be written; cli_flush writes it */
	struct options *options;              /* by cli_load */
	bool has_passwords;                   /* options have them */
	struct arena arena;                   /* results of Redis; freed at the end */
	struct fleet *fleet; /* lent by who keeps it open for further commands; NULL: each opens its own */
};

struct command {
	const char *name;
	const char *arguments;                                /* "ADDRESS|NAME|CLIENT" */
	const char *summary;                                  /* half a line */
	const char *help;                                     /* paragraphs and examples, for -h */
	uint64_t takes;                                       /* CLI_TAKES(…) | … */
	int (*run)(struct cli *cli, int count, char **words); /* returns enum cli_exit */
};

extern const struct command command_drops, command_timeline;
extern const struct command command_status, command_top, command_who, command_tail, command_mode,
	command_export, command_block, command_reload, command_forget, command_decode,
	command_remediate, command_verify, command_probe, command_ingest, command_cache,
	command_flush, command_policy, command_dashboard;

/* All of them, in the order of the help; NULL at the end. */
extern const struct command *const cli_commands[];

/* The program. Writes to file and errors only. */
int cli_main(int argc, char **argv, FILE *file, FILE *errors);

/* --- for commands --- */

/* "teredown: words" on stderr. */
void cli_error(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes out and empties cli->out; false when it could not be written (a closed pipe). */
bool cli_flush(struct cli *cli);
/* "words; try teredown NAME --help", exit code CLI_USAGE. */
int cli_usage(struct cli *cli, const struct command *command, const char *words);
/* The number of -n, --days …, missing where it was not given; false (and said so) when it is not
 * within 1…max. */
bool cli_number(struct cli *cli, enum cli_option option, size_t missing, size_t max, size_t *out);
/* Appends what a person types for another command: "build/teredown -c x.conf block on". */
void cli_command_line(struct cli *cli, struct strbuf *out, const char *words);
/* "Next: " and such a line, with why in front of it where it is not NULL. */
void cli_next(struct cli *cli, struct strbuf *out, const char *words, const char *purpose);
/* Appends a line that asks our resolver for name: "dig @127.0.0.1 -p 10053 name". */
void cli_query_line(struct cli *cli, struct strbuf *out, const char *name);

/* Reads the configuration once; files with passwords are read for those who say so only: whoever
 * asks the daemon need not be allowed to. False: its faults have been printed. */
bool cli_load(struct cli *cli, bool passwords);

/* Asks the daemon; on any failure explains it on stderr. The caller frees answer in any case. */
enum control_outcome cli_ask(
	struct cli *cli, unsigned count, const char *const words[], struct control_answer *answer);

/* The same without a word on stderr, after cli_load. */
enum control_outcome cli_ask_silently(
	struct cli *cli, unsigned count, const char *const words[], struct control_answer *answer);
/* Its status, without a word where it does not answer. */
bool cli_ask_status(struct cli *cli, struct control_answer *answer);
/* Writes text, lines of our own, to stderr, "teredown: " before the first; frees it. */
void cli_explain(struct cli *cli, struct strbuf *text);
/* How the daemon is started: the one beside us when we were called by a path, else from PATH. */
void cli_daemon_line(struct cli *cli, struct strbuf *out);

/* --- Redis (cli_store.c) --- */

#define CLI_READS (1u << CLI_RESOLVER | 1u << CLI_FLEET) /* in `takes` of those that read Redis */
#define CLI_READER_TIMEOUT_MS 5000

/* Opens our resolver, or what --resolver and --fleet say, or takes the one that is lent; NULL,
 * explained on stderr, when Redis cannot be read. */
struct fleet *cli_fleet(struct cli *cli);
/* At the end of what cli_fleet began: one that is lent stays open. A NULL inside is fine. */
void cli_fleet_close(struct cli *cli, struct fleet **fleet);
/* For a query that failed in the middle: says why; CLI_ERROR. */
int cli_fleet_failed(struct cli *cli, const struct fleet *fleet);
/* At the end: names on stderr what is missing; code, or CLI_PARTIAL when something is. */
int cli_fleet_code(struct cli *cli, const struct fleet *fleet, int code);
/* "resolver gw1", "3 resolvers". */
void cli_fleet_name(const struct fleet *fleet, struct strbuf *out);
/* "resolver":"gw1", or "resolvers":[…],"missing":[…]. */
void cli_fleet_json(const struct fleet *fleet, struct strbuf *out);

/* What is known about the recording itself. */
struct cli_coverage {
	bool ever;        /* this resolver, or one of the fleet, wrote to this Redis */
	int64_t since_ms; /* since when all of them do; 0 unknown */
	uint64_t dropped; /* details that a bound of the store turned away */
};
enum td_error cli_coverage(struct cli *cli, struct fleet *fleet, struct cli_coverage *coverage);
/* "Recording since 2026-11-21 20:52:11 (3 min ago)." or why there is nothing, with what to do; ends
 * with a newline. */
void cli_coverage_text(struct cli *cli, struct fleet *fleet, const struct cli_coverage *coverage,
	struct strbuf *out);
