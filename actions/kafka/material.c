#include "material.h"

#include "peer.h"
#include "store.h"

#include "base/auto.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *system_trust(void)
{
    static const char *const usual[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Red Hat */
        "/etc/ssl/ca-bundle.pem",             /* SUSE */
        "/etc/ssl/cert.pem",
        "/etc/ssl/certs",
    };
    const char *named = getenv(X509_get_default_cert_file_env());

    if (named && access(named, R_OK) == 0)
        return named;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (access(usual[i], R_OK) == 0)
            return usual[i];
    return access(X509_get_default_cert_file(), R_OK) == 0 ? X509_get_default_cert_file() : NULL;
}

void material_done(struct material *material)
{
    wiped_free(material->trust);
    wiped_free(material->key);
    wiped_free(material->chain);
    *material = (struct material){0};
}

static bool known(const struct settings *settings, enum prop_id id)
{
    return settings->slots[id].set && !settings->slots[id].is_template;
}

static bool is_template(const struct settings *settings, enum prop_id id)
{
    return settings->slots[id].set && settings->slots[id].is_template;
}

static struct wiped *slot_bytes(const struct slot *slot, struct err *err)
{
    char path[4096];

    if (slot->form != FORM_FILE)
        return store_bytes(slot->text, err);
    if (slot->text.size >= sizeof path) {
        err_set(err, ERR_LIMIT, "the path is too long");
        return NULL;
    }
    memcpy(path, slot->text.data, slot->text.size);
    path[slot->text.size] = '\0';

    struct wiped *bytes = store_file(path, err);
    if (!bytes && slot->from && slot->from->secret && err->code == ERR_IO)
        err_set(err, ERR_IO, "the file that the secret names cannot be read");
    return bytes;
}

struct wiped *material_bytes(const struct settings *settings, enum prop_id id, struct err *err)
{
    struct wiped *bytes = slot_bytes(&settings->slots[id], err);

    if (!bytes)
        err_prefix(err, "%s", settings->slots[id].from ? settings->slots[id].from->name : props[id].name);
    return bytes;
}

/* A type that was named must be the one that is there: a mistake is then told by its name. */
static int check_type(const struct settings *settings, enum prop_id id, enum store_format found,
                      struct err *err)
{
    struct span type = setting_text(settings, id);
    const char *want = span_is(type, "PKCS12") ? "PKCS#12" : span_is(type, "JKS") ? "JKS" : "PEM";

    if (type.size == 0 || span_is(type, "NONE") || strcmp(want, store_format_name(found)) == 0)
        return 0;
    /* keytool writes PKCS#12 under any file name, and people say JKS to all of it, so those two are one. */
    if (found == STORE_PKCS12 || found == STORE_JKS)
        if (strcmp(want, "PEM") != 0)
            return 0;
    return err_set(err, ERR_VALUE, "%s says %s, but it is %s",
                   settings->slots[id].from ? settings->slots[id].from->name : props[id].name, want,
                   store_format_name(found));
}

static int read_slot(struct store *store, const struct settings *settings, enum prop_id id, enum prop_id type,
                     struct span password, struct span key_password, bool want_key, struct err *err)
{
    struct wiped *bytes = slot_bytes(&settings->slots[id], err);
    int result = -1;

    *store = (struct store){0};
    if (bytes &&
        (type == PROP_COUNT || check_type(settings, type, store_format(wiped_reveal(bytes)), err) == 0))
        result = store_read(store, wiped_reveal(bytes), password, key_password, want_key, err);
    wiped_free(bytes);
    if (result != 0 && err->code == ERR_SECRET && password.size == 0 && key_password.size == 0 &&
        id != PROP_KEY) /* one sentence for every format */
        err_set(err, ERR_SECRET, "the store needs its password: give %s",
                props[id == PROP_TRUST ? PROP_TRUST_PASSWORD : PROP_KEYSTORE_PASSWORD].name);
    if (result != 0)
        err_prefix(err, "%s", settings->slots[id].from ? settings->slots[id].from->name : props[id].name);
    return result;
}

static bool is_directory(struct span path, char *copy, size_t room)
{
    struct stat info;

    if (path.size >= room)
        return false;
    memcpy(copy, path.data, path.size);
    copy[path.size] = '\0';
    if (stat(copy, &info) == 0 && S_ISDIR(info.st_mode))
        return true;
    copy[0] = '\0';
    return false;
}

