/* settings.h - what a rule wrote as clientProperties, read into one slot for each property.
 *
 * Later settings win over earlier ones of the same meaning, whatever their spelling. Reading checks names and
 * values; what depends on several fields together is looked at by settings_check. Both report all they find,
 * so `check` shows everything at once and `open` takes the first error. */
#ifndef KAFKA_SETTINGS_H
#define KAFKA_SETTINGS_H

#include "actions/action.h"
#include "props.h"

enum protocol {
    PROTOCOL_UNKNOWN,
    PROTOCOL_PLAINTEXT,
    PROTOCOL_SSL,
    PROTOCOL_SASL_PLAINTEXT,
    PROTOCOL_SASL_SSL
};

enum mechanism {
    MECHANISM_NONE,    /* not SASL */
    MECHANISM_UNKNOWN, /* a template, or missing */
    MECHANISM_PLAIN,
    MECHANISM_SCRAM_SHA_256,
    MECHANISM_SCRAM_SHA_512,
    MECHANISM_GSSAPI,
    MECHANISM_OAUTHBEARER,
    MECHANISM_AWS_MSK_IAM,
};

struct slot {
    struct span text;                  /* of one spelling: "all" for "-1"; empty while `is_template` */
    const struct action_setting *from; /* NULL: a default of ours */
    enum prop_form form;               /* STORE: FORM_FILE when `text` is a path */
    bool set;                          /* by the rule or the configuration */
    bool is_template;                  /* not known before a client is made */
    bool wrong;                        /* written, and refused: not set, but not missing either */
};

enum { SETTINGS_KEPT = 24 };

struct settings {
    struct slot slots[PROP_COUNT];
    enum protocol protocol;
    enum mechanism mechanism;
    bool tls, sasl;
    bool idempotent;
    struct span username, password;    /* PLAIN and SCRAM: from whichever fields said it */
    struct wiped *kept[SETTINGS_KEPT]; /* texts that are not in the input: converted numbers, parts of JAAS */
    size_t kept_count;
};

/* `in` is borrowed for the life of `settings`. Always leaves `settings` fit for settings_done. */
void settings_read(struct settings *settings, const struct action_settings *in, struct report *report);
void settings_done(struct settings *settings);

/* Dependencies between fields. `release`: what is known and not built yet is an error, else a warning. */
void settings_check(const struct settings *settings, bool release, struct report *report);

/* Read and check for a client that is to be made now: 0, or -1 with the first error. */
int settings_open(struct settings *settings, const struct action_settings *in, struct err *err);

/* The value in force: what was written, else our default. Empty when there is neither. */
struct span setting_text(const struct settings *settings, enum prop_id id);
long long setting_number(const struct settings *settings, enum prop_id id);
bool setting_is_true(const struct settings *settings, enum prop_id id);

/* `text`, part of what `item` says, as it may stand in a message: never if it came from a store of secrets,
 * and not all of what is long. `item` may be NULL. */
struct span setting_shown(const struct action_setting *item, struct span text);

/* Set `id` from a text that settings must keep (copied), as if `from` had said it. For JAAS and conversions.
 */
void settings_keep(struct settings *settings, enum prop_id id, const struct action_setting *from,
                   struct span text);

/* File, path and place of a setting, for report_error and report_warn; NULL: none in particular. */
#define PLACE(setting)                                                                                       \
    (setting) ? (setting)->origin : NULL, (setting) ? (setting)->path : NULL,                                \
        (setting) ? (setting)->pos : (struct pos)                                                            \
    {                                                                                                        \
        0, 0                                                                                                 \
    }

#endif
