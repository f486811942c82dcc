/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the BPF programs and user space agree on: ring records, map keys, probe cookies.
 * Fixed-width kernel types only; both sides assert the sizes.
 */
#ifndef ABI_H
#define ABI_H

#include <linux/types.h>

#define ABI_COMM_LEN 16

/*
 * Payload of one record at most. A TLS record carries 16 KiB, so a read or a write of one record
 * is one ring record; larger buffers travel in pieces.
 */
#define ABI_CHUNK 16384

/* Path of an executable: components from the last one to the first, each ended by a NUL. */
#define ABI_PATH_LEN  4096
#define ABI_NAME_LEN  256
#define ABI_PATH_DEEP 32

enum abi_dir {
	ABI_IN = 0,
	ABI_OUT = 1,
};

enum rec_type {
	REC_DATA = 1, /* rec_data with len bytes behind it */
	REC_GAP,      /* rec_data without bytes: len bytes are missing, reason says why */
	REC_CONN,   /* rec_conn: a connection's first record, repeated when its address is known */
	REC_PROC,   /* rec_proc: a process' first record */
	REC_CLOSE,  /* rec_state: the library freed the handle */
	REC_EXIT,   /* rec: the process ended or executed another program */
	REC_SECRET, /* rec_secret */
	REC_STATE,  /* rec_state: made in user space from the maps, never by BPF */
};

enum rec_reason {
	REASON_NONE = 0,
	REASON_FAULT,	 /* REC_GAP: memory not readable */
	REASON_SENDFILE, /* REC_GAP: sent by the kernel from a file */
};

struct rec {
	__u16 type;
	__u8 dir;
	__u8 reason;
	__u32 tid;
	__u32 pid;
	__u32 pad;
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 conn;    /* id; 0 in REC_PROC and REC_EXIT */
};

struct rec_data {
	struct rec h;
	__u64 off;  /* stream offset of the first byte */
	__u64 len;  /* bytes; in REC_DATA at most ABI_CHUNK */
	__u64 lost; /* bytes of this stream that found the ring full so far */
	char comm[ABI_COMM_LEN];
	__u8 data[];
};

/* A secret as it was found: nothing of it has been checked. */
#define ABI_LABEL_LEN  64
#define ABI_RANDOM_LEN 32
#define ABI_SECRET_LEN 64
#define ABI_MASTER_LEN 48
/* TLS 1.3: as long as the hash of the cipher suite. */
#define ABI_HASH_LEN_MIN 32
#define ABI_HASH_LEN_MAX 48

struct rec_secret {
	struct rec h;
	__u64 cookie;
	__u32 fixed; /* as in secret_site */
	__u32 len;   /* as the library says; 0 when a part of it could not be read */
	char comm[ABI_COMM_LEN];
	char label[ABI_LABEL_LEN]; /* ended by a NUL, or longer than any label */
	__u8 random[ABI_RANDOM_LEN];
	__u8 secret[ABI_SECRET_LEN];
};

struct rec_addr {
	__u16 family; /* AF_INET, AF_INET6; 0: not known */
	__u16 lport;  /* host byte order */
	__u16 rport;
	__u16 protocol; /* IPPROTO_TCP settles it */
	__u8 laddr[16];
	__u8 raddr[16];
};

struct rec_conn {
	struct rec h;
	__u64 handle;
	__u64 cookie;
	struct rec_addr addr;
};

struct rec_proc {
	struct rec h;
	__u32 ppid;
	__u32 uid;
	__u32 gid;
	__u32 path_len; /* bytes of path in use */
	__u64 start_ns; /* CLOCK_BOOTTIME */
	__u64 cgroup_id;
	char path[ABI_PATH_LEN + ABI_NAME_LEN];
};

struct rec_state {
	struct rec h;
	__u64 handle;
	__u64 off[2]; /* bytes handled, by enum abi_dir */
};

/* Key of the map conns. */
struct conn_key {
	__u64 handle;
	__u32 tgid;
	__u32 pad;
};

/* Value of the map conns: one TLS handle from its first use to its end. */
struct conn {
	__u64 id;
	__u32 tgid;
	__u32 pad0;
	__u64 cookie;	/* of the site that saw it first */
	__u64 off[2];	/* bytes given a place in the stream; added before they are copied */
	__u64 done[2];	/* the same, added when they are in the ring or lost */
	__u64 lost[2];	/* of these, found the ring full */
	__u64 ahead;	/* bytes of the write in progress that are out already */
	__u64 sent;	/* bytes that write gave to the socket */
	__u32 sends;	/* in so many calls */
	__u8 announced; /* enum announced */
	__u8 proc_known;
	__u16 pad;
	struct rec_addr addr;
};

/*
 * Value of the map handshakes, by conn_key: the last handshake with a handle whose end is not seen,
 * or of which nothing but its secrets is.
 */
struct handshake {
	__u64 id; /* as conn.id */
	__u8 random[ABI_RANDOM_LEN];
};

enum announced {
	ANNOUNCED_NOT = 0,
	ANNOUNCED_BARE,
	ANNOUNCED_ADDR,
};

/* Calls within calls: TLS within TLS, and exported functions built on each other. Power of two. */
#define FRAMES 4

/* A call in progress. */
struct frame {
	__u64 sp;
	__u64 handle;
	__u64 buf;
	__u64 num;
	__u64 out;
	__u64 cookie;
	struct rec_addr addr; /* of the socket that the library used in it */
	__u32 sent;	      /* it has sent something: its end matters */
	__u32 pad;
};

enum verdict {
	VERDICT_NONE = 0,
	VERDICT_TAP,
	VERDICT_SKIP,
};

