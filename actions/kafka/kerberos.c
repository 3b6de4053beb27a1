#include "kerberos.h"

#include "keytab.h"
#include "realms.h"
#include "threads.h"

#include "base/clock.h"
#include "base/thread.h"

#include <fcntl.h>
#include <krb5.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { RETRY_FIRST_MS = 1000, RETRY_MOST_MS = 30000, NEWS_MS = 3000, LOOK_MS = 30000, DRIFT_MS = 60000 };

struct kerberos {
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    unsigned references; /* the client and the thread */
    bool stop, has_tickets;
    int wake_fd;
    int64_t ends_ms; /* of the tickets; monotonic */
    int64_t skew_s;
    int64_t began_ms; /* monotonic */
    char why[256];
    char principal[KEYTAB_NAME_MAX], keytab[64], cache[64];
    krb5_context context; /* of the thread, but for setting up */
    krb5_keytab keys;     /* kept open: a MEMORY keytab goes with its last handle */
    struct span realm, kdcs;
    char text[];
};

int kerberos_full_name(struct span principal, struct span realm, char *out, size_t room)
{
    bool has_realm = principal.size && memchr(principal.data, '@', principal.size);
    int size = snprintf(out, room, SPAN_FMT "%s" SPAN_FMT, SPAN_ARG(principal), has_realm ? "" : "@",
                        has_realm ? 0 : (int)realm.size, realm.data ? realm.data : "");

    return size > 0 && (size_t)size < room ? 0 : -1;
}

int kerberos_check_keytab(struct span keytab, const char *principal, struct err *err)
{
    struct keytab_reader reader;
    struct keytab_entry entry;
    char others[160] = "";
    int more;

    if (keytab_begin(&reader, keytab, err) != 0)
        return -1;
    for (size_t count = 0; (more = keytab_next(&reader, &entry, err)) > 0; count++) {
        if (count == KEYTAB_ENTRIES_MAX)
            return err_set(err, ERR_LIMIT, "the keytab has more than %d keys", KEYTAB_ENTRIES_MAX);
        if (strcmp(entry.name, principal) == 0)
            return 0;
        size_t used = strlen(others);
        if (!strstr(others, entry.name) && used + strlen(entry.name) + 3 < sizeof others)
            (void)snprintf(others + used, sizeof others - used, "%s%.150s", used ? ", " : "", entry.name);
    }
    if (more < 0)
        return -1;
    return err_set(err, ERR_VALUE, "the keytab has no key for %s; it has %s", principal,
                   others[0] ? others : "none at all");
}

/* ---- what went wrong ---- */

static void words(const struct kerberos *kerberos, krb5_context context, krb5_error_code code, char *out,
                  size_t room)
{
    const char *text;

    switch (code) {
    case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
        (void)snprintf(
            out, room,
            "the KDC does not know %.150s; correct sasl.kerberos.principal or sasl.kerberos.krb5.realm",
            kerberos->principal);
        return;
    case KRB5KDC_ERR_PREAUTH_FAILED:
    case KRB5KRB_AP_ERR_BAD_INTEGRITY:
        (void)snprintf(
            out, room,
            "the key of %.110s in the keytab is not the KDC's: its password was changed since; make a "
            "new keytab",
            kerberos->principal);
        return;
    case KRB5_KDC_UNREACH:
        (void)snprintf(out, room,
                       "no KDC answers at " SPAN_FMT "; is sasl.kerberos.krb5.kdc right, is port 88 open?",
                       SPAN_ARG(kerberos->kdcs));
        return;
    case KRB5KRB_AP_ERR_SKEW:
    case KRB5KDC_ERR_NEVER_VALID:
        (void)snprintf(out, room, "the clocks of this machine and the KDC differ too much: set the time");
        return;
    case KRB5KDC_ERR_NAME_EXP:
    case KRB5KDC_ERR_KEY_EXP:
    case KRB5KDC_ERR_CLIENT_REVOKED:
        (void)snprintf(out, room, "the KDC has locked or expired %.200s", kerberos->principal);
        return;
    default:
        text = krb5_get_error_message(context, code);
        (void)snprintf(out, room, "no ticket for %.120s: %.110s", kerberos->principal, text);
        krb5_free_error_message(context, text);
    }
}

