/* aws.c - `type: aws`: secrets of AWS Secrets Manager.
 *
 * What an error is its answer says in `__type`, whatever the status: servers that stand in for AWS use other
 * statuses, and XML, or HTML. */
#include "aws.h"

#include "wiping.h"

#include "base/auto.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    TRIES = 3,
    PAUSE_MS = 100,       /* before the second try; four times that before the third */
    SILENCE_MS = 1000,    /* after the last, and twice that each time it happens again */
    SILENCE_DOUBLINGS = 6 /* 64 s at most */
};

static void secret_text_drop(char **text)
{
    wiping_free(*text);
}

/* ---- a request ---- */

/* "KEY_ID:SECRET" and the header of a session's token. 0, or -1 with `err`. */
static int write_keys(const struct aws_keys *keys, char *pair, size_t pair_room, char *header,
                      size_t header_room, struct err *err)
{
    int size = snprintf(pair, pair_room, SPAN_FMT ":" SPAN_FMT, SPAN_ARG(wiped_reveal(keys->id)),
                        SPAN_ARG(wiped_reveal(keys->secret)));
    int more = keys->token ? snprintf(header, header_room, "X-Amz-Security-Token: " SPAN_FMT,
                                      SPAN_ARG(wiped_reveal(keys->token)))
                           : 0;

    return size < (int)pair_room && more < (int)header_room
               ? 0
               : err_set(err, ERR_VALUE, "the credentials from %s are too long", keys->source);
}

int aws_post(struct backend *backend, const char *url, const char *service, const struct aws_keys *keys,
             const char *type, const char *target, struct span body, struct http_answer *answer,
             struct err *err)
{
    char pair[1024] = "", token[AWS_TOKEN_MAX + 64] = "", sign[128], content[96], aim[96];
    struct http_request request = {.method = "POST", .url = url, .body = body, .headers = {content}};
    size_t headers = 1;
    int result = -1;

    (void)snprintf(content, sizeof content, "Content-Type: %s", type);
    (void)snprintf(sign, sizeof sign, "aws:amz:%s:%s", backend->region, service);
    if (target) {
        (void)snprintf(aim, sizeof aim, "X-Amz-Target: %s", target);
        request.headers[headers++] = aim;
    }
    if (keys && write_keys(keys, pair, sizeof pair, token, sizeof token, err) != 0)
        goto out;
    if (keys && keys->token)
        request.headers[headers] = token;
    if (keys) {
        request.sign_for = sign;
        request.sign_with = pair;
    }
    result = http_call(backend->http, &request, answer, err);
    if (result == 0 && answer->status >= 300 && answer->status < 400)
        result = err_set(err, ERR_IO,
                         "%s sends us elsewhere (status %ld), where a secret's request must not go: is the "
                         "endpoint right?",
                         url, answer->status);
out:
    wipe(pair, sizeof pair);
    wipe(token, sizeof token);
    return result;
}

/* ---- what an error means ---- */

void aws_code(const struct http_answer *answer, const json_t *json, char code[AWS_CODE])
{
    const char *text = json_string_value(json_object_get(json, "__type"));
    const char *mark = text ? strrchr(text, '#') : NULL;
    size_t size = 0;

    if (mark)
        text = mark + 1;
    if (!text && !json && answer->body.size && (text = strstr(answer->body.data, "<Code>")))
        text += strlen("<Code>");
    while (text && size + 1 < AWS_CODE &&
           ((text[size] >= 'a' && text[size] <= 'z') || (text[size] >= 'A' && text[size] <= 'Z') ||
            text[size] == '.')) {
        code[size] = text[size];
        size++;
    }
    code[size] = '\0';
}

enum meaning { NOTHING_THERE, DELETED, DENIED, KEY, THROTTLED, EXPIRED, BAD_KEYS, BROKEN, BAD_ID, OTHER };

