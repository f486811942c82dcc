/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS client for the tests, for what no ready-made program does on demand: sslprog SCENARIO
 * PORT DIR [CERT KEY]. It connects to an echo server on 127.0.0.1. What the library said it sent
 * and received on the connection number N goes to the files DIR/N.out and DIR/N.in.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define MESSAGE 40000

static int port;
static const char *dir;
static const char *cert, *key;
static int conn_number;
static FILE *out_file, *in_file;
static unsigned char message[MESSAGE], buffer[MESSAGE];

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static FILE *truth_file(const char *suffix)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%d.%s", dir, conn_number, suffix);
	file = fopen(path, "w");
	if (!file)
		fail("%s: %s", path, strerror(errno));
	return file;
}

/* From here on the truth goes to the files of the next connection. */
static void next_truth(void)
{
	if (out_file) {
		fclose(out_file);
		fclose(in_file);
		conn_number++;
	}
	out_file = truth_file("out");
	in_file = truth_file("in");
}

static void sent(const void *data, size_t len)
{
	fwrite(data, 1, len, out_file);
}

static void received(const void *data, size_t len)
{
	fwrite(data, 1, len, in_file);
}

static int connect_socket(int sndbuf)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (sndbuf)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		fail("connect: %s", strerror(errno));
	return fd;
}

static SSL_CTX *new_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx)
		fail("SSL_CTX_new");
	return ctx;
}

static void handshake(SSL *ssl, int fd)
{
	if (SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
		fail("handshake");
	next_truth();
}

static SSL *connect_tls(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);

	if (!ssl)
		fail("SSL_new");
	handshake(ssl, connect_socket(0));
	return ssl;
}

static void end_tls(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);

	SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
}

static void write_all(SSL *ssl, const void *data, int len)
{
	if (SSL_write(ssl, data, len) != len)
		fail("SSL_write");
	sent(data, (size_t)len);
}

static void read_all(SSL *ssl, int len, int piece)
{
	while (len > 0) {
		int n = SSL_read(ssl, buffer, len < piece ? len : piece);

		if (n <= 0)
			fail("SSL_read");
		received(buffer, (size_t)n);
		len -= n;
	}
}

static void talk(SSL *ssl)
{
	write_all(ssl, message, MESSAGE);
	read_all(ssl, MESSAGE, 1000);
	write_all(ssl, "short", 5);
	read_all(ssl, 5, 5);
}

static void scenario_talk(SSL_CTX *ctx)
{
	SSL *ssl = connect_tls(ctx);

	talk(ssl);
	end_tls(ssl);
}

static void scenario_ex(SSL_CTX *ctx)
{
	SSL *ssl = connect_tls(ctx);
	size_t n, left = MESSAGE;

	if (SSL_write_ex(ssl, message, MESSAGE, &n) != 1 || n != MESSAGE)
		fail("SSL_write_ex");
	sent(message, n);
	for (; left; left -= n) {
		if (SSL_read_ex(ssl, buffer, left, &n) != 1)
			fail("SSL_read_ex");
		received(buffer, n);
	}
	end_tls(ssl);
}

/* Looking is not reading: each byte is reported once, when it is read. */
static void scenario_peek(SSL_CTX *ctx)
{
	SSL *ssl = connect_tls(ctx);
	size_t n;

	write_all(ssl, message, 3000);
	for (int i = 0; i < 3; i++) {
		if (SSL_peek(ssl, buffer, 10) != 10)
			fail("SSL_peek");
		if (SSL_peek_ex(ssl, buffer, 20, &n) != 1 || n != 20)
			fail("SSL_peek_ex");
		read_all(ssl, 5, 5);
	}
	if (SSL_peek(ssl, buffer, MESSAGE) <= 0)
		fail("SSL_peek");
	read_all(ssl, 3000 - 15, MESSAGE);
	end_tls(ssl);
}

/* Calls that must fail, between calls that work. */
static void scenario_failing(SSL_CTX *ctx)
{
	SSL *ssl = connect_tls(ctx);
	size_t n;

	write_all(ssl, "first", 5);
	read_all(ssl, 5, 5);
	if (SSL_write(ssl, "negative", -1) > 0 || SSL_read(ssl, buffer, -1) > 0)
		fail("a negative length was taken");
	write_all(ssl, "second", 6);
	read_all(ssl, 6, 6);
	shutdown(SSL_get_fd(ssl), SHUT_WR);
	for (int i = 0; i < 3; i++) {
		if (SSL_write(ssl, message, MESSAGE) > 0)
			fail("a write into a shut socket worked");
		if (SSL_write_ex(ssl, message, MESSAGE, &n) == 1)
			fail("a write into a shut socket worked");
	}
	end_tls(ssl);
}

/* One handle, three connections. */
static void scenario_reuse(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);

	for (int i = 0; i < 3; i++) {
		int fd = connect_socket(0);

		handshake(ssl, fd);
		write_all(ssl, message + i, 100 + i);
		read_all(ssl, 100 + i, 1000);
		SSL_shutdown(ssl);
		close(fd);
		if (!SSL_clear(ssl))
			fail("SSL_clear");
	}
	SSL_free(ssl);
}

