/* SPDX-License-Identifier: Apache-2.0 */
/* The colours of the text output (ECMA-48 8.3.117). Only these sequences are ever written. */
#ifndef SGR_H
#define SGR_H

#define SGR_RESET  "\033[0m"
#define SGR_IN	   "\033[1;36m" /* header of received data: cyan */
#define SGR_OUT	   "\033[1;32m" /* header of sent data: green */
#define SGR_QUIET  "\033[2m"	/* open, close, hex offsets: dim */
#define SGR_GAP	   "\033[1;31m" /* red */
#define SGR_ESCAPE "\033[35m"	/* magenta */

#endif
