/* secrets.c - from an id to a backend, and from what is stored there to what was asked for. */
#include "secrets/secrets.h"

#include "backend.h"
#include "cache.h"
#include "http.h"

#include "base/auto.h"
#include "base/nearest.h"
#include "base/utf8.h"

#include <stdlib.h>

static const struct backend_type *const types[] = {&backend_directory, &backend_credentials, &backend_vault,
                                                   &backend_aws, NULL};

struct secrets {
    struct place *places;
    size_t count;
    struct place *standard; /* NULL: ids must name one */
    struct cache *cache;
};

DEFINE_DROP(secrets, struct secrets *, secrets_free)

/* ---- opening ---- */

static const char *type_name(const void *context, size_t index)
{
    (void)context;
    return types[index] ? types[index]->name : NULL;
}

static const char *option_name(const void *context, size_t index)
{
    const struct backend_type *type = context;

    return type->options[index];
}

static const char *place_name(const void *context, size_t index)
{
    const struct secrets *secrets = context;

    return index < secrets->count ? secrets->places[index].name : NULL;
}

static const struct backend_type *find_type(const struct option_group *from, struct err *err)
{
    for (size_t i = 0; types[i]; i++)
        if (strcmp(types[i]->name, from->type) == 0)
            return types[i];
    const char *near = nearest(span_of(from->type), type_name, NULL);
    err_at(err, ERR_NAME, from->pos,
           "there is no kind of backend \"%s\"%s%s%s; known: directory, credentials, vault, aws", from->type,
           near ? ": did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

static int check_options(const struct backend_type *type, const struct option_group *from, struct err *err)
{
    for (size_t i = 0; i < from->option_count; i++) {
        const struct option_pair *option = &from->options[i];
        const char *const *known = type->options;

        while (*known && strcmp(*known, option->name) != 0)
            known++;
        if (*known)
            continue;
        const char *near = nearest(span_of(option->name), option_name, type);
        return err_at(err, ERR_NAME, option->pos, "a backend of type %s has no option \"%s\"%s%s%s",
                      type->name, option->name, near ? ": did you mean \"" : "", near ? near : "",
                      near ? "\"?" : "");
    }
    return 0;
}

static int open_place(struct place *place, const struct secrets_config *config,
                      const struct option_group *from, struct err *err)
{
    const struct backend_type *type = find_type(from, err);

    if (!type || check_options(type, from, err) != 0)
        return -1;
    place->name = strdup(from->name);
    if (!place->name)
        return err_memory(err);
    place->backend = type->open(config, from, err);
    place->type = type;
    return place->backend ? 0 : -1;
}

struct secrets *secrets_new(const struct secrets_config *config, struct err *err)
{
    AUTO(secrets_drop) struct secrets *secrets = calloc(1, sizeof *secrets);

    member_setup();
    http_setup();
    if (secrets)
        secrets->places = calloc(config->backend_count + 1, sizeof *secrets->places);
    if (!secrets || !secrets->places) {
        err_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        secrets->count++;
        if (open_place(&secrets->places[i], config, &config->backends[i], err) != 0) {
            err_prefix(err, "secrets backend \"%s\"", config->backends[i].name);
            err_in(err, config->file, NULL);
            return NULL;
        }
        if (config->default_backend && strcmp(config->default_backend, secrets->places[i].name) == 0)
            secrets->standard = &secrets->places[i];
    }
    if (config->default_backend && !secrets->standard) {
        const char *near = nearest(span_of(config->default_backend), place_name, secrets);

        err_set(err, ERR_NAME, "secrets.default: there is no backend \"%s\"%s%s%s", config->default_backend,
                near ? ": did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        err_in(err, config->file, NULL);
        return NULL;
    }
    secrets->cache = cache_new(config, secrets->places, secrets->count, err);
    return secrets->cache ? TAKE(secrets) : NULL;
}

void secrets_free(struct secrets *secrets)
{
    if (!secrets)
        return;
    cache_free(secrets->cache); /* first: its thread uses the backends */
    for (size_t i = 0; i < secrets->count; i++) {
        if (secrets->places[i].type)
            secrets->places[i].type->close(secrets->places[i].backend);
        free(secrets->places[i].name);
    }
    free(secrets->places);
    free(secrets);
}

/* ---- asking ---- */

/* The place of ids that AWS has given: the default if it is of AWS, else the first that is. NULL: there is
 * none. */
static struct place *find_aws(const struct secrets *secrets)
{
    if (secrets->standard && secrets->standard->type == &backend_aws)
        return secrets->standard;
    for (size_t i = 0; i < secrets->count; i++)
        if (secrets->places[i].type == &backend_aws)
            return &secrets->places[i];
    return NULL;
}

/* Where `id` points to; the rest of it in `*rest`. */
static struct place *find_place(const struct secrets *secrets, struct span id, struct span *rest,
                                struct err *err)
{
    const char *colon = id.size ? memchr(id.data, ':', id.size) : NULL;
    struct span name = {id.data, colon ? (size_t)(colon - id.data) : 0};

    *rest = id;
    if (span_starts_with(id, "arn:aws:secretsmanager:") ||
        span_starts_with(id, "arn:aws-cn:secretsmanager:") ||
        span_starts_with(id, "arn:aws-us-gov:secretsmanager:")) {
        struct place *aws = find_aws(secrets);

        if (aws)
            return aws;
    }
    for (size_t i = 0; colon && i < secrets->count; i++) {
        if (span_is(name, secrets->places[i].name)) {
            *rest = (struct span){colon + 1, id.size - name.size - 1};
            return &secrets->places[i];
        }
    }
    if (colon && !span_starts_with(id, "arn:")) {
        const char *near = nearest(name, place_name, secrets);

        err_set(err, ERR_SECRET, "there is no secrets backend \"" SPAN_FMT "\"%s%s%s", SPAN_ARG(name),
                near ? ": did you mean \"" : "; configure it under secrets.backends", near ? near : "",
                near ? "\"?" : "");
        return NULL;
    }
    if (!secrets->standard)
        err_set(err, ERR_SECRET, "no backend named: set secrets.default, or write the id as backend:id");
    return secrets->standard;
}

/* What was asked for, out of what is stored. */
static struct wiped *extract(const struct stored *stored, const struct secret_query *query, struct err *err)
{
    struct span bytes = wiped_reveal(stored->bytes);

    if (query->form == SECRET_BINARY) {
        if (stored->as != STORED_TEXT)
            return wiped_ref(stored->bytes);
        err_set(err, ERR_SECRET, "the secret is text: ask for it as 'SecretString'");
        return NULL;
    }
    if (stored->as == STORED_BYTES || utf8_valid(bytes) < bytes.size ||
        memchr(bytes.data, '\0', bytes.size)) {
        err_set(err, ERR_SECRET, "the secret is no text: ask for it as 'SecretBinary'");
        return NULL;
    }
    if (query->key.data)
        return member_of(bytes, query->key, err);
    if (stored->is_line && bytes.data[bytes.size - 1] == '\n') {
        bytes.size--;
        if (bytes.size && bytes.data[bytes.size - 1] == '\r')
            bytes.size--;
        if (bytes.size == 0) {
            err_set(err, ERR_SECRET, "the secret is empty");
            return NULL;
        }
        struct wiped *line = wiped_new(bytes);
        if (!line)
            err_memory(err);
        return line;
    }
    return wiped_ref(stored->bytes);
}

static enum secrets_answer answer_of(enum cache_answer answer)
{
    switch (answer) {
    case CACHE_HERE: return SECRETS_HERE;
    case CACHE_REFUSED: return SECRETS_REFUSED;
    case CACHE_AWAY: return SECRETS_UNREACHED;
    case CACHE_UNKNOWN: break;
    }
    return SECRETS_UNKNOWN;
}

static enum secrets_answer ask_place(struct secrets *secrets, struct place *place, struct span id,
                                     const struct secret_query *query, bool may_wait, struct wiped **out,
                                     struct err *err)
{
    const struct cache_query asked = {id, query->role_arn, query->computed, may_wait};
    struct stored stored = {0};

    if (query->form == SECRET_BINARY && query->key.data) {
        err_set(err, ERR_SECRET, "'SecretBinary' takes no key: only a 'SecretString' has members");
        return SECRETS_REFUSED;
    }
    enum secrets_answer answer = answer_of(cache_ask(secrets->cache, place, &asked, &stored, err));
    if (answer != SECRETS_HERE)
        return answer;
    *out = extract(&stored, query, err);
    wiped_free(stored.bytes);
    return *out ? SECRETS_HERE : err->code == ERR_MEMORY ? SECRETS_UNREACHED : SECRETS_REFUSED;
}

enum secrets_answer secrets_ask(struct secrets *secrets, const struct secret_query *query, bool may_wait,
                                struct wiped **out, struct err *err)
{
    struct span id;
    struct place *place = find_place(secrets, query->id, &id, err);

    *out = NULL;
    if (!place) {
        err_prefix(err, "secret \"" SPAN_FMT "\"", SPAN_ARG(query->id));
        return SECRETS_REFUSED;
    }
    enum secrets_answer answer = ask_place(secrets, place, id, query, may_wait, out, err);
    if (answer == SECRETS_REFUSED || answer == SECRETS_UNREACHED) {
        err_prefix(err, "secret \"" SPAN_FMT "\" in backend \"%s\"", SPAN_ARG(id), place->name);
        if (err->code != ERR_MEMORY)
            err->code = ERR_SECRET;
    }
    return answer;
}

struct wiped *secrets_get(struct secrets *secrets, const struct secret_query *query, struct err *err)
{
    struct wiped *value;

    (void)secrets_ask(secrets, query, true, &value, err);
    return value;
}

void secrets_give_up(struct secrets *secrets)
{
    cache_give_up(secrets->cache);
}

/* ---- in a program that lives on ---- */

void secrets_look_again(struct secrets *secrets)
{
    cache_look_again(secrets->cache);
}

int secrets_start(struct secrets *secrets, secrets_notice *notice, void *context, struct err *err)
{
    return cache_start(secrets->cache, notice, context, err);
}

void secrets_quiet(struct secrets *secrets)
{
    cache_quiet(secrets->cache);
}

void secrets_each(struct secrets *secrets, secrets_look *look, void *context)
{
    cache_each(secrets->cache, look, context);
}

int secrets_where(const struct secrets *secrets, struct span id, const char **backend, struct span *there,
                  struct err *err)
{
    const struct place *place = NULL;

    *backend = NULL;
    *there = id;
    if (secrets)
        place = find_place(secrets, id, there, err);
    else
        err_set(err, ERR_SECRET, "there is no backend; configure one under secrets.backends");
    if (!place) {
        err_prefix(err, "secret \"" SPAN_FMT "\"", SPAN_ARG(id));
        return -1;
    }
    *backend = place->name;
    return 0;
}

bool secrets_backend_at(const struct secrets *secrets, size_t index, const char **name, const char **type)
{
    if (index >= secrets->count)
        return false;
    *name = secrets->places[index].name;
    *type = secrets->places[index].type->name;
    return true;
}

int secrets_probe(struct secrets *secrets, size_t index, char *detail, struct err *err)
{
    struct place *place = &secrets->places[index];

    detail[0] = '\0';
    if (!place->type->probe || place->type->probe(place->backend, detail, err) == 0)
        return 0;
    err_prefix(err, "secrets backend \"%s\"", place->name);
    return -1;
}
