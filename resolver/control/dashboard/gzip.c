/* SPDX-License-Identifier: BSD-3-Clause */
/* The one call of zlib that the dashboard needs. */
#include "config.h"

#include "resolver/control/dashboard/gzip.h"

#include <stdint.h>
#include <stdlib.h>

#ifdef HAVE_ZLIB

#include <zlib.h>

#define GZIP_HEADER 16 /* added to the window: a gzip header in place of zlib's */

void *gzip_pack(const void *data, size_t size, enum gzip_effort effort, size_t *packed_size)
{
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size};
	unsigned char *out = size ? malloc(size) : NULL;

	if (!out || deflateInit2(&stream, effort == GZIP_BEST ? 9 : 4, Z_DEFLATED,
			    MAX_WBITS + GZIP_HEADER, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(out);
		return NULL;
	}
	stream.next_out = out;
	stream.avail_out = (uInt)size - 1;
	int result = deflate(&stream, Z_FINISH);
	*packed_size = stream.total_out;
	deflateEnd(&stream);
	if (result == Z_STREAM_END)
		return out;
	free(out);
	return NULL;
}

#else

void *gzip_pack(const void *data, size_t size, enum gzip_effort effort, size_t *packed_size)
{
	(void)data;
	(void)size;
	(void)effort;
	*packed_size = 0;
	return NULL;
}

#endif
