/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dispatch and the shared half of all commands. A command is a row (name, help, options it takes,
 * function); an option is a row of CLI_OPTIONS; parser, checks and help are made from both.
 * Commands append to cli->out and return an exit code.
 *
 * The rule for empty answers: whatever can be missing (the daemon, Redis, records, this client) has
 * one place here that says so in a sentence and ends with the command to run next.
 */
#include "resolver/control/cli.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "resolver/control/clock.h"

#define ASK_TIMEOUT_MS 5000
#define PATH_MAX_SUN 108

const struct command *const cli_commands[] = {
	&command_status,
	&command_top,
	&command_who,
	&command_drops,
	&command_timeline,
	&command_tail,
	&command_export,
	&command_ingest,
	&command_mode,
	&command_block,
	&command_reload,
	&command_policy,
	&command_cache,
	&command_flush,
	&command_remediate,
	&command_verify,
	&command_forget,
	&command_decode,
	&command_probe,
	&command_dashboard,
	NULL,
};

static const struct {
	char letter;
	const char *word, *argument, *help;
} option_table[] = {
#define X(name, letter, word, argument, help) {letter, word, argument, help},
	CLI_OPTIONS(X)
#undef X
};

/* --- help --- */

static void append_option_help(struct strbuf *out, const struct command *command)
{
	for (int i = 0; i < CLI_OPTION_COUNT; i++) {
		if (!(command->takes & UINT64_C(1) << i))
			continue;
		int width = 14 - (int)strlen(option_table[i].word);
		char letter[] = {'-', option_table[i].letter, ',', '\0'};
		strbuf_printf(out, "  %s --%s %-*s %s\n", letter[1] ? letter : "   ",
			option_table[i].word, width,
			option_table[i].argument ? option_table[i].argument : "",
			option_table[i].help);
	}
	strbuf_append_text(out, "  -c, --config FILE    configuration of the daemon\n"
				"      --json           print JSON\n"
				"  -h, --help           this text\n");
}

static void append_command_help(struct strbuf *out, const struct command *command)
{
	strbuf_printf(out, "usage: teredown %s%s%s [options]\n\n%s\n\nOptions:\n", command->name,
		*command->arguments ? " " : "", command->arguments, command->help);
	append_option_help(out, command);
}

static void append_overview(struct strbuf *out)
{
	strbuf_append_text(out, "usage: teredown [-c FILE] [--json] COMMAND [arguments]\n\n"
				"Shows and steers a running teredownd: who asks for tunnels, what "
				"they were told, and makes it stop.\n\n");
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct command *command = cli_commands[i];
		char usage[64];
		snprintf(usage, sizeof(usage), "%s %s", command->name, command->arguments);
		strbuf_printf(out, "  %-34s %s\n", usage, command->summary);
	}
	strbuf_printf(out,
		"\nOptions: -c FILE names the daemon's configuration (default %s), --json prints "
		"JSON, -V the version,\n"
		"-h after a command its help with examples. Exit codes: 0 done, 1 error, 2 wrong "
		"usage, 3 nothing found,\n"
		"4 some resolvers of the fleet could not be read, 5 what was verified does not "
		"hold.\n",
		options_default_path);
}

/* --- messages --- */

void cli_error(struct cli *cli, const char *format, ...)
{
	struct strbuf line;
	char words[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	strbuf_init(&line);
	output_text(&line, words);
	fprintf(cli->errors, "teredown: %s\n", line.failed ? "" : line.data);
	strbuf_deinit(&line);
}

bool cli_flush(struct cli *cli)
{
	if (cli->out.failed) {
		cli_error(cli, "%s", error_text(TD_NOMEM));
		return false;
	}
	if (cli->out.length)
		fwrite(cli->out.data, 1, cli->out.length, cli->file);
	strbuf_clear(&cli->out);
	return fflush(cli->file) == 0;
}

int cli_usage(struct cli *cli, const struct command *command, const char *words)
{
	cli_error(cli, "%s: %s; see teredown %s --help", command->name, words, command->name);
	return CLI_USAGE;
}

bool cli_number(struct cli *cli, enum cli_option option, size_t missing, size_t max, size_t *out)
{
	const char *text = cli->option[option];
	char *end;

	*out = missing;
	if (!text)
		return true;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < 1 || value > max) {
		cli_error(cli, "--%s: \"%s\" is not a number from 1 to %zu",
			option_table[option].word, text, max);
		return false;
	}
	*out = value;
	return true;
}

