/* SPDX-License-Identifier: BSD-3-Clause */
/* Octets to and from a file in one go, however many system calls that takes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

/* False, with errno: a part of it may have been written. */
bool whole_file_write(int fd, const void *data, size_t length);

/*
 * The file `name` of the folder becomes these octets, with mode 0600: written to the file `aside`
 * there, forced to the disk and renamed. Root leaves it to the folder's owner. False, with errno:
 * what was there before is there still.
 */
bool whole_file_replace(
	int dir_fd, const char *name, const char *aside, const void *data, size_t length);

/* All of a regular file in *octets, malloc'd: its name in the folder dir_fd, or a path. TD_FULL
 * beyond most octets, TD_NOT_FOUND, TD_NOMEM, TD_IO with errno. */
enum td_error whole_file_read(
	int dir_fd, const char *name, size_t most, uint8_t **octets, size_t *size);
