/* jks.c - Sun's Java key store, as OpenSSL cannot read it.
 *
 *     feedfeed, version, count, entries, SHA-1 over (password in UTF-16BE, "Mighty Aphrodite", all before)
 *     entry 1: alias, date, EncryptedPrivateKeyInfo, chain of certificates      entry 2: alias, date,
 * certificate
 *
 * A private key is hidden by Sun's key protector: a salt of 20 bytes, the key XORed with a stream of
 * SHA-1(password, previous block), and SHA-1(password, key) to tell a wrong password. All numbers are
 * big-endian. */
#include "store.h"

#include "base/auto.h"
#include "base/utf8.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>

enum { SHA1_SIZE = 20, ENTRIES_MAX = 10000, PASSWORD_MAX = 1024 };

static const char key_protector[] = "1.3.6.1.4.1.42.2.17.1.1";

struct reader {
    const unsigned char *at;
    size_t left;
    bool short_of; /* more was asked for than there is */
};

static struct span take(struct reader *in, size_t size)
{
    struct span bytes = {(const char *)in->at, size};

    if (size > in->left) {
        in->short_of = true;
        in->left = 0;
        return (struct span){NULL, 0};
    }
    in->at += size;
    in->left -= size;
    return bytes;
}

static uint32_t number(struct reader *in, size_t size)
{
    struct span bytes = take(in, size);
    uint32_t value = 0;

    for (size_t i = 0; i < bytes.size; i++)
        value = value << 8 | (unsigned char)bytes.data[i];
    return value;
}

/* ---- passwords: Java hashes them as UTF-16 ---- */

struct utf16 {
    unsigned char bytes[PASSWORD_MAX * 4];
    size_t size;
};

static int to_utf16(struct span text, struct utf16 *out, struct err *err)
{
    uint32_t code;

    out->size = 0;
    if (text.size > PASSWORD_MAX)
        return err_set(err, ERR_LIMIT, "the password has more than %d bytes", PASSWORD_MAX);
    while (text.size) {
        size_t step = utf8_decode(text, &code);
        uint32_t units[2] = {code, 0};
        size_t count = 1;

        if (step == 0)
            return err_set(err, ERR_SECRET, "the password is not UTF-8");
        if (code >= 0x10000) {
            units[0] = 0xd800 + ((code - 0x10000) >> 10);
            units[1] = 0xdc00 + ((code - 0x10000) & 0x3ff);
            count = 2;
        }
        for (size_t i = 0; i < count; i++) {
            out->bytes[out->size++] = (unsigned char)(units[i] >> 8);
            out->bytes[out->size++] = (unsigned char)units[i];
        }
        text.data += step;
        text.size -= step;
    }
    return 0;
}

static int sha1(const struct utf16 *password, struct span one, struct span two, unsigned char *digest,
                struct err *err)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int good = context && EVP_DigestInit_ex(context, EVP_sha1(), NULL) &&
               EVP_DigestUpdate(context, password->bytes, password->size) &&
               EVP_DigestUpdate(context, one.data, one.size) &&
               EVP_DigestUpdate(context, two.data, two.size) && EVP_DigestFinal_ex(context, digest, NULL);

    EVP_MD_CTX_free(context);
    return good ? 0 : err_set(err, ERR_UNSUPPORTED, "OpenSSL gives no SHA-1, which JKS needs");
}

/* ---- keys ---- */

static EVP_PKEY *parse_key(const unsigned char *der, size_t size)
{
    const unsigned char *at = der;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)size);
    EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;

    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

/* `hidden`: salt, key, digest. */
static EVP_PKEY *reveal(struct span hidden, const struct utf16 *password, struct err *err)
{
    unsigned char block[SHA1_SIZE], digest[SHA1_SIZE];
    size_t size = hidden.size - 2 * SHA1_SIZE;
    AUTO(free_drop) unsigned char *clear = malloc(size);
    struct span previous = {hidden.data, SHA1_SIZE};
    EVP_PKEY *key = NULL;

    if (!clear) {
        err_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < size; i++) {
        if (i % SHA1_SIZE == 0) {
            if (sha1(password, previous, (struct span){NULL, 0}, block, err) != 0)
                goto out;
            previous = (struct span){(char *)block, SHA1_SIZE};
        }
        clear[i] = (unsigned char)hidden.data[SHA1_SIZE + i] ^ block[i % SHA1_SIZE];
    }
    if (sha1(password, (struct span){(char *)clear, size}, (struct span){NULL, 0}, digest, err) != 0)
        goto out;
    if (memcmp(digest, hidden.data + SHA1_SIZE + size, SHA1_SIZE) != 0)
        err_set(err, ERR_SECRET, "the private key cannot be decrypted: is ssl.key.password right?");
    else if (!(key = parse_key(clear, size)))
        err_set(err, ERR_SYNTAX, "the private key is of no kind that OpenSSL knows");
out:
    wipe(clear, size);
    wipe(block, sizeof block);
    return key;
}

