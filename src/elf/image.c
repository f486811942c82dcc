/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Ceilings. Real files stay far below; a file above them was made to waste memory. */
#define PHDRS_MAX    1024
#define SEGMENTS_MAX 32
#define SYMTAB_MAX   (UINT64_C(256) << 20)
#define STRTAB_MAX   (UINT64_C(512) << 20)
#define RELA_MAX     (UINT64_C(64) << 20)
#define UNWIND_MAX   (UINT64_C(32) << 20)
#define NOTES_MAX    4096

/* The part of a loaded segment that is in the file. */
struct segment {
	uint64_t vaddr;
	uint64_t offset;
	uint64_t len;
	bool exec;
};

struct image {
	Elf *elf;
	int fd; /* -1: in memory */
	uint64_t len;
	uint16_t machine;
	size_t segment_count;
	struct segment segment[SEGMENTS_MAX];
	const uint8_t *memory; /* the whole file; NULL when it is read from fd */
	struct image *debug;   /* its symbols count as well; NULL: none */
};

static int header_check(const Elf64_Ehdr *ehdr)
{
	if (memcmp(ehdr->e_ident, ELFMAG, SELFMAG) || ehdr->e_ident[EI_CLASS] != ELFCLASS64 ||
	    ehdr->e_ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	if (ehdr->e_type != ET_EXEC && ehdr->e_type != ET_DYN)
		return -ENOEXEC;
	/*
	 * With e_shnum 0 the number of sections is a 64-bit field, and libelf allocates that many
	 * before anybody can object. Linked files have a handful.
	 */
	if (ehdr->e_shoff && !ehdr->e_shnum)
		return -ENOEXEC;
	if (ehdr->e_machine != EM_X86_64 && ehdr->e_machine != EM_AARCH64)
		return -EOPNOTSUPP;
	return 0;
}

static int image_read_segments(struct image *image)
{
	size_t count, i;

	if (elf_getphdrnum(image->elf, &count) || count > PHDRS_MAX)
		return -ENOEXEC;
	for (i = 0; i < count; i++) {
		struct segment *seg = &image->segment[image->segment_count];
		GElf_Phdr phdr;

		if (!gelf_getphdr(image->elf, (int)i, &phdr))
			return -ENOEXEC;
		if (phdr.p_type != PT_LOAD || !phdr.p_filesz)
			continue;
		if (phdr.p_offset > image->len || phdr.p_filesz > image->len - phdr.p_offset ||
		    phdr.p_vaddr > UINT64_MAX - phdr.p_filesz)
			return -ENOEXEC;
		if (image->segment_count == SEGMENTS_MAX)
			return -ENOEXEC;
		seg->vaddr = phdr.p_vaddr;
		seg->offset = phdr.p_offset;
		seg->len = phdr.p_filesz;
		seg->exec = phdr.p_flags & PF_X;
		image->segment_count++;
	}
	return 0;
}

/* Takes fd over, also when it fails. data is NULL when the image is to be read from fd. */
static int image_new(int fd, const void *data, uint64_t len, const Elf64_Ehdr *ehdr,
		     struct image **ret_image)
{
	struct image *image;
	int err;

	err = header_check(ehdr);
	if (err)
		goto close_fd;
	image = calloc(1, sizeof(*image));
	if (!image) {
		err = -ENOMEM;
		goto close_fd;
	}
	image->fd = fd;
	image->len = len;
	image->machine = ehdr->e_machine;
	image->memory = data;
	elf_version(EV_CURRENT);
	/* libelf's type lacks the const; it only reads. */
	image->elf = data ? elf_memory((char *)data, len) : elf_begin(fd, ELF_C_READ, NULL);
	if (image->elf && elf_kind(image->elf) == ELF_K_ELF &&
	    gelf_getclass(image->elf) == ELFCLASS64)
		err = image_read_segments(image);
	else
		err = -ENOEXEC;
	if (err) {
		image_free(image);
		return err;
	}
	*ret_image = image;
	return 0;

close_fd:
	if (fd >= 0)
		close(fd);
	return err;
}

int image_open_fd(int fd, struct image **ret_image)
{
	Elf64_Ehdr ehdr;
	struct stat st;
	ssize_t n;
	int own;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	if ((uint64_t)st.st_size > IMAGE_FILE_MAX)
		return -EFBIG;
	n = pread(fd, &ehdr, sizeof(ehdr), 0);
	if (n < 0)
		return -errno;
	if (n != sizeof(ehdr))
		return -ENOEXEC;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return -errno;
	return image_new(own, NULL, (uint64_t)st.st_size, &ehdr, ret_image);
}

int image_open(const char *path, struct image **ret_image)
{
	int fd, err;

	/* Without O_NONBLOCK a FIFO would hold us until somebody writes to it. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	err = image_open_fd(fd, ret_image);
	close(fd);
	return err;
}

int image_open_memory(const void *data, size_t len, struct image **ret_image)
{
	Elf64_Ehdr ehdr;

	if (len < sizeof(ehdr))
		return -ENOEXEC;
	if (len > IMAGE_FILE_MAX)
		return -EFBIG;
	memcpy(&ehdr, data, sizeof(ehdr));
	return image_new(-1, data, len, &ehdr, ret_image);
}

void image_free(struct image *image)
{
	if (!image)
		return;
	image_free(image->debug);
	elf_end(image->elf);
	if (image->fd >= 0)
		close(image->fd);
	free(image);
}

uint16_t image_machine(const struct image *image)
{
	return image->machine;
}

/* The bytes at vaddr: where they are in the file and how many of them are in that segment. */
static bool segment_find(const struct image *image, bool exec, uint64_t vaddr, uint64_t *ret_offset,
			 uint64_t *ret_len)
{
	size_t i;

	for (i = 0; i < image->segment_count; i++) {
		const struct segment *seg = &image->segment[i];

		if ((exec && !seg->exec) || vaddr < seg->vaddr || vaddr - seg->vaddr >= seg->len)
			continue;
		*ret_offset = seg->offset + (vaddr - seg->vaddr);
		*ret_len = seg->len - (vaddr - seg->vaddr);
		return true;
	}
	return false;
}

static bool image_find(const struct image *image, uint64_t vaddr, uint64_t *ret_offset,
		       uint64_t *ret_len)
{
	return segment_find(image, true, vaddr, ret_offset, ret_len);
}

static int file_read(const struct image *image, uint64_t offset, void *buf, size_t len)
{
	size_t done = 0;

	if (offset > image->len || len > image->len - offset)
		return -ENODATA;
	if (image->memory) {
		memcpy(buf, image->memory + offset, len);
		return 0;
	}
	while (done < len) {
		ssize_t n =
			pread(image->fd, (char *)buf + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

int image_read(const struct image *image, uint64_t vaddr, void *buf, size_t len)
{
	uint64_t offset, there;

	if (!segment_find(image, false, vaddr, &offset, &there) || there < len)
		return -EADDRNOTAVAIL;
	return file_read(image, offset, buf, len);
}

uint64_t image_loaded(const struct image *image, uint64_t vaddr)
{
	uint64_t offset, len;

	return segment_find(image, false, vaddr, &offset, &len) ? len : 0;
}

static int segment_walk(const struct image *image, const struct segment *seg, uint8_t *buf,
			size_t overlap, image_window_fn fn, void *arg)
{
	uint64_t pos = 0;
	int r;

	for (;;) {
		uint64_t len = seg->len - pos;

		if (len > IMAGE_WINDOW)
			len = IMAGE_WINDOW;
		r = file_read(image, seg->offset + pos, buf, len);
		if (!r)
			r = fn(arg, seg->vaddr + pos, buf, len);
		if (r || pos + len == seg->len)
			return r;
		pos += len - overlap;
	}
}

int image_walk(const struct image *image, bool exec, size_t overlap, image_window_fn fn, void *arg)
{
	uint64_t total = 0;
	uint8_t *buf;
	size_t i;
	int r = 0;

	if (overlap >= IMAGE_WINDOW / 2)
		return -EINVAL;
	buf = malloc(IMAGE_WINDOW);
	if (!buf)
		return -ENOMEM;
	for (i = 0; i < image->segment_count && !r; i++) {
		const struct segment *seg = &image->segment[i];

		if (exec && !seg->exec)
			continue;
		/* Segments that lie over each other many times were made to waste time. */
		total += seg->len;
		r = total > 2 * image->len ? -EFBIG
					   : segment_walk(image, seg, buf, overlap, fn, arg);
	}
	free(buf);
	return r;
}

int image_offset(const struct image *image, uint64_t vaddr, uint64_t *ret_offset)
{
	uint64_t len;

	return image_find(image, vaddr, ret_offset, &len) ? 0 : -EADDRNOTAVAIL;
}

const uint8_t *image_code_part(const struct image *image, uint64_t vaddr, size_t max,
			       size_t *ret_len)
{
	uint64_t offset, len;
	Elf_Data *data;

	if (!image_find(image, vaddr, &offset, &len))
		return NULL;
	if (len > max)
		len = max;
	data = elf_getdata_rawchunk(image->elf, (int64_t)offset, len, ELF_T_BYTE);
	if (!data || !data->d_buf || data->d_size != len)
		return NULL;
	*ret_len = len;
	return data->d_buf;
}

const uint8_t *image_code(const struct image *image, uint64_t vaddr, size_t *ret_len)
{
	return image_code_part(image, vaddr, IMAGE_CODE_MAX, ret_len);
}

const char *rung_name(enum rung rung)
{
	switch (rung) {
	case RUNG_SYMTAB:
		return "symtab";
	case RUNG_DYNSYM:
		return "dynsym";
	case RUNG_DEBUG_FILE:
		return "debug file";
	case RUNG_PCLNTAB:
		return "pclntab";
	case RUNG_STRINGS:
		return "strings";
	case RUNG_CODE:
		return "code";
	case RUNG_ACCESSOR:
		return "accessor";
	case RUNG_USER:
		return "user";
	case RUNG_NONE:
		break;
	}
	return "none";
}

/* A bounded view of one section's bytes; they may be unaligned. */
struct bytes {
	const char *data;
	size_t len;
};

static bool section_read(const struct image *image, Elf_Scn *scn, const GElf_Shdr *shdr,
			 uint64_t max, struct bytes *ret_bytes)
{
	Elf_Data *data;

	/* libelf allocates sh_size before it looks whether the file has that much. */
	if (!shdr->sh_size || shdr->sh_size > max || shdr->sh_offset > image->len ||
	    shdr->sh_size > image->len - shdr->sh_offset)
		return false;
	data = elf_rawdata(scn, NULL);
	if (!data || !data->d_buf || data->d_size != shdr->sh_size)
		return false;
	ret_bytes->data = data->d_buf;
	ret_bytes->len = data->d_size;
	return true;
}

/* The first section of a type, and the string table that belongs to it. */
static bool table_read(const struct image *image, uint32_t type, struct bytes *ret_symbols,
		       struct bytes *ret_strings)
{
	Elf_Scn *scn = NULL, *strings;
	GElf_Shdr shdr, strings_shdr;
	const char *end;

	while ((scn = elf_nextscn(image->elf, scn))) {
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == type)
			break;
	}
	if (!scn || shdr.sh_entsize != sizeof(Elf64_Sym))
		return false;
	strings = elf_getscn(image->elf, shdr.sh_link);
	if (!strings || !gelf_getshdr(strings, &strings_shdr) ||
	    strings_shdr.sh_type != SHT_STRTAB ||
	    !section_read(image, scn, &shdr, SYMTAB_MAX, ret_symbols) ||
	    !section_read(image, strings, &strings_shdr, STRTAB_MAX, ret_strings))
		return false;
	/* Everything before the last NUL is terminated: names need no further check. */
	end = memrchr(ret_strings->data, '\0', ret_strings->len);
	ret_strings->len = end ? (size_t)(end - ret_strings->data) + 1 : 0;
	return true;
}

struct wanted {
	const char *name;
	struct symbol *symbol;
};

static int wanted_compare(const void *a, const void *b)
{
	return strcmp(((const struct wanted *)a)->name, ((const struct wanted *)b)->name);
}

static int name_compare(const void *name, const void *wanted)
{
	return strcmp(name, ((const struct wanted *)wanted)->name);
}

/* table: the image itself or its debug file, which has the symbols but not the code. */
static int table_search(const struct image *image, const struct image *table, enum rung rung,
			struct wanted *wanted, size_t count)
{
	struct bytes symbols, strings;
	uint64_t offset, len;
	size_t i;
	int found = 0;

	if (!table_read(table, rung == RUNG_DYNSYM ? SHT_DYNSYM : SHT_SYMTAB, &symbols, &strings))
		return 0;
	for (i = 0; symbols.len - i >= sizeof(Elf64_Sym); i += sizeof(Elf64_Sym)) {
		struct wanted *hit;
		Elf64_Sym sym;

		memcpy(&sym, symbols.data + i, sizeof(sym));
		if (ELF64_ST_TYPE(sym.st_info) != STT_FUNC || sym.st_shndx == SHN_UNDEF ||
		    sym.st_name >= strings.len)
			continue;
		hit = bsearch(strings.data + sym.st_name, wanted, count, sizeof(*wanted),
			      name_compare);
		if (!hit || hit->symbol->rung != RUNG_NONE ||
		    !image_find(image, sym.st_value, &offset, &len))
			continue;
		hit->symbol->vaddr = sym.st_value;
		hit->symbol->size = sym.st_size;
		hit->symbol->rung = rung;
		found++;
	}
	return found;
}

void image_set_debug(struct image *image, struct image *debug)
{
	image_free(image->debug);
	image->debug = debug;
}

int image_symbols(const struct image *image, const char *const *names, size_t count,
		  struct symbol *ret_symbols)
{
	struct wanted *wanted;
	size_t i;
	int found;

	wanted = calloc(count ? count : 1, sizeof(*wanted));
	if (!wanted)
		return -ENOMEM;
	memset(ret_symbols, 0, count * sizeof(*ret_symbols));
	for (i = 0; i < count; i++) {
		wanted[i].name = names[i];
		wanted[i].symbol = &ret_symbols[i];
	}
	qsort(wanted, count, sizeof(*wanted), wanted_compare);
	found = table_search(image, image, RUNG_DYNSYM, wanted, count);
	if ((size_t)found < count)
		found += table_search(image, image, RUNG_SYMTAB, wanted, count);
	if ((size_t)found < count && image->debug)
		found += table_search(image, image->debug, RUNG_DEBUG_FILE, wanted, count);
	free(wanted);
	return found;
}

int image_section(const struct image *image, const char *name, uint64_t *ret_vaddr,
		  uint64_t *ret_offset, uint64_t *ret_len)
{
	size_t index, len = strlen(name) + 1;
	Elf_Scn *scn = NULL, *strings;
	struct bytes names;
	GElf_Shdr shdr;

	if (elf_getshdrstrndx(image->elf, &index))
		return -ENOENT;
	strings = elf_getscn(image->elf, index);
	if (!strings || !gelf_getshdr(strings, &shdr) ||
	    !section_read(image, strings, &shdr, STRTAB_MAX, &names))
		return -ENOENT;
	while ((scn = elf_nextscn(image->elf, scn))) {
		if (!gelf_getshdr(scn, &shdr) || shdr.sh_name >= names.len ||
		    names.len - shdr.sh_name < len || memcmp(names.data + shdr.sh_name, name, len))
			continue;
		if (shdr.sh_type == SHT_NOBITS || shdr.sh_offset > image->len ||
		    shdr.sh_size > image->len - shdr.sh_offset)
			return -ENOENT;
		*ret_vaddr = shdr.sh_addr;
		*ret_offset = shdr.sh_offset;
		*ret_len = shdr.sh_size;
		return 0;
	}
	return -ENOENT;
}

int image_read_at(const struct image *image, uint64_t offset, void *buf, size_t len)
{
	return file_read(image, offset, buf, len);
}

/* Looks through one segment of notes; their fields are aligned to 4 bytes. */
static bool build_id_find(const uint8_t *p, size_t len, uint8_t *ret_id, size_t *ret_len)
{
	Elf64_Nhdr note;

	while (len >= sizeof(note)) {
		uint64_t name, desc;

		memcpy(&note, p, sizeof(note));
		name = ((uint64_t)note.n_namesz + 3) & ~UINT64_C(3);
		desc = ((uint64_t)note.n_descsz + 3) & ~UINT64_C(3);
		if (name > len - sizeof(note) || desc > len - sizeof(note) - name)
			return false;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    !memcmp(p + sizeof(note), "GNU", 4) && note.n_descsz &&
		    note.n_descsz <= IMAGE_BUILD_ID_MAX) {
			memcpy(ret_id, p + sizeof(note) + name, note.n_descsz);
			*ret_len = note.n_descsz;
			return true;
		}
		p += sizeof(note) + name + desc;
		len -= sizeof(note) + name + desc;
	}
	return false;
}

int image_build_id(const struct image *image, uint8_t ret_id[IMAGE_BUILD_ID_MAX], size_t *ret_len)
{
	uint8_t notes[NOTES_MAX];
	GElf_Phdr phdr;
	size_t count, i;

	if (elf_getphdrnum(image->elf, &count))
		return -ENOENT;
	for (i = 0; i < count; i++) {
		if (!gelf_getphdr(image->elf, (int)i, &phdr) || phdr.p_type != PT_NOTE ||
		    phdr.p_filesz > sizeof(notes) ||
		    file_read(image, phdr.p_offset, notes, phdr.p_filesz))
			continue;
		if (build_id_find(notes, phdr.p_filesz, ret_id, ret_len))
			return 0;
	}
	return -ENOENT;
}

/* Goes through the relocations of all sections. */
struct relas {
	Elf_Scn *scn;
	struct bytes bytes;
	size_t pos;
};

static bool relas_next(const struct image *image, struct relas *relas, Elf64_Rela *ret_rela)
{
	GElf_Shdr shdr;

	while (relas->bytes.len - relas->pos < sizeof(*ret_rela)) {
		relas->pos = relas->bytes.len = 0;
		relas->scn = elf_nextscn(image->elf, relas->scn);
		if (!relas->scn)
			return false;
		if (!gelf_getshdr(relas->scn, &shdr) || shdr.sh_type != SHT_RELA ||
		    shdr.sh_entsize != sizeof(*ret_rela) ||
		    !section_read(image, relas->scn, &shdr, RELA_MAX, &relas->bytes))
			relas->bytes.len = 0;
	}
	memcpy(ret_rela, relas->bytes.data + relas->pos, sizeof(*ret_rela));
	relas->pos += sizeof(*ret_rela);
	return true;
}

int image_pointer(const struct image *image, uint64_t vaddr, uint64_t *ret_target)
{
	struct relas relas = { 0 };
	Elf64_Rela rela;

	if (image->machine != EM_X86_64)
		return -ENOENT;
	while (relas_next(image, &relas, &rela)) {
		if (rela.r_offset != vaddr || ELF64_R_TYPE(rela.r_info) != R_X86_64_RELATIVE)
			continue;
		*ret_target = (uint64_t)rela.r_addend;
		return 0;
	}
	return -ENOENT;
}

static bool is_named(const struct bytes *symbols, const struct bytes *strings, uint64_t index,
		     const char *const *names)
{
	Elf64_Sym sym;
	size_t i;

	if (index >= symbols->len / sizeof(sym))
		return false;
	memcpy(&sym, symbols->data + index * sizeof(sym), sizeof(sym));
	if (sym.st_name >= strings->len)
		return false;
	for (i = 0; names[i]; i++) {
		if (!strcmp(strings->data + sym.st_name, names[i]))
			return true;
	}
	return false;
}

size_t image_imports(const struct image *image, const char *const *names, uint64_t *ret_vaddrs,
		     size_t max)
{
	struct bytes symbols, strings;
	struct relas relas = { 0 };
	Elf64_Rela rela;
	size_t count = 0;

	if (image->machine != EM_X86_64 || !table_read(image, SHT_DYNSYM, &symbols, &strings))
		return 0;
	while (count <= max && relas_next(image, &relas, &rela)) {
		uint64_t type = ELF64_R_TYPE(rela.r_info);

		if ((type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) ||
		    !is_named(&symbols, &strings, ELF64_R_SYM(rela.r_info), names))
			continue;
		if (count < max)
			ret_vaddrs[count] = rela.r_offset;
		count++;
	}
	return count;
}

/* .eh_frame_hdr with the encodings that all linkers use. LSB Core, section 10.6.2. */
#define UNWIND_ENCODINGS "\x01\x1b\x03\x3b"

struct unwind_header {
	uint8_t encodings[4];
	int32_t frames;
	uint32_t count;
};

/* Where a function begins, and its entry, both from the header's address on. */
struct unwind_entry {
	int32_t start;
	int32_t frame;
};

static const char *unwind_find(const struct image *image, uint64_t *ret_vaddr, uint32_t *ret_count)
{
	struct unwind_header header;
	GElf_Phdr phdr;
	Elf_Data *data;
	size_t count, i;

	if (elf_getphdrnum(image->elf, &count))
		return NULL;
	for (i = 0; i < count; i++) {
		if (gelf_getphdr(image->elf, (int)i, &phdr) && phdr.p_type == PT_GNU_EH_FRAME)
			break;
	}
	if (i == count || phdr.p_filesz < sizeof(header) || phdr.p_filesz > UNWIND_MAX ||
	    phdr.p_offset > image->len || phdr.p_filesz > image->len - phdr.p_offset)
		return NULL;
	data = elf_getdata_rawchunk(image->elf, (int64_t)phdr.p_offset, phdr.p_filesz, ELF_T_BYTE);
	if (!data || !data->d_buf || data->d_size != phdr.p_filesz)
		return NULL;
	memcpy(&header, data->d_buf, sizeof(header));
	if (memcmp(header.encodings, UNWIND_ENCODINGS, sizeof(header.encodings)) ||
	    header.count > (phdr.p_filesz - sizeof(header)) / sizeof(struct unwind_entry))
		return NULL;
	*ret_vaddr = phdr.p_vaddr;
	*ret_count = header.count;
	return (const char *)data->d_buf + sizeof(header);
}

/*
 * The entry with the last function that begins at or before vaddr. The last one of all has no
 * known end.
 */
static bool unwind_search(const char *table, uint32_t count, int64_t vaddr,
			  struct unwind_entry *ret_entry, int64_t *ret_end)
{
	struct unwind_entry entry;
	uint32_t low = 0, high;

	for (high = count; low < high;) {
		uint32_t middle = low + (high - low) / 2;

		memcpy(&entry, table + (size_t)middle * sizeof(entry), sizeof(entry));
		if (entry.start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || low == count)
		return false;
	memcpy(ret_entry, table + (size_t)(low - 1) * sizeof(entry), sizeof(entry));
	memcpy(&entry, table + (size_t)low * sizeof(entry), sizeof(entry));
	*ret_end = entry.start;
	return ret_entry->start < *ret_end;
}

/*
 * Some linkers leave out whole parts of the code: then the last function before such a part must
 * not seem to reach through it. What is understood is the usual form of an entry in .eh_frame, whose
 * addresses count from where they stand; any other says nothing.
 */
static bool frame_ends(const struct image *image, uint64_t frame, uint64_t start, uint64_t vaddr)
{
	struct {
		uint32_t len;
		uint32_t common;
		int32_t start;
		uint32_t range;
	} fde;

	if (image_read(image, frame, &fde, sizeof(fde)) || fde.len == UINT32_MAX ||
	    fde.len < sizeof(fde) - sizeof(fde.len) || !fde.common ||
	    frame + offsetof(typeof(fde), start) + (uint64_t)(int64_t)fde.start != start)
		return false;
	return vaddr - start >= fde.range;
}

int image_function_at(const struct image *image, uint64_t vaddr, uint64_t *ret_start,
		      uint64_t *ret_len)
{
	struct unwind_entry entry;
	uint64_t base, start;
	uint32_t count;
	const char *table;
	int64_t end;

	table = unwind_find(image, &base, &count);
	if (!table || !unwind_search(table, count, (int64_t)(vaddr - base), &entry, &end))
		return -ENOENT;
	start = base + (uint64_t)(int64_t)entry.start;
	if (frame_ends(image, base + (uint64_t)(int64_t)entry.frame, start, vaddr))
		return -ENOENT;
	*ret_start = start;
	*ret_len = (uint64_t)(end - entry.start);
	return 0;
}

int image_function_len(const struct image *image, uint64_t vaddr, uint64_t *ret_len)
{
	uint64_t start, len;
	int err = image_function_at(image, vaddr, &start, &len);

	if (!err && start != vaddr)
		err = -ENOENT;
	if (!err)
		*ret_len = len;
	return err;
}
