/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is to probe in a TLS library, and how it is found in a file.
 * To add a library: write tls/NAME.c with one struct tls_library, declare it here and list it
 * in library.c.
 */
#ifndef TLS_LIBRARY_H
#define TLS_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/dataflow.h"
#include "elf/image.h"
#include "elf/labels.h"
#include "elf/place.h"
#include "event/event.h"

enum tls_role {
	ROLE_TRANSFER,	/* moves plaintext: probed at entry and return */
	ROLE_SENDFILE,	/* sends a file: only the number of bytes is known */
	ROLE_FREE,	/* ends a connection: probed at entry */
	ROLE_HANDSHAKE, /* moves no plaintext; shows the socket. Probed at entry and return */
	/*
	 * Copies a decrypted record to the caller, in the middle of a function: probed at that one
	 * instruction and never at a return. Only in tls_sites.record.
	 */
	ROLE_RECORD,
};

/* What the library's function returns on success. */
enum tls_result {
	RESULT_COUNT,	/* the number of bytes, > 0 */
	RESULT_OUT_ARG, /* > 0, and the number behind a size_t pointer */
};

/*
 * How to read one function's call. Arguments are numbered from 0; the handle is always argument 0
 * and the buffer argument 1.
 */
struct tls_recipe {
	const char *function;
	enum tls_role role;
	enum event_dir dir;
	enum tls_result result;
	uint8_t out_arg;   /* RESULT_OUT_ARG: which argument is the pointer */
	const char *costs; /* what the user loses when it is missing, as the end of a sentence */
};

#define TLS_SITES_MAX	16
#define TLS_RECORDS_MAX COPIES_MAX

/* A place found in one file. */
struct tls_site {
	const struct tls_recipe *recipe;
	const char *function; /* as printed; recipe->function or the internal one's description */
	uint64_t offset;      /* in the file */
	enum rung rung;
	uint8_t out_arg; /* as the code of this very file shows it */
	/*
	 * ROLE_RECORD: the instruction is a call of memcpy; argument 1 is the plaintext, argument 2
	 * its length. The rest is where these places say. Application data has type 23: only the
	 * lowest byte is certain to be the type, in newer versions it has no more. With peek not
	 * 0 the same data comes again.
	 */
	struct place handle; /* 8 bytes */
	struct place type;
	struct place peek; /* 4 bytes */
};

/* How much of a secret a place has. */
enum tls_step {
	STEP_WHOLE,
	/*
	 * Label, client random and handle; the secret comes later in the same thread, before the
	 * function returns that begins here. Without a label none comes.
	 */
	STEP_BEGIN,
	STEP_END, /* secret and length of what has begun, maybe in another file */
};

/*
 * An instruction where the library has a secret in its hands, probed alone and never at a return.
 * Places are those at that instruction.
 */
struct tls_secret {
	const char *function; /* as printed */
	uint64_t offset;      /* in the file */
	enum rung rung;
	enum tls_step step;
	struct place check; /* only hits where this is expect count; width 0: all do */
	uint32_t expect;
	enum secret_label fixed; /* not LABEL_NONE: what it is; then label is not used */
	struct place handle;	 /* stands for the connection; width 0: nothing does */
	struct place label;	 /* address of its first character */
	struct place label_len;	 /* width 0: up to a NUL */
	struct place random;	 /* address of the client random */
	struct place secret;	 /* address */
	struct place len;	 /* of the secret; width 0: a master secret's */
};

#define TLS_SECRETS_MAX	  16
#define TLS_PROBLEMS_MAX  8
#define TLS_VERSION_LEN	  64
#define TLS_LIBRARIES_MAX 8

