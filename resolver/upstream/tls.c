/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a server is the right one is decided while OpenSSL verifies the chain, by a callback that
 * stands in for its own verification: with a name that verification runs (it compares the name as
 * well), with pins the key has to be one of them. With pins alone the chain says nothing and is not
 * looked at: that is what they are for (RFC 7858, 4.2).
 *
 * Sessions are kept by hand, because those of TLS 1.3 serve once and a server sends several: the
 * newest goes first. They are given up after an hour, since a resumed session shows no certificate.
 */
#include "config.h"

#include "resolver/upstream/tls.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef HAVE_TLS

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define SESSIONS_MAX 4
#define SESSION_AGE_MAX_S 3600
#define CLOCK_UNSET_S 1704067200 /* 2024-01-01: before this program was written */
#define DATE_MAX 32

struct tls_context {
	SSL_CTX *ssl;  /* NULL: nothing was read yet */
	char *ca_file; /* NULL: the system's authorities */
};

struct tls_server {
	const struct tls_context *context;
	const struct server_address *address;
	SSL_SESSION *sessions[SESSIONS_MAX]; /* the newest last */
	unsigned session_count;
	char date[DATE_MAX]; /* that of the certificate which was refused for its dates */
};

/* --- sessions --- */

static void drop_session(struct tls_server *server, unsigned number)
{
	SSL_SESSION_free(server->sessions[number]);
	server->session_count--;
	memmove(&server->sessions[number], &server->sessions[number + 1],
		(server->session_count - number) * sizeof(server->sessions[0]));
}

static void drop_sessions(struct tls_server *server)
{
	while (server->session_count > 0)
		drop_session(server, server->session_count - 1);
}

/* OpenSSL has a new one for us. 1: it is ours now. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_server *server = SSL_get_app_data(ssl);

	if (!server)
		return 0;
	if (server->session_count == SESSIONS_MAX)
		drop_session(server, 0);
	server->sessions[server->session_count++] = session;
	return 1;
}

/* An older one of TLS 1.2 serves again; of TLS 1.3, a second use would let an observer link both.
 */
static void use_session(struct tls_server *server, SSL *ssl)
{
	while (server->session_count > 0) {
		SSL_SESSION *session = server->sessions[server->session_count - 1];
		long age_s = (long)time(NULL) - SSL_SESSION_get_time(session);
		bool good = age_s >= 0 && age_s < SESSION_AGE_MAX_S &&
			    SSL_SESSION_is_resumable(session);

		if (good)
			SSL_set_session(ssl, session);
		if (!good || SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
			drop_session(server, server->session_count - 1);
		if (good)
			return;
	}
}

/* --- who the server is --- */

static bool key_is_pinned(const struct server_address *address, X509 *certificate)
{
	unsigned char *key = NULL;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	int size = certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key) : -1;
	bool pinned = false;

	_Static_assert(sizeof(digest) == SERVER_PIN_SIZE, "a pin is a SHA-256");
	if (size <= 0)
		return false;
	SHA256(key, (size_t)size, digest);
	OPENSSL_free(key);
	for (unsigned i = 0; i < address->pin_count; i++)
		pinned |= memcmp(digest, address->pins[i], sizeof(digest)) == 0;
	return pinned;
}

static void note_date(struct tls_server *server, X509_STORE_CTX *store)
{
	int error = X509_STORE_CTX_get_error(store);
	const X509 *certificate = X509_STORE_CTX_get_current_cert(store);
	struct tm tm;

	server->date[0] = '\0';
	if (!certificate ||
		(error != X509_V_ERR_CERT_HAS_EXPIRED && error != X509_V_ERR_CERT_NOT_YET_VALID))
		return;
	if (ASN1_TIME_to_tm(error == X509_V_ERR_CERT_HAS_EXPIRED ? X509_get0_notAfter(certificate)
								 : X509_get0_notBefore(certificate),
		    &tm) == 1)
		strftime(server->date, sizeof(server->date), "%Y-%m-%d %H:%M UTC", &tm);
}

