/* pem.c - keys and certificates as PEM text (RFC 7468), in any order, with other things between. */
#include "store.h"

#include "base/auto.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

static inline void bio_drop(BIO **bio)
{
    BIO_free(*bio);
}

/* OpenSSL asks here; without a callback of ours it would ask on the terminal. */
struct asked {
    struct span password;
    bool was_asked;
};

static int give_password(char *out, int room, int writing, void *context)
{
    struct asked *asked = context;

    (void)writing;
    asked->was_asked = true;
    if (asked->password.size == 0 || asked->password.size > (size_t)room)
        return -1;
    memcpy(out, asked->password.data, asked->password.size);
    return (int)asked->password.size;
}

/* An encrypted key (PKCS#8) may ask for hours of hashing before it is found to be none. Other ways to derive
 * the key than PBKDF2 are bounded by OpenSSL. */
static int check_sealed(const unsigned char *data, long size, struct err *err)
{
    X509_SIG *sealed = d2i_X509_SIG(NULL, &data, size);
    const X509_ALGOR *algorithm;
    long left = STORE_MAX_ROUNDS;
    int result = 0;

    ERR_clear_error();
    if (!sealed)
        return 0; /* whoever reads it says what is wrong */
    X509_SIG_get0(sealed, &algorithm, NULL);
    if (store_take_rounds(algorithm, false, &left) != 0)
        result = err_set(err, ERR_LIMIT, "the private key is encrypted with more than %d rounds",
                         STORE_MAX_ROUNDS);
    X509_SIG_free(sealed);
    return result;
}

/* Fill `list` and say whether there is a private key among the blocks. */
static int read_blocks(struct span bytes, STACK_OF(X509) * list, bool *has_key, struct err *err)
{
    AUTO(bio_drop) BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.size);

    if (!bio)
        return err_memory(err);
    for (int blocks = 0; blocks < 2 * STORE_MAX_CERTIFICATES; blocks++) {
        char *name = NULL, *header = NULL;
        unsigned char *data = NULL;
        long size = 0;
        int result = 0;

        if (PEM_read_bio(bio, &name, &header, &data, &size) != 1) {
            bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
            char reason[80];

            store_openssl_reason(reason, sizeof reason);
            return end ? 0 : err_set(err, ERR_SYNTAX, "PEM block %d is broken: %s", blocks + 1, reason);
        }
        if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0)
            result = store_add_der(list, (struct span){(char *)data, (size_t)size}, err);
        else if (strcmp(name, PEM_STRING_X509_TRUSTED) == 0)
            result = err_set(err, ERR_UNSUPPORTED,
                             "PEM block %d is a TRUSTED CERTIFICATE; make it plain: openssl x509 -in FILE",
                             blocks + 1);
        else if (strstr(name, "PRIVATE KEY"))
            *has_key = true;
        if (result == 0 && strcmp(name, PEM_STRING_PKCS8) == 0)
            result = check_sealed(data, size, err);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)size);
        if (result != 0)
            return -1;
    }
    return err_set(err, ERR_LIMIT, "more than %d PEM blocks", 2 * STORE_MAX_CERTIFICATES);
}

static int read_key(struct store *store, struct span bytes, struct span password, struct err *err)
{
    AUTO(bio_drop) BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.size);
    struct asked asked = {.password = password};
    char reason[80];

    if (!bio)
        return err_memory(err);
    store->key = PEM_read_bio_PrivateKey(bio, NULL, give_password, &asked);
    if (store->key) {
        ERR_clear_error();
        return 0;
    }
    store_openssl_reason(reason, sizeof reason);
    if (asked.was_asked && password.size == 0)
        return err_set(err, ERR_SECRET, "the private key is encrypted, and ssl.key.password is not given");
    if (asked.was_asked)
        return err_set(err, ERR_SECRET, "the private key cannot be decrypted: is ssl.key.password right?");
    return err_set(err, ERR_SYNTAX, "the private key is broken: %s", reason);
}

int store_read_pem(struct store *store, struct span bytes, struct span key_password, bool want_key,
                   struct err *err)
{
    bool has_key = false;

    if (span_starts_with(bytes, "\xef\xbb\xbf")) /* what some editors put first, and OpenSSL trips over */
        bytes = (struct span){bytes.data + 3, bytes.size - 3};
    int result = read_blocks(bytes, store->trusted, &has_key, err);

    if (result != 0 || !has_key || !want_key)
        return result;
    if (read_key(store, bytes, key_password, err) != 0)
        return -1;
    /* A key alone is fine: its certificate may stand in a property of its own. */
    return sk_X509_num(store->trusted) ? store_order_chain(store, store->trusted, err) : 0;
}
