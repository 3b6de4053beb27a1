/* keytab.h - the content of a keytab file, read by us: MIT's library reads keytabs from files only, and ours
 * come from a secret. Format 0x0502, as every MIT and Heimdal tool writes it. */
#ifndef KAFKA_KEYTAB_H
#define KAFKA_KEYTAB_H

#include "base/err.h"
#include "base/span.h"

#include <stdint.h>

enum { KEYTAB_ENTRIES_MAX = 1000, KEYTAB_NAME_MAX = 512 };

struct keytab_entry {
    char name[KEYTAB_NAME_MAX]; /* "part/part@REALM", special characters escaped as krb5_parse_name reads them
                                 */
    uint32_t timestamp, version; /* of the key */
    uint16_t type;               /* of the key: 18 is aes256-cts-hmac-sha1-96 */
    struct span key;             /* borrowed from the bytes; a secret */
};

struct keytab_reader {
    struct span rest;
};

/* Begin: 0, or -1 with `err` when the bytes are no keytab. */
int keytab_begin(struct keytab_reader *reader, struct span bytes, struct err *err);
/* The next entry: 1, 0 at the end, or -1 with `err`. */
int keytab_next(struct keytab_reader *reader, struct keytab_entry *entry, struct err *err);

#endif
