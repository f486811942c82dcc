/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL and the libraries with its interface: LibreSSL, BoringSSL, AWS-LC, quictls.
 *
 * From OpenSSL 1.1.1 on all reads meet in ssl_read_internal and all writes in ssl_write_internal.
 * BIO_f_ssl calls these two directly, so probing them sees more than the exported functions show,
 * with fewer probes. They have no symbol in a stripped library; the code of SSL_read and
 * SSL_read_ex leads there. ssl_write_internal has one argument more from OpenSSL 3.3 on, so the
 * code has to show as well where the pointer to the number of bytes is.
 *
 * That is only taken when there is no doubt; else the exported functions are probed. The compiler
 * may have copied an internal function into the exported ones (Node.js is built like that): then
 * nobody calls it, and a symbol of that name proves nothing.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "elf/callee.h"
#include "elf/dataflow.h"
#include "elf/insn.h"
#include "tls/guarded.h"
#include "tls/keyblock.h"
#include "tls/keylog.h"
#include "tls/library.h"
#include "tls/libressl.h"

enum function {
	READ,
	READ_EX,
	READ_EARLY_DATA,
	WRITE,
	WRITE_EX,
	WRITE_EX2,
	WRITE_EARLY_DATA,
	SENDFILE,
	FREE,
	CLEAR,
	HANDSHAKE,
	RECIPES_MAX,
	/* Looked up, but no sites themselves. */
	PEEK = RECIPES_MAX,
	READ_INTERNAL,
	WRITE_INTERNAL,
	METHOD,
	SERVER_METHOD,
	ONLY_LIBRESSL,
	FUNCTIONS_MAX,
};

static const struct tls_recipe recipes[RECIPES_MAX] = {
	[READ] = {
		.function = "SSL_read",
		.role = ROLE_TRANSFER,
		.dir = DIR_IN,
		.result = RESULT_COUNT,
		.costs = "what programs receive with SSL_read is not seen",
	},
	[READ_EX] = {
		.function = "SSL_read_ex",
		.role = ROLE_TRANSFER,
		.dir = DIR_IN,
		.result = RESULT_OUT_ARG,
		.out_arg = 3,
		.costs = "what programs receive with SSL_read_ex is not seen",
	},
	[READ_EARLY_DATA] = {
		.function = "SSL_read_early_data",
		.role = ROLE_TRANSFER,
		.dir = DIR_IN,
		.result = RESULT_OUT_ARG,
		.out_arg = 3,
		.costs = "TLS 1.3 early data that servers receive is not seen",
	},
	[WRITE] = {
		.function = "SSL_write",
		.role = ROLE_TRANSFER,
		.dir = DIR_OUT,
		.result = RESULT_COUNT,
		.costs = "what programs send with SSL_write is not seen",
	},
	[WRITE_EX] = {
		.function = "SSL_write_ex",
		.role = ROLE_TRANSFER,
		.dir = DIR_OUT,
		.result = RESULT_OUT_ARG,
		.out_arg = 3,
		.costs = "what programs send with SSL_write_ex is not seen",
	},
	[WRITE_EX2] = {
		.function = "SSL_write_ex2",
		.role = ROLE_TRANSFER,
		.dir = DIR_OUT,
		.result = RESULT_OUT_ARG,
		.out_arg = 4,
		.costs = "what programs send with SSL_write_ex2 is not seen",
	},
	[WRITE_EARLY_DATA] = {
		.function = "SSL_write_early_data",
		.role = ROLE_TRANSFER,
		.dir = DIR_OUT,
		.result = RESULT_OUT_ARG,
		.out_arg = 3,
		.costs = "TLS 1.3 early data that clients send is not seen",
	},
	[SENDFILE] = {
		.function = "SSL_sendfile",
		.role = ROLE_SENDFILE,
		.dir = DIR_OUT,
		.result = RESULT_COUNT,
		.costs = "files that the kernel sends are not counted",
	},
	[FREE] = {
		.function = "SSL_free",
		.role = ROLE_FREE,
		.costs = "connections seem to last until their process ends",
	},
	[CLEAR] = {
		.function = "SSL_clear",
		.role = ROLE_FREE,
		.costs = "connections that use one SSL object in turn look like one",
	},
	[HANDSHAKE] = {
		.function = "SSL_do_handshake",
		.role = ROLE_HANDSHAKE,
		.costs = "programs that use the socket in the handshake only have no addresses",
	},
};

