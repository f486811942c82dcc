/* SPDX-License-Identifier: Apache-2.0 */
/* Exit statuses, as promised in cleartap(8). */
#ifndef EXITCODE_H
#define EXITCODE_H

enum exitcode {
	EXITCODE_OK = 0,
	EXITCODE_FAILURE = 1,
	EXITCODE_USAGE = 2,
	EXITCODE_DENIED = 3,  /* not permitted, or the kernel lacks something */
	EXITCODE_NOTHING = 4, /* nothing to attach to */
	EXITCODE_LOST = 5,    /* finished, but data was lost */
};

#endif
