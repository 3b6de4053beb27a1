#include "options.h"

#include "http.h"

#include <stdlib.h>

const struct option_pair *backend_option(const struct option_group *from, const char *name)
{
    for (size_t i = 0; i < from->option_count; i++)
        if (strcmp(from->options[i].name, name) == 0)
            return &from->options[i];
    return NULL;
}

const char *opening_text(const struct opening *opening, const char *name)
{
    const struct option_pair *option = backend_option(opening->from, name);

    return option ? option->value : NULL;
}

int opening_wrong(const struct opening *opening, const char *name, const char *text)
{
    const struct option_pair *option = backend_option(opening->from, name);

    return err_at(opening->err, ERR_VALUE, option ? option->pos : opening->from->pos, "%s: %s", name, text);
}

/* What is to be copied; NULL: nothing. */
static int find(const struct opening *opening, const char *name, const char *standard, const char **out)
{
    *out = opening_text(opening, name);
    if (!*out) {
        *out = standard;
        return 0;
    }
    if (!(*out)[0])
        return opening_wrong(opening, name, "is empty");
    /* It may become part of a header. */
    return strpbrk(*out, "\r\n") ? opening_wrong(opening, name, "has a line break in it") : 0;
}

int opening_copy(const struct opening *opening, const char *name, const char *standard, char **out)
{
    const char *text;

    if (find(opening, name, standard, &text) != 0)
        return -1;
    *out = text ? strdup(text) : NULL;
    return text && !*out ? err_memory(opening->err) : 0;
}

int opening_path(const struct opening *opening, const char *name, const char *standard, char **out)
{
    const char *text;

    if (find(opening, name, standard, &text) != 0)
        return -1;
    *out = text ? file_path(opening->config, text, opening->err) : NULL;
    return text && !*out ? -1 : 0;
}

int opening_switch(const struct opening *opening, const char *name, bool *out)
{
    const char *text = opening_text(opening, name);

    *out = text && strcmp(text, "true") == 0;
    return !text || *out || strcmp(text, "false") == 0
               ? 0
               : opening_wrong(opening, name, "expected true or false");
}

int opening_address(const struct opening *opening, const char *name, const char *permit, char *address)
{
    size_t size = strlen(address);
    bool is_http = strncmp(address, "http://", 7) == 0, permitted = false;

    if (permit && opening_switch(opening, permit, &permitted) != 0)
        return -1;
    while (size && address[size - 1] == '/')
        address[--size] = '\0';
    if ((!is_http && strncmp(address, "https://", 8) != 0) || strpbrk(address, " \t\r\n@?#"))
        return opening_wrong(opening, name, "expected https://host:port, without user name or query");
    if (is_http && !permitted && !http_is_private(address)) {
        const struct option_pair *option = backend_option(opening->from, name);

        return err_at(
            opening->err, ERR_VALUE, option ? option->pos : opening->from->pos,
            "%s: http:// would send credentials and secrets readable over the network: use https://%s%s%s",
            name, permit ? " (or " : "", permit ? permit : "", permit ? ": true)" : "");
    }
    return 0;
}
