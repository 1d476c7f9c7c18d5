/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes what the table of options says into the documents that are kept in doc/: a page of the
 * manual, with the part between its two marker lines made anew, or the sample configuration. `make
 * update-doc` runs it; a unit test fails when it was forgotten. The rest of the page is written by
 * hand, so the page is not a product of the build.
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/options.h"

static const char marker_begin[] = ".\\\" BEGIN OPTIONS";
static const char marker_end[] = ".\\\" END OPTIONS";

static bool begins_with(const char *line, const char *marker)
{
	return strncmp(line, marker, strlen(marker)) == 0;
}

/* False when the page does not have both markers, in order. */
static bool renew_page(FILE *page)
{
	char *line = NULL;
	size_t size = 0;
	bool inside = false, begun = false, ended = false;
	while (getline(&line, &size, page) >= 0) {
		if (begins_with(line, marker_end)) {
			ended = inside;
			inside = false;
		}
		if (!inside)
			fputs(line, stdout);
		if (begins_with(line, marker_begin)) {
			begun = inside = true;
			options_print_manual(stdout);
		}
	}
	free(line);
	return begun && ended && !inside;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: make-conf-manual PAGE | --sample\n", stderr);
		return 2;
	}
	if (strcmp(argv[1], "--sample") == 0) {
		options_print_sample(stdout);
		return ferror(stdout) || fflush(stdout) != 0;
	}
	FILE *page = fopen(argv[1], "r");
	if (!page) {
		perror(argv[1]);
		return 1;
	}
	bool renewed = renew_page(page);
	fclose(page);
	if (!renewed)
		fprintf(stderr, "%s: the lines BEGIN OPTIONS and END OPTIONS are missing\n",
			argv[1]);
	return !renewed || ferror(stdout) || fflush(stdout) != 0;
}
