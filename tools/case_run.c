#include "case_run.h"

#include "trial.h"

/* What a case is tried on. */
struct subject {
    struct rule *rule;                 /* owned; NULL: the case has a statement of its own */
    struct sql_program *own;           /* owned */
    const struct sql_program *program; /* one of the two; NULL: a template alone */
    struct sql_template *tmpl;         /* owned */
};

void verdict_done(struct verdict *verdict)
{
    buf_done(&verdict->want);
    buf_done(&verdict->got);
    buf_done(&verdict->missing);
}

static void fail(struct verdict *verdict, const char *want, const char *got)
{
    verdict->passed = false;
    buf_text(&verdict->want, want);
    buf_text(&verdict->got, got);
}

static void fail_err(struct verdict *verdict, const char *want, const struct err *err)
{
    char text[sizeof err->text + sizeof err->mark + 600];

    err_print(err, text, sizeof text);
    fail(verdict, want, text);
    if (err->code == ERR_NAME)
        buf_text(&verdict->missing, err->text);
}

enum prepared { PREPARED, REFUSED, WRONG }; /* WRONG: the case itself */

static enum prepared prepare(const struct test_case *test, const char *folder, struct subject *subject,
                             struct err *err)
{
    if (test->has[CASE_rule]) {
        if (!(subject->rule = case_rule(test, folder, err)))
            return err->code == ERR_IO ? WRONG : REFUSED;
        subject->program = subject->rule->program;
        if (test->has[CASE_sqlVersion] && sql_program_version(subject->program) != test->version) {
            (void)err_set(err, ERR_VALUE, "'sqlVersion' contradicts the rule, whose version is %s",
                          sql_version_name(sql_program_version(subject->program)));
            return WRONG;
        }
    }
    if (test->has[CASE_sql]) {
        if (!(subject->own = sql_compile(test->text[CASE_sql], test->version, NULL, err)))
            return REFUSED;
        subject->program = subject->own;
    }
    if (test->has[CASE_template]) {
        enum sql_version version = subject->program ? sql_program_version(subject->program) : test->version;

        subject->tmpl = sql_template_compile(test->text[CASE_template], subject->program, version, err);
        if (!subject->tmpl)
            return REFUSED;
    }
    return PREPARED;
}

static void drop(struct subject *subject)
{
    sql_template_free(subject->tmpl);
    sql_program_free(subject->own);
    rule_free(subject->rule);
}

static struct span rule_name(const struct test_case *test, const struct subject *subject)
{
    if (test->has[CASE_ruleName] || !subject->rule)
        return test->text[CASE_ruleName];
    return span_of(subject->rule->name);
}

/* ---- the message ------------------------------------------------------------------------------------------
 */

/* A user property, or with `out` NULL nothing but the check. */
static int property(const struct sql_json *key, const struct sql_json *value, struct arena *arena,
                    struct sql_user_property *out, struct err *err)
{
    if (key->kind != SQL_JSON_STRING || value->kind != SQL_JSON_STRING)
        return err_set(err, ERR_VALUE,
                       "'userProperties' should hold strings: {\"name\": \"value\"}, or "
                       "[[\"name\", \"value\"], ...] where a name occurs twice");
    return sql_json_text(key, arena, &out->key) && sql_json_text(value, arena, &out->value) ? 0
                                                                                            : err_memory(err);
}

/* {"name": "value"} or [["name", "value"], ...]. */
static int user_properties(const struct sql_json *list, struct arena *arena, struct sql_message *message,
                           struct err *err)
{
    struct sql_json key, item, none = {.kind = SQL_JSON_NULL};
    struct sql_json_walk walk = sql_json_walk(list);
    size_t count = 0;

    while (sql_json_next(&walk, &key, &item))
        count++;
    struct sql_user_property *properties = arena_array(arena, count + 1, sizeof *properties);
    if (!properties)
        return err_memory(err);
    message->user_properties = properties;
    walk = sql_json_walk(list);
    while (sql_json_next(&walk, &key, &item)) {
        struct sql_json value = item;

        if (list->kind == SQL_JSON_ARRAY) {
            struct sql_json_walk pair = sql_json_walk(&item);

            if (!sql_json_next(&pair, NULL, &key) || !sql_json_next(&pair, NULL, &value))
                key = value = none;
        }
        if (property(&key, &value, arena, &properties[message->user_property_count++], err))
            return -1;
    }
    return 0;
}

static int decoded(const struct test_case *test, enum case_field field, struct arena *arena, struct span *out,
                   struct err *err)
{
    struct buf bytes = buf_in(arena, SIZE_MAX);

    if (trial_decode64(test->text[field], &bytes, err))
        return -1;
    *out = buf_view(&bytes);
    return 0;
}

