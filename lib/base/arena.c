/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks from malloc, filled from the front. A new block is an eighth of what is reserved already
 * (4 KiB to 1 MiB): small arenas stay small, and a list of a million names leaves at most an eighth
 * unused. A piece that would fill more than a quarter of such a block gets one of its own size,
 * behind the newest one, which keeps its room for the pieces to come.
 */
#include "lib/base/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MIN ((size_t)4096)
#define BLOCK_MAX ((size_t)1 << 20)

struct arena_block {
	struct arena_block *next;
	size_t size; /* bytes of data */
	size_t used;
	alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *arena)
{
	*arena = (struct arena){0};
}

void arena_deinit(struct arena *arena)
{
	struct arena_block *block = arena->blocks;
	while (block) {
		struct arena_block *next = block->next;
		free(block);
		block = next;
	}
	arena_init(arena);
}

static struct arena_block *block_new(struct arena *arena, size_t data_size)
{
	size_t whole = sizeof(struct arena_block) + data_size;
	struct arena_block *block = malloc(whole);
	if (!block)
		return NULL;
	block->next = NULL;
	block->size = data_size;
	block->used = 0;
	arena->reserved += whole;
	return block;
}

static size_t next_block_size(const struct arena *arena)
{
	size_t whole = arena->reserved / 8;
	if (whole < BLOCK_MIN)
		whole = BLOCK_MIN;
	if (whole > BLOCK_MAX)
		whole = BLOCK_MAX;
	return whole - sizeof(struct arena_block);
}

/* A block with room for size bytes: a new newest one, or one for this piece alone. */
static struct arena_block *block_add(struct arena *arena, size_t size)
{
	size_t usual = next_block_size(arena);
	bool alone = size > usual / 4;
	struct arena_block *block = block_new(arena, alone ? size : usual);
	if (!block)
		return NULL;
	if (alone && arena->blocks) {
		block->next = arena->blocks->next;
		arena->blocks->next = block;
	} else {
		block->next = arena->blocks;
		arena->blocks = block;
	}
	return block;
}

static void *take(struct arena *arena, size_t size, size_t alignment)
{
	if (size > SIZE_MAX / 4)
		return NULL;
	struct arena_block *block = arena->blocks;
	size_t padding = block ? -block->used & (alignment - 1) : 0;
	if (!block || block->size - block->used < size + padding) {
		block = block_add(arena, size);
		if (!block)
			return NULL;
		padding = 0;
	}
	void *piece = block->data + block->used + padding;
	block->used += padding + size;
	arena->used += padding + size;
	return piece;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	return take(arena, size, alignof(max_align_t));
}

void *arena_copy(struct arena *arena, const void *data, size_t size)
{
	void *copy = take(arena, size, 1);
	if (copy && size)
		memcpy(copy, data, size);
	return copy;
}