static int load_trust(struct material *material, const struct settings *settings, struct err *err)
{
    const struct slot *slot = &settings->slots[PROP_TRUST];
    struct store store = {0};
    int result;

    if (!slot->set || (slot->form == FORM_FILE && span_is(slot->text, "probe"))) {
        material->system_trust = system_trust();
        return material->system_trust
                   ? 0
                   : err_set(err, ERR_VALUE,
                             "no ssl.truststore is given, and this system keeps no list of trusted "
                             "authorities: install the package ca-certificates, or give ssl.truststore");
    }
    if (is_template(settings, PROP_TRUST) || is_template(settings, PROP_TRUST_PASSWORD))
        return 0;
    if (slot->form == FORM_FILE &&
        is_directory(slot->text, material->trust_directory, sizeof material->trust_directory))
        return 0;

    result = read_slot(&store, settings, PROP_TRUST, PROP_TRUST_TYPE,
                       setting_text(settings, PROP_TRUST_PASSWORD), (struct span){NULL, 0}, false, err);
    if (result == 0 && sk_X509_num(store.trusted) == 0)
        result = err_set(err, ERR_VALUE, "%s holds no certificate", slot->from->name);
    if (result == 0 && !(material->trust = store_certificates_pem(store.trusted)))
        result = err_memory(err);
    store_done(&store);
    return result;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm = {0};

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : INT64_MAX;
}

static int take_key(struct material *material, const struct store *store, struct err *err)
{
    const X509 *own = sk_X509_value(store->chain, 0);

    material->key = store_key_pem(store->key);
    material->chain = store_certificates_pem(store->chain);
    if (!material->key || !material->chain)
        return err_memory(err);
    material->not_after = seconds_of(X509_get0_notAfter(own));
    peer_name_text(X509_get_subject_name(own), material->subject, sizeof material->subject);
    return 0;
}

static int load_keystore(struct material *material, const struct settings *settings, struct err *err)
{
    struct store store = {0};
    int result;

    if (is_template(settings, PROP_KEYSTORE_PASSWORD) || is_template(settings, PROP_KEY_PASSWORD))
        return 0;
    result = read_slot(&store, settings, PROP_KEYSTORE, PROP_KEYSTORE_TYPE,
                       setting_text(settings, PROP_KEYSTORE_PASSWORD),
                       setting_text(settings, PROP_KEY_PASSWORD), true, err);
    if (result == 0 && (!store.key || sk_X509_num(store.chain) == 0))
        result = err_set(err, ERR_VALUE, "%s holds no private key with its certificate",
                         settings->slots[PROP_KEYSTORE].from->name);
    if (result == 0)
        result = take_key(material, &store, err);
    store_done(&store);
    return result;
}

/* Key and chain in properties of their own. */
static int load_key_and_chain(struct material *material, const struct settings *settings, struct err *err)
{
    struct store key = {0}, chain = {0};
    struct span none = {NULL, 0}, password = setting_text(settings, PROP_KEY_PASSWORD);
    int result = -1;

    if (!known(settings, PROP_KEY) || !known(settings, PROP_CHAIN) ||
        is_template(settings, PROP_KEY_PASSWORD))
        return 0;
    if (read_slot(&key, settings, PROP_KEY, PROP_COUNT, password, password, true, err) != 0 ||
        read_slot(&chain, settings, PROP_CHAIN, PROP_COUNT, none, none, false, err) != 0)
        goto out;
    if (!key.key) {
        err_set(err, ERR_VALUE, "%s holds no private key", settings->slots[PROP_KEY].from->name);
        goto out;
    }
    chain.key = TAKE(key.key);
    result = store_order_chain(&chain, chain.trusted, err);
    if (result != 0)
        err_prefix(err, "%s", settings->slots[PROP_CHAIN].from->name);
    else
        result = take_key(material, &chain, err);
out:
    store_done(&key);
    store_done(&chain);
    return result;
}

int material_load(struct material *material, const struct settings *settings, struct err *err,
                  const struct action_setting **blame)
{
    enum prop_id part = PROP_TRUST;
    int result;

    *material = (struct material){0};
    if (!settings->tls)
        return 0;
    result = load_trust(material, settings, err);
    if (result == 0 && known(settings, PROP_KEYSTORE)) {
        part = PROP_KEYSTORE;
        result = load_keystore(material, settings, err);
    } else if (result == 0 && settings->slots[PROP_KEY].set && settings->slots[PROP_CHAIN].set) {
        part = PROP_KEY;
        result = load_key_and_chain(material, settings, err);
    }
    if (result != 0 && blame)
        *blame = settings->slots[part].from;
    return result;
}
