/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ELF file. The file is hostile input: every address is checked against the segments and the
 * file's size before a byte is read. The parts that are asked for are read into memory and never
 * mapped: whoever shortens a mapped file kills its readers with SIGBUS.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;

/* Larger files are refused. */
#define IMAGE_FILE_MAX (UINT64_C(4) << 30)
/* More code than this is not handed out at once. */
#define IMAGE_CODE_MAX 65536

/*
 * Errors of all three: -ENOEXEC (not a regular file, not ELF, not 64 bit little endian, not an
 * executable or shared object, or damaged), -EOPNOTSUPP (another architecture than x86-64 or
 * arm64), -EFBIG, -EISDIR, -ENOMEM and what open(2) and pread(2) say.
 */
int image_open(const char *path, struct image **ret_image);
/* Reads from fd, which stays the caller's and may be closed. */
int image_open_fd(int fd, struct image **ret_image);
/* A debug file: its symbols count, it has no code. */
int image_open_debug_fd(int fd, struct image **ret_image);
/* Borrows data, which must outlive the image. For tests and fuzzers. */
int image_open_memory(const void *data, size_t len, struct image **ret_image);
void image_free(struct image *image);

/* EM_X86_64 or EM_AARCH64. */
uint16_t image_machine(const struct image *image);
/* Is it loaded where it says, and nowhere else? Such code may hold addresses as constants. */
bool image_fixed(const struct image *image);
/* Bytes in the file. */
uint64_t image_len(const struct image *image);

/*
 * File offset of a virtual address inside an executable segment: what a uprobe wants.
 * -EADDRNOTAVAIL when no executable segment has it in the file.
 */
int image_offset(const struct image *image, uint64_t vaddr, uint64_t *ret_offset);

/* The other way round, with the same error. */
int image_vaddr(const struct image *image, uint64_t offset, uint64_t *ret_vaddr);

/*
 * Code at vaddr: the bytes in the file, and how many of them are in that executable segment, at
 * most IMAGE_CODE_MAX. NULL when vaddr is in none or reading fails. Valid until image_free.
 */
const uint8_t *image_code(const struct image *image, uint64_t vaddr, size_t *ret_len);

/* As image_code, but at most max bytes: cheaper where only the first few count. */
const uint8_t *image_code_part(const struct image *image, uint64_t vaddr, size_t max,
			       size_t *ret_len);

/* Copies code at vaddr; returns how many bytes were there, at most max. */
size_t image_code_copy(const struct image *image, uint64_t vaddr, void *buf, size_t max);

/*
 * Copies len bytes at vaddr of any loaded segment, as they are in the file. -EADDRNOTAVAIL when
 * they are not all in one segment; what pread(2) says.
 */
int image_read(const struct image *image, uint64_t vaddr, void *buf, size_t len);
/* The same by the place in the file. -ENODATA when it ends before. */
int image_read_at(const struct image *image, uint64_t offset, void *buf, size_t len);

/* How many bytes of a loaded segment there are in the file from vaddr on; 0 when none has it. */
uint64_t image_loaded(const struct image *image, uint64_t vaddr);

/*
 * Calls fn for the bytes of all loaded segments, or of the executable ones, in windows of at most
 * IMAGE_WINDOW; each but the first of a segment begins with the last overlap bytes of the one before. A
 * nonzero result of fn ends the walk and is returned. -ENOMEM, -EFBIG, what pread(2) says.
 */
#define IMAGE_WINDOW (UINT64_C(1) << 20)
typedef int (*image_window_fn)(void *arg, uint64_t vaddr, const uint8_t *p, size_t len);
int image_walk(const struct image *image, bool exec, size_t overlap, image_window_fn fn, void *arg);

/*
 * A section by name: where it is loaded, where it is in the file, its length, all of which is in
 * the file. -ENOENT. Whoever strips a file may remove all sections.
 */
int image_section(const struct image *image, const char *name, uint64_t *ret_vaddr,
		  uint64_t *ret_offset, uint64_t *ret_len);

