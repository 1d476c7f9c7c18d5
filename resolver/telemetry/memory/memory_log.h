/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file of records that is only appended to, for what has to outlive a SIGKILL but not the
 * machine: written with write(2) and never synchronised. A record that is not whole ends it: there
 * is nothing behind it, because it was the last thing its writer did.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/strbuf.h"

struct memory_log {
	int fd;       /* -1: none */
	size_t bytes; /* of whole records */
};

/* A new, empty file of this name in the folder, truncated if there is one. TD_IO with errno. */
enum td_error memory_log_create(struct memory_log *log, int dir_fd, const char *name);
void memory_log_close(struct memory_log *log);

/* A record is begun in out, which is cleared, and filled by appending. */
void memory_log_begin(struct strbuf *out);

/* Ends the record in out and writes it in one go. TD_NOMEM; TD_IO with errno: it is not in the
 * file. */
enum td_error memory_log_append(struct memory_log *log, struct strbuf *out);

/* Back to the first so many octets. TD_IO with errno. */
enum td_error memory_log_cut(struct memory_log *log, size_t bytes);

/* In the octets of a file (whole_file_read): the body of the record at *at, which moves behind it;
 * NULL at the end. */
const uint8_t *memory_log_next(const uint8_t *octets, size_t size, size_t *at, size_t *length);
