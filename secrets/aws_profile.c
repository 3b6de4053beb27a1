/* aws_profile.c - profiles of AWS's two files: credentials ("[name]") and config ("[profile name]").
 *
 * A profile has a key of its own, or a role that is assumed with the credentials of another profile, of the
 * environment, of the machine, or with a token that another has signed (docs.aws.amazon.com/sdkref, "assume
 * role"). A profile that wants a program run or a person to log in is refused. */
#include "aws.h"

#include "base/auto.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { HOPS_MAX = 5 }; /* profiles that lead to each other */

DEFINE_DROP(wiped, struct wiped *, wiped_free)

const char *aws_variable(const char *name)
{
    const char *text = getenv(name);

    return text && text[0] ? text : NULL;
}

/* ---- the files ---- */

/* Where each is, and whether somebody named it. */
struct files {
    char credentials[4096], config[4096]; /* "": nowhere */
    bool credentials_named, config_named;
};

static bool find_file(char out[4096], const char *option, const char *variable, const char *standard)
{
    const char *named = option ? option : aws_variable(variable), *home = aws_variable("HOME");

    out[0] = '\0';
    if (named)
        (void)snprintf(out, 4096, "%s", named);
    else if (home)
        (void)snprintf(out, 4096, "%s/.aws/%s", home, standard);
    return named;
}

static void find_files(const struct backend *backend, struct files *files)
{
    files->credentials_named = find_file(files->credentials, backend->credentials_file,
                                         "AWS_SHARED_CREDENTIALS_FILE", "credentials");
    files->config_named = find_file(files->config, backend->config_file, "AWS_CONFIG_FILE", "config");
}

/* NULL in `*out` when it is not there, or empty, and nobody named it. */
static int load(const char *path, bool named, bool shared, struct wiped **out, struct err *err)
{
    struct stat info;

    *out = NULL;
    if (!named && (!path[0] || stat(path, &info) != 0 || info.st_size == 0))
        return 0;
    return file_secret(path, shared, out, err);
}

/* ---- what a profile says ---- */

enum word {
    KEY_ID,
    KEY_SECRET,
    SESSION_TOKEN,
    REGION,
    ROLE_ARN,
    SOURCE_PROFILE,
    CREDENTIAL_SOURCE,
    EXTERNAL_ID,
    SESSION_NAME,
    TOKEN_FILE,
    PROCESS,
    SSO_SESSION,
    SSO_START_URL,
    MFA_SERIAL,
    WORDS,
};

static const char *const words[WORDS] = {
    [KEY_ID] = "aws_access_key_id",
    [KEY_SECRET] = "aws_secret_access_key",
    [SESSION_TOKEN] = "aws_session_token",
    [REGION] = "region",
    [ROLE_ARN] = "role_arn",
    [SOURCE_PROFILE] = "source_profile",
    [CREDENTIAL_SOURCE] = "credential_source",
    [EXTERNAL_ID] = "external_id",
    [SESSION_NAME] = "role_session_name",
    [TOKEN_FILE] = "web_identity_token_file",
    [PROCESS] = "credential_process",
    [SSO_SESSION] = "sso_session",
    [SSO_START_URL] = "sso_start_url",
    [MFA_SERIAL] = "mfa_serial",
};

/* Spans point into the files. */
struct profile {
    struct span name;
    struct span value[WORDS];
    bool found;
    bool key_in_config; /* its secret stands in the file that others may read, as far as we care */
};

static struct span trimmed(struct span text)
{
    while (text.size && strchr(" \t\r", text.data[0]))
        text = (struct span){text.data + 1, text.size - 1};
    while (text.size && strchr(" \t\r", text.data[text.size - 1]))
        text.size--;
    return text;
}

static bool is_section_of(struct span line, struct span profile, bool is_config)
{
    const char *end = memchr(line.data, ']', line.size);
    struct span name = trimmed((struct span){line.data + 1, end ? (size_t)(end - line.data) - 1 : 0});

    if (is_config && name.size > 8 && strncmp(name.data, "profile", 7) == 0 && strchr(" \t", name.data[7]))
        name = trimmed((struct span){name.data + 7, name.size - 7});
    else if (is_config && !span_is(name, "default"))
        return false;
    return span_equal(name, profile);
}

