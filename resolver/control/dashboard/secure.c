/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One SSL_CTX for each reading of the files. A connection that ends without close_notify is an
 * ordinary end: HTTP says itself how long a request is, and browsers send none. Renegotiation,
 * which costs us more than who asks for it, is refused.
 */
#include "config.h"

#include "resolver/control/dashboard/secure.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#ifdef HAVE_TLS

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

struct secure {
	SSL_CTX *context;
};

static const char *reason(void)
{
	unsigned long error = ERR_peek_last_error();
	const char *words = error ? ERR_reason_error_string(error) : NULL;

	return words ? words : "unknown error";
}

/* A file that is not there is told by OpenSSL when it is read. */
static int everyone_reads(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && (info.st_mode & (S_IROTH | S_IWOTH));
}

static int set_up(
	SSL_CTX *context, const char *certificate, const char *key, char *why, size_t why_size)
{
	SSL_CTX_set_mode(
		context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
	SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
	if (everyone_reads(key))
		snprintf(why, why_size,
			"dashboard-key %s: everyone may read or write it; chmod o-rw it", key);
	else if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
		snprintf(why, why_size, "TLS 1.2 is not available: %s", reason());
	else if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
		snprintf(why, why_size, "dashboard-certificate %s: %s", certificate, reason());
	else if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
		 SSL_CTX_check_private_key(context) != 1)
		snprintf(why, why_size, "dashboard-key %s: %s", key, reason());
	else
		return 1;
	return 0;
}

struct secure *secure_new(const char *certificate, const char *key, char *why, size_t why_size)
{
	struct secure *secure = calloc(1, sizeof(*secure));

	ERR_clear_error();
	if (secure)
		secure->context = SSL_CTX_new(TLS_server_method());
	if (!secure || !secure->context) {
		snprintf(why, why_size, "TLS: out of memory");
		secure_free(secure);
		return NULL;
	}
	if (set_up(secure->context, certificate, key, why, why_size))
		return secure;
	secure_free(secure);
	return NULL;
}

void secure_free(struct secure *secure)
{
	if (!secure)
		return;
	SSL_CTX_free(secure->context);
	free(secure);
}

struct bufferevent *secure_stream(struct secure *secure, struct event_base *base)
{
	SSL *ssl = SSL_new(secure->context);

	if (!ssl)
		return NULL;
	struct bufferevent *stream = bufferevent_openssl_socket_new(
		base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (stream)
		bufferevent_openssl_set_allow_dirty_shutdown(stream, 1);
	return stream;
}

#else

struct secure *secure_new(const char *certificate, const char *key, char *why, size_t why_size)
{
	(void)certificate;
	(void)key;
	snprintf(why, why_size, "this build has no TLS (it was configured without OpenSSL)");
	return NULL;
}

void secure_free(struct secure *secure)
{
	(void)secure;
}

struct bufferevent *secure_stream(struct secure *secure, struct event_base *base)
{
	(void)secure;
	(void)base;
	return NULL;
}

#endif
