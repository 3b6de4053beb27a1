/* pkcs12.c - PKCS#12 (RFC 7292), as openssl and Java's keytool write it, old ciphers included.
 *
 * The bags are walked by us rather than by PKCS12_parse: the store and its key may have different passwords,
 * and a hostile store may ask for minutes of hashing. */
#include "store.h"

#include "base/auto.h"

#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <pthread.h>

enum { DEPTH_MAX = 4 };

/* RC2-40 and its like, which old tools used, live in OpenSSL's provider "legacy". It is loaded into a library
 * context of its own, so that nothing else in the process gets to use it. */
static OSSL_LIB_CTX *library;
static bool has_legacy;

static void make_library(void)
{
    library = OSSL_LIB_CTX_new();
    if (!library)
        return;
    has_legacy = OSSL_PROVIDER_load(library, "legacy") != NULL;
    (void)OSSL_PROVIDER_load(library, "default");
    ERR_clear_error();
}

/* A password as OpenSSL takes it: none and an empty one are different things to PKCS#12. */
struct password {
    const char *data;
    int size;
};

/* PBES2 (RFC 8018), and PBMAC1 (RFC 9579), which is of the same shape and newer than some OpenSSL. */
static bool has_key_function(const ASN1_OBJECT *object)
{
    char name[32] = "";

    (void)OBJ_obj2txt(name, sizeof name, object, 1);
    return OBJ_obj2nid(object) == NID_pbes2 || strcmp(name, "1.2.840.113549.1.5.14") == 0;
}

/* -1: not to be known. */
static long rounds_of(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object;
    const void *value;
    int type;
    long rounds = -1;

    X509_ALGOR_get0(&object, &type, &value, algorithm);
    if (type != V_ASN1_SEQUENCE)
        return -1;
    if (has_key_function(object)) {
        PBE2PARAM *outer = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBE2PARAM));
        PBKDF2PARAM *inner = NULL;

        if (outer) {
            X509_ALGOR_get0(&object, &type, &value, outer->keyfunc);
            if (OBJ_obj2nid(object) == NID_id_pbkdf2 && type == V_ASN1_SEQUENCE)
                inner = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBKDF2PARAM));
        }
        rounds = inner ? ASN1_INTEGER_get(inner->iter) : -1;
        PBKDF2PARAM_free(inner);
        PBE2PARAM_free(outer);
    } else {
        PBEPARAM *parameters = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBEPARAM));

        rounds = parameters ? ASN1_INTEGER_get(parameters->iter) : -1;
        PBEPARAM_free(parameters);
    }
    return rounds > 0 ? rounds : -1;
}

int store_take_rounds(const X509_ALGOR *algorithm, bool strict, long *left)
{
    long rounds = rounds_of(algorithm);

    ERR_clear_error();
    if (rounds < 0)
        return strict ? -1 : 0;
    if (rounds > *left)
        return -1;
    *left -= rounds;
    return 0;
}

static int refuse_iterations(struct err *err)
{
    return err_set(err, ERR_LIMIT,
                   "the store is encrypted in a way that is not known, or with more than %d rounds",
                   STORE_MAX_ROUNDS);
}

static int cannot_decrypt(const char *what, const char *property, struct err *err)
{
    char reason[80];

    store_openssl_reason(reason, sizeof reason);
    if (strstr(reason, "unsupported") && !has_legacy)
        return err_set(
            err, ERR_UNSUPPORTED,
            "%s is encrypted by an old cipher, for which OpenSSL's module legacy.so is missing here", what);
    return err_set(err, ERR_SECRET, "%s cannot be decrypted: is %s right?", what, property);
}

/* ---- bags ---- */

struct walk {
    struct store *store;
    struct password password, key_password;
    bool want_key;
    long rounds_left;
    struct err *err;
};