/* What the profile has already stays: the credentials file comes first, and wins. */
static void take_line(struct span line, bool is_config, bool *inside, struct profile *out)
{
    line = trimmed(line);
    if (line.size == 0 || line.data[0] == '#' || line.data[0] == ';')
        return;
    if (line.data[0] == '[') {
        *inside = is_section_of(line, out->name, is_config);
        out->found |= *inside;
        return;
    }
    const char *equals = memchr(line.data, '=', line.size);
    if (!*inside || !equals)
        return;
    const struct span name = trimmed((struct span){line.data, (size_t)(equals - line.data)});
    const struct span value =
        trimmed((struct span){equals + 1, line.size - (size_t)(equals + 1 - line.data)});
    for (size_t i = 0; i < WORDS; i++)
        if (span_is_nocase(name, words[i]) && !out->value[i].size) {
            out->value[i] = value;
            out->key_in_config |= is_config && i == KEY_SECRET;
        }
}

static void take_file(const struct wiped *file, bool is_config, struct profile *out)
{
    struct span left = wiped_reveal(file);
    bool inside = false;

    while (left.size) {
        const char *end = memchr(left.data, '\n', left.size);
        size_t size = end ? (size_t)(end - left.data) : left.size;

        take_line((struct span){left.data, size}, is_config, &inside, out);
        left = (struct span){left.data + size + (end != NULL), left.size - size - (end != NULL)};
    }
}

/* ---- where it leads to ---- */

struct chain {
    struct backend *backend;
    struct files files;
    struct wiped *credentials, *config;
    struct profile hops[HOPS_MAX]; /* each but the last has a role that the next one's credentials assume */
    size_t count;
};

static void chain_drop(struct chain *chain)
{
    wiped_free(chain->credentials);
    wiped_free(chain->config);
}

static const struct profile *read_hop(struct chain *chain, struct span name)
{
    struct profile *hop = &chain->hops[chain->count++];

    *hop = (struct profile){.name = name};
    take_file(chain->credentials, false, hop);
    take_file(chain->config, true, hop);
    return hop;
}

static int refuse(struct err *err, const struct profile *profile, const char *why)
{
    return err_set(err, ERR_IO, "the profile [" SPAN_FMT "] %s", SPAN_ARG(profile->name), why);
}

static bool has(const struct profile *profile, enum word word)
{
    return profile->value[word].size > 0;
}

static int static_keys(const struct chain *chain, const struct profile *profile, struct aws_keys *out,
                       struct err *err)
{
    AUTO(wiped_drop) struct wiped *checked = NULL;

    if (!has(profile, KEY_ID) || !has(profile, KEY_SECRET)) {
        if (has(profile, PROCESS))
            return refuse(
                err, profile,
                "has a credential_process, which is not run: this program starts no others; give it a "
                "key, or a role");
        if (has(profile, SSO_SESSION) || has(profile, SSO_START_URL))
            return refuse(
                err, profile,
                "is one of sso, where a person logs in in a browser: a service needs a key, or a role");
        return refuse(err, profile, "lacks aws_access_key_id and aws_secret_access_key, or a role_arn");
    }
    if (profile->key_in_config && file_secret(chain->files.config, false, &checked, err) != 0)
        return -1;
    return aws_keys_set(out, profile->value[KEY_ID], profile->value[KEY_SECRET],
                        profile->value[SESSION_TOKEN], "a profile", err);
}

static int by_web_identity(const struct chain *chain, const struct profile *profile, struct aws_keys *out,
                           struct err *err)
{
    const struct aws_role role = {.arn = profile->value[ROLE_ARN], .session = profile->value[SESSION_NAME]};
    char path[4096];

    (void)snprintf(path, sizeof path, SPAN_FMT, SPAN_ARG(profile->value[TOKEN_FILE]));
    return aws_web_identity(chain->backend, path, &role, out, err);
}

static int by_source(const struct chain *chain, const struct profile *profile, struct aws_keys *out,
                     struct err *err)
{
    const struct span source = profile->value[CREDENTIAL_SOURCE];

    if (span_is_nocase(source, "Environment"))
        return aws_environment(out, err) == 0
                   ? 0
                   : refuse(
                         err, profile,
                         "has credential_source Environment, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
                         "are not both set");
    if (span_is_nocase(source, "Ec2InstanceMetadata"))
        return aws_instance(chain->backend, out, err);
    if (span_is_nocase(source, "EcsContainer")) {
        int found = aws_try_container(chain->backend, out, err);

        return found == 1 ? refuse(err, profile,
                                   "has credential_source EcsContainer, and no container's agent "
                                   "is named in the environment")
                          : found;
    }
    return refuse(
        err, profile,
        "has an unknown credential_source: known are Environment, Ec2InstanceMetadata and EcsContainer");
}

