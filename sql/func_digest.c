/* sql/func_digest.c - digests as lower-case hexadecimal of the UTF-8 text; base64. */
#include "base/utf8.h"
#include "base64.h"
#include "func.h"
#include "md2.h"
#include "payload.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* ---- digests ---- */

static int give_hex(const struct call *call, const unsigned char *bytes, size_t size, struct value *out,
                    struct err *err)
{
    static const char digits[] = "0123456789abcdef";
    char *text = call_alloc(call, 2 * size, err);

    if (!text)
        return -1;
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    *out = value_string((struct span){text, 2 * size});
    return 0;
}

static int fn_md2(const struct call *call, struct value *out, struct err *err)
{
    unsigned char bytes[MD2_SIZE];
    struct span text;
    int had = arg_text(call, 0, &text, err);

    if (had <= 0)
        return had;
    /* 18 rounds over 48 bytes for every 16: by far the slowest of the digests */
    if (!scope_charge(call->scope, text.size, err))
        return -1;
    md2(text, bytes);
    return give_hex(call, bytes, sizeof bytes, out, err);
}

enum { MD5, SHA1, SHA224, SHA256, SHA384, SHA512, DIGESTS };

static const char *const names[DIGESTS] = {"md5", "sha1", "sha224", "sha256", "sha384", "sha512"};

/* Looking an algorithm up in OpenSSL 3 and making its context takes longer than a short digest. */
struct digest_cache {
    struct {
        EVP_MD *kind;
        EVP_MD_CTX *context;
    } of[DIGESTS];
};

void digest_cache_free(struct digest_cache *cache)
{
    if (!cache)
        return;
    for (int i = 0; i < DIGESTS; i++) {
        EVP_MD_CTX_free(cache->of[i].context);
        EVP_MD_free(cache->of[i].kind);
    }
    free(cache);
}

static bool compute(struct digest_cache *cache, int which, struct span text, unsigned char *bytes,
                    unsigned *size)
{
    if (!cache->of[which].kind)
        cache->of[which].kind = EVP_MD_fetch(NULL, names[which], NULL);
    if (!cache->of[which].context)
        cache->of[which].context = EVP_MD_CTX_new();

    EVP_MD_CTX *context = cache->of[which].context;
    return cache->of[which].kind && context && EVP_DigestInit_ex(context, cache->of[which].kind, NULL) == 1 &&
           EVP_DigestUpdate(context, text.data, text.size) == 1 &&
           EVP_DigestFinal_ex(context, bytes, size) == 1;
}

static int digest(const struct call *call, int which, struct value *out, struct err *err)
{
    struct sql_scope *scope = call->scope;
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    struct span text;
    int had = arg_text(call, 0, &text, err);

    if (had <= 0)
        return had;
    if (!scope->digests)
        scope->digests = calloc(1, sizeof *scope->digests);
    if (!scope->digests)
        return err_memory(err);
    if (compute(scope->digests, which, text, bytes, &size))
        return give_hex(call, bytes, size, out, err);
    /* No reason to leave the value out in silence: nothing is wrong with the message. */
    ERR_clear_error();
    return err_set(err, ERR_UNSUPPORTED,
                   "OpenSSL gives no %s here: it is switched off (FIPS), or memory is short", names[which]);
}

#define DIGEST(name, which)                                                                                  \
    static int fn_##name(const struct call *call, struct value *out, struct err *err)                        \
    {                                                                                                        \
        return digest(call, which, out, err);                                                                \
    }

DIGEST(md5, MD5)
DIGEST(sha1, SHA1)
DIGEST(sha224, SHA224)
DIGEST(sha256, SHA256)
DIGEST(sha384, SHA384)
DIGEST(sha512, SHA512)

/* ---- encode, decode ---- */

/* 1 if argument 1 is 'base64', the one scheme there is; 0 and -1 as arg_text. */
static int is_base64(const struct call *call, struct err *err)
{
    struct span scheme;

    if (call->args[1].type != VALUE_STRING)
        return 0;
    int had = arg_text(call, 1, &scheme, err);

    return had > 0 ? span_is(scheme, "base64") : had;
}

/* For `*` the evaluator hands over the raw bytes of the payload as a String: here alone it need not be
 * UTF-8. */
static int fn_encode(const struct call *call, struct value *out, struct err *err)
{
    struct span text;
    int had = is_base64(call, err);

    if (had > 0)
        had = arg_text(call, 0, &text, err);
    if (had <= 0)
        return had;
    if (!base64_encode(text, &call->scope->arena, &text))
        return call_full(err);
    *out = value_string(text);
    return 0;
}

static int fn_decode(const struct call *call, struct value *out, struct err *err)
{
    struct arena *arena = &call->scope->arena;
    struct span text;
    int had = is_base64(call, err);

    if (had > 0)
        had = call->args[0].type == VALUE_STRING ? arg_text(call, 0, &text, err) : 0; /* A30 */
    if (had <= 0)
        return had;
    switch (base64_decode(text, arena, &text)) {
    case BASE64_LIMIT: return call_full(err);
    case BASE64_INVALID: *out = value_null(); return 0;
    case BASE64_DECODED: break;
    }
    if (utf8_valid(text) != text.size) {
        *out = value_null(); /* bytes that are no text (A30) */
        return 0;
    }

    struct value value;
    struct err *why = arena_alloc(arena, sizeof *why);

    if (!why)
        return call_full(err);
    switch (payload_read(text, arena, &value, why)) {
    case PAYLOAD_JSON:
    case PAYLOAD_SCALAR: *out = value; return 0;
    case PAYLOAD_EMPTY:
    case PAYLOAD_BINARY: *out = value_string(text); return 0;
    case PAYLOAD_LIMIT: return err_set(err, why->code, "decode: %s", why->text);
    }
    return 0;
}

const struct sql_func sql_digest_funcs[] = {
    {"decode", 2, 2, FUNC_PURE | FUNC_V2, fn_decode,
     "decode(text, 'base64'): the text, or the value if that is JSON; Null if it cannot be decoded"},
    {"encode", 2, 2, FUNC_PURE | FUNC_V2 | FUNC_STAR, fn_encode,
     "encode(value, 'base64'): text in base64; encode(*, 'base64') takes the payload's bytes"},
    {"md2", 1, 1, FUNC_PURE, fn_md2, "md2(text): digest in hexadecimal"},
    {"md5", 1, 1, FUNC_PURE, fn_md5, "md5(text): digest in hexadecimal"},
    {"sha1", 1, 1, FUNC_PURE, fn_sha1, "sha1(text): digest in hexadecimal"},
    {"sha224", 1, 1, FUNC_PURE, fn_sha224, "sha224(text): digest in hexadecimal"},
    {"sha256", 1, 1, FUNC_PURE, fn_sha256, "sha256(text): digest in hexadecimal"},
    {"sha384", 1, 1, FUNC_PURE, fn_sha384, "sha384(text): digest in hexadecimal"},
    {"sha512", 1, 1, FUNC_PURE, fn_sha512, "sha512(text): digest in hexadecimal"},
    {.name = NULL},
};
