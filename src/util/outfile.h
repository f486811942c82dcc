/* SPDX-License-Identifier: Apache-2.0 */
/* Opens files that get captured data: nobody else may read them, and no link leads astray. */
#ifndef OUTFILE_H
#define OUTFILE_H

#include <stdbool.h>

/*
 * Creates path (mode 0600) or empties it. Devices and FIFOs are taken as they are.
 * Returns a descriptor with O_CLOEXEC, or a negative errno: -ELOOP for a symbolic link, -EISDIR,
 * -EMLINK for a file with several names, -EPERM for a file of somebody else (other than the user
 * who called sudo), and what open(2) says.
 */
int outfile_open(const char *path);

/*
 * The same, but what is in the file stays, and each write goes to its end, which is made the
 * beginning of a line. A file that is new (or
 * empty) in the folder of the user who called sudo is given to that user, so that it can be opened
 * again after privs_drop().
 */
int outfile_append(const char *path);

/* Is path in a folder of root's? Then only root can create a file there again. */
bool outfile_in_root_folder(const char *path);

#endif