/* One direction: the functions that meet in an internal one. */
struct meeting {
	const char *description;
	struct tls_recipe recipe;
	enum function first; /* exported functions of this direction: first to last */
	enum function last;
	enum function plain;	/* SSL_read: returns the number of bytes */
	enum function ex;	/* SSL_read_ex: the number is behind argument 3 */
	enum function ex2;	/* SSL_write_ex2: behind argument 4; RECIPES_MAX: no such */
	enum function opposite; /* calls the same helpers, but not the function looked for */
	enum function symbol;
};

static const struct meeting meetings[] = {
	{
		.description = "ssl_read_internal (behind SSL_read)",
		.recipe = {
			.function = "ssl_read_internal",
			.role = ROLE_TRANSFER,
			.dir = DIR_IN,
			.result = RESULT_OUT_ARG,
			.out_arg = 3,
			.costs = "what programs receive is not seen",
		},
		.first = READ,
		.last = READ_EARLY_DATA,
		.plain = READ,
		.ex = READ_EX,
		.ex2 = RECIPES_MAX,
		.opposite = WRITE,
		.symbol = READ_INTERNAL,
	},
	{
		.description = "ssl_write_internal (behind SSL_write)",
		.recipe = {
			.function = "ssl_write_internal",
			.role = ROLE_TRANSFER,
			.dir = DIR_OUT,
			.result = RESULT_OUT_ARG,
			.out_arg = 3,
			.costs = "what programs send is not seen",
		},
		.first = WRITE,
		.last = WRITE_EARLY_DATA,
		.plain = WRITE,
		.ex = WRITE_EX,
		.ex2 = WRITE_EX2,
		.opposite = READ,
		.symbol = WRITE_INTERNAL,
	},
};

#define MEETINGS_MAX (sizeof(meetings) / sizeof(meetings[0]))

/* The function behind a meeting's exported ones, as the code shows it. */
struct internal {
	uint64_t vaddr;
	uint8_t out_arg;
};

static bool calls(const struct callees *callees, uint64_t target)
{
	size_t i;

	for (i = 0; i < callees->count; i++) {
		if (callees->call[i].target == target)
			return true;
	}
	return false;
}

/* ssl, buf, and num; SSL_read changes num from int to size_t on the way. */
static bool passes_buffer(const struct call *call, bool num_changes)
{
	return call->arg[0] == VALUE_ARG0 && call->arg[1] == VALUE_ARG0 + 1 &&
	       (call->arg[2] == VALUE_ARG0 + 2 || (num_changes && call->arg[2] == VALUE_OTHER));
}

/*
 * In all calls of target the caller's argument ex_arg has to be in one and the same register of
 * the arguments behind num. -1 when not.
 */
static int out_arg_of(const struct callees *callees, uint64_t target, unsigned int ex_arg)
{
	int out = -1;
	size_t i;
	int arg;

	for (i = 0; i < callees->count; i++) {
		const struct call *call = &callees->call[i];
		int here = -1;

		if (call->target != target)
			continue;
		if (!passes_buffer(call, false))
			return -1;
		for (arg = 3; arg < CALLEE_ARGS_MAX; arg++) {
			if (call->arg[arg] != VALUE_ARG0 + ex_arg)
				continue;
			if (here >= 0)
				return -1;
			here = arg;
		}
		if (here < 0 || (out >= 0 && out != here))
			return -1;
		out = here;
	}
	return out;
}

/* In all calls of target there is a pointer to a local variable in that argument. */
static bool passes_local(const struct callees *callees, uint64_t target, int arg)
{
	bool found = false;
	size_t i;

	for (i = 0; i < callees->count; i++) {
		const struct call *call = &callees->call[i];

		if (call->target != target)
			continue;
		if (!passes_buffer(call, true) || call->arg[arg] != VALUE_STACK)
			return false;
		found = true;
	}
	return found;
}

/*
 * A stub of the PLT, whose function may be in another file. AArch64 needs registers for the
 * address: a function that only jumps through a pointer looks the same, and is none to probe.
 */
static bool is_stub(const struct image *image, uint64_t vaddr)
{
	const uint8_t *code;
	struct insn insn;
	size_t len, pos = 0;

	code = image_code(image, vaddr, &len);
	if (!code)
		return true;
	do {
		if (insn_decode(image_machine(image), code + pos, len - pos, vaddr + pos, &insn))
			return true;
		pos += insn.len;
	} while (insn.kind == INSN_NOP || (image_machine(image) == EM_AARCH64 &&
					   (insn.kind == INSN_LEA || insn.kind == INSN_LOAD)));
	return insn.kind == INSN_JMP_INDIRECT;
}

