/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the tests of the configuration: each test writes t.conf into a folder of its own and reads it
 * back through options_load, with what is said on stderr kept in `said`. /etc/resolv.conf is never
 * looked at: the files begin with an option against it. A helper that fails fails the test.
 */
#pragma once

#include <stdio.h>

#include "resolver/options_private.h"

#define NO_RESOLV_CONF "resolv-conf = \"\" "

extern char said[65536];

/* For the group of tests: a folder to be in; leave_folder removes it with the files put there. */
int enter_folder(void **state);
int leave_folder(void **state);

void write_file(const char *path, const char *text);
void read_file(const char *path, char *out, size_t size);

/* options_load with its stderr in `said`: of a file, of a text, of one without a fault. */
struct options *load_path(const char *path);
struct options *load(const char *text);
struct options *load_good(const char *text);

void expect_faults(const char *text, const char *expected);

/* The file is text behind the option against resolv.conf, on the same first line. */
void expect_fault(const char *text, const char *expected);

/* What -p prints; freed by the caller. */
char *printed(const struct options *options);

void assert_same_zones(const struct options *a, const struct options *b);

/* What -p prints reads as the same options, and prints the same again. */
void assert_round_trip(const struct options *before);
