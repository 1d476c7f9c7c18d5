/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One SSL_CTX for the life of the store, one SSL a connection. The host is checked by OpenSSL
 * itself while it verifies the chain (X509_VERIFY_PARAM), so there is no moment at which an
 * unchecked connection could be used.
 *
 * A connection that ends without close_notify is an ordinary end: a reply of Redis says itself how
 * long it is, so nothing can be cut short unnoticed, and a killed server sends none. OpenSSL 3
 * calls this an error unless told otherwise.
 */
#include "config.h"

#include "resolver/telemetry/redis/redis_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/address.h"
#include "resolver/telemetry/redis/redis_address.h"

#ifdef HAVE_TLS

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct redis_tls {
	SSL_CTX *context;
	char name[REDIS_HOST_SIZE]; /* "" the host that is connected */
};

static bool is_given(const char *text)
{
	return text && text[0];
}

static bool use_authorities(SSL_CTX *context, const char *file)
{
	return is_given(file) ? SSL_CTX_load_verify_locations(context, file, NULL) == 1
			      : SSL_CTX_set_default_verify_paths(context) == 1;
}

static bool use_certificate(SSL_CTX *context, const struct redis_access *access)
{
	if (!is_given(access->cert_file))
		return true;
	return SSL_CTX_use_certificate_chain_file(context, access->cert_file) == 1 &&
	       SSL_CTX_use_PrivateKey_file(context, access->key_file, SSL_FILETYPE_PEM) == 1 &&
	       SSL_CTX_check_private_key(context) == 1;
}

static const char *reason(void)
{
	unsigned long error = ERR_peek_last_error();
	const char *words = error ? ERR_reason_error_string(error) : NULL;

	return words ? words : "unknown error";
}

static bool set_up(SSL_CTX *context, const struct redis_access *access, char *why, size_t why_size)
{
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	/* A retried write may come from a buffer that has moved: libevent's chains do. */
	SSL_CTX_set_mode(
		context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
		snprintf(why, why_size, "TLS 1.2 is not available: %s", reason());
	else if (!use_authorities(context, access->ca_file))
		snprintf(why, why_size, "redis-ca-file %s: %s",
			is_given(access->ca_file) ? access->ca_file : "(the system's)", reason());
	else if (!use_certificate(context, access))
		snprintf(why, why_size, "redis-cert-file %s with redis-key-file %s: %s",
			access->cert_file, access->key_file, reason());
	else
		return true;
	return false;
}

struct redis_tls *redis_tls_new(const struct redis_access *access, char *why, size_t why_size)
{
	static const struct redis_access nothing;
	struct redis_tls *tls = calloc(1, sizeof(*tls));

	if (!access)
		access = &nothing;
	ERR_clear_error();
	if (tls)
		tls->context = SSL_CTX_new(TLS_client_method());
	if (!tls || !tls->context) {
		snprintf(why, why_size, "TLS: out of memory");
		redis_tls_free(&tls);
		return NULL;
	}
	if (is_given(access->tls_name))
		snprintf(tls->name, sizeof(tls->name), "%s", access->tls_name);
	if (!set_up(tls->context, access, why, why_size))
		redis_tls_free(&tls);
	return tls;
}

void redis_tls_free(struct redis_tls **tls)
{
	if (!*tls)
		return;
	SSL_CTX_free((*tls)->context);
	free(*tls);
	*tls = NULL;
}

/* An address is checked against addresses only, and is no server name to send (RFC 6066, 3). */
static bool expect_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
	struct address address;

	if (address_from_text(&address, host))
		return X509_VERIFY_PARAM_set1_ip(
			       parameters, address.octets, address_octets(&address)) == 1;
	X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(parameters, host, 0) == 1 &&
	       SSL_set_tlsext_host_name(ssl, host) == 1;
}

struct bufferevent *redis_tls_stream(
	const struct redis_tls *tls, struct event_base *base, const char *host)
{
	SSL *ssl = SSL_new(tls->context);

	if (!ssl || !expect_host(ssl, tls->name[0] ? tls->name : host)) {
		SSL_free(ssl);
		return NULL;
	}
	/* On failure libevent frees the SSL, because it would close it too. */
	struct bufferevent *stream = bufferevent_openssl_socket_new(base, -1, ssl,
		BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (stream)
		bufferevent_openssl_set_allow_dirty_shutdown(stream, 1);
	return stream;
}

bool redis_tls_failure(struct bufferevent *stream, char *words, size_t size)
{
	const SSL *ssl = bufferevent_openssl_get_ssl(stream);
	unsigned long error = bufferevent_get_openssl_error(stream);
	long verified = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	/* NULL also for what is no code of OpenSSL: libevent puts SSL_ERROR_SYSCALL there. */
	const char *text = error ? ERR_reason_error_string(error) : NULL;

	if (verified != X509_V_OK)
		snprintf(words, size, "TLS: the server's certificate was refused: %s",
			X509_verify_cert_error_string(verified));
	else if (text)
		snprintf(words, size, "TLS: %s", text);
	return verified != X509_V_OK || text;
}

#else

struct redis_tls *redis_tls_new(const struct redis_access *access, char *why, size_t why_size)
{
	(void)access;
	snprintf(why, why_size, "this build has no TLS (it was configured without OpenSSL)");
	return NULL;
}

void redis_tls_free(struct redis_tls **tls)
{
	(void)tls;
}

struct bufferevent *redis_tls_stream(
	const struct redis_tls *tls, struct event_base *base, const char *host)
{
	(void)tls;
	(void)base;
	(void)host;
	return NULL;
}

bool redis_tls_failure(struct bufferevent *stream, char *words, size_t size)
{
	(void)stream;
	(void)words;
	(void)size;
	return false;
}

#endif