/* Lists a function's calls. False when there is no such function or its code is not understood. */
static bool list(const struct image *image, const struct symbol *symbol,
		 struct callees *ret_callees)
{
	return symbol->rung != RUNG_NONE && !callees_list(image, symbol, ret_callees);
}

/*
 * A function that leaves all the work to the internal one. Where that was inlined, ssl is used as a
 * pointer and methods are called; the QUIC function, say, is then called exactly as the internal
 * one would be.
 */
static bool is_wrapper(const struct callees *callees)
{
	return !callees->indirect && !callees->derefs_arg0;
}

/* The one function that both call, that neither the opposite nor SSL_peek calls, and that fits. */
static bool internal_find(const struct image *image, const struct meeting *meeting,
			  const struct symbol *symbols, struct internal *ret_internal)
{
	const struct symbol *symbol = &symbols[meeting->symbol];
	struct callees plain, ex, opposite = { 0 }, peek = { 0 };
	enum function ex_function = meeting->ex;
	struct internal internal = { 0 };
	unsigned int ex_arg;
	size_t i;

	if (meeting->ex2 != RECIPES_MAX && symbols[meeting->ex2].rung != RUNG_NONE)
		ex_function = meeting->ex2;
	ex_arg = recipes[ex_function].out_arg;
	if (!list(image, &symbols[meeting->plain], &plain) || !is_wrapper(&plain) ||
	    !list(image, &symbols[ex_function], &ex) || !is_wrapper(&ex))
		return false;
	/* These only exclude; a file without them has to do with the rest. */
	(void)list(image, &symbols[meeting->opposite], &opposite);
	(void)list(image, &symbols[PEEK], &peek);
	for (i = 0; i < ex.count; i++) {
		uint64_t target = ex.call[i].target;
		int out_arg = out_arg_of(&ex, target, ex_arg);

		if (out_arg < 0 || !passes_local(&plain, target, out_arg) ||
		    calls(&opposite, target) || calls(&peek, target) || is_stub(image, target))
			continue;
		if (symbol->rung != RUNG_NONE && symbol->vaddr != target)
			continue;
		if (internal.vaddr && internal.vaddr != target)
			return false;
		internal.vaddr = target;
		internal.out_arg = (uint8_t)out_arg;
	}
	if (!internal.vaddr)
		return false;
	*ret_internal = internal;
	return true;
}

static bool site_add(const struct image *image, uint64_t vaddr, struct tls_site site,
		     struct tls_sites *sites)
{
	size_t i;

	if (image_offset(image, vaddr, &site.offset))
		return false;
	/* Linkers merge functions with the same code. */
	for (i = 0; i < sites->count; i++) {
		if (sites->site[i].offset == site.offset)
			return true;
	}
	sites->site[sites->count++] = site;
	return true;
}

static void exported_add(const struct image *image, const struct symbol *symbols,
			 enum function function, struct tls_sites *sites)
{
	const struct tls_recipe *recipe = &recipes[function];
	const struct symbol *symbol = &symbols[function];
	struct tls_site site = {
		.recipe = recipe,
		.function = recipe->function,
		.rung = symbol->rung,
		.out_arg = recipe->out_arg,
	};

	if (symbol->rung == RUNG_NONE || !site_add(image, symbol->vaddr, site, sites))
		sites->missing[sites->missing_count++] = recipe;
}

/* True when the internal function is the site. */
static bool meeting_add(const struct image *image, const struct meeting *meeting,
			const struct symbol *symbols, struct tls_sites *sites)
{
	const struct symbol *symbol = &symbols[meeting->symbol];
	struct internal internal;
	enum function function;

	if (internal_find(image, meeting, symbols, &internal)) {
		struct tls_site site = {
			.recipe = &meeting->recipe,
			.function = meeting->description,
			.rung = symbol->rung != RUNG_NONE ? symbol->rung : RUNG_CODE,
			.out_arg = internal.out_arg,
		};

		if (site_add(image, internal.vaddr, site, sites))
			return true;
	}
	for (function = meeting->first; function <= meeting->last; function++)
		exported_add(image, symbols, function, sites);
	return false;
}

/*
 * ssl_read_bytes(ssl, type, recvd_type, buf, len, peek, readbytes), a method. One SSL_METHOD table
 * is what TLS_method() returns; the slot has moved within these limits, which are inside of the
 * table in all versions.
 */
#define SLOT_FIRST 0x10
#define SLOT_LAST  0x98
#define SLOTS_MAX  ((SLOT_LAST - SLOT_FIRST) / 8 + 1)