static int on_verify(X509_STORE_CTX *store, void *unused)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_server *server = SSL_get_app_data(ssl);

	(void)unused;
	if (!server)
		return 0;
	if (server->address->name[0] && X509_verify_cert(store) != 1) {
		note_date(server, store);
		return 0;
	}
	if (server->address->pin_count == 0)
		return server->address->name[0] != '\0';
	bool pinned = key_is_pinned(server->address, X509_STORE_CTX_get0_cert(store));

	X509_STORE_CTX_set_error(store, pinned ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION);
	return pinned;
}

/* An address is compared with addresses only, and is no server name to send (RFC 6066, 3). */
static bool expect_name(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
	struct address address;

	if (!name[0])
		return true;
	if (address_from_text(&address, name))
		return X509_VERIFY_PARAM_set1_ip(
			       parameters, address.octets, address_octets(&address)) == 1;
	X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(parameters, name, 0) == 1 &&
	       SSL_set_tlsext_host_name(ssl, name) == 1;
}

/* --- words --- */

static bool is_about_authority(long error)
{
	return error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	       error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
	       error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
	       error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
}

/* A machine without a clock of its own boots in the past, where no certificate is valid yet. */
static void say_dates(const struct tls_server *server, bool expired, char *words, size_t size)
{
	time_t now = time(NULL);
	char today[DATE_MAX] = "";
	struct tm tm;

	if (now < CLOCK_UNSET_S && gmtime_r(&now, &tm))
		strftime(today, sizeof(today), "%Y-%m-%d", &tm);
	snprintf(words, size, "the certificate %s %s%s%s%s",
		expired ? "has expired on" : "is valid only from", server->date,
		today[0] ? "; the clock of this machine says " : "", today,
		today[0] ? ", which is wrong: set it" : "");
}

static void say_refused(const struct tls_server *server, long error, char *words, size_t size)
{
	if (error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID)
		say_dates(server, error == X509_V_ERR_CERT_HAS_EXPIRED, words, size);
	else if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)
		snprintf(words, size, "the certificate is not for %.100s", server->address->name);
	else if (error == X509_V_ERR_APPLICATION_VERIFICATION)
		snprintf(words, size, "the server's key is none of those pinned");
	else if (is_about_authority(error))
		snprintf(words, size, "the certificate comes from an unknown authority (%s)",
			X509_verify_cert_error_string(error));
	else
		snprintf(words, size, "the certificate was refused: %s",
			X509_verify_cert_error_string(error));
}

bool tls_server_failure(
	struct tls_server *server, struct bufferevent *stream, char *words, size_t size)
{
	const SSL *ssl = bufferevent_openssl_get_ssl(stream);
	unsigned long error = bufferevent_get_openssl_error(stream);
	long verified = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	/* NULL also for what is no code of OpenSSL: libevent puts SSL_ERROR_SYSCALL there. */
	const char *text = error ? ERR_reason_error_string(error) : NULL;

	drop_sessions(server);
	if (verified != X509_V_OK)
		say_refused(server, verified, words, size);
	else if (text)
		snprintf(words, size, "TLS failed: %s", text);
	return verified != X509_V_OK || text;
}

/* --- contexts --- */

static bool is_given(const char *text)
{
	return text && text[0];
}

/* Of the first thing that went wrong: those after it follow from it. */
static const char *error_words(void)
{
	unsigned long error = ERR_peek_error();
	const char *words = error ? ERR_reason_error_string(error) : NULL;

	if (error && ERR_GET_LIB(error) == ERR_LIB_SYS)
		return strerror(ERR_GET_REASON(error));
	return words ? words : "unknown error";
}

static bool set_up(SSL_CTX *context, const char *ca_file, char *why, size_t why_size)
{
	SSL_CTX_set_cert_verify_callback(context, on_verify, NULL);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, on_session);
	/* A retried write may come from a buffer that has moved: libevent's chains do. */
	SSL_CTX_set_mode(
		context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
	/* A message says itself how long it is, so none can be cut short unnoticed. */
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
	bool read = is_given(ca_file) ? SSL_CTX_load_verify_locations(context, ca_file, NULL) == 1
				      : SSL_CTX_set_default_verify_paths(context) == 1;

	if (!read)
		snprintf(why, why_size, "%s cannot be read: %s",
			is_given(ca_file) ? ca_file : "the system's list of authorities",
			error_words());
	else if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
		snprintf(why, why_size, "TLS 1.2 is not available");
	else
		return true;
	return false;
}