static int make_message(const struct test_case *test, struct arena *arena, struct sql_message *message,
                        struct err *err)
{
    struct buf compact = buf_in(arena, SIZE_MAX);

    *message = (struct sql_message){
        .topic = test->text[CASE_topic],
        .client_id = test->text[CASE_clientId],
        .payload = test->text[CASE_payloadText],
        .content_type = test->text[CASE_contentType],
        .response_topic = test->text[CASE_responseTopic],
        .payload_format = -1,
    };
    if (test->has[CASE_payload]) {
        sql_json_compact(&test->json[CASE_payload], &compact);
        message->payload = buf_view(&compact);
    }
    if (compact.failed)
        return err_memory(err);
    if (test->has[CASE_payloadFormat]) {
        struct span text = test->json[CASE_payloadFormat].text;

        if (span_is(text, "0") || span_is(text, "\"UNSPECIFIED_BYTES\""))
            message->payload_format = 0;
        else if (span_is(text, "1") || span_is(text, "\"UTF8_DATA\""))
            message->payload_format = 1;
        else
            return err_set(err, ERR_VALUE,
                           "'payloadFormat' should be 0 (UNSPECIFIED_BYTES) or 1 (UTF8_DATA)");
    }
    if ((test->has[CASE_payloadBase64] && decoded(test, CASE_payloadBase64, arena, &message->payload, err)) ||
        (test->has[CASE_correlationDataBase64] &&
         decoded(test, CASE_correlationDataBase64, arena, &message->correlation_data, err)))
        return -1;
    return test->has[CASE_userProperties]
               ? user_properties(&test->json[CASE_userProperties], arena, message, err)
               : 0;
}

/* ---- the trial --------------------------------------------------------------------------------------------
 */

/* Everything after loading. `message` holds the case's. */
static void run(const struct test_case *test, const struct subject *subject, struct sql_scope *scope,
                struct sql_message *message, struct verdict *verdict)
{
    enum sql_outcome outcome = SQL_MATCHED;
    struct span payload = {0};
    struct sql_text text;
    struct err err;

    bool routed = trial_routes(subject->program, rule_name(test, subject), message);

    sql_scope_begin(scope, message);
    if (!routed)
        outcome = SQL_FILTERED;
    else if (subject->program)
        outcome = sql_run(subject->program, scope, &payload, &err);
    if (outcome == SQL_FAILED) {
        fail_err(verdict, test->has[CASE_noMatch] ? "no match" : "a match", &err);
    } else if (test->has[CASE_noMatch]) {
        if (outcome == SQL_MATCHED) {
            fail(verdict, "no match", "");
            show_bytes(payload, &verdict->got);
        }
    } else if (outcome == SQL_FILTERED) {
        fail(verdict, "a match", "no match");
    } else if (subject->tmpl) {
        if (sql_template_expand(subject->tmpl, scope, &text, &err))
            fail_err(verdict, "a text", &err);
        else
            verdict->passed = compare_text(test, &text, verdict);
    } else {
        verdict->passed =
            compare_payload(test, payload, verdict) &&
            (!test->has[CASE_expectRecords] || compare_records(test, subject->rule, scope, payload, verdict));
    }
}

void case_run(const struct test_case *test, const char *folder, struct verdict *verdict)
{
    struct subject subject = {0};
    struct trial trial;
    struct sql_scope *scope = NULL;
    struct arena arena;
    struct sql_message message;
    struct err err;

    *verdict = (struct verdict){.passed = true, .want = BUF_INIT, .got = BUF_INIT, .missing = BUF_INIT};
    trial_init(&trial);
    trial.clock_stands = test->has[CASE_now];
    trial.now_ms = test->now_ms;
    if (test->has[CASE_secrets])
        trial.secrets = test->json[CASE_secrets];
    arena_init(&arena, (size_t)256 << 20);

    enum prepared prepared = prepare(test, folder, &subject, &err);
    if (prepared == WRONG) {
        fail_err(verdict, "a case", &err);
    } else if (prepared == REFUSED) {
        if (!test->has[CASE_error])
            fail_err(verdict, "to be accepted", &err);
    } else if (test->has[CASE_error]) {
        fail(verdict, "to be refused", "it was accepted");
    } else {
        scope = sql_scope_new(&trial.host, SQL_LIMITS_DEFAULT, &err);
        if (!scope || make_message(test, &arena, &message, &err))
            fail_err(verdict, "a case", &err);
        else
            run(test, &subject, scope, &message, verdict);
    }

    sql_scope_free(scope);
    drop(&subject);
    trial_done(&trial);
    arena_done(&arena);
}
