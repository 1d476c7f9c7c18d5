/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A window over text that comes in pieces. What is left of it moves to the front when there is no
 * room behind it, which is seldom: the window is large against a line. A line longer than the
 * window makes it grow. Mapping the file was rejected: who shortens it while it is read would end
 * the daemon (SIGBUS), and its pages count as memory of ours.
 */
#include "policy/input.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_FIRST ((size_t)1 << 20)

void list_input_init_text(struct input *input, const char *text, size_t size)
{
	*input = (struct input){.text = text, .size = size, .ended = true};
}

void list_input_init(struct input *input, const struct policy_input *from)
{
	*input = (struct input){.from = from, .text = ""};
}

void list_input_deinit(struct input *input)
{
	free(input->buffer);
	input->buffer = NULL;
}

void list_input_rewind(struct input *input)
{
	input->at = 0;
	if (!input->from)
		return;
	input->from->rewind(input->from->context);
	input->size = 0;
	input->ended = false;
}

/* Room for one more octet behind the window. */
static bool make_room(struct input *input)
{
	size_t left = input->size - input->at;

	if (input->size < input->capacity)
		return true;
	if (left > input->capacity / 2 || !input->buffer) {
		size_t capacity = input->capacity ? input->capacity * 2 : WINDOW_FIRST;
		char *buffer = realloc(input->buffer, capacity);
		if (!buffer)
			return false;
		input->buffer = buffer;
		input->capacity = capacity;
	}
	memmove(input->buffer, input->buffer + input->at, left);
	input->text = input->buffer;
	input->at = 0;
	input->size = left;
	return true;
}

/* Another piece behind the window; false where there is none. */
static bool read_more(struct input *input)
{
	size_t got;

	if (input->ended)
		return false;
	if (!make_room(input)) {
		input->failed = input->ended = true;
		return false;
	}
	got = input->from->read(
		input->from->context, input->buffer + input->size, input->capacity - input->size);
	input->size += got;
	input->ended = got == 0;
	return got > 0;
}

size_t list_input_look(struct input *input, size_t wanted, const char **text)
{
	while (input->size - input->at < wanted && read_more(input))
		;
	*text = input->text + input->at;
	return input->size - input->at;
}

void list_input_step(struct input *input, size_t count)
{
	size_t left = input->size - input->at;

	input->at += count < left ? count : left;
}

/* A line that does not end within the window. */
static bool look_further(struct input *input, const char **text, size_t *length)
{
	size_t searched = input->size - input->at, left;
	const char *end = NULL;

	while (!end && (left = list_input_look(input, searched + 1, text)) > searched) {
		end = memchr(*text + searched, '\n', left - searched);
		searched = left;
	}
	*text = input->text + input->at;
	*length = end ? (size_t)(end - *text) : searched;
	return searched > 0;
}

bool list_input_look_line(struct input *input, const char **text, size_t *length)
{
	const char *start = input->text + input->at;
	const char *end = memchr(start, '\n', input->size - input->at);

	if (!end)
		return look_further(input, text, length);
	*text = start;
	*length = (size_t)(end - start);
	return true;
}

bool list_input_line(struct input *input, const char **text, size_t *length)
{
	if (!list_input_look_line(input, text, length))
		return false;
	list_input_step(input, *length + 1);
	return true;
}
