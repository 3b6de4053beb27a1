/* aws_sts.c - temporary credentials: from the Security Token Service, from a container's agent, from a
 * virtual machine's metadata service (IMDSv2). */
#include "aws.h"

#include "base/auto.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { METADATA_MS = 2000, LIFE_MAX_S = 12 * 3600, FORM_MAX = AWS_TOKEN_MAX + 8192 };

DEFINE_DROP(wiped, struct wiped *, wiped_free)

/* ---- what an answer holds ---- */

/* "2026-01-31T23:59:59Z", with or without a fraction, as monotonic time; 0: it is none. */
static int64_t end_of(struct span text)
{
    struct tm at = {.tm_isdst = 0};
    char copy[32];

    if (text.size < 20 || text.size >= sizeof copy)
        return 0;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &at);
    if (!rest || (*rest != 'Z' && *rest != '.' && *rest != '+'))
        return 0;
    int64_t left_ms = (int64_t)timegm(&at) * 1000 - clock_wall_ms();
    if (left_ms <= 0)
        return 0;
    if (left_ms > (int64_t)LIFE_MAX_S * 1000)
        left_ms = (int64_t)LIFE_MAX_S * 1000;
    return clock_mono_ms() + left_ms;
}

static int take(struct span id, struct span secret, struct span token, struct span expiration,
                const char *source, struct aws_keys *out, struct err *err)
{
    if (aws_keys_set(out, id, secret, token, source, err) != 0)
        return -1;
    if (expiration.size == 0)
        return 0;
    out->end_ms = end_of(expiration);
    if (out->end_ms)
        return 0;
    aws_keys_drop(out);
    return err_set(err, ERR_IO,
                   "the credentials from %s have expired already: is this machine's clock right?", source);
}

static struct span member(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);

    return (struct span){json_string_value(value), json_string_length(value)};
}

/* The text of the first element of that name. The service's values hold nothing that XML would escape. */
static struct span element(struct span xml, const char *name)
{
    char open[48], close[48];
    const char *from, *to;

    (void)snprintf(open, sizeof open, "<%s>", name);
    (void)snprintf(close, sizeof close, "</%s>", name);
    from = xml.size ? strstr(xml.data, open) : NULL;
    to = from ? strstr(from, close) : NULL;
    if (!from || !to)
        return (struct span){NULL, 0};
    from += strlen(open);
    return (struct span){from, (size_t)(to - from)};
}

/* ---- the Security Token Service ---- */

static bool add_encoded(char *form, size_t *size, const char *name, struct span value)
{
    int wrote = snprintf(form + *size, FORM_MAX - *size, "&%s=", name);

    if (wrote < 0 || (size_t)wrote + value.size * 3 + 1 > FORM_MAX - *size)
        return false;
    *size += (size_t)wrote;
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '_' || c == '.';

        *size += (size_t)snprintf(form + *size, FORM_MAX - *size, plain ? "%c" : "%%%02X", c);
    }
    return true;
}

/* Send the form, take the credentials out of the answer. */
static int ask_sts(struct backend *backend, const struct aws_keys *keys, struct span form, const char *what,
                   const char *source, struct aws_keys *out, struct err *err)
{
    struct http_answer answer;

    if (aws_post(backend, backend->sts_endpoint, "sts", keys,
                 "application/x-www-form-urlencoded; charset=utf-8", NULL, form, &answer, err) != 0)
        return -1;
    if (answer.status != 200)
        return aws_refused(backend, keys, &answer, NULL, what, err);
    struct span xml = element(answer.body, "Credentials");
    if (take(element(xml, "AccessKeyId"), element(xml, "SecretAccessKey"), element(xml, "SessionToken"),
             element(xml, "Expiration"), source, out, err) != 0)
        return -1;
    if (out->token && out->end_ms != INT64_MAX)
        return 0;
    aws_keys_drop(out);
    return err_set(err, ERR_IO, "%s: the answer lacks SessionToken or Expiration", what);
}

static const struct span our_session = {"topicrule", 9};

/* The beginning of a form that asks for a role. False: it is too long. */
static bool begin_form(char *form, size_t *size, const char *action, const struct aws_role *role)
{
    *size = (size_t)snprintf(form, FORM_MAX, "Action=%s&Version=2011-06-15", action);
    return add_encoded(form, size, "RoleSessionName", role->session.size ? role->session : our_session) &&
           add_encoded(form, size, "RoleArn", role->arn);
}

int aws_assume(struct backend *backend, const struct aws_keys *by, const struct aws_role *role,
               struct aws_keys *out, struct err *err)
{
    char what[320];
    char *form = malloc(FORM_MAX);
    size_t size = 0;
    int result = -1;

    if (!form)
        return err_memory(err);
    (void)snprintf(what, sizeof what, "sts:AssumeRole of " SPAN_FMT, SPAN_ARG(role->arn));
    if (!begin_form(form, &size, "AssumeRole", role) ||
        (role->external_id.size && !add_encoded(form, &size, "ExternalId", role->external_id)))
        err_set(err, ERR_VALUE, "the role's ARN, session name or external id is too long");
    else
        result = ask_sts(backend, by, (struct span){form, size}, what, "the assumed role", out, err);
    free(form);
    return result;
}

int aws_web_identity(struct backend *backend, const char *token_file, const struct aws_role *role,
                     struct aws_keys *out, struct err *err)
{
    AUTO(wiped_drop) struct wiped *token = NULL;
    char *form;
    size_t size = 0;
    int result = -1;

