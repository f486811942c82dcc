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

#include "elf/image_inside.h"

/* Ceilings. Real files stay far below; a file above them was made to waste memory. */
#define PHDRS_MAX    1024
#define SHSTRTAB_MAX (UINT64_C(4) << 20)
#define NOTES_MAX    4096

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

/*
 * Takes fd over, also when it fails. data is NULL when the image is to be read from fd. loaded: the
 * segments count; in a debug file they describe another file's bytes.
 */
static int image_new(int fd, const void *data, uint64_t len, const Elf64_Ehdr *ehdr, bool loaded,
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
	image->fixed = ehdr->e_type == ET_EXEC;
	image->memory = data;
	elf_version(EV_CURRENT);
	/* libelf's type lacks the const; it only reads. */
	image->elf = data ? elf_memory((char *)data, len) : elf_begin(fd, ELF_C_READ, NULL);
	if (image->elf && elf_kind(image->elf) == ELF_K_ELF &&
	    gelf_getclass(image->elf) == ELFCLASS64)
		err = loaded ? image_read_segments(image) : 0;
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

static int open_fd(int fd, bool loaded, struct image **ret_image)
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
	return image_new(own, NULL, (uint64_t)st.st_size, &ehdr, loaded, ret_image);
}

int image_open_fd(int fd, struct image **ret_image)
{
	return open_fd(fd, true, ret_image);
}

int image_open_debug_fd(int fd, struct image **ret_image)
{
	return open_fd(fd, false, ret_image);
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
	return image_new(-1, data, len, &ehdr, true, ret_image);
}

void image_free(struct image *image)
{
	if (!image)
		return;
	image_free(image->debug);
	if (image->source) {
		image_free(image->source->found);
		close(image->source->root);
		free(image->source->path);
		free(image->source);
	}
	elf_end(image->elf);
	if (image->fd >= 0)
		close(image->fd);
	free(image);
}

uint16_t image_machine(const struct image *image)
{
	return image->machine;
}

bool image_fixed(const struct image *image)
{
	return image->fixed;
}

uint64_t image_len(const struct image *image)
{
	return image->len;
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

int image_vaddr(const struct image *image, uint64_t offset, uint64_t *ret_vaddr)
{
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct segment *seg = &image->segment[i];

		if (!seg->exec || offset < seg->offset || offset - seg->offset >= seg->len)
			continue;
		*ret_vaddr = seg->vaddr + (offset - seg->offset);
		return 0;
	}
	return -EADDRNOTAVAIL;
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

size_t image_code_copy(const struct image *image, uint64_t vaddr, void *buf, size_t max)
{
	uint64_t offset, len;

	if (!image_find(image, vaddr, &offset, &len))
		return 0;
	if (len > max)
		len = max;
	return file_read(image, offset, buf, len) ? 0 : len;
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

bool section_inside(const struct image *image, const GElf_Shdr *shdr, uint64_t max)
{
	return shdr->sh_size && shdr->sh_size <= max && shdr->sh_offset <= image->len &&
	       shdr->sh_size <= image->len - shdr->sh_offset;
}

bool section_read(const struct image *image, Elf_Scn *scn, const GElf_Shdr *shdr, uint64_t max,
		  struct bytes *ret_bytes)
{
	Elf_Data *data;

	/* libelf allocates sh_size before it looks whether the file has that much. */
	if (!section_inside(image, shdr, max))
		return false;
	data = elf_rawdata(scn, NULL);
	if (!data || !data->d_buf || data->d_size != shdr->sh_size)
		return false;
	ret_bytes->data = data->d_buf;
	ret_bytes->len = data->d_size;
	return true;
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
	    !section_read(image, strings, &shdr, SHSTRTAB_MAX, &names))
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
	uint64_t vaddr, offset, len;
	uint8_t notes[NOTES_MAX];
	GElf_Phdr phdr;
	size_t count, i;

	/* The program headers of a debug file may be those of the file it belongs to. */
	if (!image_section(image, ".note.gnu.build-id", &vaddr, &offset, &len) &&
	    len <= sizeof(notes) && !file_read(image, offset, notes, len) &&
	    build_id_find(notes, len, ret_id, ret_len))
		return 0;
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
