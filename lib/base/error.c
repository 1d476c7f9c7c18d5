/* SPDX-License-Identifier: BSD-3-Clause */
/* The words of the error table. The list itself is in the header, so that codes and words cannot
 * drift apart. */
#include "lib/base/error.h"

static const char *const error_words[TD_ERROR_COUNT] = {
#define X(name, words) [TD_##name] = words,
	TD_ERRORS(X)
#undef X
};

const char *error_text(enum td_error error)
{
	if ((unsigned)error >= TD_ERROR_COUNT)
		return "unknown error";
	return error_words[error];
}
