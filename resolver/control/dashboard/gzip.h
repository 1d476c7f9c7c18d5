/* SPDX-License-Identifier: BSD-3-Clause */
/* Compressing what is sent, where the other side takes it. Any thread. */
#pragma once

#include <stddef.h>

enum gzip_effort {
	GZIP_QUICK, /* for one reply */
	GZIP_BEST,  /* for what is kept */
};

/* malloc'd; NULL: it does not get smaller by it, memory ran out, or this build has no zlib. */
void *gzip_pack(const void *data, size_t size, enum gzip_effort effort, size_t *packed_size);
