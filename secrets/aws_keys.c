/* aws_keys.c - where credentials come from, and how long they are used.
 *
 * The chain is that of AWS's own SDKs (docs.aws.amazon.com/sdkref, "standardized credential providers"):
 * what the configuration names; the environment; a web identity; the credentials file; a container's agent;
 * a virtual machine's metadata. The first that is there is used, and must work: falling through to another
 * identity because one is broken would hide the fault. */
#include "aws.h"

#include "base/auto.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    EARLY_MS = 5 * 60000,    /* AWS's services hand out new ones at least that long before the end */
    LEAST_MS = 2000,         /* credentials that end sooner are not worth trying */
    RETRY_MS = 30000,        /* between two tries to have new ones while the old ones hold */
    FORGET_PAUSE_MS = 60000, /* between two searches because credentials were refused */
};

DEFINE_DROP(wiped, struct wiped *, wiped_free)

void aws_keys_drop(struct aws_keys *keys)
{
    wiped_free(keys->id);
    wiped_free(keys->secret);
    wiped_free(keys->token);
    *keys = (struct aws_keys){.id = NULL};
}

/* Fit for a header and for "ID:SECRET". */
static bool is_fit(struct span text, const char *also)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] == 0x7f || (also && strchr(also, text.data[i])))
            return false;
    return true;
}

int aws_keys_set(struct aws_keys *keys, struct span id, struct span secret, struct span token,
                 const char *source, struct err *err)
{
    *keys = (struct aws_keys){.source = source, .end_ms = INT64_MAX};
    if (id.size == 0 || secret.size == 0 || id.size > 256 || secret.size > 512 ||
        token.size > AWS_TOKEN_MAX || !is_fit(id, ":/") || !is_fit(secret, NULL) || !is_fit(token, NULL))
        return err_set(err, ERR_IO, "what came from %s is no set of AWS credentials", source);
    keys->id = wiped_new(id);
    keys->secret = wiped_new(secret);
    keys->token = token.size ? wiped_new(token) : NULL;
    if (keys->id && keys->secret && (keys->token || !token.size))
        return 0;
    aws_keys_drop(keys);
    return err_memory(err);
}

/* ---- what the configuration names ---- */

static int from_files(const struct backend *backend, struct aws_keys *out, struct err *err)
{
    AUTO(wiped_drop) struct wiped *secret = NULL, *token = NULL;

    if (file_secret(backend->secret_key_file, false, &secret, err) != 0 ||
        (backend->session_token_file && file_secret(backend->session_token_file, false, &token, err) != 0))
        return -1;
    return aws_keys_set(out, span_of(backend->access_key_id), wiped_reveal(secret),
                        token ? wiped_reveal(token) : (struct span){NULL, 0}, "secret_key_file", err);
}

/* ---- the chain ---- */

int aws_environment(struct aws_keys *out, struct err *err)
{
    const char *id = aws_variable("AWS_ACCESS_KEY_ID"), *secret = aws_variable("AWS_SECRET_ACCESS_KEY");
    const char *token = aws_variable("AWS_SESSION_TOKEN");

    if (!id && !secret)
        return 1;
    if (!id || !secret)
        return err_set(err, ERR_IO,
                       "the environment has only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    return aws_keys_set(out, span_of(id), span_of(secret), span_of(token ? token : ""), "the environment",
                        err);
}

