/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of a log: a file, a pipe, or either compressed by gzip, through one buffer of fixed
 * size. Offsets count what is read after decompression, so a file and its compressed copy have the
 * same ones. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

#define INPUT_BUFFER ((size_t)1 << 20)
#define INPUT_RECORD ((size_t)256 << 10) /* a longer record is no record */
#define INPUT_HEAD ((size_t)64 << 10)    /* looked at to find the format */
#define INPUT_IDENTITY ((size_t)4096)    /* of the head that names the source */
#define INPUT_ID_SIZE 48
#define INPUT_WORDS_MAX 256

struct input_unzip;

struct input {
	int fd;
	bool is_file; /* regular: it may grow, and has an identity of its own */
	bool ended;   /* nothing more at the moment; of a pipe or compressed file: for ever */
	struct input_unzip *unzip; /* NULL: it is not compressed */
	int64_t size;              /* of a file, when it was last looked at; compressed if it is */
	int64_t taken;             /* of it read so far; compressed if it is */
	int64_t written_ms;        /* when the file was written last */
	dev_t device;
	ino_t inode;
	char *buffer; /* INPUT_BUFFER bytes; those from start to end were not consumed yet */
	size_t start, end;
	int64_t offset; /* of start */
	char words[INPUT_WORDS_MAX];
};

/* Opens path, "-" for stdin, and reads what is there of the head: of a pipe only what comes first,
 * unless wait_for_head (INPUT_IDENTITY bytes). TD_IO, TD_UNSUPPORTED, TD_NOMEM with words. */
enum td_error input_open(struct input *input, const char *path, bool wait_for_head);
void input_close(struct input *input);

/*
 * Reads more behind end, waiting for a pipe at most wait_ms (-1: as long as it takes). TD_OK also
 * where nothing came: see ended, and end. TD_FULL: the buffer is. TD_IO and
 * TD_MALFORMED (compressed data) with words.
 */
enum td_error input_fill(struct input *input, int wait_ms);

void input_consume(struct input *input, size_t count);

/* Forward to an offset; of what lies between nothing is kept. TD_TRUNCATED: it ends before. */
enum td_error input_skip_to(struct input *input, int64_t offset);

/* Looks at the file again: size, written_ms. */
void input_look(struct input *input);

/* What a file begins with now, INPUT_IDENTITY bytes at most; 0 for a pipe and what is compressed.
 */
size_t input_head(const struct input *input, char out[INPUT_IDENTITY]);

/*
 * The name of the source that begins with these bytes: two hashes and the length that they are of,
 * so that a log that was read while it was short is found again. name: put before the bytes; "".
 * input_is: whether the source of that name begins so.
 */
void input_identify(const char *name, const char *head, size_t length, char out[INPUT_ID_SIZE]);
bool input_is(const char *id, const char *name, const char *head, size_t length);
/* How much of the head an id is of; 0: it is none. */
size_t input_id_length(const char *id);