enum { RECORD_HANDLE, RECORD_TYPE, RECORD_BUF = 3, RECORD_PEEK = 5 };

static const struct tls_recipe record_recipe = {
	.function = "ssl_read_bytes",
	.role = ROLE_RECORD,
	.dir = DIR_IN,
	.costs = "calls that were under way at the start are not seen",
};

/* What a function returns that is nothing but "return &table". */
static bool returned_table(const struct image *image, const struct symbol *symbol,
			   uint64_t *ret_table)
{
	struct insn insn = { .kind = INSN_NOP };
	bool found = false;
	const uint8_t *code;
	size_t len, pos = 0;

	if (symbol->rung == RUNG_NONE)
		return false;
	code = image_code_part(image, symbol->vaddr, 4 * INSN_LEN_MAX, &len);
	if (!code)
		return false;
	while (insn.kind != INSN_RET) {
		if (insn_decode(image_machine(image), code + pos, len - pos, symbol->vaddr + pos,
				&insn))
			return false;
		pos += insn.len;
		if (insn.kind == INSN_LEA && insn.base == INSN_REG_PC && insn.dst == 0 && !found)
			found = true;
		else if (insn.kind != INSN_NOP && insn.kind != INSN_RET)
			return false;
		if (insn.kind == INSN_LEA)
			*ret_table = insn.target;
	}
	return found;
}

/* All copies of a function, if they are as those of ssl_read_bytes. */
static bool records_list(const struct image *image, uint64_t vaddr, struct copies *ret_copies)
{
	size_t i;

	if (copies_list(image, vaddr, RECORD_BUF, ret_copies) || !ret_copies->count)
		return false;
	for (i = 0; i < ret_copies->count; i++) {
		const struct place *arg = ret_copies->copy[i].arg;

		if (arg[RECORD_HANDLE].width != 8 || !arg[RECORD_TYPE].width ||
		    arg[RECORD_PEEK].width < 4)
			return false;
	}
	return true;
}

/* An argument of type int. */
static struct place int_place(struct place place)
{
	if (place.width > 4)
		place.width = 4;
	return place;
}

static void records_set(const struct image *image, const struct copies *copies,
			struct tls_sites *sites)
{
	size_t i;

	for (i = 0; i < copies->count; i++) {
		const struct copy *copy = &copies->copy[i];
		struct tls_site site = {
			.recipe = &record_recipe,
			.function = "ssl_read_bytes (records)",
			.rung = RUNG_CODE,
			.handle = copy->arg[RECORD_HANDLE],
			.type = int_place(copy->arg[RECORD_TYPE]),
			.peek = int_place(copy->arg[RECORD_PEEK]),
		};

		if (image_offset(image, copy->vaddr, &site.offset)) {
			sites->record_count = 0;
			return;
		}
		sites->record[sites->record_count++] = site;
	}
}

/* The one method that fits; none when there are two. */
static void records_add(const struct image *image, const struct symbol *symbols,
			struct tls_sites *sites)
{
	uint64_t seen[SLOTS_MAX], table, slot;
	struct copies copies, found;
	size_t count = 0, i;
	bool have = false;

	if (!returned_table(image, &symbols[METHOD], &table) &&
	    !returned_table(image, &symbols[SERVER_METHOD], &table))
		return;
	for (slot = SLOT_FIRST; slot <= SLOT_LAST; slot += 8) {
		if (image_pointer(image, table + slot, &seen[count]))
			continue;
		for (i = 0; seen[i] != seen[count]; i++)
			;
		if (i < count)
			continue;
		if (!records_list(image, seen[count++], &copies))
			continue;
		if (have)
			return;
		have = true;
		found = copies;
	}
	if (have)
		records_set(image, &found, sites);
}

static const struct keylog_recipe keylog = {
	.function = "ssl_log_secret",
	.inner = "nss_keylog_int (behind ssl_log_secret)",
	.copier = "SSL_get_client_random",
	.len_width = 8,
};

/* That no function gets all secrets, which is said last, is no problem then. */
static void guarded_say(uint32_t labels, size_t problems, struct tls_sites *sites)
{
	sites->problem_count = problems;
	if (!(labels & ~(1U << STRING_CLIENT_RANDOM)))
		tls_problem(sites, "no secrets of TLS 1.3: the code that asks whether there is a "
				   "key log is not understood");
}

