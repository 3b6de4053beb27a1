/* examine.h - what a client needs, tried step by step, for `topicrule doctor`. */
#ifndef KAFKA_EXAMINE_H
#define KAFKA_EXAMINE_H

#include "material.h"
#include "settings.h"

#include "base/buf.h"

struct action_client;

/* One examination. */
struct examination {
    void (*step)(void *context, const struct action_step *step); /* where the steps are told */
    void *context;
    const struct settings *settings;
    const struct material *material;
    char trust[320];    /* whom we trust, for people: "ssl.truststore" */
    struct buf reached; /* brokers that can be reached: "host:port,host:port" */
    struct buf seen;    /* those that were looked at, each with a comma before and behind */
    bool kdc_reached;
};

/* examine.c: the order of things. As struct action_type has it. */
void examine(const struct span *const *constants, size_t count, const struct action_settings *in,
             void (*step)(void *context, const struct action_step *step), void *context);
/* Tell of a step. */
void examined(const struct examination *to, const char *what, const char *whom, enum action_finding finding,
              const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Tell that a step begins. */
void examining(const struct examination *to, const char *what, const char *whom);

/* examine_host.c: DNS and TCP of the brokers and KDCs, which listener each broker has, and TLS. */
void examine_hosts(struct examination *to);
/* A broker that is known from the cluster alone. */
void examine_advertised(struct examination *to, int id, const char *name, unsigned port, int64_t until_ms);

/* examine_tls.c: a handshake over a connected socket that does not block: version, names, issuer and end of
 * the broker's certificate, and whether we trust it. True when it is good. `is_plain`: set when what is there
 * speaks no TLS. */
bool examine_tls(const struct examination *to, int socket, const char *host, const char *whom,
                 int64_t until_ms, bool *is_plain);
/* Does whatever is there speak TLS at all? */
bool examine_speaks_tls(int socket, int64_t until_ms);

/* examine_login.c: tickets and login. A client that is READY, for client_close; NULL when it was told why
 * not.
 */
bool examine_tickets(const struct examination *to);
struct action_client *examine_login(const struct examination *to, const struct action_settings *in);

/* examine_cluster.c: what the cluster says of itself and of `topics` (names, each once). */
void examine_cluster(struct examination *to, struct action_client *client, const char *const *topics,
                     size_t count);

#endif
