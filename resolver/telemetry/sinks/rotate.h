/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbered old files beside a file: FILE.1 is the youngest. Where FILE is a symbolic link, they lie
 * beside the file that it leads to.
 */
#pragma once

#include <stdbool.h>

#define ROTATE_KEEP_MAX 1000

/*
 * FILE.1 becomes FILE.2 and so on, the oldest of keep (at least 1) goes, and path becomes FILE.1.
 * True when there is no file at path any more; when there was none, nothing else was moved. False:
 * errno, and the file is where it was.
 */
bool rotate_files(const char *path, unsigned keep);
