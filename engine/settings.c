/* The settings of one action: templates meet secrets here, and an action gets plain values and wiped bytes.
 */
#include "engine/render.h"

#include "base/auto.h"

static void settings_drop(struct render_settings **settings)
{
    render_settings_free(*settings);
}
DEFINE_DROP(known, struct render_secrets *, render_secrets_free)
DEFINE_DROP(scope, struct sql_scope *, sql_scope_free)

static int expand(const struct rule_setting *rule, struct sql_scope *scope, struct action_setting *out,
                  struct err *err)
{
    struct sql_text text;

    if (sql_template_expand(rule->value, scope, &text, err) != 0)
        return -1;
    if (text.secret) {
        out->secret = wiped_new(text.text);
        /* The arena is about to go back to the heap as it is. */
        if (text.text.size > 0) {
            void *copy;

            memcpy(&copy, &text.text.data, sizeof copy);
            wipe(copy, text.text.size);
        }
        return out->secret ? 0 : err_memory(err);
    }
    char *copy = malloc(text.text.size + 1);
    if (!copy)
        return err_memory(err);
    if (text.text.size > 0)
        memcpy(copy, text.text.data, text.text.size);
    copy[text.text.size] = '\0';
    out->value = (struct span){copy, text.text.size};
    return 0;
}

static int fill(const struct rule_action *action, struct render_settings *out, struct render_secrets *known,
                bool masked, struct err *err)
{
    const struct sql_host host = render_host(known);
    const struct sql_message none = {.topic = SPAN(""), .payload = SPAN(""), .payload_format = -1};
    AUTO(scope_drop) struct sql_scope *scope = sql_scope_new(&host, SQL_LIMITS_DEFAULT, err);

    if (!scope)
        return -1;
    for (size_t i = 0; i < action->setting_count; i++) {
        const struct rule_setting *rule = &action->settings[i];
        struct action_setting *item = &out->settings.items[i];

        *item = (struct action_setting){
            .name = rule->name, .pos = rule->pos, .path = rule->path, .origin = rule->origin};
        out->settings.count = i + 1;
        if (masked && sql_template_calls(rule->value, "get_secret")) {
            item->is_template = true;
            char *text = strdup(rule->text ? rule->text : "${get_secret(...)}");
            if (!text)
                return err_memory(err);
            item->value = span_of(text);
            continue;
        }
        sql_scope_begin(scope, &none);
        if (expand(rule, scope, item, err) != 0) {
            err_prefix(err, "%s", rule->name);
            err_in(err, rule->origin, rule->path);
            err->pos = rule->pos; /* in the file, not in the template */
            return -1;
        }
    }
    return 0;
}

struct render_settings *render_settings_new(const struct rule_action *action, struct secrets *secrets,
                                            bool masked, struct err *err)
{
    AUTO(settings_drop) struct render_settings *out = calloc(1, sizeof *out);
    AUTO(known_drop) struct render_secrets *known = NULL;

    if (!out || !(out->settings.items = calloc(action->setting_count + 1, sizeof *out->settings.items))) {
        err_memory(err);
        return NULL;
    }
    atomic_init(&out->references, 1);
    if (secrets && !masked && !(known = render_secrets_new(secrets, true, err)))
        return NULL;
    if (fill(action, out, known, masked, err) != 0)
        return NULL;
    return TAKE(out);
}

struct render_settings *render_settings_ref(struct render_settings *settings)
{
    if (settings)
        atomic_fetch_add_explicit(&settings->references, 1, memory_order_relaxed);
    return settings;
}

void render_settings_free(struct render_settings *settings)
{
    if (!settings || atomic_fetch_sub_explicit(&settings->references, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < settings->settings.count; i++) {
        struct action_setting *item = &settings->settings.items[i];

        wiped_free(item->secret);
        free((void *)(uintptr_t)item->value.data);
    }
    free(settings->settings.items);
    free(settings);
}
