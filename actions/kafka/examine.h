/* examine.h - what a client needs, tried step by step, for `topicrule doctor`. */
#ifndef KAFKA_EXAMINE_H
#define KAFKA_EXAMINE_H

#include "material.h"
#include "settings.h"

/* Where the steps are told. */
struct examination {
    void (*step)(void *context, const struct action_step *step);
    void *context;
};

void examine(const struct span *constants, const struct action_settings *in,
             void (*step)(void *context, const struct action_step *step), void *context);

void examined(const struct examination *to, const char *what, const char *whom, enum action_finding finding,
              const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A TLS handshake over a connected socket: version, names and end of the broker's certificate, and whether we
 * trust it. */
void examine_tls(const struct examination *to, int socket, const char *host, const char *whom,
                 const struct material *material, bool check_host);

#endif
