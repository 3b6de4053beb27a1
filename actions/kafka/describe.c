#include "describe.h"

#include "material.h"
#include "store.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>

/* ---- for people ---- */

static const char *const masked = "****";

static void line(struct buf *out, bool *first, const char *name, struct span value)
{
    buf_text(out, *first ? "" : ",");
    *first = false;
    buf_json(out, span_of(name));
    buf_char(out, ':');
    buf_json(out, value);
}

static bool is_hidden(const struct settings *settings, size_t id)
{
    const struct slot *slot = &settings->slots[id];

    return props[id].kind == KIND_SECRET || (slot->from && slot->from->secret) || slot->is_template;
}

void describe(const struct action_settings *in, struct buf *out)
{
    struct report ignored = REPORT_INIT;
    struct settings settings;
    bool first = true;

    settings_read(&settings, in, &ignored);
    buf_char(out, '{');
    for (size_t id = 0; id < PROP_COUNT; id++) {
        const struct slot *slot = &settings.slots[id];
        struct span value = setting_text(&settings, (enum prop_id)id);

        if (id == PROP_IDEMPOTENCE)
            line(out, &first, props[id].name, settings.idempotent ? SPAN("true") : SPAN("false"));
        else if (slot->set && props[id].kind == KIND_STORE && slot->form == FORM_FILE &&
                 !is_hidden(&settings, id))
            line(out, &first, props[id].name, value);
        else if (slot->set && (is_hidden(&settings, id) || props[id].kind == KIND_STORE))
            line(out, &first, props[id].name, span_of(masked));
        else if (value.size && !(id == PROP_HOSTNAME && !settings.tls))
            line(out, &first, props[id].name, value);
        else if (id == PROP_TRUST && settings.tls && system_trust())
            line(out, &first, "ssl.ca.location", span_of(system_trust()));
    }
    buf_char(out, '}');
    settings_done(&settings);
    report_done(&ignored);
}

/* ---- as an identity ---- */

static unsigned char digest_key[32];
static bool digest_key_made;

static void make_digest_key(void)
{
    digest_key_made = RAND_bytes(digest_key, sizeof digest_key) == 1;
}

static int add_digest(struct buf *out, struct span bytes, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    (void)pthread_once(&once, make_digest_key);
    if (!digest_key_made || !HMAC(EVP_sha256(), digest_key, sizeof digest_key,
                                  (const unsigned char *)bytes.data, bytes.size, digest, &size))
        return err_set(err, ERR_IO, "OpenSSL gives no SHA-256");
    for (unsigned i = 0; i < size; i++)
        buf_format(out, "%02x", digest[i]);
    return 0;
}

static int add_file(struct buf *out, struct span path, bool secret, struct err *err)
{
    char name[4096];
    struct wiped *bytes;
    int result;

    if (secret && add_digest(out, path, err) != 0)
        return -1;
    if (!secret)
        buf_span(out, path);
    if (path.size >= sizeof name)
        return 0;
    memcpy(name, path.data, path.size);
    name[path.size] = '\0';
    bytes = store_file(name, &(struct err){0}); /* missing: open will say so */
    if (!bytes)
        return 0;
    buf_char(out, ' ');
    result = add_digest(out, wiped_reveal(bytes), err);
    wiped_free(bytes);
    return result;
}

static bool is_login(size_t id)
{
    switch (id) {
    case PROP_USERNAME:
    case PROP_PASSWORD:
    case PROP_PLAIN_USERNAME:
    case PROP_PLAIN_PASSWORD:
    case PROP_SCRAM_USERNAME:
    case PROP_SCRAM_PASSWORD:
    case PROP_JAAS: return true;
    default: return false;
    }
}

int identity(const struct settings *settings, bool password, struct buf *out, struct err *err)
{
    int result = 0;

    for (size_t id = 0; id < PROP_COUNT && result == 0; id++) {
        const struct slot *slot = &settings->slots[id];
        struct span value = setting_text(settings, (enum prop_id)id);

        if (is_login(id) || value.size == 0)
            continue;
        buf_format(out, "%s=", props[id].name);
        if (props[id].kind == KIND_STORE && slot->form == FORM_FILE)
            result = add_file(out, value, slot->from && slot->from->secret, err);
        else if (props[id].kind == KIND_SECRET || props[id].kind == KIND_STORE ||
                 (slot->from && slot->from->secret))
            result = add_digest(out, value, err);
        else
            buf_span(out, value);
        buf_char(out, '\n');
    }
    if (result == 0 && settings->username.size) {
        buf_text(out, "login=");
        result = add_digest(out, settings->username, err);
        buf_char(out, ' ');
        if (result == 0 && password)
            result = add_digest(out, settings->password, err);
        buf_char(out, '\n');
    }
    if (result == 0 && out->failed)
        result = err_memory(err);
    return result;
}
