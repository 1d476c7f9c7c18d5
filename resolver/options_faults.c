/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is wrong with a configuration: words with their lines, in the order of lines, each once, so
 * that a person can mend a file from its top to its end in one go.
 */
#include "config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/options_private.h"

#define FAULTS_MAX 200

static size_t fault_position(const struct faults *faults, unsigned line)
{
	size_t position = faults->count;
	while (position > 0 && faults->items[position - 1].line > line)
		position--;
	return position;
}

static bool fault_is_known(const struct faults *faults, unsigned line, const char *words)
{
	for (size_t i = 0; i < faults->count; i++) {
		if (faults->items[i].line == line && strcmp(faults->items[i].words, words) == 0)
			return true;
	}
	return false;
}

static bool faults_make_room(struct faults *faults)
{
	if (faults->count < faults->capacity)
		return true;
	size_t capacity = faults->capacity ? 2 * faults->capacity : 16;
	struct fault *items = reallocarray(faults->items, capacity, sizeof(*items));
	if (!items)
		return false;
	faults->items = items;
	faults->capacity = capacity;
	return true;
}

static void faults_insert(struct faults *faults, unsigned line, const char *words)
{
	if (faults->count >= FAULTS_MAX || fault_is_known(faults, line, words))
		return;
	char *copy = strdup(words);
	if (!copy || !faults_make_room(faults)) {
		free(copy);
		faults->no_memory = true;
		return;
	}
	size_t position = fault_position(faults, line);
	memmove(&faults->items[position + 1], &faults->items[position],
		(faults->count - position) * sizeof(faults->items[0]));
	faults->items[position] = (struct fault){line, copy};
	faults->count++;
}

void faults_add(struct faults *faults, unsigned line, const char *format, ...)
{
	char words[2 * WHY_MAX];
	va_list ap;
	va_start(ap, format);
	vsnprintf(words, sizeof(words), format, ap);
	va_end(ap);
	for (char *c = words; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	faults_insert(faults, line, words);
}

void faults_print(const struct faults *faults, const char *path, FILE *out)
{
	for (size_t i = 0; i < faults->count; i++) {
		if (faults->items[i].line)
			fprintf(out, "%s:%u: %s\n", path, faults->items[i].line,
				faults->items[i].words);
		else
			fprintf(out, "%s: %s\n", path, faults->items[i].words);
	}
	if (faults->no_memory)
		fprintf(out, "%s: %s\n", path, error_text(TD_NOMEM));
}

void faults_free(struct faults *faults)
{
	for (size_t i = 0; i < faults->count; i++)
		free(faults->items[i].words);
	free(faults->items);
	*faults = (struct faults){0};
}