static int read_key(struct store *store, struct span der, const struct utf16 *password, struct err *err)
{
    const unsigned char *at = (const unsigned char *)der.data;
    X509_SIG *sealed = d2i_X509_SIG(NULL, &at, (long)der.size);
    const X509_ALGOR *algorithm;
    const ASN1_OCTET_STRING *content;
    const ASN1_OBJECT *object;
    char name[64] = "";

    if (sealed) {
        X509_SIG_get0(sealed, &algorithm, &content);
        X509_ALGOR_get0(&object, NULL, NULL, algorithm);
        (void)OBJ_obj2txt(name, sizeof name, object, 1);
    }
    if (!sealed || ASN1_STRING_length(content) <= 2 * SHA1_SIZE)
        err_set(err, ERR_SYNTAX, "a private key in the store is broken");
    else if (strcmp(name, key_protector) != 0)
        err_set(err, ERR_UNSUPPORTED,
                "a private key in the store is encrypted in a way that is not known (%s)", name);
    else
        store->key = reveal(
            (struct span){(const char *)ASN1_STRING_get0_data(content), (size_t)ASN1_STRING_length(content)},
            password, err);
    X509_SIG_free(sealed);
    ERR_clear_error();
    return store->key ? 0 : -1;
}

/* ---- entries ---- */

static int read_certificate(struct reader *in, uint32_t version, STACK_OF(X509) * list, struct err *err)
{
    struct span type = SPAN("X.509");

    if (version == 2)
        type = take(in, number(in, 2));
    struct span der = take(in, number(in, 4));
    if (in->short_of)
        return err_set(err, ERR_SYNTAX, "the store is cut off");
    if (!span_is(type, "X.509"))
        return err_set(err, ERR_UNSUPPORTED, "a certificate in the store is not X.509");
    return store_add_der(list, der, err);
}

/* The first private key is taken, and its chain; the others are passed over. */
static int read_key_entry(struct store *store, struct reader *in, uint32_t version,
                          const struct utf16 *password, bool want_key, struct err *err)
{
    struct span der = take(in, number(in, 4));
    bool wanted = want_key && !store->key;
    uint32_t count = number(in, 4);

    if (in->short_of || count > STORE_MAX_CERTIFICATES)
        return err_set(err, ERR_SYNTAX, "the store is cut off");
    if (wanted && read_key(store, der, password, err) != 0)
        return -1;
    for (uint32_t i = 0; i < count; i++)
        if (read_certificate(in, version, store->trusted, err) != 0)
            return -1;
    return wanted ? store_order_chain(store, store->trusted, err) : 0;
}

static int read_entries(struct store *store, struct reader *in, const struct utf16 *key_password,
                        bool want_key, struct err *err)
{
    (void)number(in, 4); /* the magic */

    uint32_t version = number(in, 4), count = number(in, 4);

    if (version != 1 && version != 2)
        return err_set(err, ERR_UNSUPPORTED, "a JKS store of version %u; 1 and 2 are known",
                       (unsigned)version);
    if (count > ENTRIES_MAX)
        return err_set(err, ERR_LIMIT, "the store says that it has %u entries; %d is the most",
                       (unsigned)count, ENTRIES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t tag = number(in, 4);
        int result;

        (void)take(in, number(in, 2)); /* alias */
        (void)take(in, 8);             /* date */
        if (tag == 1)
            result = read_key_entry(store, in, version, key_password, want_key, err);
        else if (tag == 2)
            result = read_certificate(in, version, store->trusted, err);
        else
            result = err_set(err, ERR_SYNTAX, in->short_of ? "the store is cut off" : "the store is damaged");
        if (result != 0)
            return -1;
    }
    return 0;
}

int store_read_jks(struct store *store, struct span bytes, struct span password, struct span key_password,
                   bool want_key, struct err *err)
{
    struct utf16 wide;
    unsigned char digest[SHA1_SIZE];
    int result = -1;

    if (bytes.size < 12 + SHA1_SIZE)
        return err_set(err, ERR_SYNTAX, "the store is cut off");

    struct span body = {bytes.data, bytes.size - SHA1_SIZE};
    struct reader in = {(const unsigned char *)body.data, body.size, false};

    if (to_utf16(password, &wide, err) != 0)
        goto out;
    if (password.size) { /* Java, too, reads certificates without a password, unchecked */
        if (sha1(&wide, SPAN("Mighty Aphrodite"), body, digest, err) != 0)
            goto out;
        if (memcmp(digest, body.data + body.size, SHA1_SIZE) != 0) {
            err_set(err, ERR_SECRET, "the password of the store is wrong, or the store is damaged");
            goto out;
        }
    }
    if (to_utf16(key_password, &wide, err) == 0)
        result = read_entries(store, &in, &wide, want_key, err);
out:
    wipe(&wide, sizeof wide);
    return result;
}
