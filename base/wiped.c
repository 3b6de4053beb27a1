#include "base/wiped.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* One mapping per secret: whole pages are what mlock and MADV_DONTDUMP work on, and secrets are few. */
struct wiped {
    atomic_uint references;
    size_t mapped, size;
    char bytes[];
};

static atomic_size_t unlocked;

void wipe(void *memory, size_t size)
{
    if (size)
        explicit_bzero(memory, size);
}

struct wiped *wiped_new(struct span bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), need;

    if (__builtin_add_overflow(bytes.size, sizeof(struct wiped) + page, &need))
        return NULL;
    size_t mapped = need / page * page; /* room for the header, the bytes and a terminator, rounded up */
    struct wiped *secret = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (secret == MAP_FAILED)
        return NULL;
    if (mlock(secret, mapped) != 0)
        atomic_fetch_add(&unlocked, 1);
    (void)madvise(secret, mapped, MADV_DONTDUMP);
    atomic_init(&secret->references, 1);
    secret->mapped = mapped;
    secret->size = bytes.size;
    if (bytes.size)
        memcpy(secret->bytes, bytes.data, bytes.size);
    return secret;
}

struct wiped *wiped_ref(struct wiped *secret)
{
    if (secret)
        atomic_fetch_add_explicit(&secret->references, 1, memory_order_relaxed);
    return secret;
}

void wiped_free(struct wiped *secret)
{
    if (!secret || atomic_fetch_sub_explicit(&secret->references, 1, memory_order_acq_rel) != 1)
        return;
    size_t mapped = secret->mapped;
    wipe(secret, mapped);
    (void)munmap(secret, mapped);
}

struct span wiped_reveal(const struct wiped *secret)
{
    return secret ? (struct span){secret->bytes, secret->size} : (struct span){NULL, 0};
}

size_t wiped_unlocked(void)
{
    return atomic_load(&unlocked);
}
