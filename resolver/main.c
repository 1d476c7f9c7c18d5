/* SPDX-License-Identifier: BSD-3-Clause */
/* teredownd: the command line of the daemon. Stays in the foreground and logs to stderr; a service
 * manager does the rest. */
#include <getopt.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "lib/base/log.h"
#include "resolver/daemon.h"

#define LARGE_BLOCK (256 * 1024)

enum { EXIT_OK = 0, EXIT_FAULT = 1, EXIT_USAGE = 2 };

static const char usage[] =
	"usage: teredownd [-c FILE] [-t | -p]\n"
	"       teredownd -V | -h | --sample\n"
	"\n"
	"A forwarding DNS resolver that watches for IPv6 tunnels.\n"
	"\n"
	"  -c, --config FILE  the configuration (default: %s)\n"
	"  -t, --test         check configuration and zones, report every fault, and exit\n"
	"  -p, --print        print the configuration in effect, and exit\n"
	"      --sample       print a commented sample configuration, and exit\n"
	"  -V, --version      print the version, and exit\n"
	"  -h, --help         print this, and exit\n"
	"\n"
	"Signals: HUP reads configuration and zones again, TERM and INT stop after draining.\n";

enum action { ACTION_RUN, ACTION_TEST, ACTION_PRINT };

struct arguments {
	const char *config;
	enum action action;
};

/* Exits for the options that only print. */
static struct arguments parse_arguments(int argc, char **argv)
{
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
		{"test", no_argument, NULL, 't'}, {"print", no_argument, NULL, 'p'},
		{"sample", no_argument, NULL, 's'}, {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct arguments arguments = {options_default_path, ACTION_RUN};
	int c;

	while ((c = getopt_long(argc, argv, "c:tpVh", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			arguments.config = optarg;
			break;
		case 't':
			arguments.action = ACTION_TEST;
			break;
		case 'p':
			arguments.action = ACTION_PRINT;
			break;
		case 's':
			options_print_sample(stdout);
			exit(EXIT_OK);
		case 'V':
			puts("teredownd " PACKAGE_VERSION);
			exit(EXIT_OK);
		case 'h':
			printf(usage, options_default_path);
			exit(EXIT_OK);
		default:
			fprintf(stderr, usage, options_default_path);
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "teredownd: unexpected argument \"%s\"\n", argv[optind]);
		exit(EXIT_USAGE);
	}
	return arguments;
}

/* Without -c a missing default file means defaults: the resolver works before anybody wrote one. */
static const char *config_to_read(const char *path)
{
	if (path == options_default_path && access(path, F_OK) != 0)
		return NULL;
	return path;
}

static int test(const struct options *options)
{
	struct rules *rules = daemon_check(options);

	if (!rules)
		return EXIT_FAULT;
	printf("configuration good: %zu rules in %zu zones, %zu lines skipped\n", rules->rule_count,
		policy_zone_count(rules->index), rules->skipped);
	rules_free(rules);
	return EXIT_OK;
}

/*
 * One arena for all threads. A worker that evicts frees what another one allocated; with an arena
 * for each thread, every arena grows to the most that was ever in it, and a full cache takes a third
 * (two workers) to half (four) more than it holds. What contention costs is less than what the
 * caches of freed blocks that each thread has save.
 *
 * Large blocks are mappings of their own, whatever was freed before: by default the first list that
 * is freed takes that from those of its size, which then leave holes nothing else fits into, and the
 * rules of a million names take twice their memory after a few reloads.
 */
static void share_memory(void)
{
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
#endif
}

static int run(struct options *options, const char *config)
{
	struct daemon daemon;

	share_memory();
	bool opened = daemon_open(&daemon, options, config);

	if (opened)
		daemon_run(&daemon);
	daemon_close(&daemon);
	return opened ? EXIT_OK : EXIT_FAULT;
}

int main(int argc, char **argv)
{
	struct arguments arguments = parse_arguments(argc, argv);
	const char *config = config_to_read(arguments.config);
	struct options *options;
	int result = EXIT_OK;

	log_setup("teredownd", LOG_LEVEL_INFO);
	options = options_load(config);
	if (!options)
		return EXIT_FAULT;
	log_setup("teredownd", (enum log_level)options->log_level);
	if (arguments.action == ACTION_RUN)
		return run(options, config);
	if (arguments.action == ACTION_PRINT)
		options_print(options, stdout);
	else
		result = test(options);
	options_free(options);
	return result;
}
