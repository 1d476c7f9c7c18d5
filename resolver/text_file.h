/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole files as text, for parsers that do no I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TEXT_FILE_MAX ((off_t)1 << 30)

struct text {
	char *data; /* NUL-terminated, malloc'd */
	size_t size;
};

/*
 * False, and errno says why not: a file that is not a regular one or larger than max (EFBIG), and
 * one that shrinks while it is read (EIO), too.
 */
bool text_file_read(struct text *text, const char *path, off_t max);
