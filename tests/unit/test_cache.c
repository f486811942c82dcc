/* SPDX-License-Identifier: Apache-2.0 */
/* What was found in files, written and read again: the same, or nothing. Wants root. */
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

#include "app/cache.h"
#include "elf/insn.h"
#include "tls/store.h"

#define FILE_LEN (UINT64_C(1) << 40)

static const struct tls_recipe recipe = { .function = "SSL_write",
					  .role = ROLE_TRANSFER,
					  .dir = DIR_OUT,
					  .result = RESULT_OUT_ARG,
					  .out_arg = 4,
					  .costs = "much" };
static const struct tls_recipe bare = { .function = "record", .role = ROLE_RECORD };

static struct place place_of(int n)
{
	struct place p = { (uint8_t)(n % INSN_REGS_MAX), 8, 2, { n, -n, 3 }, -100000 - n };

	return p;
}

static struct tls_site site_of(int n)
{
	return (struct tls_site) {
		.recipe = n % 2 ? &recipe : &bare,
		.function = n % 2 ? "one" : "another",
		.offset = 0xfedcba9800 + (uint64_t)n,
		.rung = RUNG_CODE,
		.out_arg = 3,
		.handle = place_of(n + 1),
		.type = place_of(n + 2),
		.peek = place_of(n + 3),
	};
}

static struct tls_secret secret_of(int n)
{
	return (struct tls_secret) {
		.function = "ssl_log_secret",
		.offset = 5,
		.rung = RUNG_ACCESSOR,
		.fixed = LABEL_EXPORTER,
		.handle = place_of(n),
		.label = place_of(n + 1),
		.label_len = place_of(n + 2),
		.random = place_of(n + 3),
		.secret = place_of(n + 4),
		.len = place_of(n + 5),
	};
}

/* Everything full, each field another value. */
static struct tls_sites sites_of(void)
{
	struct tls_sites s = { .library = &openssl,
			       .name = "libressl",
			       .version = "3.0.17 \xff",
			       .recognised = "code",
			       .problem_count = TLS_PROBLEMS_MAX,
			       .secret_count = TLS_SECRETS_MAX,
			       .count = TLS_SITES_MAX,
			       .missing_count = TLS_SITES_MAX,
			       .record_count = TLS_RECORDS_MAX,
			       .internal = true };

	for (int i = 0; i < TLS_PROBLEMS_MAX; i++)
		s.problem[i] = i ? "" : "no secrets";
	for (int i = 0; i < TLS_SECRETS_MAX; i++)
		s.secret[i] = secret_of(i);
	for (int i = 0; i < TLS_SITES_MAX; i++) {
		s.site[i] = site_of(i);
		s.missing[i] = &recipe;
	}
	for (int i = 0; i < TLS_RECORDS_MAX; i++)
		s.record[i] = site_of(2 * i);
	return s;
}

static void same_string(const char *a, const char *b)
{
	assert_int_equal(!a, !b);
	if (a)
		assert_string_equal(a, b);
}

static void same_place(const struct place *a, const struct place *b)
{
	assert_int_equal(a->reg, b->reg);
	assert_int_equal(a->width, b->width);
	assert_int_equal(a->loads, b->loads);
	assert_memory_equal(a->off, b->off, sizeof(a->off));
	assert_int_equal(a->add, b->add);
}

static void same_recipe(const struct tls_recipe *a, const struct tls_recipe *b)
{
	same_string(a->function, b->function);
	same_string(a->costs, b->costs);
	assert_int_equal(a->role, b->role);
	assert_int_equal(a->dir, b->dir);
	assert_int_equal(a->result, b->result);
	assert_int_equal(a->out_arg, b->out_arg);
}

static void same_site(const struct tls_site *a, const struct tls_site *b)
{
	same_recipe(a->recipe, b->recipe);
	same_string(a->function, b->function);
	assert_int_equal(a->offset, b->offset);
	assert_int_equal(a->rung, b->rung);
	assert_int_equal(a->out_arg, b->out_arg);
	same_place(&a->handle, &b->handle);
	same_place(&a->type, &b->type);
	same_place(&a->peek, &b->peek);
}

static void same_secret(const struct tls_secret *a, const struct tls_secret *b)
{
	same_string(a->function, b->function);
	assert_int_equal(a->offset, b->offset);
	assert_int_equal(a->rung, b->rung);
	assert_int_equal(a->fixed, b->fixed);
	same_place(&a->handle, &b->handle);
	same_place(&a->label, &b->label);
	same_place(&a->label_len, &b->label_len);
	same_place(&a->random, &b->random);
	same_place(&a->secret, &b->secret);
	same_place(&a->len, &b->len);
}

