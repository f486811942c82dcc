/* SPDX-License-Identifier: Apache-2.0 */
/* The separate debug file: found where it should be, taken only when it belongs to the image. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/debugfile.h"
#include "elf_build.h"

enum { LINK = SECTIONS_MAX, NOTE, SHSTRTAB, ALL_MAX };

/* The small file, with named sections behind it. */
struct named_file {
	struct elf_file file;
	char shstrtab[64];
	uint8_t link[128];
	uint8_t note[64];
	Elf64_Shdr shdr[ALL_MAX];
};

#define NAMES "\0.gnu_debuglink\0.note.gnu.build-id"

static const uint8_t id[20] = { 0xab, 0xcd, 0xef, 0x01 };
#define ID_PATH                        \
	"/usr/lib/debug/.build-id/ab/" \
	"cdef0100000000000000000000000000000000.debug"

static void section(struct named_file *f, int index, uint32_t name, const void *data, size_t len)
{
	f->shdr[index].sh_name = name;
	f->shdr[index].sh_type = index == SHSTRTAB ? SHT_STRTAB : SHT_PROGBITS;
	f->shdr[index].sh_offset = (uint64_t)((const char *)data - (const char *)f);
	f->shdr[index].sh_size = len;
	f->shdr[index].sh_addralign = 1;
}

static void set_link(struct named_file *f, const char *name, uint32_t crc)
{
	size_t crc_at = (strlen(name) + 4) & ~(size_t)3;

	memset(f->link, 0, sizeof(f->link));
	strcpy((char *)f->link, name);
	memcpy(f->link + crc_at, &crc, sizeof(crc));
	section(f, LINK, 1, f->link, crc_at + sizeof(crc));
}

static void set_id(struct named_file *f, const uint8_t *data, size_t len)
{
	Elf64_Nhdr note = { .n_namesz = 4, .n_descsz = (uint32_t)len, .n_type = NT_GNU_BUILD_ID };

	memcpy(f->note, &note, sizeof(note));
	memcpy(f->note + sizeof(note), "GNU", 4);
	memcpy(f->note + sizeof(note) + 4, data, len);
	section(f, NOTE, 16, f->note, sizeof(note) + 4 + ((len + 3) & ~(size_t)3));
}

static void named_init(struct named_file *f, bool stripped)
{
	memset(f, 0, sizeof(*f));
	elf_init(&f->file, EM_X86_64);
	elf_symbol(&f->file, stripped ? SECTION_DYNSYM : SECTION_SYMTAB, "SSL_hidden", 16, 4);
	memcpy(f->shstrtab, NAMES, sizeof(NAMES));
	memcpy(f->shdr, f->file.shdr, sizeof(f->file.shdr));
	if (stripped) {
		f->shdr[SECTION_SYMTAB].sh_type = SHT_NULL;
		f->shdr[SECTION_DYNSYM].sh_type = SHT_NULL;
	}
	section(f, SHSTRTAB, 0, f->shstrtab, sizeof(NAMES));
	f->file.ehdr.e_shoff = offsetof(struct named_file, shdr);
	f->file.ehdr.e_shnum = ALL_MAX;
	f->file.ehdr.e_shstrndx = SHSTRTAB;
}

/* A folder that stands for the root of a process. */
static char root[32];