/* A word as the shell reads it. */
static void append_shell_word(struct strbuf *out, const char *word)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
	bool quote = !*word || strspn(word, plain) != strlen(word);

	if (quote)
		strbuf_append_char(out, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			strbuf_append_text(out, "'\\''");
		else
			strbuf_append_char(out, *word);
	}
	if (quote)
		strbuf_append_char(out, '\'');
}

static void append_config(struct cli *cli, struct strbuf *out)
{
	if (!cli->config_given)
		return;
	strbuf_append_text(out, " -c ");
	append_shell_word(out, cli->config);
}

void cli_command_line(struct cli *cli, struct strbuf *out, const char *words)
{
	append_shell_word(out, cli->program);
	append_config(cli, out);
	strbuf_append_char(out, ' ');
	strbuf_append_text(out, words);
}

void cli_next(struct cli *cli, struct strbuf *out, const char *words, const char *purpose)
{
	strbuf_printf(out, "%s: ", purpose ? purpose : "Next");
	cli_command_line(cli, out, words);
	strbuf_append_char(out, '\n');
}

void cli_daemon_line(struct cli *cli, struct strbuf *out)
{
	const char *slash = strrchr(cli->program, '/');
	char path[1024] = "";

	if (slash)
		snprintf(path, sizeof(path), "%.*s/teredownd", (int)(slash - cli->program),
			cli->program);
	append_shell_word(out, *path && access(path, X_OK) == 0 ? path : "teredownd");
	append_config(cli, out);
}

static bool in_path(const char *name)
{
	const char *path = getenv("PATH");
	char file[1024];

	while (path && *path) {
		size_t length = strcspn(path, ":");
		snprintf(file, sizeof(file), "%.*s/%s", (int)length, path, name);
		if (access(file, X_OK) == 0)
			return true;
		path += length + (path[length] == ':');
	}
	return false;
}

void cli_query_line(struct cli *cli, struct strbuf *out, const char *name)
{
	struct endpoint endpoint = {.port = 53};
	char text[ADDRESS_TEXT_MAX];
	static const uint8_t none[16];

	if (cli->options && cli->options->listen_count)
		endpoint = cli->options->listen[0];
	size_t octets = address_octets(&endpoint.address);
	if (octets && memcmp(endpoint.address.octets, none, octets) != 0)
		address_to_text(&endpoint.address, text);
	else
		snprintf(text, sizeof(text), "%s", octets == 16 ? "::1" : "127.0.0.1");
	strbuf_printf(out, "%s @%s ", !in_path("dig") && in_path("kdig") ? "kdig" : "dig", text);
	if (endpoint.port != 53)
		strbuf_printf(out, "-p %u ", endpoint.port);
	strbuf_append_text(out, name);
}

void cli_explain(struct cli *cli, struct strbuf *text)
{
	if (!text->failed && text->length)
		fprintf(cli->errors, "teredown: %s", text->data);
	strbuf_deinit(text);
}

/* --- the daemon --- */

bool cli_load(struct cli *cli, bool passwords)
{
	if (cli->options && (cli->has_passwords || !passwords))
		return true;
	options_free(cli->options);
	cli->options = passwords ? options_load(cli->config)
				 : options_load_without_passwords(cli->config);
	cli->has_passwords = passwords;
	if (!cli->options)
		cli_error(cli, "the configuration has faults%s%s", cli->config ? ": " : "",
			cli->config ? cli->config : "");
	return cli->options != NULL;
}

static int patience_ms(const struct cli *cli)
{
	return cli->patience_ms ? cli->patience_ms : ASK_TIMEOUT_MS;
}

