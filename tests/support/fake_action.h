/* fake_action.h - an action type that delivers nothing: a field table and a check, so that rules can be
 * tested beside no other room. */
#ifndef FAKE_ACTION_H
#define FAKE_ACTION_H

#include "actions/action.h"

#include "base/nearest.h"

enum { FAKE_DESTINATION, FAKE_TOPIC, FAKE_KEY, FAKE_PARTITION, FAKE_HEADERS, FAKE_PROPERTIES };

static const struct action_field fake_fields[] = {
    [FAKE_DESTINATION] = {.name = "destinationArn", .kind = ACTION_TEXT},
    [FAKE_TOPIC] = {.name = "topic", .kind = ACTION_TEMPLATE, .required = true},
    [FAKE_KEY] = {.name = "key", .kind = ACTION_TEMPLATE, .null_if_absent = true},
    [FAKE_PARTITION] = {.name = "partition", .kind = ACTION_TEMPLATE, .is_number = true},
    [FAKE_HEADERS] = {.name = "headers", .kind = ACTION_PAIRS, .most = 3},
    [FAKE_PROPERTIES] = {.name = "clientProperties", .kind = ACTION_SETTINGS, .required = true},
    {.name = NULL},
};

static const char *fake_setting_name(const void *context, size_t index)
{
    static const char *const names[] = {"bootstrap.servers", "acks", "linger.ms", "sasl.plain.password"};

    (void)context;
    return index < sizeof names / sizeof *names ? names[index] : NULL;
}

/* Knows four settings, wants bootstrap.servers, and has an opinion on acks and on the topic. */
static void fake_check(const struct span *constants, const struct action_settings *settings, bool release,
                       struct report *report)
{
    const struct action_setting *acks = NULL, *servers = NULL;

    for (size_t i = 0; i < settings->count; i++) {
        const struct action_setting *setting = &settings->items[i];
        size_t known = 0;

        while (fake_setting_name(NULL, known) && strcmp(fake_setting_name(NULL, known), setting->name) != 0)
            known++;
        if (!fake_setting_name(NULL, known)) {
            const char *near = nearest(span_of(setting->name), fake_setting_name, NULL);

            report_error(report, setting->origin, setting->path, setting->pos,
                         "unknown property \"%s\"%s%s%s", setting->name, near ? ": did you mean \"" : "",
                         near ? near : "", near ? "\"?" : "");
        }
        if (known == 0)
            servers = setting;
        if (known == 1)
            acks = setting;
        if (setting->is_template && known == 2)
            report_warn(report, setting->origin, setting->path, setting->pos, "a template for a number");
    }
    if (acks && !acks->is_template && !span_is(acks->value, "all") && !span_is(acks->value, "0"))
        report_error(report, acks->origin, acks->path, acks->pos, "acks is all or 0");
    if (acks && span_is(acks->value, "0") && release)
        report_error(report, acks->origin, acks->path, acks->pos, "acks 0 is not built yet");
    if (!servers)
        report_error(report, NULL, "", (struct pos){0, 0}, "lacks bootstrap.servers");
    if (constants[FAKE_TOPIC].data && memchr(constants[FAKE_TOPIC].data, '/', constants[FAKE_TOPIC].size))
        report_error(report, NULL, "topic", (struct pos){0, 0}, "a topic has no /");
}

static int fake_check_part(size_t field, struct span literal, struct err *err)
{
    if (field == FAKE_TOPIC && memchr(literal.data, '/', literal.size))
        return err_set(err, ERR_VALUE, "a topic has no /");
    return 0;
}

static const struct action_type fake_kafka = {
    .name = "kafka", .fields = fake_fields, .check = fake_check, .check_part = fake_check_part};
static const struct action_type *const fake_types[] = {&fake_kafka, NULL};

#endif