/*
 * From OpenSSL 1.1.1 on, and in BoringSSL, all secrets pass ssl_log_secret. Before, and where it was
 * copied into its callers, those of TLS up to 1.2 pass tls1_setup_key_block; for those of TLS 1.3 see
 * guarded.c.
 */
static void secrets_add(const struct tls_input *input, struct tls_sites *sites)
{
	struct keyblock keyblock;
	bool labels = input->labels->found & 1U << STRING_CLIENT_RANDOM;
	size_t problems = sites->problem_count;
	const struct value_of *random;
	uint32_t guarded = 0;
	bool have;

	if (input->taken) {
		tls_problem(sites, "no secrets: another TLS library is in the same file, and whose "
				   "labels are whose is not certain");
		return;
	}
	have = !keyblock_find(input, &keyblock);
	random = have ? &keyblock.random : NULL;
	if (labels && keylog_add(input, &keylog, random, sites))
		return;
	if (labels && guarded_add(input, random, sites, &guarded))
		guarded_say(guarded, problems, sites);
	if (have)
		keyblock_add(input, &keyblock, sites);
	else if (!(guarded & 1U << STRING_CLIENT_RANDOM))
		tls_problem(sites, "no secrets of TLS 1.2: the code that makes keys of them is not "
				   "understood");
	if (labels)
		return;
	if (!have || !sites->name || strcmp(sites->name, "libressl") != 0)
		tls_problem(sites,
			    "no secrets of TLS 1.3, if it has that at all: it has no labels");
	else if (libressl_add(input, &keyblock, sites))
		tls_problem(sites, "no secrets of TLS 1.3 of servers: LibreSSL's do not keep the "
				   "client random");
	else
		tls_problem(sites, "no secrets of TLS 1.3: LibreSSL has no key log, and the code "
				   "that derives them is not understood");
}

/* The version is in libcrypto, which need not be in the same file. */
static void version_set(const struct tls_input *input, bool libressl, struct tls_sites *sites)
{
	int string;

	if (libressl)
		sites->name = "libressl";

	for (string = STRING_OPENSSL_0; string <= STRING_LIBRESSL; string++) {
		if (!tls_version(input, string, sites))
			continue;
		if (string == STRING_LIBRESSL)
			sites->name = "libressl";
		return;
	}
	if (input->labels->found & 1U << STRING_BORINGSSL)
		sites->name = "boringssl";
}

static int openssl_resolve(const struct tls_input *input, struct tls_sites *sites)
{
	const struct image *image = input->image;
	const char *names[FUNCTIONS_MAX] = {
		[PEEK] = "SSL_peek",
		[READ_INTERNAL] = "ssl_read_internal",
		[WRITE_INTERNAL] = "ssl_write_internal",
		[METHOD] = "TLS_method",
		[SERVER_METHOD] = "TLS_server_method",
		[ONLY_LIBRESSL] = "SSL_CTX_load_verify_mem",
	};
	struct symbol symbols[FUNCTIONS_MAX];
	size_t i;
	int found;

	sites->internal = true;
	for (i = 0; i < RECIPES_MAX; i++)
		names[i] = recipes[i].function;
	found = image_symbols(image, names, FUNCTIONS_MAX, symbols);
	if (found < 0)
		return found;
	for (i = 0; i < MEETINGS_MAX; i++) {
		bool internal = meeting_add(image, &meetings[i], symbols, sites);

		sites->internal &= internal;
		if (internal && meetings[i].recipe.dir == DIR_IN)
			records_add(image, symbols, sites);
	}
	version_set(input, symbols[ONLY_LIBRESSL].rung != RUNG_NONE, sites);
	secrets_add(input, sites);
	if (!sites->count && !sites->secret_count)
		return -ENOENT;
	sites->recognised = sites->count ? "by its symbols SSL_read and SSL_write"
					 : "by the labels of its key log";
	exported_add(image, symbols, SENDFILE, sites);
	exported_add(image, symbols, FREE, sites);
	exported_add(image, symbols, CLEAR, sites);
	exported_add(image, symbols, HANDSHAKE, sites);
	return 0;
}

static const char *const sonames[] = {
	"libssl.so",
	/* Python wheels carry libssl-HASH.so.3. NSS's libssl3.so is another library. */
	"libssl-",
	NULL,
};

static const char *const secret_functions[] = { "ssl_log_secret", NULL };

const struct tls_library openssl = {
	.name = "openssl",
	.soname = sonames,
	.recipes = recipes,
	.recipe_count = RECIPES_MAX,
	.secret_functions = secret_functions,
	.resolve = openssl_resolve,
};