static void explain_silence(struct cli *cli, enum control_outcome outcome, const char *path,
	const struct control_answer *answer, struct strbuf *out)
{
	switch (outcome) {
	case CONTROL_OK:
		return;
	case CONTROL_NO_DAEMON:
		strbuf_append_text(out, "teredownd is not running: nobody listens at ");
		output_text(out, path);
		strbuf_append_text(out, "\nStart it: ");
		cli_daemon_line(cli, out);
		break;
	case CONTROL_DENIED:
		strbuf_append_text(out, "the control socket belongs to another user: ");
		output_text(out, path);
		strbuf_append_text(out,
			"\nRun this command as root or as the user of teredownd, e.g. with sudo");
		break;
	case CONTROL_SILENT:
		strbuf_printf(
			out, "teredownd has not answered within %d s at ", patience_ms(cli) / 1000);
		output_text(out, path);
		strbuf_append_text(out, "\nLook at its messages: they go to its stderr (journalctl "
					"-u teredownd under systemd)");
		break;
	case CONTROL_FAILED:
		strbuf_append_text(out, "teredownd says: ");
		output_text(out, answer->words);
		break;
	case CONTROL_BROKEN:
		strbuf_append_text(out, "the control socket cannot be used: ");
		output_text(out, answer->words);
		break;
	}
	strbuf_append_char(out, '\n');
}

enum control_outcome cli_ask(
	struct cli *cli, unsigned count, const char *const words[], struct control_answer *answer)
{
	char path[PATH_MAX_SUN];
	struct strbuf out;

	*answer = (struct control_answer){.words = ""};
	if (!cli_load(cli, false))
		return CONTROL_BROKEN;
	if (options_control_path(cli->options, path, sizeof(path)) != TD_OK) {
		cli_error(cli, "the path of the control socket is too long; shorten state-dir");
		return CONTROL_BROKEN;
	}
	enum control_outcome outcome = control_ask(path, patience_ms(cli), count, words, answer);
	strbuf_init(&out);
	explain_silence(cli, outcome, path, answer, &out);
	cli_explain(cli, &out);
	return outcome;
}

enum control_outcome cli_ask_silently(
	struct cli *cli, unsigned count, const char *const words[], struct control_answer *answer)
{
	char path[PATH_MAX_SUN];

	*answer = (struct control_answer){.words = ""};
	if (options_control_path(cli->options, path, sizeof(path)) != TD_OK)
		return CONTROL_BROKEN;
	return control_ask(path, patience_ms(cli), count, words, answer);
}

bool cli_ask_status(struct cli *cli, struct control_answer *answer)
{
	const char *const words[] = {"status"};

	return cli_ask_silently(cli, 1, words, answer) == CONTROL_OK;
}

/* --- the program --- */

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; cli_commands[i]; i++)
		if (strcmp(cli_commands[i]->name, name) == 0)
			return cli_commands[i];
	return NULL;
}

/* As getopt_long returns a long name: a number beyond all letters. */
static int option_number(int option)
{
	return UCHAR_MAX + 1 + option;
}

/* Two commands may each have an option with the same letter (-f is --fleet, or a list of probe's):
 * it is the one that this command takes, else the first. */
static int option_of_letter(char letter, const struct command *command)
{
	int first = CLI_OPTION_COUNT;

	for (int i = CLI_OPTION_COUNT - 1; i >= 0; i--) {
		if (option_table[i].letter != letter)
			continue;
		if (command && command->takes & UINT64_C(1) << i)
			return i;
		first = i;
	}
	return first;
}

struct arguments {
	bool help, version;
	int count; /* words that are not options: the command first */
	char **words;
};

static bool take_option(struct cli *cli, const struct command *command, int letter,
	const char *value, struct arguments *out)
{
	switch (letter) {
	case 'c':
		cli->config = value;
		cli->config_given = true;
		return true;
	case 'h':
		out->help = true;
		return true;
	case 'V':
		out->version = true;
		return true;
	case 'J':
		cli->json = true;
		return true;
	}
	int option = letter > UCHAR_MAX ? letter - UCHAR_MAX - 1
					: option_of_letter((char)letter, command);
	if (letter == '?' || option >= CLI_OPTION_COUNT)
		return false;
	cli->option[option] = value ? value : "";
	return true;
}

struct option_forms {
	char shorts[10 + 2 * CLI_OPTION_COUNT];
	struct option longs[CLI_OPTION_COUNT + 5];
};

