/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages for the operator, one line each on stderr: "teredownd: warning: text".
 * Any thread may call; a line is written with one write(2), so lines never mix.
 * Control characters in the text are shown as \ooo. No secrets: callers pass none.
 */
#pragma once

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Before threads start. program is kept by reference. Default: "teredown", LOG_LEVEL_INFO. */
void log_setup(const char *program, enum log_level highest_shown);

void log_message(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)   log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_message(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_message(LOG_LEVEL_DEBUG, __VA_ARGS__)
