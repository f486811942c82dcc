/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The separate file with the symbols of a stripped one, where GDB looks for it too: by build ID, or
 * by the name and checksum in .gnu_debuglink. Paths start at the given root and never leave it,
 * whatever symbolic links it has. The stripped file may be hostile, and so may the root.
 */
#ifndef DEBUGFILE_H
#define DEBUGFILE_H

#include "elf/image.h"

/*
 * root: descriptor of the directory that the paths start at. path: of the stripped file in there;
 * NULL: not known. -ENOENT when there is none that belongs to it; -ENOMEM.
 */
int debugfile_find(const struct image *image, int root, const char *path, struct image **ret_debug);

/*
 * Does the root have a debug file for the build ID at the beginning of the file fd? Cheap, for
 * those who know the file already: true when it may be so, false when not by build ID.
 */
bool debugfile_installed(int root, int fd);

#endif