    if (file_secret(token_file, true, &token, err) != 0)
        return -1;
    form = malloc(FORM_MAX);
    if (!form)
        return err_memory(err);
    if (!begin_form(form, &size, "AssumeRoleWithWebIdentity", role) ||
        !add_encoded(form, &size, "WebIdentityToken", wiped_reveal(token)))
        err_set(err, ERR_IO, "the token in %s is too long", token_file);
    else
        result = ask_sts(backend, NULL, (struct span){form, size}, "sts:AssumeRoleWithWebIdentity",
                         "the web identity", out, err);
    wipe(form, FORM_MAX);
    free(form);
    return result;
}

/* ---- services of this machine ---- */

/* One request that no proxy sees, soon given up. */
static int ask_here(struct backend *backend, const char *method, const char *url, const char *header,
                    struct http_answer *answer, struct err *err)
{
    const struct http_request request = {
        .method = method, .url = url, .headers = {header}, .timeout_ms = METADATA_MS, .direct = true};

    return http_call(backend->http, &request, answer, err);
}

static int take_json(const struct http_answer *answer, const char *source, struct aws_keys *out,
                     struct err *err)
{
    AUTO(aws_json_drop)
    json_t *json = answer->body.size ? json_loadb(answer->body.data, answer->body.size, 0, NULL) : NULL;

    if (answer->status != 200)
        return err_set(err, ERR_IO, "%s answers with status %ld", source, answer->status);
    return take(member(json, "AccessKeyId"), member(json, "SecretAccessKey"), member(json, "Token"),
                member(json, "Expiration"), source, out, err);
}

/* AWS's SDKs send the token to these and to this machine only, unless it is https. */
static bool is_agent(const char *url)
{
    static const char *const agents[] = {"http://169.254.170.2", "http://169.254.170.23",
                                         "http://[fd00:ec2::23]", "http://169.254.169.254",
                                         "http://[fd00:ec2::254]"};

    if (http_is_private(url))
        return true;
    for (size_t i = 0; i < sizeof agents / sizeof *agents; i++) {
        size_t size = strlen(agents[i]);

        if (strncmp(url, agents[i], size) == 0 && (url[size] == '\0' || strchr(":/?", url[size])) &&
            !strchr(url, '@'))
            return true;
    }
    return false;
}

int aws_container(struct backend *backend, const char *url, struct aws_keys *out, struct err *err)
{
    const char *file = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *text = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    AUTO(wiped_drop) struct wiped *token = NULL;
    char header[AWS_TOKEN_MAX] = "";
    struct http_answer answer;
    struct span word = span_of(text ? text : "");
    int result = -1;

    if (!is_agent(url))
        return err_set(
            err, ERR_IO,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor an agent's address on this machine");
    if (file && file[0]) {
        if (file_secret(file, true, &token, err) != 0)
            return -1;
        word = wiped_reveal(token);
    }
    if (word.size >= sizeof header - 32 ||
        (word.size && (memchr(word.data, '\n', word.size) || memchr(word.data, '\r', word.size))))
        return err_set(err, ERR_IO, "the container's authorization token is too long, or has a line break");
    if (word.size)
        (void)snprintf(header, sizeof header, "Authorization: " SPAN_FMT, SPAN_ARG(word));
    if (ask_here(backend, "GET", url, header[0] ? header : NULL, &answer, err) == 0)
        result = take_json(&answer, "the container's agent", out, err);
    wipe(header, sizeof header);
    return result;
}

int aws_instance(struct backend *backend, struct aws_keys *out, struct err *err)
{
    static const char path[] = "/latest/meta-data/iam/security-credentials/";
    const char *base = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    char url[1024], header[512], role[128];
    struct http_answer answer;
    int result = -1;

    if (!base || !base[0])
        base = "http://169.254.169.254";
    if (strlen(base) > 512 || !is_agent(base))
        return err_set(err, ERR_IO, "AWS_EC2_METADATA_SERVICE_ENDPOINT is no metadata service's address");
    int size = (int)strlen(base) - (base[strlen(base) - 1] == '/');
    (void)snprintf(url, sizeof url, "%.*s/latest/api/token", size, base);
    if (ask_here(backend, "PUT", url, "X-aws-ec2-metadata-token-ttl-seconds: 300", &answer, err) != 0) {
        err_prefix(err, "there are no AWS credentials in configuration, environment or file, and no "
                        "instance role");
        return -1;
    }
    if (answer.status != 200 || answer.body.size == 0 || answer.body.size > 256 ||
        strpbrk(answer.body.data, "\r\n"))
        return err_set(err, ERR_IO, "the instance's metadata service gives no token (status %ld)",
                       answer.status);
    (void)snprintf(header, sizeof header, "X-aws-ec2-metadata-token: " SPAN_FMT, SPAN_ARG(answer.body));
    (void)snprintf(url, sizeof url, "%.*s%s", size, base, path);
    if (ask_here(backend, "GET", url, header, &answer, err) != 0)
        goto out;
    size_t name = strspn(answer.body.size ? answer.body.data : "",
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-");
    if (answer.status != 200 || name == 0 || name >= sizeof role) {
        err_set(err, ERR_IO, "this instance has no role (status %ld): attach an instance profile",
                answer.status);
        goto out;
    }
    (void)snprintf(role, sizeof role, "%.*s", (int)name, answer.body.data);
    (void)snprintf(url, sizeof url, "%.*s%s%s", size, base, path, role);
    if (ask_here(backend, "GET", url, header, &answer, err) == 0)
        result = take_json(&answer, "the instance's role", out, err);
out:
    wipe(header, sizeof header);
    return result;
}
