/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as every output writes them. */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "event/event.h"

/* Longest: "[", 45 characters of IPv6, "]:65535" and NUL. */
#define ENDPOINT_STRLEN 56

/* False for family 0, families other than IP, and the unspecified address (RFC 4291 2.5.2). */
bool endpoint_known(const struct endpoint *ep);

/*
 * "192.0.2.1:443" or "[2001:db8::1]:443" (RFC 5952). An IPv4-mapped IPv6 address is written as
 * plain IPv4: the socket's family is of no use to a reader. "?" when not known.
 * Returns buf.
 */
const char *endpoint_format(const struct endpoint *ep, char buf[static ENDPOINT_STRLEN]);

#endif