/* A new handle at the address of the last one is another connection. */
static void scenario_again(SSL_CTX *ctx)
{
	SSL *first = NULL;
	int same = 0;

	for (int i = 0; i < 20; i++) {
		SSL *ssl = connect_tls(ctx);

		same += ssl == first;
		first = ssl;
		write_all(ssl, message + i, 200 + i);
		read_all(ssl, 200 + i, 1000);
		end_tls(ssl);
	}
	printf("same address %d times\n", same);
}

static void scenario_bio(SSL_CTX *ctx)
{
	BIO *bio = BIO_new_ssl_connect(ctx);
	char name[64];
	int left = MESSAGE;

	snprintf(name, sizeof(name), "127.0.0.1:%d", port);
	BIO_set_conn_hostname(bio, name);
	if (BIO_do_connect(bio) != 1 || BIO_do_handshake(bio) != 1)
		fail("BIO_do_connect");
	next_truth();
	if (BIO_write(bio, message, MESSAGE) != MESSAGE)
		fail("BIO_write");
	sent(message, MESSAGE);
	while (left > 0) {
		int n = BIO_read(bio, buffer, left);

		if (n <= 0)
			fail("BIO_read");
		received(buffer, (size_t)n);
		left -= n;
	}
	BIO_ssl_shutdown(bio);
	BIO_free_all(bio);
}

/*
 * Writes until the socket is full and tries again, as event loops do; says "wait" the first time.
 * The test stops the server until then.
 */
static void nonblocking(SSL_CTX *ctx, long mode)
{
	static unsigned char big[2000000];
	SSL *ssl = SSL_new(ctx);
	int fd = connect_socket(4096), waits = 0;
	size_t done = 0, got = 0;

	SSL_set_mode(ssl, mode | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	handshake(ssl, fd);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (unsigned char)(i * 2654435761u >> 13);
	printf("connected\n");
	fflush(stdout);
	if (getchar() == EOF)
		fail("no go");
	while (got < sizeof(big)) {
		int n = 0, m, error = 0;

		if (done < sizeof(big)) {
			n = SSL_write(ssl, big + done, (int)(sizeof(big) - done));
			error = n > 0 ? 0 : SSL_get_error(ssl, n);
		}
		if (n > 0) {
			sent(big + done, (size_t)n);
			done += (size_t)n;
		} else if (error == SSL_ERROR_WANT_WRITE && !waits++) {
			printf("wait\n");
			fflush(stdout);
		} else if (error && error != SSL_ERROR_WANT_WRITE) {
			fail("SSL_write: error %d", error);
		}
		m = SSL_read(ssl, buffer, MESSAGE);
		if (m > 0) {
			received(buffer, (size_t)m);
			got += (size_t)m;
		} else if (SSL_get_error(ssl, m) != SSL_ERROR_WANT_READ) {
			fail("SSL_read");
		}
		if (m <= 0 && n <= 0) {
			short events = done < sizeof(big) ? POLLIN | POLLOUT : POLLIN;
			struct pollfd poll_fd = { .fd = fd, .events = events };

			poll(&poll_fd, 1, 100);
		}
	}
	printf("waits %d\n", waits);
	end_tls(ssl);
}

static void scenario_whole(SSL_CTX *ctx)
{
	nonblocking(ctx, 0);
}

static void scenario_partial(SSL_CTX *ctx)
{
	nonblocking(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE);
}

/* Both ends in one process, joined in memory: there is no socket and so no address. */
static void scenario_pair(SSL_CTX *ctx)
{
	SSL_CTX *server_ctx = SSL_CTX_new(TLS_server_method());
	SSL *client = SSL_new(ctx), *server;
	BIO *one, *other;
	int done = 0;

	if (SSL_CTX_use_certificate_chain_file(server_ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(server_ctx, key, SSL_FILETYPE_PEM) != 1)
		fail("certificate");
	server = SSL_new(server_ctx);
	BIO_new_bio_pair(&one, 1 << 17, &other, 1 << 17);
	SSL_set_bio(client, one, one);
	SSL_set_bio(server, other, other);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	for (int i = 0; i < 10 && done != 2; i++) {
		done = SSL_do_handshake(client) == 1;
		done += SSL_do_handshake(server) == 1;
	}
	if (done != 2)
		fail("handshake in memory");
	next_truth();
	write_all(client, message, MESSAGE);
	next_truth();
	read_all(server, MESSAGE, MESSAGE);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(server_ctx);
}

static const struct scenario {
	const char *name;
	void (*run)(SSL_CTX *ctx);
} scenarios[] = {
	{ "talk", scenario_talk },	 { "ex", scenario_ex },
	{ "peek", scenario_peek },	 { "failing", scenario_failing },
	{ "reuse", scenario_reuse },	 { "again", scenario_again },
	{ "bio", scenario_bio },	 { "whole", scenario_whole },
	{ "partial", scenario_partial }, { "pair", scenario_pair },
};

int main(int argc, char **argv)
{
	SSL_CTX *ctx = new_context();

	if (argc < 4)
		fail("usage: sslprog SCENARIO PORT DIR [CERT KEY]");
	port = atoi(argv[2]);
	dir = argv[3];
	if (argc > 5) {
		cert = argv[4];
		key = argv[5];
	}
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < MESSAGE; i++)
		message[i] = (unsigned char)(i * 2654435761u >> 11);
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		if (!strcmp(scenarios[i].name, argv[1])) {
			scenarios[i].run(ctx);
			fclose(out_file);
			fclose(in_file);
			SSL_CTX_free(ctx);
			return 0;
		}
	fail("no scenario %s", argv[1]);
}
