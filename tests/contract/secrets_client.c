/* secrets_client - the room `secrets` on a string: for tests that play the other side.
 *
 * usage: secrets_client CACHE_MS STALE_MS NAME TYPE [OPTION=VALUE]... [-- NAME TYPE ...]...
 * The first backend is the default. CACHE_MS with a + behind: with the refreshing thread.
 * Commands on standard input, one a line, fields separated by tabs:
 *     get ID [KEY [ROLE]]   bin ID   probe INDEX   list
 *     take ID [KEY]         as get, and the answer is "ok" alone: no copy of the value is made here
 *     free                  secrets_free; no other command but scan may follow
 *     scan HEX              how many mappings of our memory hold the bytes that HEX has with every bit turned
 * over Each is answered by one line (list: by several, then "end"): "ok ..." (bytes as hex, line breaks in a
 * text as \n), or "error TEXT". What happens meanwhile: "event WHAT BACKEND ID TEXT". */
#include "base/err.h"
#include "base/wiped.h"
#include "memory_scan.h"
#include "secrets/secrets.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t out = PTHREAD_MUTEX_INITIALIZER;

static void notice(void *context, const struct secrets_event *event)
{
    static const char *const names[] = {"changed", "away", "back", "lost"};

    (void)context;
    (void)pthread_mutex_lock(&out);
    printf("event\t%s\t%s\t" SPAN_FMT "\t%s\n", names[event->what], event->backend, SPAN_ARG(event->id),
           event->text);
    (void)fflush(stdout);
    (void)pthread_mutex_unlock(&out);
}

static void say(const char *first, const char *text)
{
    (void)pthread_mutex_lock(&out);
    printf("%s%s\n", first, text);
    (void)fflush(stdout);
    (void)pthread_mutex_unlock(&out);
}

static void get(struct secrets *secrets, char *const fields[], enum secret_form form)
{
    const struct secret_query query = {
        .id = span_of(fields[1]),
        .form = form,
        .key = {fields[2] && fields[2][0] ? fields[2] : NULL, fields[2] ? strlen(fields[2]) : 0},
        .role_arn = span_of(fields[3])};
    struct err err = {0};
    struct wiped *value = secrets_get(secrets, &query, &err);
    struct span bytes = wiped_reveal(value);

    (void)pthread_mutex_lock(&out);
    if (!value)
        printf("error\t%s", err.text);
    else
        printf("ok\t");
    for (size_t i = 0; form == SECRET_STRING && i < bytes.size; i++)
        printf("%s%c", bytes.data[i] == '\n' ? "\\" : "", bytes.data[i] == '\n' ? 'n' : bytes.data[i]);
    for (size_t i = 0; form == SECRET_BINARY && i < bytes.size; i++)
        printf("%02x", (unsigned char)bytes.data[i]);
    printf("\n");
    (void)fflush(stdout);
    (void)pthread_mutex_unlock(&out);
    wiped_free(value);
}

static void take(struct secrets *secrets, char *const fields[])
{
    const struct secret_query query = {.id = span_of(fields[1]), .key = span_of(fields[2])};
    struct err err = {0};
    struct wiped *value = secrets_get(secrets, &query, &err);

    wiped_free(value);
    say(value ? "ok" : "error", "");
}

static void show_mapping(void *context, const char *mapping, const char *flags)
{
    (void)context;
    (void)fprintf(stderr, "%s%s", mapping, flags);
}

static void scan(const char *hex)
{
    unsigned char turned[128];
    char count[24];
    size_t size = 0;

    for (; size < sizeof turned && hex[0] && hex[1]; hex += 2, size++) {
        const char two[3] = {hex[0], hex[1], '\0'};

        turned[size] = (unsigned char)strtoul(two, NULL, 16);
    }
    (void)snprintf(count, sizeof count, "%zu",
                   memory_scan(turned, size, getenv("SHOW_MAPPINGS") ? show_mapping : NULL, NULL));
    say("ok\t", count);
}

static void probe(struct secrets *secrets, const char *index)
{
    char detail[SECRETS_DETAIL];
    struct err err = {0};
    int result = secrets_probe(secrets, strtoul(index, NULL, 10), detail, &err);

    (void)pthread_mutex_lock(&out);
    printf("%s\t%s\n", result == 0 ? "ok" : "error", result == 0 ? detail : err.text);
    (void)fflush(stdout);
    (void)pthread_mutex_unlock(&out);
}

static void list(void *context, const struct secrets_entry *entry)
{
    (void)context;
    printf("entry\t%s\t" SPAN_FMT "\t%s\t%s\t%llu\t%s\n", entry->backend, SPAN_ARG(entry->id), entry->version,
           entry->age_ms < 0 ? "none"
           : entry->is_stale ? "stale"
                             : "fresh",
           (unsigned long long)entry->fetches, entry->problem);
}

static void obey(struct secrets *secrets, char *line)
{
    char *fields[4] = {NULL}, *rest = line;

    line[strcspn(line, "\n")] = '\0';
    for (size_t i = 0; i < 4 && rest; i++)
        fields[i] = strsep(&rest, "\t");
    if (strcmp(fields[0], "get") == 0 && fields[1]) {
        get(secrets, fields, SECRET_STRING);
    } else if (strcmp(fields[0], "bin") == 0 && fields[1]) {
        get(secrets, fields, SECRET_BINARY);
    } else if (strcmp(fields[0], "probe") == 0 && fields[1]) {
        probe(secrets, fields[1]);
    } else if (strcmp(fields[0], "take") == 0 && fields[1]) {
        take(secrets, fields);
    } else if (strcmp(fields[0], "scan") == 0 && fields[1]) {
        scan(fields[1]);
    } else if (strcmp(fields[0], "list") == 0) {
        (void)pthread_mutex_lock(&out);
        secrets_each(secrets, list, NULL);
        printf("end\n");
        (void)fflush(stdout);
        (void)pthread_mutex_unlock(&out);
    }
}

int main(int argc, char **argv)
{
    static struct option_pair options[64];
    static struct option_group backends[8];
    static char line[4096];
    struct secrets_config config = {.base_directory = ".", .backends = backends};
    struct err err = {0};
    size_t used = 0;

    if (argc < 5)
        return 2;
    config.cache_ms = strtoll(argv[1], NULL, 10);
    config.stale_limit_ms = strtoll(argv[2], NULL, 10);
    for (int i = 3; i + 1 < argc && config.backend_count < 8; i++) {
        struct option_group *backend = &backends[config.backend_count++];

        *backend = (struct option_group){.name = argv[i], .type = argv[i + 1], .options = &options[used]};
        for (i += 2; i < argc && strcmp(argv[i], "--") != 0 && used < 64; i++) {
            char *value = strchr(argv[i], '=');

            if (!value)
                return 2;
            *value = '\0';
            options[used++] = (struct option_pair){.name = argv[i], .value = value + 1};
            backend->option_count++;
        }
    }
    config.default_backend = backends[0].name;
    struct secrets *secrets = secrets_new(&config, &err);
    if (!secrets) {
        printf("error\t%s\n", err.text);
        return 1;
    }
    if (strchr(argv[1], '+') && secrets_start(secrets, notice, NULL, &err) != 0)
        return 1;
    printf("ready\n");
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        if (strcmp(line, "free\n") == 0) {
            secrets_free(secrets);
            secrets = NULL;
            say("ok", "");
        } else {
            obey(secrets, line);
        }
    secrets_free(secrets);
    return 0;
}