static void same(const struct tls_sites *a, const struct tls_sites *b)
{
	assert_ptr_equal(a->library, b->library);
	same_string(a->name, b->name);
	assert_string_equal(a->version, b->version);
	same_string(a->recognised, b->recognised);
	assert_int_equal(a->internal, b->internal);
	assert_int_equal(a->problem_count, b->problem_count);
	assert_int_equal(a->secret_count, b->secret_count);
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->missing_count, b->missing_count);
	assert_int_equal(a->record_count, b->record_count);
	for (size_t i = 0; i < a->problem_count; i++)
		assert_string_equal(a->problem[i], b->problem[i]);
	for (size_t i = 0; i < a->secret_count; i++)
		same_secret(&a->secret[i], &b->secret[i]);
	for (size_t i = 0; i < a->count; i++)
		same_site(&a->site[i], &b->site[i]);
	for (size_t i = 0; i < a->missing_count; i++)
		same_recipe(a->missing[i], b->missing[i]);
	for (size_t i = 0; i < a->record_count; i++)
		same_site(&a->record[i], &b->record[i]);
}

static void round_trip(void **state)
{
	struct tls_sites two[2] = { sites_of(), { .library = &openssl } }, *back;
	size_t len, count;
	uint8_t *data;

	(void)state;
	assert_int_equal(store_encode(two, 2, &data, &len), 0);
	assert_int_equal(store_decode(data, len, FILE_LEN, &back, &count), 0);
	assert_int_equal(count, 2);
	same(&back[0], &two[0]);
	same(&back[1], &two[1]);
	free(back);
	/* An offset behind the end of the file. */
	assert_int_equal(store_decode(data, len, 0xfedcba9800, &back, &count), -EBADMSG);
	free(data);
	assert_int_equal(store_encode(NULL, 0, &data, &len), 0);
	back = two;
	assert_int_equal(store_decode(data, len, FILE_LEN, &back, &count), 0);
	assert_null(back);
	assert_int_equal(count, 0);
	free(data);
}

/* What would not come out of the encoder is not taken. */
static void out_of_range(void **state)
{
	struct tls_library stranger = { .name = "stranger" };
	struct tls_sites good = sites_of(), s, *back;
	size_t len, count;
	uint8_t *data;

	(void)state;
	for (int i = 0; i < 7; i++) {
		struct tls_recipe wrong = recipe;

		s = good;
		if (i == 0)
			s.library = &stranger;
		else if (i == 1)
			s.site[3].handle.reg = INSN_REGS_MAX;
		else if (i == 2)
			s.secret[0].secret.loads = PLACE_LOADS + 1;
		else if (i == 3)
			s.secret[0].fixed = LABEL_MAX;
		else if (i == 4)
			s.site[0].rung = RUNG_USER + 1;
		else if (i == 5)
			s.site[1].out_arg = CALLEE_ARGS_MAX;
		else
			wrong.dir = DIR_MAX;
		s.missing[0] = &wrong;
		assert_int_equal(store_encode(&s, 1, &data, &len), 0);
		assert_int_equal(store_decode(data, len, FILE_LEN, &back, &count), -EBADMSG);
		free(data);
	}
}

/* Each byte flipped, each shorter length: taken or not, never a crash. */
static void damaged_entry(void **state)
{
	struct tls_sites good = sites_of(), *back;
	size_t len, count;
	uint8_t *data;

	(void)state;
	assert_int_equal(store_encode(&good, 1, &data, &len), 0);
	for (size_t i = 0; i < len; i++) {
		uint8_t *cut = malloc(i + 1);

		memcpy(cut, data, i);
		assert_int_equal(store_decode(cut, i, FILE_LEN, &back, &count), -EBADMSG);
		free(cut);
		for (int bit = 0; bit < 8; bit++) {
			data[i] ^= (uint8_t)(1 << bit);
			if (!store_decode(data, len, FILE_LEN, &back, &count))
				free(back);
			data[i] ^= (uint8_t)(1 << bit);
		}
	}
	free(data);
}

/* A folder for the cache, and a file that something was found in, long ago. */
struct fixture {
	char base[32];
	char folder[48];
	char stored[64];
	int fd;
	struct cache_key key;
};

static int setup(void **state)
{
	static struct fixture f;

	strcpy(f.base, "/tmp/test_cache.XXXXXX");
	if (geteuid() != 0 || !mkdtemp(f.base))
		return -1;
	snprintf(f.folder, sizeof(f.folder), "%s/cache", f.base);
	snprintf(f.stored, sizeof(f.stored), "%s/files", f.folder);
	/* The time of change can't be set: a file that nobody changes. */
	f.fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
	*state = &f;
	return f.fd < 0 || cache_key_read(f.fd, &f.key) ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[64];

	close(f->fd);
	snprintf(command, sizeof(command), "rm -r %s", f->base);
	return system(command);
}

