/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The writer's side of a Frame Streams connection or file: its control frames, as a passive machine
 * that knows no socket. Data frames are the caller's: each behind its length in four octets, most
 * significant first, sent while frame_stream_is_open and nothing of frame_stream_output is left.
 *
 *   socket: READY →, ← ACCEPT, START → frames → STOP →, ← FINISH
 *   file:   START, frames, STOP
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_CONTENT_TYPE "protobuf:dnstap.Dnstap"
#define FRAME_CONTROL_MAX (8 + 512) /* octets of a control frame, escape and length included */

enum frame_state { FRAME_WAITS_ACCEPT, FRAME_OPEN, FRAME_WAITS_FINISH, FRAME_ENDED };

struct frame_stream {
	enum frame_state state;
	bool two_way;
	uint8_t out[2 * FRAME_CONTROL_MAX];
	size_t out_length, out_sent;
	uint8_t in[FRAME_CONTROL_MAX];
	size_t in_length;
};

/* two_way: there is a reader that takes part, as on a socket. */
void frame_stream_begin(struct frame_stream *stream, bool two_way);

/* What the reader said, in pieces of any size. False when it is not what a reader of dnstap says at
 * this point: the connection is of no use then. */
bool frame_stream_input(struct frame_stream *stream, const uint8_t *octets, size_t length);

/* Control frames to be sent before anything else, and how much of them was. */
const uint8_t *frame_stream_output(const struct frame_stream *stream, size_t *length);
void frame_stream_sent(struct frame_stream *stream, size_t length);

bool frame_stream_is_open(const struct frame_stream *stream);

/* After the last data frame, while it is open: STOP. */
void frame_stream_stop(struct frame_stream *stream);
