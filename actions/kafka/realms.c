#include "realms.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct entry {
    struct entry *next;
    struct span realm, kdcs; /* in `text` */
    char text[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *entries; /* the last added first */
static int config_fd = -1;

/* ---- what may stand there ---- */

static bool name_byte(unsigned char c, const char *more)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr(more, c));
}

int realms_check_name(struct span realm, struct err *err)
{
    for (size_t i = 0; i < realm.size; i++)
        if (!name_byte((unsigned char)realm.data[i], ".-_"))
            return err_set(err, ERR_VALUE,
                           "expected a realm such as EXAMPLE.COM for sasl.kerberos.krb5.realm");
    return realm.size && realm.size < 256 ? 0 : err_set(err, ERR_VALUE, "the realm is empty or too long");
}

int realms_check_kdcs(struct span kdcs, struct err *err)
{
    for (size_t i = 0; i < kdcs.size; i++)
        if (!name_byte((unsigned char)kdcs.data[i], ".-_:[], "))
            return err_set(err, ERR_VALUE,
                           "expected hosts such as kdc.example.com or kdc:88 for sasl.kerberos.krb5.kdc");
    return kdcs.size && kdcs.size < 2048 ? 0
                                         : err_set(err, ERR_VALUE, "the list of KDCs is empty or too long");
}

/* ---- the file ---- */

static void add_kdcs(struct buf *out, struct span kdcs)
{
    while (kdcs.size) {
        size_t blanks = strspn(kdcs.data, ", "), size;

        if (blanks >= kdcs.size)
            return;
        kdcs = (struct span){kdcs.data + blanks, kdcs.size - blanks};
        size = strcspn(kdcs.data, ", ");
        if (size > kdcs.size)
            size = kdcs.size;
        buf_format(out, "        kdc = " SPAN_FMT "\n", (int)size, kdcs.data);
        kdcs = (struct span){kdcs.data + size, kdcs.size - size};
    }
}

static bool listed_before(const struct entry *entry)
{
    for (const struct entry *other = entries; other != entry; other = other->next)
        if (span_equal(other->realm, entry->realm))
            return true;
    return false;
}

/* Host names are taken as brokers give them, as Java does; a realm is asked of the client's own KDC. */
static void compose(struct buf *out)
{
    buf_text(out, "[libdefaults]\n    dns_lookup_kdc = false\n    dns_lookup_realm = false\n"
                  "    dns_canonicalize_hostname = false\n    rdns = false\n    udp_preference_limit = 1\n");
    if (entries) {
        const struct entry *oldest = entries;
        while (oldest->next)
            oldest = oldest->next;
        buf_format(out, "    default_realm = " SPAN_FMT "\n", SPAN_ARG(oldest->realm));
    }
    buf_text(out, "[realms]\n");
    for (const struct entry *entry = entries; entry; entry = entry->next) {
        if (listed_before(entry))
            continue;
        buf_format(out, "    " SPAN_FMT " = {\n", SPAN_ARG(entry->realm));
        for (const struct entry *same = entry; same; same = same->next)
            if (span_equal(same->realm, entry->realm))
                add_kdcs(out, same->kdcs);
        buf_text(out, "    }\n");
    }
}

/* MIT's library reads a file again when its time has changed, and two files made within one tick of the clock
 * would have the same. */
static int date(int fd)
{
    static struct timespec last;
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec < last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec <= last.tv_nsec)) {
        now = last;
        if (++now.tv_nsec == 1000000000) {
            now.tv_nsec = 0;
            now.tv_sec++;
        }
    }
    last = now;
    return futimens(fd, (struct timespec[]){now, now});
}

/* A new file takes the old one's number, so that a reader sees the one or the other and never a half. */
static int publish(struct err *err)
{
    struct buf text = BUF_INIT;
    int fd = memfd_create("krb5.conf", MFD_CLOEXEC), result = -1;

    compose(&text);
    if (text.failed)
        err_memory(err);
    else if (fd < 0 || write(fd, text.data, text.size) != (ssize_t)text.size || date(fd) != 0 ||
             (config_fd >= 0 && dup3(fd, config_fd, O_CLOEXEC) < 0))
        err_set(err, ERR_IO, "no memory file for the Kerberos configuration: %s", strerror(errno));
    else
        result = 0;
    if (result == 0 && config_fd < 0)
        config_fd = fd;
    else if (fd >= 0)
        (void)close(fd);
    buf_done(&text);
    return result;
}

int realms_init(struct err *err)
{
    const char *before = getenv("KRB5_CONFIG");
    char value[4096];

    if (config_fd >= 0)
        return 0;
    if (publish(err) != 0)
        return -1;
    /* What an administrator named is still read, after ours. */
    (void)snprintf(value, sizeof value, "/proc/self/fd/%d%s%s", config_fd, before ? ":" : "",
                   before ? before : "");
    return setenv("KRB5_CONFIG", value, 1) == 0 ? 0 : err_memory(err);
}

int realms_add(struct span realm, struct span kdcs, struct err *err)
{
    struct entry *entry = malloc(sizeof *entry + realm.size + kdcs.size + 2);
    int result;

    if (config_fd < 0) {
        free(entry);
        return err_set(err, ERR_UNSUPPORTED,
                       "sasl.mechanism GSSAPI needs kafka_process_init at the program's start");
    }
    if (!entry)
        return err_memory(err);
    entry->realm = (struct span){memcpy(entry->text, realm.data, realm.size), realm.size};
    entry->text[realm.size] = '\0';
    entry->kdcs = (struct span){memcpy(entry->text + realm.size + 1, kdcs.data, kdcs.size), kdcs.size};
    entry->text[realm.size + 1 + kdcs.size] = '\0';

    (void)pthread_mutex_lock(&lock);
    entry->next = entries;
    entries = entry;
    result = publish(err);
    (void)pthread_mutex_unlock(&lock);
    if (result != 0)
        realms_remove(realm, kdcs);
    return result;
}

void realms_remove(struct span realm, struct span kdcs)
{
    struct err ignored;

    (void)pthread_mutex_lock(&lock);
    for (struct entry **at = &entries; *at; at = &(*at)->next) {
        struct entry *entry = *at;

        if (!span_equal(entry->realm, realm) || !span_equal(entry->kdcs, kdcs))
            continue;
        *at = entry->next;
        free(entry);
        (void)publish(&ignored);
        break;
    }
    (void)pthread_mutex_unlock(&lock);
}