/* Follow source_profile to where credentials are. 0 with those, or -1. */
static int find_base(struct chain *chain, struct aws_keys *out, struct err *err)
{
    for (;;) {
        const struct profile *last = &chain->hops[chain->count - 1];

        if (!last->found)
            return err_set(err, ERR_IO, "there is no profile [" SPAN_FMT "] in %s or %s",
                           SPAN_ARG(last->name),
                           chain->files.credentials[0] ? chain->files.credentials : ".aws/credentials",
                           chain->files.config[0] ? chain->files.config : ".aws/config");
        if (has(last, MFA_SERIAL))
            return refuse(err, last, "wants the code of a person's device (mfa_serial): a service has none");
        if (!has(last, ROLE_ARN)) {
            chain->count--; /* its own credentials, no role */
            return static_keys(chain, last, out, err);
        }
        if (has(last, TOKEN_FILE)) {
            chain->count--; /* the token is for that role itself */
            return by_web_identity(chain, last, out, err);
        }
        if (has(last, CREDENTIAL_SOURCE) == has(last, SOURCE_PROFILE))
            return refuse(err, last,
                          "has a role_arn: then it has one of source_profile, credential_source and "
                          "web_identity_token_file");
        if (has(last, CREDENTIAL_SOURCE))
            return by_source(chain, last, out, err);
        if (span_equal(last->value[SOURCE_PROFILE], last->name))
            return static_keys(chain, last, out, err); /* its own key, and its role */
        if (chain->count == HOPS_MAX)
            return refuse(err, last, "is one of too many: the chain of source_profile is long, or a circle");
        (void)read_hop(chain, last->value[SOURCE_PROFILE]);
    }
}

static int assume_all(struct chain *chain, struct aws_keys *keys, struct err *err)
{
    while (chain->count > 0) {
        const struct profile *hop = &chain->hops[--chain->count];
        const struct aws_role role = {hop->value[ROLE_ARN], hop->value[EXTERNAL_ID],
                                      hop->value[SESSION_NAME]};
        struct aws_keys next = {.id = NULL};

        if (aws_assume(chain->backend, keys, &role, &next, err) != 0)
            return -1;
        aws_keys_drop(keys);
        *keys = next;
    }
    return 0;
}

static int open_chain(struct chain *chain, struct backend *backend, struct err *err)
{
    *chain = (struct chain){.backend = backend};
    find_files(backend, &chain->files);
    if (load(chain->files.credentials, chain->files.credentials_named, false, &chain->credentials, err) != 0)
        return -1;
    return load(chain->files.config, chain->files.config_named, true, &chain->config, err);
}

static const char *profile_of(const struct backend *backend)
{
    const char *name = backend->profile ? backend->profile : aws_variable("AWS_PROFILE");

    return name ? name : "default";
}

int aws_try_profile(struct backend *backend, struct aws_keys *out, struct err *err)
{
    AUTO(chain_drop) struct chain chain;
    struct aws_keys keys = {.id = NULL};
    const bool asked = backend->profile || backend->credentials_file || aws_variable("AWS_PROFILE") ||
                       aws_variable("AWS_SHARED_CREDENTIALS_FILE");

    if (open_chain(&chain, backend, err) != 0)
        return -1;
    const struct profile *first = read_hop(&chain, span_of(profile_of(backend)));
    /* A config file may hold no more than a region. */
    if (!asked && !has(first, KEY_ID) && !has(first, ROLE_ARN) && !has(first, PROCESS) &&
        !has(first, SSO_SESSION) && !has(first, SSO_START_URL))
        return 1;
    if (find_base(&chain, &keys, err) != 0 || assume_all(&chain, &keys, err) != 0) {
        aws_keys_drop(&keys);
        return -1;
    }
    *out = keys;
    return 0;
}

int aws_profile_region(struct backend *backend, char **region, struct err *err)
{
    AUTO(chain_drop) struct chain chain;

    *region = NULL;
    if (open_chain(&chain, backend, err) != 0)
        return -1;
    const struct profile *profile = read_hop(&chain, span_of(profile_of(backend)));
    if (!has(profile, REGION))
        return 0;
    *region = strndup(profile->value[REGION].data, profile->value[REGION].size);
    return *region ? 0 : err_memory(err);
}
