/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the user, on stderr; each line starts with the program's name. */
#ifndef LOG_H
#define LOG_H

/* 0: errors and facts one must know; 1 (-v): what is done and what is missing; 2: libbpf too. */
void log_set_level(unsigned int level);
unsigned int log_level(void);

/* One sentence, without a newline. */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