static enum meaning meaning_of(const char *code, long status)
{
    static const struct {
        const char *code;
        enum meaning meaning;
    } rows[] = {
        {"ResourceNotFoundException", NOTHING_THERE},
        {"InvalidRequestException", DELETED},
        {"AccessDeniedException", DENIED},
        {"AccessDenied", DENIED},
        {"UnauthorizedOperation", DENIED},
        {"DecryptionFailure", KEY},
        {"KMSAccessDeniedException", KEY},
        {"ThrottlingException", THROTTLED},
        {"Throttling", THROTTLED},
        {"RequestLimitExceeded", THROTTLED},
        {"TooManyRequestsException", THROTTLED},
        {"ExpiredTokenException", EXPIRED},
        {"ExpiredToken", EXPIRED},
        {"IDPCommunicationError", BROKEN},
        {"UnrecognizedClientException", BAD_KEYS},
        {"InvalidClientTokenId", BAD_KEYS},
        {"InvalidSignatureException", BAD_KEYS},
        {"SignatureDoesNotMatch", BAD_KEYS},
        {"IncompleteSignature", BAD_KEYS},
        {"IncompleteSignatureException", BAD_KEYS},
        {"MissingAuthenticationToken", BAD_KEYS},
        {"MissingAuthenticationTokenException", BAD_KEYS},
        {"InvalidIdentityToken", BAD_KEYS},
        {"AuthFailure", BAD_KEYS},
        {"InternalServiceError", BROKEN},
        {"InternalFailure", BROKEN},
        {"ServiceUnavailable", BROKEN},
        {"ServiceUnavailableException", BROKEN},
        {"InvalidParameterException", BAD_ID},
        {"ValidationException", BAD_ID},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].code, code) == 0)
            return rows[i].meaning;
    return status == 429 ? THROTTLED : status >= 500 ? BROKEN : OTHER;
}

/* AWS refuses a signature that is more than five minutes off, and says so in words only. */
static bool is_skew(const char *code, const struct http_answer *answer)
{
    const char *text = answer->body.size ? answer->body.data : "";

    return strcmp(code, "RequestTimeTooSkewed") == 0 || strcmp(code, "RequestExpired") == 0 ||
           strstr(text, "Signature expired") || strstr(text, "Signature not yet current");
}

int aws_refused(struct backend *backend, const struct aws_keys *keys, const struct http_answer *answer,
                const json_t *json, const char *what, struct err *err)
{
    char code[AWS_CODE];
    const char *source = keys ? keys->source : "the token";

    aws_code(answer, json, code);
    enum meaning meaning = meaning_of(code, answer->status);
    backend->refused = (meaning == EXPIRED || meaning == BAD_KEYS) && !is_skew(code, answer);
    if (is_skew(code, answer))
        return err_set(err, ERR_IO,
                       "%s was refused because this machine's clock is wrong by minutes (%s): set it, by NTP",
                       what, code);
    switch (meaning) {
    case NOTHING_THERE:
        return err_set(err, ERR_SECRET, "%s: there is nothing in the region %s with a version %s", what,
                       backend->region, backend->version_stage);
    case DELETED:
        return err_set(err, ERR_SECRET,
                       "%s: it is marked for deletion, or cannot be read now (%s); restore it", what, code);
    case DENIED:
        return err_set(err, ERR_VALUE,
                       "%s was denied to the credentials from %s (%s): allow it in their policy", what,
                       source, code);
    case KEY:
        return err_set(
            err, ERR_VALUE,
            "%s: its key could not decrypt it (%s): allow kms:Decrypt to the credentials from %s, and "
            "look at the key's state",
            what, code, source);
    case THROTTLED: return err_set(err, ERR_IO, "%s: AWS limits our requests (%s)", what, code);
    case EXPIRED:
        return err_set(err, ERR_IO, "%s: the credentials from %s have expired (%s)", what, source, code);
    case BAD_KEYS:
        return err_set(err, ERR_IO,
                       "%s: the credentials from %s are not valid (%s): wrong, deleted or replaced?", what,
                       source, code);
    case BROKEN:
        return err_set(err, ERR_IO, "%s: AWS has a fault (status %ld %s)", what, answer->status, code);
    case BAD_ID: return err_set(err, ERR_VALUE, "%s: AWS refuses the id (%s)", what, code);
    case OTHER: break;
    }
    if (!code[0])
        return err_set(err, ERR_IO, "%s: status %ld, and not in the words of AWS: is the endpoint right?",
                       what, answer->status);
    return err_set(err, ERR_VALUE, "%s: %s (status %ld)", what, code, answer->status);
}

