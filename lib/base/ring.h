/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A byte ring between one producer thread and one consumer thread, of records of any length.
 * Lock-free; records are contiguous, 8-byte aligned, and arrive whole and in order. When the ring is full the
 * producer's record is refused and counted: a slow consumer never delays the producer.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *bytes;
	size_t size; /* power of two */
	size_t reserved;            /* producer only: bytes of the record being written */
	size_t tail_seen;           /* producer only: last tail it read */
	_Alignas(64) _Atomic size_t head; /* written by the producer */
	_Atomic uint64_t dropped;   /* records refused */
	_Alignas(64) _Atomic size_t tail; /* written by the consumer */
};

/* size_bytes is rounded up to a power of two, at least 4096. False when out of memory (pages are touched only when used). */
bool ring_init(struct ring *ring, size_t size_bytes);
void ring_deinit(struct ring *ring);

/* Producer: room for a record of length bytes (at most a quarter of the ring), or NULL and one more dropped. */
void *ring_reserve(struct ring *ring, size_t length);

/* Producer: publishes the reserved record, cut to length (at most what was reserved). */
void ring_commit(struct ring *ring, size_t length);

/* Consumer: the oldest record, or NULL. It stays valid until ring_release. */
const void *ring_peek(struct ring *ring, size_t *length);

/* Consumer: gives the peeked record's room back. */
void ring_release(struct ring *ring);

/* Any thread: bytes in use, about. */
size_t ring_used(const struct ring *ring);
