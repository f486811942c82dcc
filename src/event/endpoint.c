/* SPDX-License-Identifier: Apache-2.0 */
/* Formats an address and port. */
#include "event/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
static const uint8_t zero[16];

/* The IPv4 address, also when it is in an IPv4-mapped one; else NULL. */
static const uint8_t *endpoint_v4(const struct endpoint *ep)
{
	if (ep->family == AF_INET)
		return ep->addr;
	if (ep->family == AF_INET6 && !memcmp(ep->addr, mapped, sizeof(mapped)))
		return ep->addr + sizeof(mapped);
	return NULL;
}

bool endpoint_known(const struct endpoint *ep)
{
	const uint8_t *v4 = endpoint_v4(ep);

	if (v4)
		return memcmp(v4, zero, 4) != 0;
	return ep->family == AF_INET6 && memcmp(ep->addr, zero, 16) != 0;
}

const char *endpoint_format(const struct endpoint *ep, char buf[static ENDPOINT_STRLEN])
{
	char addr[INET6_ADDRSTRLEN];
	const uint8_t *v4 = endpoint_v4(ep);

	if (!endpoint_known(ep) ||
	    !inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? v4 : ep->addr, addr, sizeof(addr)))
		snprintf(buf, ENDPOINT_STRLEN, "?");
	else
		snprintf(buf, ENDPOINT_STRLEN, v4 ? "%s:%u" : "[%s]:%u", addr, ep->port);
	return buf;
}