/* ---- a secret ---- */

static int parse(const struct http_answer *answer, json_t **json, struct err *err)
{
    json_error_t why = {.text = ""};

    *json = NULL;
    if (answer->body.size == 0)
        return 0;
    *json = json_loadb(answer->body.data, answer->body.size, JSON_REJECT_DUPLICATES, &why);
    return !*json && why.text[0] == '\0' ? err_memory(err) : 0; /* else: what it says may be the secret */
}

static int take_secret(const json_t *json, struct stored *out, struct err *err)
{
    const json_t *text = json_object_get(json, "SecretString"),
                 *bytes = json_object_get(json, "SecretBinary");
    const char *version = json_string_value(json_object_get(json, "VersionId"));

    if (!json_is_string(text) && !json_is_string(bytes))
        return err_set(err, ERR_IO, "the answer is not that of AWS Secrets Manager: is the endpoint right?");
    if (version)
        (void)snprintf(out->version, sizeof out->version, "%s", version);
    out->as = json_is_string(text) ? STORED_TEXT : STORED_BYTES;
    if (json_string_length(out->as == STORED_TEXT ? text : bytes) == 0)
        return err_set(err, ERR_VALUE, "the secret is empty");
    if (json_string_length(out->as == STORED_TEXT ? text : bytes) > SECRET_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "the secret is larger than %d bytes", SECRET_SIZE_MAX);
    if (out->as == STORED_BYTES) {
        out->bytes = base64_secret(span_of(json_string_value(bytes)), err);
        return out->bytes ? 0 : -1;
    }
    out->bytes = wiped_new(span_of(json_string_value(text)));
    return out->bytes ? 0 : err_memory(err);
}

static void pause_before(int attempt)
{
    int64_t ms = attempt == 1 ? PAUSE_MS : 4 * PAUSE_MS;

    (void)nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
}

static void keep_silence(struct backend *backend, const struct http_answer *answer)
{
    unsigned doublings =
        backend->throttled < SILENCE_DOUBLINGS ? backend->throttled++ : (unsigned)SILENCE_DOUBLINGS;
    int64_t ms = (int64_t)SILENCE_MS << doublings;

    backend->wait_ms = clock_mono_ms() + (answer->retry_ms > ms ? answer->retry_ms : ms);
}

/* 1: the credentials were refused, others may do. */
static int fetch_once(struct backend *backend, const char *body, struct span role_arn, const char *what,
                      struct stored *out, struct err *err)
{
    for (int attempt = 1;; attempt++) {
        AUTO(aws_json_drop) json_t *json = NULL;
        const struct aws_keys *keys = aws_login(backend, role_arn, err);
        struct http_answer answer = {.status = 0};
        char code[AWS_CODE];

        if (!keys ||
            aws_post(backend, backend->endpoint, "secretsmanager", keys, "application/x-amz-json-1.1",
                     "secretsmanager.GetSecretValue", span_of(body), &answer, err) != 0 ||
            parse(&answer, &json, err) != 0)
            return -1;
        if (answer.status == 200) {
            backend->throttled = 0;
            return take_secret(json, out, err);
        }
        aws_code(&answer, json, code);
        enum meaning meaning = meaning_of(code, answer.status);
        (void)aws_refused(backend, keys, &answer, json, what, err);
        if (backend->refused && aws_forget(backend))
            return 1;
        if (meaning != THROTTLED && meaning != BROKEN)
            return -1;
        if (attempt == TRIES) {
            if (meaning == THROTTLED || answer.retry_ms > 0)
                keep_silence(backend, &answer);
            return -1;
        }
        pause_before(attempt);
    }
}