static int setup(void **state)
{
	char command[192];

	(void)state;
	strcpy(root, "/tmp/test_debug.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(command, sizeof(command),
		 "mkdir -p %s/opt/.debug %s/usr/lib/debug/opt %s/usr/lib/debug/.build-id/ab", root,
		 root, root);
	return system(command);
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static const char *inside(const char *path)
{
	static char whole[256];

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	return whole;
}

static void put(const char *path, const void *data, size_t len)
{
	int fd = open(inside(path), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static int find(const struct named_file *f, const char *path)
{
	struct image *image, *debug = NULL;
	int fd = open(root, O_PATH | O_DIRECTORY), r;

	assert_int_equal(image_open_memory(f, sizeof(*f), &image), 0);
	r = debugfile_find(image, fd, path, &debug);
	assert_int_equal(!r, !!debug);
	image_free(debug);
	image_free(image);
	close(fd);
	return r;
}

static uint32_t crc_of(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t crc = UINT32_MAX;

	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320U : crc >> 1;
	}
	return ~crc;
}

static void by_build_id(void **state)
{
	struct named_file f, debug;

	(void)state;
	named_init(&f, true);
	named_init(&debug, false);
	set_id(&f, id, sizeof(id));
	assert_int_equal(find(&f, NULL), -ENOENT);
	/* One without a build ID may be any file; another one's is another file. */
	put(ID_PATH, &debug, sizeof(debug));
	assert_int_equal(find(&f, NULL), -ENOENT);
	set_id(&debug, id, sizeof(id) - 1);
	put(ID_PATH, &debug, sizeof(debug));
	assert_int_equal(find(&f, NULL), -ENOENT);
	set_id(&debug, id, sizeof(id));
	put(ID_PATH, &debug, sizeof(debug));
	assert_int_equal(find(&f, NULL), 0);
	debug.file.ehdr.e_machine = EM_AARCH64;
	put(ID_PATH, &debug, sizeof(debug));
	assert_int_equal(find(&f, NULL), -ENOENT);
	/* It has no symbols itself. */
	put(ID_PATH, &f, sizeof(f));
	assert_int_equal(find(&f, NULL), -ENOENT);
}

static void by_link(void **state)
{
	static const char *const paths[] = { "/opt/prog.debug", "/opt/.debug/prog.debug",
					     "/usr/lib/debug/opt/prog.debug" };
	struct named_file f, debug;

	(void)state;
	named_init(&f, true);
	named_init(&debug, false);
	set_link(&f, "prog.debug", crc_of(&debug, sizeof(debug)));
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(find(&f, "/opt/prog"), -ENOENT);
		put(paths[i], &debug, sizeof(debug));
		assert_int_equal(find(&f, "/opt/prog"), 0);
		assert_int_equal(find(&f, "opt/prog"), 0);
		assert_int_equal(find(&f, NULL), -ENOENT);
		assert_int_equal(find(&f, "/elsewhere/prog"), -ENOENT);
		unlink(inside(paths[i]));
	}
	/* Another checksum; and with build IDs the checksum does not count. */
	put(paths[0], &debug, sizeof(debug));
	set_link(&f, "prog.debug", 1);
	assert_int_equal(find(&f, "/opt/prog"), -ENOENT);
	set_id(&debug, id, sizeof(id));
	set_id(&f, id, sizeof(id));
	put(paths[0], &debug, sizeof(debug));
	assert_int_equal(find(&f, "/opt/prog"), 0);
	set_id(&f, id + 1, sizeof(id) - 1);
	set_link(&f, "prog.debug", crc_of(&debug, sizeof(debug)));
	assert_int_equal(find(&f, "/opt/prog"), -ENOENT);
	unlink(inside(paths[0]));
}

static void hostile_links(void **state)
{
	static const char *const names[] = { "../opt/prog.debug", "/opt/prog.debug", "..", ".",
					     ".debug/prog.debug" };
	struct named_file f, debug;
	uint32_t crc;

	(void)state;
	named_init(&f, true);
	named_init(&debug, false);
	crc = crc_of(&debug, sizeof(debug));
	put("/opt/prog.debug", &debug, sizeof(debug));
	put("/opt/.debug/prog.debug", &debug, sizeof(debug));
	for (size_t i = 0; i < 5; i++) {
		set_link(&f, names[i], crc);
		assert_int_equal(find(&f, "/opt/prog"), -ENOENT);
	}
	set_link(&f, "prog.debug", crc);
	assert_int_equal(find(&f, "/opt/prog"), 0);
	for (size_t len = 0; len < f.shdr[LINK].sh_size; len++) {
		struct named_file cut = f;

		cut.shdr[LINK].sh_size = len;
		assert_int_equal(find(&cut, "/opt/prog"), -ENOENT);
	}
	f.shdr[LINK].sh_size = UINT64_MAX;
	assert_int_equal(find(&f, "/opt/prog"), -ENOENT);
	unlink(inside("/opt/prog.debug"));
	unlink(inside("/opt/.debug/prog.debug"));
}

/* A symbolic link or .. leads to the root at most. */
static void stays_inside(void **state)
{
	struct named_file f, debug;
	char outside[] = "/tmp/test_outside.XXXXXX";
	int fd = mkstemp(outside);

	(void)state;
	named_init(&f, true);
	named_init(&debug, false);
	set_link(&f, "prog.debug", crc_of(&debug, sizeof(debug)));
	assert_int_equal(write(fd, &debug, sizeof(debug)), sizeof(debug));
	close(fd);
	assert_int_equal(symlink(outside, inside("/opt/prog.debug")), 0);
	assert_int_equal(find(&f, "/opt/prog"), -ENOENT);
	unlink(inside("/opt/prog.debug"));
	assert_int_equal(find(&f, "/../../../tmp/x"), -ENOENT);
	/* An absolute link means the process' own root. */
	put("/real.debug", &debug, sizeof(debug));
	assert_int_equal(symlink("/real.debug", inside("/opt/prog.debug")), 0);
	assert_int_equal(find(&f, "/opt/prog"), 0);
	unlink(inside("/opt/prog.debug"));
	/* No file at all, and one that would make us wait. */
	assert_int_equal(mkfifo(inside("/opt/prog.debug"), 0600), 0);
	assert_int_equal(find(&f, "/opt/prog"), -ENOENT);
	unlink(inside("/opt/prog.debug"));
	unlink(outside);
}

/* Each damaged byte, each shortened file: found or not, but never a crash or a wrong symbol. */
static void damaged(void **state)
{
	static const char *const names[] = { "SSL_hidden" };
	int dir = open(root, O_PATH | O_DIRECTORY);
	struct named_file f, debug, bad;
	struct symbol symbol;
	struct image *image;
	size_t i;

	(void)state;
	named_init(&f, true);
	named_init(&debug, false);
	set_id(&f, id, sizeof(id));
	set_id(&debug, id, sizeof(id));
	for (i = 0; i <= sizeof(debug); i++) {
		/* The middle is code, which does not count. */
		if (i > 64 && i < sizeof(debug) - 448 && i % 16)
			continue;
		bad = debug;
		if (i < sizeof(debug))
			((uint8_t *)&bad)[i] ^= 0xff;
		put(ID_PATH, &bad, i < sizeof(debug) && i % 2 ? i : sizeof(bad));
		assert_int_equal(image_open_memory(&f, sizeof(f), &image), 0);
		assert_int_equal(image_debug_from(image, dir, ""), 0);
		if (image_symbols(image, names, 1, &symbol) == 1)
			assert_int_equal(symbol.rung, RUNG_DEBUG_FILE);
		image_free(image);
	}
	assert_int_equal(image_open_memory(&f, sizeof(f), &image), 0);
	assert_int_equal(image_debug_from(image, dir, ""), 0);
	assert_false(image_has_debug(image));
	assert_int_equal(image_symbols(image, names, 1, &symbol), 1);
	assert_true(image_has_debug(image));
	assert_int_equal(symbol.vaddr, elf_vaddr(16));
	image_free(image);
	close(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_build_id),	 cmocka_unit_test(by_link),
		cmocka_unit_test(hostile_links), cmocka_unit_test(stays_inside),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests_name("debugfile", tests, setup, teardown);
}
