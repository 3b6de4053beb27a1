/* login.h - who we are for the MQTT broker: the configuration with its templates expanded. Never changed once
 * it is made: a new one takes its place when a secret changes. */
#ifndef ENGINE_LOGIN_H
#define ENGINE_LOGIN_H

#include "base/err.h"
#include "base/wiped.h"
#include "rules/config.h"
#include "secrets/secrets.h"

#include <stdatomic.h>
#include <stdbool.h>

struct session_login {
    char *client_id, *username; /* username NULL: none */
    struct wiped *password;     /* NULL: none */
    char *ca_file, *cert_file, *key_file;
    struct wiped *key_password;
    atomic_uint references;
};

/* NULL with `err`, which names the key. May block on secrets (NULL: none configured). */
struct session_login *session_login_new(const struct config *config, struct secrets *secrets,
                                        struct err *err);
struct session_login *session_login_ref(struct session_login *login);
void session_login_free(struct session_login *login); /* one reference; NULL is a no-op */

bool session_login_same(const struct session_login *a, const struct session_login *b);

#endif
