/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The secret by which somebody signs in to the dashboard. A person gets its text once; what is kept
 * is a hash by yescrypt, in the file dashboard.token of the state directory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define TOKEN_FILE "dashboard.token"
#define TOKEN_OCTETS 32
#define TOKEN_TEXT_SIZE 53  /* 52 letters and digits, and the NUL */
#define TOKEN_HASH_SIZE 384 /* as crypt(3) writes it */

/* As a person copies it: a double click takes all of it. Returns out. */
const char *token_to_text(const uint8_t octets[TOKEN_OCTETS], char out[TOKEN_TEXT_SIZE]);

/* What a person gave as one: without blanks around it, in lower case. False: it cannot be one. */
bool token_from_person(const char *given, char out[TOKEN_TEXT_SIZE]);

/* Takes tens of milliseconds and 16 MiB, on purpose; as does token_matches. salt is random. False:
 * this libcrypt has no yescrypt, or out of memory. */
bool token_hash(const char *text, const uint8_t salt[TOKEN_OCTETS], char out[TOKEN_HASH_SIZE]);
/* In a time that says nothing about how far it was right. */
bool token_matches(const char *text, const char *hash);

/* TD_NOT_FOUND: there is none yet. TD_MALFORMED: it is damaged; TD_IO: it cannot be read, with
 * errno; TD_NOMEM. */
enum td_error token_file_read(const char *folder, char hash[TOKEN_HASH_SIZE]);
/* Takes the place of what was there; mode 0600. False, with errno. */
bool token_file_write(const char *folder, const char *hash);