static void fill_forms(struct option_forms *forms, const char *shorts, const struct command *command)
{
	size_t length = strlen(shorts);

	*forms = (struct option_forms){
		.longs = {
			{"config", required_argument, NULL, 'c'},
			{"help", no_argument, NULL, 'h'},
			{"version", no_argument, NULL, 'V'},
			{"json", no_argument, NULL, 'J'},
		},
	};
	memcpy(forms->shorts, shorts, length);
	for (int i = 0; i < CLI_OPTION_COUNT; i++) {
		bool argument = option_table[i].argument != NULL;
		forms->longs[4 + i] =
			(struct option){option_table[i].word, argument, NULL, option_number(i)};
		if (!option_table[i].letter || option_of_letter(option_table[i].letter, command) != i)
			continue;
		forms->shorts[length++] = option_table[i].letter;
		if (argument)
			forms->shorts[length++] = ':';
	}
}

/* The command, looked for without touching the order of argv; NULL: there is none, or its name is
 * none. */
static const struct command *command_ahead(int argc, char **argv)
{
	struct option_forms forms;
	int letter;

	fill_forms(&forms, "+:c:hV", NULL);
	opterr = 0;
	optind = 0; /* glibc: begin anew */
	do
		letter = getopt_long(argc, argv, forms.shorts, forms.longs, NULL);
	while (letter != -1);
	return optind < argc ? find_command(argv[optind]) : NULL;
}

/* Options and words may stand in any order. */
static bool parse_arguments(struct cli *cli, int argc, char **argv, struct arguments *out)
{
	const struct command *command = command_ahead(argc, argv);
	struct option_forms forms;
	int letter;

	fill_forms(&forms, ":c:hV", command);
	optind = 0;
	while ((letter = getopt_long(argc, argv, forms.shorts, forms.longs, NULL)) != -1) {
		if (letter == ':') {
			cli_error(cli, "%s needs a value; see teredown --help", argv[optind - 1]);
			return false;
		}
		if (!take_option(cli, command, letter, optarg, out)) {
			cli_error(cli, "unknown option %s; see teredown --help", argv[optind - 1]);
			return false;
		}
	}
	out->count = argc - optind;
	out->words = argv + optind;
	return true;
}

static bool options_fit(struct cli *cli, const struct command *command)
{
	for (int i = 0; i < CLI_OPTION_COUNT; i++) {
		if (cli->option[i] && !(command->takes & UINT64_C(1) << i)) {
			cli_error(cli, "%s does not take --%s; see teredown %s --help",
				command->name, option_table[i].word, command->name);
			return false;
		}
	}
	return true;
}

/* help, help COMMAND, COMMAND -h */
static int run_help(struct cli *cli, const char *name)
{
	const struct command *command = name ? find_command(name) : NULL;

	if (name && !command) {
		cli_error(cli, "there is no command \"%s\"; see teredown --help", name);
		return CLI_USAGE;
	}
	if (command)
		append_command_help(&cli->out, command);
	else
		append_overview(&cli->out);
	return CLI_OK;
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct arguments arguments = {.count = 0};

	if (!parse_arguments(cli, argc, argv, &arguments))
		return CLI_USAGE;
	const char *name = arguments.count ? arguments.words[0] : NULL;
	if (arguments.version) {
		strbuf_printf(&cli->out, "teredown %s\n", PACKAGE_VERSION);
		return CLI_OK;
	}
	if (name && strcmp(name, "help") == 0)
		return run_help(cli, arguments.count > 1 ? arguments.words[1] : NULL);
	if (arguments.help)
		return run_help(cli, name);
	if (!name) {
		cli->file = cli->errors;
		append_overview(&cli->out);
		return CLI_USAGE;
	}
	const struct command *command = find_command(name);
	if (!command)
		return run_help(cli, name);
	if (!options_fit(cli, command))
		return CLI_USAGE;
	if (!cli->config && access(options_default_path, F_OK) == 0)
		cli->config = options_default_path;
	return command->run(cli, arguments.count - 1, arguments.words + 1);
}

int cli_main(int argc, char **argv, FILE *file, FILE *errors)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	struct cli cli = {
		.program = argc > 0 ? argv[0] : "teredown",
		.file = file,
		.errors = errors,
		.now_ms = clock_wall_ms(),
		.terminal = isatty(fileno(file)) == 1,
	};

	cli.colour = cli.terminal && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
	strbuf_init(&cli.out);
	arena_init(&cli.arena);
	int code = run(&cli, argc, argv);
	if (!cli_flush(&cli) && code == CLI_OK)
		code = CLI_ERROR;
	strbuf_deinit(&cli.out);
	arena_deinit(&cli.arena);
	options_free(cli.options);
	return code;
}