/* Value of the map threads: one that has called a TLS function. The transfer fields are bpf_loop's context. */
struct thread {
	__u32 depth;
	__u32 verdict;
	struct frame frame[FRAMES];
	struct conn_key key;
	__u64 buf; /* what is left to copy */
	__u64 len;
	__u32 step; /* bytes a piece: a page once a larger piece could not be read */
	__u32 dir;
	/*
	 * Set by user space for threads that were there before the probes and may be inside a call:
	 * the socket that they use is that call's. Cleared by the first call that is seen.
	 */
	__u32 early;
	__u32 pad;
	struct rec_addr early_addr;
	__u8 random[ABI_RANDOM_LEN]; /* of the secret on its way */
	char label[ABI_LABEL_LEN];
	/* Of a secret that has begun and not ended: SECRET_BEGIN. */
	__u64 begun_sp; /* 0: there is none */
	__u64 begun_label;
	__u64 begun_handle;
	__u8 begun_random[ABI_RANDOM_LEN];
};

/* Counters, one array per CPU. */
enum counter {
	CNT_UNTRACKED_CALLS, /* transfers of known length without a place in conns */
	CNT_UNTRACKED_BYTES,
	CNT_MISSED_CALLS, /* calls without a place in threads, or nested too deep */
	CNT_LOST_BYTES,	  /* found the ring full */
	CNT_LOST_NOTES,	  /* REC_CLOSE, REC_EXIT that found the ring full */
	CNT_LOST_SECRETS, /* REC_SECRET that found the ring or conns full */
	CNT_MAX,
};

/* Key of the map filters; which fields are used depends on kind. The value is not used. */
enum filter_kind {
	FILTER_EXCLUDE = 0, /* a: tgid */
	FILTER_PID,	    /* a: tgid */
	FILTER_UID,	    /* a: uid */
	FILTER_COMM,	    /* a, b: the name's 16 bytes */
	FILTER_EXE,	    /* a: kernel's device number, b: inode */
	FILTER_MAX,
};

struct filter_key {
	__u64 kind;
	__u64 a;
	__u64 b;
};

/*
 * Where a value is when a probe is hit: v = the register; loads times v = *(v + off[i]); v += add.
 */
#define VALUE_LOADS 3

struct value_at {
	__u16 reg_off; /* offset in struct pt_regs */
	__u8 width;    /* bytes that count, 8, 4, 2 or 1; 0: there is no such value */
	__u8 loads;
	__s32 off[VALUE_LOADS];
	__s32 add;
};

/* A probe on the instruction that copies decrypted bytes to the caller; value of the map sites. */
struct record_site {
	__u64 cookie;
	struct value_at handle;
	struct value_at type; /* lowest byte; 23 is application data (RFC 8446 5.1) */
	struct value_at peek; /* not 0: the bytes will come again */
};

#define RECORD_SITES_MAX 256

/* How much of a secret a place has. */
enum secret_step {
	SECRET_WHOLE = 0,
	SECRET_BEGIN, /* label, client random and handle: kept for the thread; without a label dropped */
	SECRET_END, /* secret and length of what was kept, if the function that began is not over */
};

/* Where a library hands a secret over; value of the map secret_sites. */
struct secret_site {
	__u64 cookie;	       /* COOKIE_FILE_SHIFT and COOKIE_NO_FREE only */
	__u32 fixed;	       /* not 0: the label, by number; nothing in memory names it */
	__u32 step;	       /* enum secret_step */
	struct value_at check; /* if there is such a value: only hits where it is expect count */
	__u32 expect;
	struct value_at handle; /* what stands for the connection */
	struct value_at label;	/* address of its first character */
	struct value_at label_len;
	struct value_at random; /* address */
	struct value_at secret; /* address */
	struct value_at len;	/* of the secret; no such value: it has ABI_MASTER_LEN bytes */
};

#define SECRET_SITES_MAX 512

/* The cookie of a probe says how to read the call; of a record site it is its index in sites. */
#define COOKIE_DIR_OUT	  (1ULL << 0)
#define COOKIE_OUT_ARG	  (1ULL << 1) /* success is > 0, the count is behind a pointer */
#define COOKIE_SENDFILE	  (1ULL << 2)
#define COOKIE_HANDSHAKE  (1ULL << 3) /* moves no plaintext, but uses the socket */
#define COOKIE_REPORTED	  (1ULL << 4) /* used by BPF: a nested call has reported the bytes */
#define COOKIE_NO_FREE	  (1ULL << 5) /* secret sites: nothing tells when a handle ends */
#define COOKIE_ARG_SHIFT  8	      /* 8 bits: which argument is the pointer */
#define COOKIE_FILE_SHIFT 32	      /* 32 bits: the file's number in user space */

_Static_assert(sizeof(struct rec) == 32, "rec");
_Static_assert(sizeof(struct rec_data) == 72, "rec_data");
_Static_assert(sizeof(struct rec_conn) == 88, "rec_conn");
_Static_assert(sizeof(struct rec_state) == 56, "rec_state");
_Static_assert(sizeof(struct conn_key) == 16, "conn_key");
_Static_assert(sizeof(struct conn) == 136, "conn");
_Static_assert(sizeof(struct value_at) == 20, "value_at");
_Static_assert(sizeof(struct record_site) == 72, "record_site");
_Static_assert(sizeof(struct secret_site) == 160, "secret_site");
_Static_assert(sizeof(struct rec_secret) == 224, "rec_secret");
_Static_assert(sizeof(struct filter_key) == 24, "filter_key");

#endif
