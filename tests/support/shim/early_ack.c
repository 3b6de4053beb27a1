/* early_ack.c - preloaded into the daemon: libmosquitto acknowledges each message as it arrives, as it does
 * for everybody who does not stop it.
 *
 *     CHAOS_EARLY_ACK=1
 *
 * For the proof that a test of ours sees a loss: with this, it must. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>

#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

struct mosquitto;

/* Declared here, so that the shim needs no header of the library. */
int mosquitto_threaded_set(struct mosquitto *mosq, bool threaded);

int mosquitto_threaded_set(struct mosquitto *mosq, bool threaded)
{
    return NEXT(mosquitto_threaded_set)(mosq, threaded && !getenv("CHAOS_EARLY_ACK"));
}