/* An id that names another region would be sought where it is not. */
static int check_id(const struct backend *backend, struct span id, struct err *err)
{
    struct span left = id;
    size_t region = strlen(backend->region);

    if (id.size == 0 || id.size > SECRET_ID_MAX || memchr(id.data, '\0', id.size))
        return err_set(err, ERR_SECRET, "the id is empty, no text, or longer than %d bytes", SECRET_ID_MAX);
    if (!span_starts_with(id, "arn:"))
        return 0;
    for (int i = 0; i < 3; i++) {
        const char *colon = memchr(left.data, ':', left.size);

        if (!colon)
            return err_set(err, ERR_SECRET, "the id starts like an ARN and is none");
        left = (struct span){colon + 1, left.size - (size_t)(colon + 1 - left.data)};
    }
    if (left.size <= region || memcmp(left.data, backend->region, region) != 0 || left.data[region] != ':')
        return err_set(err, ERR_SECRET,
                       "the ARN is of another region than this backend (%s): configure one for that region",
                       backend->region);
    return 0;
}

int aws_fetch(struct backend *backend, struct span id, struct span role_arn, struct stored *out,
              struct err *err)
{
    AUTO(secret_text_drop) char *body = NULL;
    static const char what[] = "secretsmanager:GetSecretValue";
    int result = -1;

    *out = (struct stored){.bytes = NULL};
    if (check_id(backend, id, err) != 0)
        return -1;
    json_t *request = json_pack("{s:s%, s:s}", "SecretId", id.data, id.size, "VersionStage",
                                backend->version_stage); /* NULL: no UTF-8, or no memory */
    body = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    if (!body)
        return err_set(err, ERR_SECRET, "the id is no UTF-8, or memory is out");
    (void)pthread_mutex_lock(&backend->lock);
    if (clock_mono_ms() < backend->wait_ms) {
        err_set(err, ERR_IO, "AWS limits our requests: we wait before the next one");
    } else {
        result = fetch_once(backend, body, role_arn, what, out, err);
        if (result == 1)
            result = fetch_once(backend, body, role_arn, what, out, err);
    }
    (void)pthread_mutex_unlock(&backend->lock);
    return result == 0 ? 0 : -1;
}

/* A secret that nobody has: only who is known is told that it is not there, or denied. It needs no other
 * service, and no right. */
int aws_probe(struct backend *backend, char *detail, struct err *err)
{
    AUTO(aws_json_drop) json_t *json = NULL;
    static const char body[] = "{\"SecretId\":\"topicrule/doctor\"}";
    struct http_answer answer;
    char code[AWS_CODE];
    int result = -1;

    (void)pthread_mutex_lock(&backend->lock);
    const struct aws_keys *keys = aws_login(backend, (struct span){NULL, 0}, err);
    if (keys &&
        aws_post(backend, backend->endpoint, "secretsmanager", keys, "application/x-amz-json-1.1",
                 "secretsmanager.GetSecretValue", span_of(body), &answer, err) == 0 &&
        parse(&answer, &json, err) == 0) {
        aws_code(&answer, json, code);
        enum meaning meaning = meaning_of(code, answer.status);

        if (answer.status == 200 || meaning == NOTHING_THERE || meaning == DENIED)
            result = 0;
        else
            (void)aws_refused(backend, keys, &answer, json, "asking for a secret", err);
        (void)snprintf(detail, SECRETS_DETAIL, "AWS Secrets Manager in %s, credentials from %s%s",
                       backend->region, keys->source,
                       strncmp(backend->endpoint, "http:", 5) == 0 ? ", over plain http on this machine"
                                                                   : "");
    }
    (void)pthread_mutex_unlock(&backend->lock);
    return result;
}
