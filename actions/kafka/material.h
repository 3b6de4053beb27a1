/* material.h - trust, key and certificate chain of a TLS client, whatever form they came in.
 *
 * Everything is parsed by us and handed on as PEM: one form, in memory, and a message of ours when it is
 * broken. */
#ifndef KAFKA_MATERIAL_H
#define KAFKA_MATERIAL_H

#include "settings.h"

#include <stdint.h>

enum { SOON_DAYS = 30 }; /* a certificate that ends within so many days is worth a warning */

struct material {
    struct wiped *trust;       /* PEM certificates; NULL: the system's trust */
    const char *system_trust;  /* file or directory, borrowed; when `trust` is NULL and it is needed */
    char trust_directory[256]; /* "" unless the rule named a directory */
    struct wiped *key;         /* PEM, not encrypted; NULL: none */
    struct wiped *chain;       /* PEM, our own certificate first; with `key` */
    int64_t not_after;         /* of our own certificate, seconds since 1970; with `chain` */
    char subject[128];
};

/* Read what the settings name. Returns 0, or -1 with `err`, which names the property and `blame` (may be
 * NULL) its setting. Leaves `material` fit for material_done either way. Parts that are templates are left
 * out. */
int material_load(struct material *material, const struct settings *settings, struct err *err,
                  const struct action_setting **blame);
/* The bytes of a STORE that is set, read from its text or file. NULL with `err`, which names the property. */
struct wiped *material_bytes(const struct settings *settings, enum prop_id id, struct err *err);
void material_done(struct material *material);

/* Where this system keeps whom it trusts: SSL_CERT_FILE, OpenSSL's file, or its directory; NULL: nowhere. */
const char *system_trust(void);

#endif