/* ---- the MEMORY keytab ---- */

static krb5_error_code add_key(struct kerberos *kerberos, const struct keytab_entry *from)
{
    krb5_keytab_entry entry = {.timestamp = (krb5_timestamp)from->timestamp, .vno = from->version};
    krb5_error_code code = krb5_parse_name(kerberos->context, from->name, &entry.principal);

    entry.key.enctype = from->type;
    entry.key.length = (unsigned)from->key.size;
    entry.key.contents = (krb5_octet *)(uintptr_t)from->key.data;
    if (!code)
        code = krb5_kt_add_entry(kerberos->context, kerberos->keys, &entry);
    krb5_free_principal(kerberos->context, entry.principal);
    return code;
}

static int fill_keytab(struct kerberos *kerberos, struct span bytes, struct err *err)
{
    struct keytab_reader reader;
    struct keytab_entry entry;
    krb5_error_code code = krb5_kt_resolve(kerberos->context, kerberos->keytab, &kerberos->keys);
    int more = keytab_begin(&reader, bytes, err);

    for (size_t count = 0; !code && more >= 0 && count < KEYTAB_ENTRIES_MAX; count++) {
        more = keytab_next(&reader, &entry, err);
        if (more <= 0)
            break;
        code = add_key(kerberos, &entry);
    }
    if (code)
        return err_set(err, ERR_MEMORY, "a keytab in memory: Kerberos error %d", (int)code);
    return more < 0 ? -1 : 0;
}

/* ---- taking tickets: the thread ---- */

/* New tickets into the cache. Between emptying and filling it a login may find it empty, and is repeated. */
static krb5_error_code take_tickets(struct kerberos *kerberos, krb5_context context, int64_t *life_s,
                                    int64_t *skew_s)
{
    krb5_principal principal = NULL;
    krb5_ccache cache = NULL;
    krb5_creds credentials = {0};
    krb5_get_init_creds_opt *options = NULL;
    krb5_error_code code;

    if ((code = krb5_parse_name(context, kerberos->principal, &principal)) ||
        (code = krb5_get_init_creds_opt_alloc(context, &options)) ||
        (code = krb5_get_init_creds_keytab(context, &credentials, principal, kerberos->keys, 0, NULL,
                                           options)) ||
        (code = krb5_cc_resolve(context, kerberos->cache, &cache)) ||
        (code = krb5_cc_initialize(context, cache, credentials.client)) ||
        (code = krb5_cc_store_cred(context, cache, &credentials)))
        goto out;
    /* By the KDC's clock from end to end: ours may be years off, and be set later (a gateway that has just
     * been switched on). */
    *life_s = (int64_t)(uint32_t)credentials.times.endtime - (int64_t)(uint32_t)credentials.times.authtime;
    *skew_s = (int64_t)(uint32_t)credentials.times.authtime - (int64_t)time(NULL);
out:
    if (cache)
        krb5_cc_close(context, cache);
    krb5_free_cred_contents(context, &credentials);
    krb5_get_init_creds_opt_free(context, options);
    krb5_free_principal(context, principal);
    return code;
}

static void wake(const struct kerberos *kerberos)
{
    ssize_t ignored = write(kerberos->wake_fd, &(uint64_t){1}, sizeof(uint64_t));

    (void)ignored;
}

/* One attempt, in a context of its own, so that it sees the realms as they are now. Returns how long to wait
 * until the next. */