static int take_key(struct walk *walk, const PKCS8_PRIV_KEY_INFO *info)
{
    walk->store->key = info ? EVP_PKCS82PKEY(info) : NULL;
    if (walk->store->key)
        return 0;
    ERR_clear_error();
    return err_set(walk->err, ERR_SYNTAX, "the private key is of no kind that OpenSSL knows");
}

static int read_sealed_key(struct walk *walk, const PKCS12_SAFEBAG *bag)
{
    const X509_ALGOR *algorithm;
    PKCS8_PRIV_KEY_INFO *info;
    int result;

    X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(bag), &algorithm, NULL);
    if (store_take_rounds(algorithm, true, &walk->rounds_left) != 0)
        return refuse_iterations(walk->err);
    info = PKCS12_decrypt_skey_ex(bag, walk->key_password.data, walk->key_password.size, library, NULL);
    if (!info)
        return cannot_decrypt("the private key", "ssl.key.password", walk->err);
    result = take_key(walk, info);
    PKCS8_PRIV_KEY_INFO_free(info);
    return result;
}

static int read_certificate(struct walk *walk, const PKCS12_SAFEBAG *bag)
{
    X509 *certificate;

    if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate)
        return 0; /* an SDSI certificate: nobody uses it */
    if (sk_X509_num(walk->store->trusted) >= STORE_MAX_CERTIFICATES)
        return err_set(walk->err, ERR_LIMIT, "more than %d certificates", STORE_MAX_CERTIFICATES);
    certificate = PKCS12_SAFEBAG_get1_cert(bag);
    if (!certificate) {
        ERR_clear_error();
        return err_set(walk->err, ERR_SYNTAX, "certificate %d of the store is broken",
                       sk_X509_num(walk->store->trusted) + 1);
    }
    if (sk_X509_push(walk->store->trusted, certificate) <= 0) {
        X509_free(certificate);
        return err_memory(walk->err);
    }
    return 0;
}

static int read_bag(struct walk *walk, const PKCS12_SAFEBAG *bag)
{
    bool wanted = walk->want_key && !walk->store->key; /* the first one counts */

    switch (PKCS12_SAFEBAG_get_nid(bag)) {
    case NID_certBag: return read_certificate(walk, bag);
    case NID_keyBag: return wanted ? take_key(walk, PKCS12_SAFEBAG_get0_p8inf(bag)) : 0;
    case NID_pkcs8ShroudedKeyBag: return wanted ? read_sealed_key(walk, bag) : 0;
    default: return 0; /* CRLs, secrets */
    }
}