/* What was found of one library in one file. */
struct tls_sites {
	const struct tls_library *library;
	const char *name;	       /* of a fork, if it is one; NULL: the library's */
	char version[TLS_VERSION_LEN]; /* hostile; "": not known */
	const char *recognised;	       /* by what, as the end of a sentence */
	/* Sentences without a full stop: what could not be found and what that costs. */
	const char *problem[TLS_PROBLEMS_MAX];
	size_t problem_count;
	struct tls_secret secret[TLS_SECRETS_MAX];
	size_t secret_count;
	struct tls_site site[TLS_SITES_MAX];
	size_t count;
	/* Recipes that were looked for and not found. */
	const struct tls_recipe *missing[TLS_SITES_MAX];
	size_t missing_count;
	/*
	 * ROLE_RECORD: all of them or none. They see the same bytes as the transfers, and are for
	 * calls that were under way before there were probes. Apart from the others, because a
	 * return probe here would destroy the program's stack.
	 */
	struct tls_site record[TLS_RECORDS_MAX];
	size_t record_count;
	bool internal; /* the functions behind the exported ones were found: BIO_f_ssl is seen */
};

/*
 * Strings that all files are searched for. First the labels of secrets: string n is label n + 1 of
 * enum secret_label. Then others whose users in the code are of interest, then some of which only
 * the place is.
 */
enum tls_string {
	STRING_CLIENT_RANDOM = LABEL_CLIENT_RANDOM - 1,
	STRING_KEY_EXPANSION = LABEL_MAX - 1, /* RFC 5246, section 6.3 */
	STRING_RUSTLS_TABLE,		      /* no string: see rustls_tables() */
	STRINGS_FOLLOWED,
	STRING_OPENSSL_0 = STRINGS_FOLLOWED,
	STRING_OPENSSL_1,
	STRING_OPENSSL_3,
	STRING_OPENSSL_4,
	STRING_LIBRESSL,
	STRING_BORINGSSL,
	STRING_GNUTLS,
	STRING_NSS,
	STRING_RUSTLS,
	STRINGS_MAX,
};
#define STRINGS_LABELS ((1U << (LABEL_MAX - 1)) - 1)

/* A file, and what all libraries want to know of it. */
struct tls_input {
	const struct image *image;
	const struct labels *labels; /* by enum tls_string */
	bool taken;		     /* a library that was found before uses them */
	bool crowded;		     /* there are too many, and so labels has none */
};

struct tls_library {
	const char *name;	   /* "openssl" */
	const char *const *soname; /* file name prefixes, NULL-terminated: "libssl.so" */
	/* What it looks up by name: the user may say where these are. */
	const struct tls_recipe *recipes;
	size_t recipe_count;
	const char *const *secret_functions; /* NULL-terminated; NULL: none */
	/*
	 * Files that may be loaded later than such a file, from its folder; NULL-terminated. NULL:
	 * there are none.
	 */
	const char *const *companions;
	/*
	 * Fills sites, which is all 0 but for library, from a file. -ENOENT when the file has
	 * nothing of this library; -ENOMEM.
	 */
	int (*resolve)(const struct tls_input *input, struct tls_sites *sites);
};

extern const struct tls_library golang;
extern const struct tls_library gnutls;
extern const struct tls_library nss;
extern const struct tls_library openssl;
extern const struct tls_library rustls;

/* All libraries, NULL-terminated. */
extern const struct tls_library *const tls_libraries[];

/*
 * All libraries that the file has, to be freed with free(). -ENOENT when none, -ENOMEM, -E2BIG
 * and what reading the file says.
 */
int tls_resolve(const struct image *image, struct tls_sites **ret_sites, size_t *ret_count);
/* Number index of those names, of all libraries; NULL behind the last one. */
const char *tls_function_name(size_t index);
/* Does a file name (no directory) look like one of the libraries? NULL when not. */
const struct tls_library *tls_by_soname(const char *filename);

/* "openssl", or the fork's name. */
const char *tls_name(const struct tls_sites *sites);

/* For the libraries. Adds a sentence; the string must stay. */
void tls_problem(struct tls_sites *sites, const char *sentence);
/*
 * The version behind a string such as "OpenSSL 3.": printable characters up to a NUL. False when the
 * file does not have it followed by a number.
 */
bool tls_version(const struct tls_input *input, enum tls_string string, struct tls_sites *sites);

#endif
