/* process.c - what is asked of the whole process, once. */
#include "kafka/kafka.h"

#include "realms.h"

#include "base/wiped.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>

/* OpenSSL clears what it calls a key when it lets go of it, but not every buffer that a key or a password
 * went through: its readers and writers of DER, and the derivation of PKCS#12 keys, leave copies behind. */

static void *take(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return malloc(size);
}

static void give(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    if (memory)
        wipe(memory, malloc_usable_size(memory));
    free(memory);
}

static void *resize(void *memory, size_t size, const char *file, int line)
{
    size_t had = memory ? malloc_usable_size(memory) : 0;
    void *larger;

    if (size == 0) { /* as realloc of old */
        give(memory, file, line);
        return NULL;
    }
    if (memory && size <= had && size >= had / 2)
        return memory;
    larger = malloc(size);
    if (!larger)
        return NULL;
    if (memory)
        memcpy(larger, memory, size < had ? size : had);
    give(memory, file, line);
    return larger;
}

void kafka_process_wipes(void)
{
    (void)CRYPTO_set_mem_functions(take, resize, give);
}

int kafka_process_init(struct err *err)
{
    return realms_init(err);
}