static struct tls_sites small_sites(void)
{
	struct tls_sites s = { .library = &openssl, .count = 1 };

	s.site[0] = site_of(1);
	s.site[0].offset = 77;
	return s;
}

static void fill(const struct fixture *f)
{
	struct tls_sites s = small_sites();
	struct cache *cache = cache_open(f->folder);

	assert_non_null(cache);
	cache_put(cache, f->fd, &f->key, &s, 1);
	assert_int_equal(cache_save(cache), 0);
	cache_close(cache);
}

/* -ENOENT or what was put there. */
static int look(const struct fixture *f, const struct cache_key *key)
{
	struct cache *cache = cache_open(f->folder);
	struct tls_sites s = small_sites(), *found;
	size_t count;
	int r;

	assert_non_null(cache);
	r = cache_get(cache, key, &found, &count);
	if (!r) {
		assert_int_equal(count, 1);
		same(found, &s);
		free(found);
	}
	cache_close(cache);
	return r;
}

static void kept(void **state)
{
	struct fixture *f = *state;
	struct cache_key other;
	struct stat st;

	assert_null(cache_open("/no/such/place/cache"));
	assert_int_equal(look(f, &f->key), -ENOENT);
	fill(f);
	assert_int_equal(look(f, &f->key), 0);
	assert_int_equal(stat(f->folder, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(f->stored, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* Another file, as each part of the key says. */
	for (size_t i = 0; i < sizeof(other); i++) {
		other = f->key;
		((uint8_t *)&other)[i] ^= 1;
		assert_int_equal(look(f, &other), -ENOENT);
	}
}

/* Two that start at the same time do not lose what the other one found. */
static void two_at_once(void **state)
{
	struct fixture *f = *state;
	struct cache *one, *two;
	struct tls_sites s = small_sites(), *found;
	struct cache_key key;
	size_t count;
	int fd = open("/bin/false", O_RDONLY);

	unlink(f->stored);
	assert_int_equal(cache_key_read(fd, &key), 0);
	one = cache_open(f->folder);
	two = cache_open(f->folder);
	cache_put(one, f->fd, &f->key, &s, 1);
	cache_put(two, fd, &key, NULL, 0);
	/* The wrong file's key. */
	cache_put(two, fd, &f->key, NULL, 0);
	assert_int_equal(cache_save(one), 0);
	assert_int_equal(cache_save(two), 0);
	cache_close(one);
	cache_close(two);
	assert_int_equal(look(f, &f->key), 0);
	two = cache_open(f->folder);
	assert_int_equal(cache_get(two, &key, &found, &count), 0);
	assert_int_equal(count, 0);
	cache_close(two);
	close(fd);
}

/* A file that has just been written may be written again within the same tick of the clock. */
static void too_new(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/test_cache_new.XXXXXX";
	int fd = mkstemp(path);
	struct cache *cache;
	struct cache_key key;

	unlink(f->stored);
	assert_int_equal(cache_key_read(fd, &key), 0);
	cache = cache_open(f->folder);
	cache_put(cache, fd, &key, NULL, 0);
	assert_int_equal(cache_save(cache), 0);
	cache_close(cache);
	assert_int_equal(access(f->stored, F_OK), -1);
	close(fd);
	unlink(path);
}

static size_t read_stored(const struct fixture *f, uint8_t *buf, size_t len)
{
	int fd = open(f->stored, O_RDONLY);
	ssize_t n = read(fd, buf, len);

	assert_true(n > 0);
	close(fd);
	return (size_t)n;
}

static void write_stored(const struct fixture *f, const uint8_t *data, size_t len)
{
	int fd = open(f->stored, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static void damaged_file(void **state)
{
	struct fixture *f = *state;
	static uint8_t good[8192];
	size_t len, i;

	fill(f);
	len = read_stored(f, good, sizeof(good));
	for (i = 0; i < len; i++) {
		good[i] ^= 0xff;
		write_stored(f, good, len);
		assert_int_equal(look(f, &f->key), -ENOENT);
		good[i] ^= 0xff;
	}
	for (i = 0; i < len; i += 7) {
		write_stored(f, good, i);
		assert_int_equal(look(f, &f->key), -ENOENT);
	}
	/* And it is made anew. */
	fill(f);
	assert_int_equal(look(f, &f->key), 0);
}

static void not_ours(void **state)
{
	struct fixture *f = *state;
	char elsewhere[64];

	fill(f);
	assert_int_equal(chown(f->stored, 65534, 65534), 0);
	assert_int_equal(look(f, &f->key), -ENOENT);
	fill(f);
	assert_int_equal(chmod(f->stored, 0620), 0);
	assert_int_equal(look(f, &f->key), -ENOENT);
	fill(f);
	assert_int_equal(chown(f->folder, 65534, 0), 0);
	assert_null(cache_open(f->folder));
	assert_int_equal(chown(f->folder, 0, 0), 0);
	assert_int_equal(chmod(f->folder, 0770), 0);
	assert_null(cache_open(f->folder));
	assert_int_equal(chmod(f->folder, 0701), 0);
	assert_int_equal(look(f, &f->key), 0);
	/* Symbolic links: the file, then the folder. */
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", f->base);
	assert_int_equal(rename(f->stored, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, f->stored), 0);
	assert_int_equal(look(f, &f->key), -ENOENT);
	unlink(f->stored);
	unlink(elsewhere);
	assert_int_equal(rename(f->folder, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, f->folder), 0);
	assert_null(cache_open(f->folder));
	unlink(f->folder);
	assert_int_equal(rename(elsewhere, f->folder), 0);
}

/* Somebody is writing, or began to and was killed. */
static void other_writer(void **state)
{
	struct fixture *f = *state;
	struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct tls_sites s = small_sites();
	struct cache *cache;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/files.new", f->folder);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	unlink(f->stored);
	cache = cache_open(f->folder);
	cache_put(cache, f->fd, &f->key, &s, 1);
	assert_int_equal(cache_save(cache), -EEXIST);
	assert_int_equal(futimens(fd, old), 0);
	assert_int_equal(cache_save(cache), 0);
	cache_close(cache);
	close(fd);
	assert_int_equal(look(f, &f->key), 0);
}

static void put_number(uint8_t *p, uint64_t value, size_t len)
{
	memcpy(p, &value, len);
}

static uint64_t fnv(const uint8_t *p, size_t len)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	while (len--)
		sum = (sum ^ *p++) * UINT64_C(0x100000001b3);
	return sum;
}

#define HEADER_LEN 88
#define ENTRY_LEN  64
#define USED_AT	   48

/* Makes the file hold its one entry count times, for as many inodes; the first is the oldest. */
static void multiply(const struct fixture *f, uint32_t count)
{
	static uint8_t one[8192], many[CACHE_BYTES_MAX + 65536];
	size_t len = read_stored(f, one, sizeof(one)) - HEADER_LEN;
	size_t all = HEADER_LEN + count * len;

	assert_true(all <= sizeof(many));
	memcpy(many, one, HEADER_LEN);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *entry = many + HEADER_LEN + i * len;

		memcpy(entry, one + HEADER_LEN, len);
		put_number(entry + 8, i + 1, 8);
		put_number(entry + USED_AT, i + 1, 8);
	}
	put_number(many + 20, count, 4);
	put_number(many + 8, fnv(many + 16, all - 16), 8);
	write_stored(f, many, all);
}

/* The one with that inode is there. */
static bool has_inode(const struct fixture *f, uint64_t ino)
{
	struct cache_key key = f->key;

	key.ino = ino;
	return !look(f, &key);
}

/* What was not used for the longest time leaves first. */
static void ceilings(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	uint32_t most;
	int fd;

	unlink(f->stored);
	fill(f);
	assert_int_equal(stat(f->stored, &st), 0);
	most = (CACHE_BYTES_MAX - HEADER_LEN) / (uint32_t)(st.st_size - HEADER_LEN);
	if (most > CACHE_ENTRIES_MAX)
		most = CACHE_ENTRIES_MAX;
	multiply(f, most);
	assert_true(has_inode(f, 1));
	assert_true(has_inode(f, most));
	fill(f);
	assert_int_equal(look(f, &f->key), 0);
	assert_false(has_inode(f, 1));
	assert_true(has_inode(f, 2));
	assert_true(has_inode(f, most));
	assert_int_equal(stat(f->stored, &st), 0);
	assert_true(st.st_size <= CACHE_BYTES_MAX);
	/* A file above the ceiling is none of ours. */
	fd = open(f->stored, O_WRONLY);
	assert_int_equal(ftruncate(fd, CACHE_BYTES_MAX + 1), 0);
	close(fd);
	assert_int_equal(look(f, &f->key), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),	 cmocka_unit_test(out_of_range),
		cmocka_unit_test(damaged_entry), cmocka_unit_test(kept),
		cmocka_unit_test(two_at_once),	 cmocka_unit_test(too_new),
		cmocka_unit_test(damaged_file),	 cmocka_unit_test(not_ours),
		cmocka_unit_test(other_writer),	 cmocka_unit_test(ceilings),
	};

	return cmocka_run_group_tests_name("cache", tests, setup, teardown);
}
