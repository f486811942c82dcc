/* SPDX-License-Identifier: Apache-2.0 */
/* Opens files that get captured data: nobody else may read them, and no link leads astray. */
#ifndef OUTFILE_H
#define OUTFILE_H

/*
 * Creates path (mode 0600) or empties it. Devices and FIFOs are taken as they are.
 * Returns a descriptor with O_CLOEXEC, or a negative errno: -ELOOP for a symbolic link, -EISDIR,
 * -EMLINK for a file with several names, -EPERM for a file of somebody else (other than the user
 * who called sudo), and what open(2) says.
 */
int outfile_open(const char *path);

#endif
