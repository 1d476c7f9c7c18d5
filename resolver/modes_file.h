/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of changed modes in the file `modes` of a folder, so that it outlives a restart. Main
 * thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "resolver/modes.h"

/*
 * Into modes, which is empty; no file is an empty table. TD_MALFORMED: the file is not whole or
 * cannot be read, why says which and modes stays empty; TD_NOMEM.
 */
enum td_error modes_file_read(struct modes *modes, const char *folder, char *why, size_t size);

/*
 * Written aside, forced to the disk and renamed; an empty table is no file. False, with errno: what
 * was there before is there still.
 */
bool modes_file_write(const struct modes *modes, const char *folder);
