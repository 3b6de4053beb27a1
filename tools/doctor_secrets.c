#include "doctor_secrets.h"

#include "engine/named.h"

void doctor_backends(struct secrets *secrets, const struct health_report *report)
{
    const char *name, *type;

    for (size_t i = 0; secrets && secrets_backend_at(secrets, i, &name, &type); i++) {
        char detail[SECRETS_DETAIL] = "";
        struct err err = {0};

        if (secrets_probe(secrets, i, detail, &err) == 0)
            health_tell(report, HEALTH_FINE, name, "%s: %s", type,
                        detail[0] ? detail : "its folder can be used");
        else
            health_tell(report, HEALTH_BROKEN, name, "%s: %s", type, err.text);
    }
}

struct fetching {
    struct secrets *secrets;
    const struct health_report *report;
    const char *away; /* a backend that does not answer, of which it was told; NULL: none */
    size_t told;
};

static void fetch(void *context, const struct named_secret *named)
{
    struct fetching *fetching = context;
    const struct secret_query query = named_ask(named->query);
    struct wiped *value = NULL;
    const char *backend;
    struct span there;
    struct err err = {0};
    char text[800];

    if (secrets_where(fetching->secrets, query.id, &backend, &there, &err) == 0) {
        enum secrets_answer answer = secrets_ask(fetching->secrets, &query, true, &value, &err);

        wiped_free(value);
        if (answer == SECRETS_HERE || (answer == SECRETS_UNREACHED && fetching->away == backend))
            return;
        if (answer == SECRETS_UNREACHED)
            fetching->away = backend;
    }
    err.pos = named->pos;
    err_in(&err, named->file, named->path);
    (void)err_print(&err, text, sizeof text);
    health_tell(fetching->report, HEALTH_BROKEN, named->rule->name, "%s", text);
    fetching->told++;
}

size_t doctor_rule_secrets(struct secrets *secrets, const struct rule *rule,
                           const struct health_report *report)
{
    struct fetching fetching = {.secrets = secrets, .report = report};

    named_in_rule(rule, fetch, &fetching);
    return fetching.told;
}
