/* kerberos.h - tickets for one client, taken from a keytab in memory and kept fresh.
 *
 * A thread of its own, because a KDC that does not answer blocks for seconds. No kinit, no shell, no file:
 * the keytab is a MEMORY keytab, the tickets are in a MEMORY cache of this client alone, so clients with
 * different principals live in one process. */
#ifndef KAFKA_KERBEROS_H
#define KAFKA_KERBEROS_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kerberos;

struct kerberos_options {
    struct span keytab; /* its bytes; copied into the MEMORY keytab */
    struct span principal, realm, kdcs;
    int wake_fd; /* an eventfd; written when there is news; duplicated */
};

/* Start. Contacts the KDC from its own thread. NULL with `err`: not a keytab, no key for this principal. */
struct kerberos *kerberos_start(const struct kerberos_options *options, struct err *err);
/* Ends soon after; does not wait for a KDC. NULL is a no-op. */
void kerberos_stop(struct kerberos *kerberos);

/* Are there tickets? `why` says what went wrong last, "" if nothing. */
bool kerberos_ready(struct kerberos *kerberos, char *why, size_t room);

/* What there is, for people. False without tickets. */
struct kerberos_ticket {
    char principal[512];
    int64_t left_s; /* how long it is still good */
    int64_t skew_s; /* by how much the KDC's clock was ahead of ours */
};
bool kerberos_ticket(struct kerberos *kerberos, struct kerberos_ticket *ticket);

/* Was the clock set since the last call? `wall_ms` and `mono_ms` are the two clocks now, `*offset_ms` what
 * was between them. Some seconds of drift do not count: Kerberos takes minutes. */
bool kerberos_clock_was_set(int64_t *offset_ms, int64_t wall_ms, int64_t mono_ms);

/* The name of the cache, for gss_krb5_ccache_name; lives as long as `kerberos`. */
const char *kerberos_cache(const struct kerberos *kerberos);

/* "alice" -> "alice@REALM"; one that has a realm stays as it is. 0 or -1 when it does not fit. */
int kerberos_full_name(struct span principal, struct span realm, char *out, size_t room);

/* Is this a keytab with a key for that principal (full name)? 0, or -1 with `err`, which names those it has.
 */
int kerberos_check_keytab(struct span keytab, const char *principal, struct err *err);

#endif
