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
#include <unistd.h>

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

/* ---- the credentials file ---- */

static struct span trimmed(struct span text)
{
    while (text.size && strchr(" \t\r", text.data[0]))
        text = (struct span){text.data + 1, text.size - 1};
    while (text.size && strchr(" \t\r", text.data[text.size - 1]))
        text.size--;
    return text;
}

struct section {
    struct span id, secret, token;
    bool found;
};

/* One line of the file; `*inside`: the section is ours. */
static void take_line(struct span line, const char *profile, bool *inside, struct section *out)
{
    const char *equals;

    line = trimmed(line);
    if (line.size == 0 || line.data[0] == '#' || line.data[0] == ';')
        return;
    if (line.data[0] == '[') {
        const char *end = memchr(line.data, ']', line.size);
        struct span name = {line.data + 1, end ? (size_t)(end - line.data) - 1 : 0};

        *inside = span_is(trimmed(name), profile);
        out->found |= *inside;
        return;
    }
    equals = memchr(line.data, '=', line.size);
    if (!*inside || !equals)
        return;
    struct span name = trimmed((struct span){line.data, (size_t)(equals - line.data)});
    struct span value = trimmed((struct span){equals + 1, line.size - (size_t)(equals + 1 - line.data)});
    if (span_is_nocase(name, "aws_access_key_id"))
        out->id = value;
    else if (span_is_nocase(name, "aws_secret_access_key"))
        out->secret = value;
    else if (span_is_nocase(name, "aws_session_token"))
        out->token = value;
}

static int from_profile(const char *path, const char *profile, struct aws_keys *out, struct err *err)
{
    AUTO(wiped_drop) struct wiped *file = NULL;
    struct section section = {.found = false};
    bool inside = false;

    if (file_secret(path, false, &file, err) != 0)
        return -1;
    struct span left = wiped_reveal(file);
    while (left.size) {
        const char *end = memchr(left.data, '\n', left.size);
        size_t size = end ? (size_t)(end - left.data) : left.size;

        take_line((struct span){left.data, size}, profile, &inside, &section);
        left = (struct span){left.data + size + (end != NULL), left.size - size - (end != NULL)};
    }
    if (!section.found)
        return err_set(err, ERR_IO, "%s has no profile [%s]", path, profile);
    if (!section.id.size || !section.secret.size)
        return err_set(err, ERR_IO,
                       "the profile [%s] of %s lacks aws_access_key_id or aws_secret_access_key (others, as "
                       "credential_process and sso, are not known)",
                       profile, path);
    return aws_keys_set(out, section.id, section.secret, section.token, "the credentials file", err);
}

static const char *variable(const char *name)
{
    const char *text = getenv(name);

    return text && text[0] ? text : NULL;
}

/* 1: there is no such file, and none was asked for. */
static int try_profile(const struct backend *backend, struct aws_keys *out, struct err *err)
{
    const char *profile = backend->profile ? backend->profile : variable("AWS_PROFILE");
    const char *file = backend->credentials_file, *home = variable("HOME");
    char standard[4096];

    if (!file)
        file = variable("AWS_SHARED_CREDENTIALS_FILE");
    if (!file) {
        if (home && snprintf(standard, sizeof standard, "%s/.aws/credentials", home) < (int)sizeof standard)
            file = standard;
        if (!backend->profile && (!file || access(file, F_OK) != 0))
            return 1;
        if (!file)
            return err_set(err, ERR_IO,
                           "there is no HOME to look for .aws/credentials in: set credentials_file");
    }
    return from_profile(file, profile ? profile : "default", out, err);
}

/* ---- the chain ---- */

static int search(struct backend *backend, struct aws_keys *out, struct err *err)
{
    const char *id = variable("AWS_ACCESS_KEY_ID"), *secret = variable("AWS_SECRET_ACCESS_KEY");
    const char *token = variable("AWS_SESSION_TOKEN"), *path;
    char url[2048];

    if (backend->access_key_id)
        return from_files(backend, out, err);
    if (backend->profile || backend->credentials_file)
        return try_profile(backend, out, err);
    if (id && secret)
        return aws_keys_set(out, span_of(id), span_of(secret), span_of(token ? token : ""), "the environment",
                            err);
    if (id || secret)
        return err_set(err, ERR_IO,
                       "the environment has only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    if ((path = variable("AWS_WEB_IDENTITY_TOKEN_FILE")))
        return aws_web_identity(backend, path, variable("AWS_ROLE_ARN"), out, err);
    int found = try_profile(backend, out, err);
    if (found != 1)
        return found;
    if ((path = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))) {
        if (snprintf(url, sizeof url, "http://169.254.170.2%s", path) >= (int)sizeof url || path[0] != '/')
            return err_set(err, ERR_IO, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path");
        return aws_container(backend, url, out, err);
    }
    if ((path = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")))
        return aws_container(backend, path, out, err);
    path = variable("AWS_EC2_METADATA_DISABLED");
    if (!path || strcasecmp(path, "true") != 0)
        return aws_instance(backend, out, err);
    return err_set(err, ERR_IO,
                   "there are no AWS credentials: neither in the configuration nor in the environment, no "
                   "credentials file, no container or instance role");
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
    int result = role_arn.size ? aws_assume(backend, role_arn, &fresh, err) : search(backend, &fresh, err);

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
