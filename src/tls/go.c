/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Go's crypto/tls, and its forks in other packages. Everything that Go can log goes through
 * (*Config).writeKeyLog, which is called whether there is somebody to log to or not, for QUIC as
 * well. It isn't called for resumed sessions of TLS 1.2: keysFromMasterSecret is called for these,
 * with the same master secret and another client random.
 *
 * Arguments are on the stack or in registers, see Go's src/cmd/compile/abi-internal.md: the
 * beginning of the function itself shows which of the two.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elf/gobuild.h"
#include "elf/gotext.h"
#include "elf/pclntab.h"
#include "tls/library.h"

enum function {
	KEY_LOG,
	KEY_LOG_QTLS, /* the fork that QUIC programs had before Go 1.21 */
	MASTER_SECRET,
	HANDSHAKE, /* not probed: shows that crypto/tls is there */
	FUNCTIONS_MAX,
};

static const char *const suffixes[FUNCTIONS_MAX] = {
	[KEY_LOG] = ".(*Config).writeKeyLog",
	[KEY_LOG_QTLS] = ".(*config).writeKeyLog",
	[MASTER_SECRET] = ".keysFromMasterSecret",
	[HANDSHAKE] = "crypto/tls.(*Conn).Handshake",
};

/* A place for each of TLS_SECRETS_MAX, and the one that is not probed. */
#define FOUND_MAX (TLS_SECRETS_MAX + 1)

/* The first instructions, with the check of the stack's size. */
#define CODE_LEN 16

/*
 * Arguments by words: a string has two, a slice three.
 *
 *	func (c *Config) writeKeyLog(label string, clientRandom, secret []byte)
 *	func keysFromMasterSecret(version uint16, suite *cipherSuite,
 *				  masterSecret, clientRandom, ... []byte, ...)
 */
enum word {
	LOG_LABEL = 1,
	LOG_LABEL_LEN,
	LOG_RANDOM,
	LOG_SECRET = 6,
	LOG_SECRET_LEN,
	KEYS_MASTER = 2,
	KEYS_MASTER_LEN,
	KEYS_RANDOM = 5,
};

/* AX, BX, CX, DI, SI, R8, R9, R10; on arm64 they are numbered in order. */
static const uint8_t registers_x86[] = { 0, 3, 1, 7, 6, 8, 9, 10 };

#define SP_X86	 4
#define SP_ARM64 31

static struct place place_of(uint16_t machine, enum gotext_abi abi, enum word word)
{
	bool arm = machine == EM_AARCH64;

	/* On arm64 as well there is one word below the arguments: for the link register. */
	if (abi == GOTEXT_ABI_STACK)
		return place_memory(arm ? SP_ARM64 : SP_X86, 8 + 8 * (int)word, 8);
	return place_reg(arm ? (uint8_t)word : registers_x86[word]);
}

/* Is it known that this version of Go does not do it like that? */
static bool contradicts(uint16_t machine, enum gotext_abi abi, const char *version)
{
	long first = machine == EM_AARCH64 ? 18 : 17, minor;

	if (strncmp(version, "go1.", 4))
		return false;
	minor = strtol(version + 4, NULL, 10);
	return (abi == GOTEXT_ABI_REGISTERS) != (minor >= first);
}

static int secret_add(const struct image *image, const struct pclntab_function *function,
		      struct tls_sites *sites)
{
	struct tls_secret secret = { .rung = function->symbol.rung };
	uint16_t machine = image_machine(image);
	enum gotext_abi abi;
	const uint8_t *code;
	size_t len;

	code = image_code_part(image, function->symbol.vaddr, CODE_LEN, &len);
	abi = code ? gotext_abi(machine, code, len) : GOTEXT_ABI_NONE;
	if (abi == GOTEXT_ABI_NONE || contradicts(machine, abi, sites->version) ||
	    image_offset(image, function->symbol.vaddr, &secret.offset))
		return -ENOENT;
	/* Without the dot. */
	secret.function = suffixes[function->suffix] + 1;
	if (function->suffix != MASTER_SECRET) {
		secret.label = place_of(machine, abi, LOG_LABEL);
		secret.label_len = place_of(machine, abi, LOG_LABEL_LEN);
		secret.random = place_of(machine, abi, LOG_RANDOM);
		secret.secret = place_of(machine, abi, LOG_SECRET);
		secret.len = place_of(machine, abi, LOG_SECRET_LEN);
	} else {
		secret.fixed = LABEL_CLIENT_RANDOM;
		secret.random = place_of(machine, abi, KEYS_RANDOM);
		secret.secret = place_of(machine, abi, KEYS_MASTER);
		secret.len = place_of(machine, abi, KEYS_MASTER_LEN);
	}
	sites->secret[sites->secret_count++] = secret;
	return 0;
}

static void secrets_add(const struct image *image, const struct pclntab_function *found,
			size_t count, struct tls_sites *sites)
{
	bool have[FUNCTIONS_MAX] = { 0 }, unknown = false;

	for (size_t i = 0; i < count; i++) {
		if (found[i].suffix == HANDSHAKE)
			continue;
		if (sites->secret_count == TLS_SECRETS_MAX)
			break;
		if (secret_add(image, &found[i], sites))
			unknown = true;
		else
			have[found[i].suffix] = true;
	}
	if (unknown)
		tls_problem(sites, "a function of Go's crypto/tls takes its arguments in an "
				   "unknown way: some secrets are not seen");
	if (!have[KEY_LOG] && !have[KEY_LOG_QTLS])
		tls_problem(sites, "Go's (*Config).writeKeyLog was not found: secrets of TLS 1.3 "
				   "are not seen");
	if (!have[MASTER_SECRET])
		tls_problem(sites, "Go's keysFromMasterSecret was not found: secrets of resumed "
				   "TLS 1.2 sessions are not seen");
}

static int go_resolve(const struct tls_input *input, struct tls_sites *sites)
{
	struct pclntab_function found[FOUND_MAX];
	int count;

	/* Go's crypto/tls has the labels, and nearly all other files are done here. */
	if (!input->labels->place_count || !gobuild_is_go(input->image))
		return -ENOENT;
	count = pclntab_functions(input->image, suffixes, FUNCTIONS_MAX, found, FOUND_MAX);
	if (count == -ENOMEM || !count)
		return count ? count : -ENOENT;
	if (gobuild_version(input->image, sites->version, sizeof(sites->version)))
		sites->version[0] = '\0';
	if (count > 0) {
		sites->recognised = "crypto/tls in Go's table of functions";
		secrets_add(input->image, found, (size_t)count, sites);
		return 0;
	}
	sites->recognised = "Go's build information";
	tls_problem(sites, "Go's table of functions can't be read: no secrets are seen");
	return 0;
}

static const char *const sonames[] = { NULL };

const struct tls_library golang = {
	.name = "go",
	.soname = sonames,
	.resolve = go_resolve,
};