static int64_t attempt(struct kerberos *kerberos, int64_t *retry_ms)
{
    krb5_context context = NULL;
    krb5_error_code code = krb5_init_context(&context);
    int64_t life_s = 0, skew_s = 0;
    char why[sizeof kerberos->why] = "";

    if (!code)
        code = take_tickets(kerberos, context, &life_s, &skew_s);
    if (code == KRB5_REALM_UNKNOWN && clock_mono_ms() - kerberos->began_ms < NEWS_MS) {
        krb5_free_context(context);
        return RETRY_FIRST_MS; /* the library looks at its configuration once a second at most */
    }
    if (code && context)
        words(kerberos, context, code, why, sizeof why);
    else if (code)
        (void)snprintf(why, sizeof why, "Kerberos cannot start: error %d", (int)code);
    if (context)
        krb5_free_context(context);

    (void)pthread_mutex_lock(&kerberos->lock);
    memcpy(kerberos->why, why, sizeof why);
    if (!code) {
        kerberos->has_tickets = true;
        kerberos->ends_ms = clock_mono_ms() + life_s * 1000;
        kerberos->skew_s = skew_s;
    }
    (void)pthread_mutex_unlock(&kerberos->lock);
    wake(kerberos);
    if (code) {
        int64_t wait = *retry_ms;
        *retry_ms = wait * 2 < RETRY_MOST_MS ? wait * 2 : RETRY_MOST_MS;
        return wait;
    }
    *retry_ms = RETRY_FIRST_MS;
    return life_s > 1 ? life_s * 800 : 500;
}

static void drop(struct kerberos *kerberos)
{
    (void)pthread_mutex_lock(&kerberos->lock);
    bool last = --kerberos->references == 0;
    (void)pthread_mutex_unlock(&kerberos->lock);
    if (!last)
        return;

    krb5_ccache cache;

    if (kerberos->context) {
        if (krb5_cc_resolve(kerberos->context, kerberos->cache, &cache) == 0)
            krb5_cc_destroy(kerberos->context, cache);
        if (kerberos->keys)
            krb5_kt_close(kerberos->context, kerberos->keys);
        krb5_free_context(kerberos->context);
    }
    if (kerberos->wake_fd >= 0)
        (void)close(kerberos->wake_fd);
    (void)pthread_cond_destroy(&kerberos->stopped);
    (void)pthread_mutex_destroy(&kerberos->lock);
    free(kerberos);
}

bool kerberos_clock_was_set(int64_t *offset_ms, int64_t wall_ms, int64_t mono_ms)
{
    const int64_t offset = wall_ms - mono_ms, moved = offset - *offset_ms;

    *offset_ms = offset;
    return moved > DRIFT_MS || moved < -DRIFT_MS;
}

static int64_t wall_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Wait; true when it is time to stop. */
static bool wait_for_stop(struct kerberos *kerberos, int64_t ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&kerberos->lock);
    while (!kerberos->stop && pthread_cond_timedwait(&kerberos->stopped, &kerberos->lock, &until) == 0)
        ;
    bool stop = kerberos->stop;
    (void)pthread_mutex_unlock(&kerberos->lock);
    return stop;
}

/* Tickets that were taken while the clock was wrong seem ended, or not to have begun, once it is right: new
 * ones are taken at once. */
static void *run(void *argument)
{
    struct kerberos *kerberos = argument;
    int64_t retry_ms = RETRY_FIRST_MS, offset_ms = 0;
    bool stop = false;

    while (!stop) {
        (void)kerberos_clock_was_set(&offset_ms, wall_ms(), clock_mono_ms());
        for (int64_t left = attempt(kerberos, &retry_ms); left > 0 && !stop; left -= LOOK_MS) {
            stop = wait_for_stop(kerberos, left < LOOK_MS ? left : LOOK_MS);
            if (kerberos_clock_was_set(&offset_ms, wall_ms(), clock_mono_ms()))
                break;
        }
    }
    realms_remove(kerberos->realm, kerberos->kdcs);
    drop(kerberos);
    threads_less();
    return NULL;
}

static int start_thread(struct kerberos *kerberos)
{
    pthread_t thread;

    threads_more();
    const int failed = thread_start(&thread, run, kerberos);
    if (failed)
        threads_less();
    else
        (void)pthread_detach(thread);
    return failed;
}

/* ---- a client's side ---- */