/* The build ID that the linker put into the file. -ENOENT when there is none. */
#define IMAGE_BUILD_ID_MAX 64
int image_build_id(const struct image *image, uint8_t ret_id[IMAGE_BUILD_ID_MAX], size_t *ret_len);

/*
 * Gives an image the file with its debug symbols, which it then owns: image_symbols() looks there
 * last. The caller has made sure that the two belong together.
 */
void image_set_debug(struct image *image, struct image *debug);
/*
 * Where that file may be, as debugfile_find() has it; looked for only when a symbol is missing and
 * the image has no symbol table of its own. Keeps copies of both. -ENOMEM, -EEXIST, -EMFILE.
 */
int image_debug_from(struct image *image, int root, const char *path);
/* Has a debug file been found? */
bool image_has_debug(const struct image *image);
bool image_has_symtab(const struct image *image);

/*
 * The function that vaddr is in: where it begins, and how much code there is to the beginning of
 * the next one, as the table for unwinding the stack says. -ENOENT when it does not say so.
 */
int image_function_at(const struct image *image, uint64_t vaddr, uint64_t *ret_start,
		      uint64_t *ret_len);

/*
 * How much code there is from vaddr, where a function must begin, to the beginning of the next
 * function, as the table for unwinding the stack says. -ENOENT when it does not say so.
 */
int image_function_len(const struct image *image, uint64_t vaddr, uint64_t *ret_len);

/* Does a function begin at vaddr, as that table says? 1, 0, or -ENOENT when there is no table. */
int image_function_starts(const struct image *image, uint64_t vaddr);

/*
 * The pointer at vaddr after loading, where that is an address in this file itself, or a symbol that
 * it defines. -ENOENT when there is no relocation of that kind. x86-64 only.
 */
int image_pointer(const struct image *image, uint64_t vaddr, uint64_t *ret_target);

/* Calls fn for all pointers of that kind, until it returns something else than 0: then that. */
typedef int (*image_pointer_fn)(void *arg, uint64_t vaddr, uint64_t target);
int image_pointers(const struct image *image, image_pointer_fn fn, void *arg);

/*
 * Addresses of pointers that the loader sets to the function of one of the names (NULL-
 * terminated). Returns how many were stored, at most max; max + 1 when there are more. x86-64
 * only.
 */
size_t image_imports(const struct image *image, const char *const *names, uint64_t *ret_vaddrs,
		     size_t max);

/* Where a symbol was found: rungs of the ladder in docs/design. */
enum rung {
	RUNG_NONE,
	RUNG_SYMTAB,
	RUNG_DYNSYM,
	RUNG_DEBUG_FILE, /* the symbol table of a separate debug file */
	RUNG_PCLNTAB,	 /* Go's table of functions */
	RUNG_STRINGS,	 /* references to label strings lead there */
	RUNG_CODE,	 /* followed from an exported function's code */
	RUNG_ACCESSOR,	 /* an exported function's code shows the offsets that it reads */
	RUNG_USER,	 /* given by the user */
};
const char *rung_name(enum rung rung);

struct symbol {
	uint64_t vaddr;
	uint64_t size; /* 0: not known */
	enum rung rung;
};

/*
 * A function whose address the user gives: it wins over all tables. name must stay. The caller has
 * made sure that a function begins there. -E2BIG above IMAGE_GIVEN_MAX.
 */
#define IMAGE_GIVEN_MAX 32
int image_add_symbol(struct image *image, const char *name, uint64_t vaddr);

/*
 * Looks for defined functions by name: in .dynsym, then in .symtab, then in the debug file's. The
 * first one of a name counts. Only functions with code in an executable segment are found.
 * names: count of them, no two the same; ret_symbols: as many, rung RUNG_NONE where not found.
 * Returns the number found, or -ENOMEM. Damaged tables count as "not found".
 */
int image_symbols(const struct image *image, const char *const *names, size_t count,
		  struct symbol *ret_symbols);

#endif
