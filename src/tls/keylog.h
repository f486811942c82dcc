/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries that hand all their secrets to one function, f(handle, label, secret, length): found by
 * the code that passes the labels to it, and read to see where it gets the client random from.
 */
#ifndef KEYLOG_H
#define KEYLOG_H

#include "elf/trace.h"
#include "tls/library.h"

/* How the function is found and read. The handle is its argument 0, then label, secret, length. */
struct keylog_recipe {
	const char *function; /* as printed, and as symbol tables have it */
	const char *inner;    /* as printed, when all of it goes on to one behind; NULL: function */
	/*
	 * An exported function that copies the client random to its argument 1, from the same
	 * handle; NULL: there is none.
	 */
	const char *copier;
	/* One that stores the client random's address at its argument 1. */
	const char *pointer;
	uint8_t len_width; /* bytes of the length */
	int64_t member;	   /* the function has to read this one of the handle's; 0: it need not */
};

/*
 * Adds the place where all secrets pass, or a sentence that says why there is none and what that
 * costs. random: where another function finds the client random, from the same handle; NULL: not
 * known. True when one was added.
 */
bool keylog_add(const struct tls_input *input, const struct keylog_recipe *recipe,
		const struct value_of *random, struct tls_sites *sites);

/*
 * What an exported function f(handle, &pointer) stores: an address inside of what the handle leads
 * to. False when there is none, or several.
 */
bool keylog_pointer(const struct image *image, const char *name, struct value_of *ret_path);

#endif
