/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A writer of Frame Streams and a reader that says anything, in pieces of any size. Whatever comes,
 * what is kept of it is bounded, data is only sent between START and STOP, and the end only comes
 * after STOP. The first octet says when STOP is sent, and how large the pieces are.
 */
#include <string.h>

#include "resolver/telemetry/sinks/frame_stream.h"
#include "tests/fuzz/fuzz.h"

static void drain(struct frame_stream *stream)
{
	size_t length;

	frame_stream_output(stream, &length);
	FUZZ_CHECK(length <= sizeof(stream->out));
	frame_stream_sent(stream, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_stream stream;
	size_t piece = size ? (data[0] & 63) + 1u : 1;
	bool stopped = false, stop_early = size && data[0] & 64;

	frame_stream_begin(&stream, true);
	for (size_t at = 1; at < size; at += piece) {
		drain(&stream);
		size_t length = size - at < piece ? size - at : piece;
		bool good = frame_stream_input(&stream, data + at, length);
		FUZZ_CHECK(stream.in_length <= sizeof(stream.in));
		FUZZ_CHECK(stopped || stream.state <= FRAME_OPEN);
		if (!good)
			return 0;
		if (stop_early && !stopped && frame_stream_is_open(&stream)) {
			frame_stream_stop(&stream);
			stopped = true;
		}
	}
	return 0;
}