struct tls_context *tls_context_new(const char *ca_file)
{
	struct tls_context *context = calloc(1, sizeof(*context));

	if (context && is_given(ca_file) && !(context->ca_file = strdup(ca_file))) {
		free(context);
		return NULL;
	}
	return context;
}

bool tls_context_load(struct tls_context *context, char *why, size_t why_size)
{
	if (context->ssl)
		return true;
	ERR_clear_error();
	SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());

	if (!ssl) {
		snprintf(why, why_size, "out of memory");
		return false;
	}
	if (!set_up(ssl, context->ca_file, why, why_size)) {
		SSL_CTX_free(ssl);
		return false;
	}
	context->ssl = ssl;
	return true;
}

void tls_context_free(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ssl);
	free(context->ca_file);
	free(context);
}

/* --- servers --- */

struct tls_server *tls_server_new(
	const struct tls_context *context, const struct server_address *address)
{
	struct tls_server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->context = context;
	server->address = address;
	return server;
}

void tls_server_free(struct tls_server *server)
{
	if (server)
		drop_sessions(server);
	free(server);
}

struct bufferevent *tls_server_stream(struct tls_server *server, struct event_base *base)
{
	static const unsigned char protocol[] = "\003dot"; /* RFC 7858 in ALPN */
	SSL *ssl = server->context->ssl ? SSL_new(server->context->ssl) : NULL;

	if (!ssl || !expect_name(ssl, server->address->name) ||
		SSL_set_alpn_protos(ssl, protocol, sizeof(protocol) - 1) != 0) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_app_data(ssl, server);
	use_session(server, ssl);
	/* On failure libevent frees the SSL, because it would close it too. */
	struct bufferevent *stream = bufferevent_openssl_socket_new(base, -1, ssl,
		BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);

	if (stream)
		bufferevent_openssl_set_allow_dirty_shutdown(stream, 1);
	return stream;
}

/*
 * OpenSSL takes a session whose connection was freed without this for a broken one, and libevent
 * does not do it.
 */
void tls_stream_close(struct bufferevent *stream)
{
	SSL *ssl = bufferevent_openssl_get_ssl(stream);

	SSL_set_app_data(ssl, NULL);
	SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
	SSL_shutdown(ssl);
	ERR_clear_error();
}

bool tls_stream_is_resumed(struct bufferevent *stream)
{
	SSL *ssl = bufferevent_openssl_get_ssl(stream);

	return ssl && SSL_session_reused(ssl);
}

#else

struct tls_context {
	char nothing;
};

struct tls_context *tls_context_new(const char *ca_file)
{
	(void)ca_file;
	return calloc(1, sizeof(struct tls_context));
}

bool tls_context_load(struct tls_context *context, char *why, size_t why_size)
{
	(void)context;
	snprintf(why, why_size, "this build has no TLS (it was configured without OpenSSL)");
	return false;
}

void tls_context_free(struct tls_context *context)
{
	free(context);
}

struct tls_server *tls_server_new(
	const struct tls_context *context, const struct server_address *address)
{
	(void)context, (void)address;
	return NULL;
}

void tls_server_free(struct tls_server *server)
{
	(void)server;
}

struct bufferevent *tls_server_stream(struct tls_server *server, struct event_base *base)
{
	(void)server, (void)base;
	return NULL;
}

void tls_stream_close(struct bufferevent *stream)
{
	(void)stream;
}

bool tls_stream_is_resumed(struct bufferevent *stream)
{
	(void)stream;
	return false;
}

bool tls_server_failure(
	struct tls_server *server, struct bufferevent *stream, char *words, size_t size)
{
	(void)server, (void)stream, (void)words, (void)size;
	return false;
}

#endif
