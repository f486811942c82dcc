/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streaming writer of JSON objects (RFC 8259). Errors stay in the writer. Keys are literals of the
 * program: they are not escaped. All output is valid UTF-8, and no character in it could steer a
 * terminal: what is not printable is written as \uXXXX.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writer;

struct json {
	struct writer *writer;
	bool more; /* the object has a member already: a comma is due */
};

void json_begin(struct json *json, struct writer *w);
void json_end(struct json *json);

/* An object as the value of a key. End it with json_end(). */
void json_object(struct json *json, const char *key);

/* An array as the value of a key. End it with json_array_end(). */
void json_array(struct json *json, const char *key);
/* An object as the next element. End it with json_end(). */
void json_item(struct json *json);
void json_array_end(struct json *json);

void json_bool(struct json *json, const char *key, bool value);
void json_u64(struct json *json, const char *key, uint64_t value);
/* Up to NUL or len bytes. Each byte that is not valid UTF-8 becomes U+FFFD. */
void json_name(struct json *json, const char *key, const char *s, size_t len);
/* len bytes, NULs included; the same replacement. */
void json_text(struct json *json, const char *key, const uint8_t *p, size_t len);
/* RFC 4648 section 4. */
void json_base64(struct json *json, const char *key, const uint8_t *p, size_t len);
/* Lower case, two digits a byte. */
void json_hex(struct json *json, const char *key, const uint8_t *p, size_t len);

#endif
