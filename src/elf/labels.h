/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings that a program's code passes to functions: where they are in a file, which code refers to
 * them, and which call gets them as an argument.
 *
 * From each reference the code is followed forward on all ways (trace.h), and calls and jumps out of
 * the function that have the string's address in the register of an argument are noted. A reference
 * that leads nowhere is known as such, not guessed.
 */
#ifndef LABELS_H
#define LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/image.h"

#define LABELS_MAX 32
/* More than this of any of them is not a TLS library but a trap. */
#define LABEL_PLACES_MAX 1024
#define LABEL_REFS_MAX	 4096
#define LABEL_CALLS_MAX	 4096
#define LABEL_TRIES_MAX	 (1U << 20) /* constants that may be a reference */
#define LABEL_STEPS_MAX	 (1U << 20) /* instructions that are followed, from all references */
/* Of a string whose users are not looked for, no more than the first places are noted. */
#define LABEL_PLACES_EACH 64

/* Where a string is. */
struct label_place {
	uint64_t vaddr;
	uint8_t label; /* index of the name */
	bool ends;     /* a NUL follows: it may be a C string */
};

/* An instruction that puts the address of a string into a register or into the frame. */
struct label_ref {
	uint64_t vaddr;
	uint64_t target; /* of the string */
	uint64_t page;	 /* arm64: what the instruction needs in register reg; 0: nothing */
	uint8_t reg;
	uint8_t label;
	bool ends;  /* as the string's */
	bool calls; /* leads to a call at least */
};

/* A call or tail jump that gets the string. */
struct label_call {
	uint64_t vaddr;	 /* of the call */
	uint64_t target; /* 0: not a constant */
	uint64_t ref;	 /* where the string comes from */
	uint8_t label;
	uint8_t arg; /* which argument it is */
	bool ends;   /* as the string's */
	bool tail;   /* a jump: nothing comes back */
	/* Not a constant: call *slot(base), as methods are called. */
	uint8_t base;
	int32_t slot;
};

struct labels {
	struct label_place *place;
	size_t place_count;
	struct label_ref *ref;
	size_t ref_count;
	struct label_call *call;
	size_t call_count;
	uint32_t found; /* bit n: name n is in the file */
	size_t refs;	/* of the first so many names the users are wanted */
};

/*
 * Looks for names (count of them, at most LABELS_MAX, NUL-terminated, or NULL: not a name but a
 * number to give to labels_add). Of the first refs of them labels_follow() finds the users. -E2BIG
 * above one of the limits, -ENOMEM, what image_walk() says.
 */
int labels_find(const struct image *image, const char *const *names, size_t count, size_t refs,
		struct labels *ret_labels);
/* One more address, whose users are wanted. Errors as above. */
int labels_add(struct labels *labels, uint64_t vaddr, unsigned int label);
/* The code that refers to the places; only looked through when there is one. Errors as above. */
int labels_follow(const struct image *image, struct labels *labels);
void labels_done(struct labels *labels);

/* The target of the most labels, as argument arg of a direct call. */
struct label_vote {
	uint64_t target; /* 0: none */
	uint32_t labels; /* bit n: gets label n */
	uint32_t others; /* bit n: label n is the same argument of another target's call */
};
/* among: only labels with their bit set count. */
void labels_vote(const struct labels *labels, uint32_t among, uint8_t arg,
		 struct label_vote *ret_vote);

#endif
