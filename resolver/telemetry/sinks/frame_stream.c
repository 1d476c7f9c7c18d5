/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libfstrm encodes and decodes the control frames. Its own threads and queues (fstrm_iothr) were
 * rejected: they block in their sockets, try again on a timer that is given at the start, cannot
 * tell what a reader that went away had taken, and refuse entries without saying for whom, while
 * the collector has a loop, bounds and counters for all of that anyway.
 *
 * The reader's octets are gathered in one buffer of the largest control frame and never beyond.
 */
#include "resolver/telemetry/sinks/frame_stream.h"

#include <assert.h>
#include <fstrm.h>
#include <string.h>

#define HEADER 8 /* an escape of four zeros, the length */

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_control(struct frame_stream *stream, fstrm_control_type type)
{
	struct fstrm_control *control = fstrm_control_init();
	size_t length = sizeof(stream->out) - stream->out_length;
	fstrm_res result = fstrm_control_set_type(control, type);

	if (result == fstrm_res_success && type != FSTRM_CONTROL_STOP)
		result = fstrm_control_add_field_content_type(
			control, (const uint8_t *)FRAME_CONTENT_TYPE, strlen(FRAME_CONTENT_TYPE));
	if (result == fstrm_res_success)
		result = fstrm_control_encode(control, stream->out + stream->out_length, &length,
			FSTRM_CONTROL_FLAG_WITH_HEADER);
	assert(result == fstrm_res_success); /* ours are small and well-formed */
	stream->out_length += length;
	fstrm_control_destroy(&control);
}

void frame_stream_begin(struct frame_stream *stream, bool two_way)
{
	stream->two_way = two_way;
	stream->out_length = stream->out_sent = stream->in_length = 0;
	stream->state = two_way ? FRAME_WAITS_ACCEPT : FRAME_OPEN;
	put_control(stream, two_way ? FSTRM_CONTROL_READY : FSTRM_CONTROL_START);
}

/* A reader that names no content type takes any. */
static bool take_control(struct frame_stream *stream, const struct fstrm_control *control)
{
	fstrm_control_type type;

	if (fstrm_control_get_type(control, &type) != fstrm_res_success)
		return false;
	if (type == FSTRM_CONTROL_ACCEPT && stream->state == FRAME_WAITS_ACCEPT) {
		stream->state = FRAME_OPEN;
		put_control(stream, FSTRM_CONTROL_START);
		return fstrm_control_match_field_content_type(control,
			       (const uint8_t *)FRAME_CONTENT_TYPE,
			       strlen(FRAME_CONTENT_TYPE)) == fstrm_res_success;
	}
	if (type != FSTRM_CONTROL_FINISH || stream->state != FRAME_WAITS_FINISH)
		return false;
	stream->state = FRAME_ENDED;
	return true;
}

/* The frame that is whole in `in`. */
static bool take_frame(struct frame_stream *stream)
{
	struct fstrm_control *control = fstrm_control_init();
	bool good = fstrm_control_decode(control, stream->in + HEADER, stream->in_length - HEADER,
			    0) == fstrm_res_success &&
		    take_control(stream, control);

	fstrm_control_destroy(&control);
	stream->in_length = 0;
	return good;
}

bool frame_stream_input(struct frame_stream *stream, const uint8_t *octets, size_t length)
{
	while (length > 0) {
		size_t wanted = HEADER;
		if (stream->in_length >= HEADER)
			wanted += get_u32(stream->in + 4);
		size_t piece = wanted - stream->in_length;
		if (piece > length)
			piece = length;
		memcpy(stream->in + stream->in_length, octets, piece);
		stream->in_length += piece;
		octets += piece;
		length -= piece;
		if (stream->in_length < wanted)
			return true;
		if (wanted > HEADER) {
			if (!take_frame(stream))
				return false;
			continue;
		}
		uint32_t announced = get_u32(stream->in + 4);
		if (get_u32(stream->in) != 0 || announced == 0 ||
			announced > FRAME_CONTROL_MAX - HEADER)
			return false;
	}
	return true;
}

const uint8_t *frame_stream_output(const struct frame_stream *stream, size_t *length)
{
	*length = stream->out_length - stream->out_sent;
	return stream->out + stream->out_sent;
}

void frame_stream_sent(struct frame_stream *stream, size_t length)
{
	stream->out_sent += length;
	if (stream->out_sent == stream->out_length)
		stream->out_sent = stream->out_length = 0;
}

bool frame_stream_is_open(const struct frame_stream *stream)
{
	return stream->state == FRAME_OPEN;
}

void frame_stream_stop(struct frame_stream *stream)
{
	put_control(stream, FSTRM_CONTROL_STOP);
	stream->state = stream->two_way ? FRAME_WAITS_FINISH : FRAME_ENDED;
}