int aws_try_container(struct backend *backend, struct aws_keys *out, struct err *err)
{
    const char *path = aws_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *whole = aws_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    char url[2048];

    if (!path)
        return whole ? aws_container(backend, whole, out, err) : 1;
    if (snprintf(url, sizeof url, "http://169.254.170.2%s", path) >= (int)sizeof url || path[0] != '/')
        return err_set(err, ERR_IO, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path");
    return aws_container(backend, url, out, err);
}

static int try_token(struct backend *backend, struct aws_keys *out, struct err *err)
{
    const char *path = aws_variable("AWS_WEB_IDENTITY_TOKEN_FILE"), *arn = aws_variable("AWS_ROLE_ARN");
    const struct aws_role role = {.arn = span_of(arn),
                                  .session = span_of(aws_variable("AWS_ROLE_SESSION_NAME"))};

    if (!path)
        return 1;
    if (!arn)
        return err_set(err, ERR_IO, "AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not");
    return aws_web_identity(backend, path, &role, out, err);
}

static int search(struct backend *backend, struct aws_keys *out, struct err *err)
{
    const char *disabled = aws_variable("AWS_EC2_METADATA_DISABLED");
    int found;

    if (backend->access_key_id)
        return from_files(backend, out, err);
    if (backend->profile || backend->credentials_file)
        return aws_try_profile(backend, out, err);
    found = aws_environment(out, err);
    if (found == 1)
        found = try_token(backend, out, err);
    if (found == 1)
        found = aws_try_profile(backend, out, err);
    if (found == 1)
        found = aws_try_container(backend, out, err);
    if (found != 1)
        return found;
    if (!disabled || strcasecmp(disabled, "true") != 0)
        return aws_instance(backend, out, err);
    return err_set(err, ERR_IO,
                   "there are no AWS credentials: neither in the configuration nor in the environment, no "
                   "profile, no container or instance role");
}

/* ---- their life ---- */

static bool is_due(const struct aws_keys *keys, int64_t early_ms)
{
    return !keys->id || (keys->end_ms != INT64_MAX && clock_mono_ms() >= keys->end_ms - early_ms);
}

/* New ones into `keys`; old ones that hold stay when there are none. */
static int renew(struct backend *backend, struct span role_arn, struct aws_keys *keys, struct err *err)
{
    struct aws_keys fresh = {.id = NULL};
    const struct aws_role role = {.arn = role_arn, .external_id = span_of(backend->external_id)};
    int result = role_arn.size ? aws_assume(backend, &backend->keys, &role, &fresh, err)
                               : search(backend, &fresh, err);

    if (result == 0) {
        aws_keys_drop(keys);
        *keys = fresh;
        return 0;
    }
    if (err->code != ERR_MEMORY)
        err->code = ERR_IO; /* for all secrets, not for one */
    return is_due(keys, LEAST_MS) ? -1 : 0;
}

/* Early enough, and for short lives not all the time. */
static int64_t early(const struct aws_keys *keys)
{
    int64_t left = keys->end_ms == INT64_MAX ? INT64_MAX : keys->end_ms - clock_mono_ms();

    return left > EARLY_MS ? EARLY_MS : LEAST_MS;
}

static struct aws_keys *role_keys(struct backend *backend, struct span arn, struct err *err)
{
    for (size_t i = 0; i < AWS_ROLES; i++)
        if (backend->roles[i].arn && span_is(arn, backend->roles[i].arn))
            return &backend->roles[i].keys;
    size_t at = backend->next_role++ % AWS_ROLES;
    free(backend->roles[at].arn);
    aws_keys_drop(&backend->roles[at].keys);
    backend->roles[at].arn = strndup(arn.data, arn.size);
    if (backend->roles[at].arn)
        return &backend->roles[at].keys;
    err_memory(err);
    return NULL;
}

static int own(struct backend *backend, struct err *err)
{
    return is_due(&backend->keys, LEAST_MS) ? renew(backend, (struct span){NULL, 0}, &backend->keys, err) : 0;
}

const struct aws_keys *aws_login(struct backend *backend, struct span role_arn, struct err *err)
{
    struct aws_keys *keys;

    if (own(backend, err) != 0)
        return NULL;
    if (!backend->assume_role || role_arn.size == 0)
        return &backend->keys;
    keys = role_keys(backend, role_arn, err);
    if (!keys || !is_due(keys, LEAST_MS))
        return keys;
    backend->refused = false;
    if (renew(backend, role_arn, keys, err) == 0)
        return keys;
    /* Our own may have been replaced where they come from. */
    if (backend->refused && aws_forget(backend) && own(backend, err) == 0 &&
        renew(backend, role_arn, keys, err) == 0)
        return keys;
    return NULL;
}

bool aws_forget(struct backend *backend)
{
    int64_t now = clock_mono_ms();

    if (backend->forgot_ms && now - backend->forgot_ms < FORGET_PAUSE_MS)
        return false;
    backend->forgot_ms = now;
    aws_keys_drop(&backend->keys);
    for (size_t i = 0; i < AWS_ROLES; i++)
        aws_keys_drop(&backend->roles[i].keys);
    return true;
}

/* When these are to be looked at next; renewed if that is now. */
static int64_t tend_one(struct backend *backend, struct span arn, struct aws_keys *keys)
{
    struct err err = {0};
    int64_t now = clock_mono_ms(), next;

    if (!keys->id || keys->end_ms == INT64_MAX)
        return INT64_MAX;
    if (keys->end_ms - EARLY_MS <= now)
        (void)renew(backend, arn, keys, &err);
    if (!keys->id || keys->end_ms == INT64_MAX)
        return INT64_MAX;
    next = keys->end_ms - early(keys);
    return next < now + RETRY_MS ? now + RETRY_MS : next;
}

int64_t aws_tend(struct backend *backend)
{
    (void)pthread_mutex_lock(&backend->lock);
    int64_t next = tend_one(backend, (struct span){NULL, 0}, &backend->keys);

    for (size_t i = 0; i < AWS_ROLES; i++) {
        if (!backend->roles[i].arn)
            continue;
        int64_t at = tend_one(backend, span_of(backend->roles[i].arn), &backend->roles[i].keys);
        next = at < next ? at : next;
    }
    (void)pthread_mutex_unlock(&backend->lock);
    return next;
}