static struct kerberos *kerberos_new(const struct kerberos_options *options)
{
    static atomic_uint serial;
    unsigned number = atomic_fetch_add(&serial, 1);
    struct kerberos *kerberos = calloc(1, sizeof *kerberos + options->realm.size + options->kdcs.size + 2);
    pthread_condattr_t monotonic;

    if (!kerberos)
        return NULL;
    kerberos->wake_fd = -1;
    kerberos->references = 1;
    kerberos->began_ms = clock_mono_ms();
    kerberos->realm =
        (struct span){memcpy(kerberos->text, options->realm.data, options->realm.size), options->realm.size};
    kerberos->kdcs = (struct span){
        memcpy(kerberos->text + options->realm.size + 1, options->kdcs.data, options->kdcs.size),
        options->kdcs.size};
    (void)snprintf(kerberos->keytab, sizeof kerberos->keytab, "MEMORY:topicrule-%u", number);
    (void)snprintf(kerberos->cache, sizeof kerberos->cache, "MEMORY:topicrule-%u", number);
    (void)pthread_mutex_init(&kerberos->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&kerberos->stopped, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return kerberos;
}

struct kerberos *kerberos_start(const struct kerberos_options *options, struct err *err)
{
    struct kerberos *kerberos = kerberos_new(options);

    if (!kerberos) {
        err_memory(err);
        return NULL;
    }
    if (kerberos_full_name(options->principal, options->realm, kerberos->principal,
                           sizeof kerberos->principal) != 0) {
        err_set(err, ERR_LIMIT, "sasl.kerberos.principal is too long");
        goto fail;
    }
    if (kerberos_check_keytab(options->keytab, kerberos->principal, err) != 0) {
        err_prefix(err, "sasl.kerberos.keytab");
        goto fail;
    }
    if (realms_add(kerberos->realm, kerberos->kdcs, err) != 0)
        goto fail;
    kerberos->wake_fd = fcntl(options->wake_fd, F_DUPFD_CLOEXEC, 0);
    if (kerberos->wake_fd < 0 || krb5_init_context(&kerberos->context) != 0)
        err_set(err, ERR_IO, "Kerberos cannot start");
    else if (fill_keytab(kerberos, options->keytab, err) == 0) {
        kerberos->references = 2;
        if (start_thread(kerberos) == 0)
            return kerberos;
        kerberos->references = 1;
        err_set(err, ERR_MEMORY, "no thread for Kerberos");
    }
    realms_remove(kerberos->realm, kerberos->kdcs);
fail:
    drop(kerberos);
    return NULL;
}

void kerberos_stop(struct kerberos *kerberos)
{
    if (!kerberos)
        return;
    (void)pthread_mutex_lock(&kerberos->lock);
    kerberos->stop = true;
    (void)pthread_cond_signal(&kerberos->stopped);
    (void)pthread_mutex_unlock(&kerberos->lock);
    drop(kerberos);
}

bool kerberos_ready(struct kerberos *kerberos, char *why, size_t room)
{
    (void)pthread_mutex_lock(&kerberos->lock);
    bool ready = kerberos->has_tickets && kerberos->ends_ms > clock_mono_ms();
    (void)snprintf(why, room, "%s", kerberos->why);
    (void)pthread_mutex_unlock(&kerberos->lock);
    return ready;
}

bool kerberos_ticket(struct kerberos *kerberos, struct kerberos_ticket *ticket)
{
    (void)pthread_mutex_lock(&kerberos->lock);
    bool there = kerberos->has_tickets;
    *ticket = (struct kerberos_ticket){.left_s = (kerberos->ends_ms - clock_mono_ms()) / 1000,
                                       .skew_s = kerberos->skew_s};
    (void)snprintf(ticket->principal, sizeof ticket->principal, "%s", kerberos->principal);
    (void)pthread_mutex_unlock(&kerberos->lock);
    return there;
}

const char *kerberos_cache(const struct kerberos *kerberos)
{
    return kerberos->cache;
}
