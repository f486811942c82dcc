/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who reads our output. A program that sends it on over TLS (a web terminal, "| openssl s_client")
 * must not be recorded, or each line printed would make the next one.
 */
#ifndef READER_H
#define READER_H

#include <stddef.h>
#include <sys/types.h>

#define READERS_MAX 64

struct readers {
	pid_t pids[READERS_MAX];
	size_t count;
};

/*
 * Finds the processes behind a descriptor: those that hold the other end of its pipe or socket
 * pair, or the master of its terminal, and on from their own outputs. Files have none.
 */
void readers_find(int fd, struct readers *ret_readers);

#endif