/* Bags may hold bags; a stack of our own bounds how deep. */
static int read_bags(struct walk *walk, const STACK_OF(PKCS12_SAFEBAG) * bags)
{
    struct {
        const STACK_OF(PKCS12_SAFEBAG) * bags;
        int at;
    } stack[DEPTH_MAX] = {{bags, 0}};

    for (int depth = 0; depth >= 0;) {
        if (stack[depth].at >= sk_PKCS12_SAFEBAG_num(stack[depth].bags)) {
            depth--;
            continue;
        }
        const PKCS12_SAFEBAG *bag = sk_PKCS12_SAFEBAG_value(stack[depth].bags, stack[depth].at++);

        if (PKCS12_SAFEBAG_get_nid(bag) == NID_safeContentsBag) {
            if (depth + 1 == DEPTH_MAX)
                return err_set(walk->err, ERR_LIMIT, "the store's bags are nested more than %d deep",
                               DEPTH_MAX);
            stack[++depth].bags = PKCS12_SAFEBAG_get0_safes(bag);
            stack[depth].at = 0;
        } else if (read_bag(walk, bag) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- the safe ---- */

static int read_part(struct walk *walk, PKCS7 *part)
{
    STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
    int result;

    if (PKCS7_type_is_data(part)) {
        bags = PKCS12_unpack_p7data(part);
        if (!bags) {
            ERR_clear_error();
            return err_set(walk->err, ERR_SYNTAX, "the store is damaged");
        }
    } else if (PKCS7_type_is_encrypted(part)) {
        if (!part->d.encrypted || !part->d.encrypted->enc_data ||
            store_take_rounds(part->d.encrypted->enc_data->algorithm, true, &walk->rounds_left) != 0)
            return refuse_iterations(walk->err);
        bags = PKCS12_unpack_p7encdata(part, walk->password.data, walk->password.size);
        if (!bags)
            return cannot_decrypt("the store", "its password", walk->err);
    } else {
        return 0;
    }
    result = read_bags(walk, bags);
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    return result;
}

/* The MAC tells a wrong password before anything is decrypted. Some tools write "no password" as none, some
 * as an empty one. */
static int check_mac(PKCS12 *pkcs12, struct walk *walk)
{
    const ASN1_INTEGER *rounds = NULL;
    const X509_ALGOR *algorithm = NULL;
    const ASN1_OBJECT *object;
    struct password *password = &walk->password;
    long count;

    if (!PKCS12_mac_present(pkcs12))
        return 0;
    PKCS12_get0_mac(NULL, &algorithm, NULL, &rounds, pkcs12);
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    count = has_key_function(object) ? rounds_of(algorithm) : rounds ? ASN1_INTEGER_get(rounds) : 1;
    if (count < 1 || count > walk->rounds_left / 2)
        return refuse_iterations(walk->err);
    walk->rounds_left -= 2 * count;
    if (PKCS12_verify_mac(pkcs12, password->data, password->size) == 1)
        return 0;
    if (password->size == 0) {
        password->data = "";
        if (PKCS12_verify_mac(pkcs12, password->data, 0) == 1)
            return 0;
        ERR_clear_error();
        return err_set(walk->err, ERR_SECRET, "the store needs its password");
    }
    ERR_clear_error();
    return err_set(walk->err, ERR_SECRET, "the password of the store is wrong, or the store is damaged");
}

static struct password password_of(struct span text)
{
    return (struct password){text.size ? text.data : NULL, (int)text.size};
}

static int read_safe(struct walk *walk, PKCS12 *pkcs12)
{
    STACK_OF(PKCS7) *parts = PKCS12_unpack_authsafes(pkcs12);
    int result = 0;

    if (!parts) {
        ERR_clear_error();
        return err_set(walk->err, ERR_SYNTAX, "the store is damaged");
    }
    for (int i = 0; i < sk_PKCS7_num(parts) && result == 0; i++)
        result = read_part(walk, sk_PKCS7_value(parts, i));
    sk_PKCS7_pop_free(parts, PKCS7_free);
    return result;
}

int store_read_pkcs12(struct store *store, struct span bytes, struct span password, struct span key_password,
                      bool want_key, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const unsigned char *at = (const unsigned char *)bytes.data;
    struct walk walk = {store,    password_of(password), password_of(key_password),
                        want_key, STORE_MAX_ROUNDS,      err};
    PKCS12 *pkcs12;
    int result;

    if (password.size > 1024 || key_password.size > 1024)
        return err_set(err, ERR_LIMIT, "the password has more than 1024 bytes");
    (void)pthread_once(&once, make_library);
    pkcs12 = library ? PKCS12_init_ex(NID_pkcs7_data, library, NULL) : NULL;
    if (!pkcs12)
        return err_memory(err);
    if (!d2i_PKCS12(&pkcs12, &at, (long)bytes.size)) { /* which frees it */
        ERR_clear_error();
        return err_set(err, ERR_SYNTAX, "the store is damaged");
    }
    result = check_mac(pkcs12, &walk);
    if (result == 0 && key_password.size == 0)
        walk.key_password = walk.password;
    if (result == 0)
        result = read_safe(&walk, pkcs12);
    PKCS12_free(pkcs12);
    if (result == 0 && store->key)
        result = store_order_chain(store, store->trusted, err);
    ERR_clear_error();
    return result;
}
