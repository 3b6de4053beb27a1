/* topicrule eval: what a statement, or a whole rule, makes of one message. */
#include "base/utf8.h"
#include "command.h"
#include "eval_rule.h"
#include "options.h"
#include "paint.h"
#include "trial.h"

#include <errno.h>
#include <stdlib.h>

enum {
    OPT_SQL,
    OPT_RULE,
    OPT_TOPIC,
    OPT_PAYLOAD,
    OPT_PAYLOAD_FILE,
    OPT_CLIENT_ID,
    OPT_SQL_VERSION,
    OPT_USER_PROPERTY,
    OPT_EXPLAIN,
};

static const struct option_row rows[] = {
    [OPT_SQL] = {"sql", 's', "SQL", "a statement; prints the outgoing payload"},
    [OPT_RULE] = {"rule", 'r', "FILE",
                  "a rule document; prints one JSON line per action: the record\n"
                  "and the client properties, secrets masked"},
    [OPT_TOPIC] = {"topic", 't', "TOPIC", "the topic of the message"},
    [OPT_PAYLOAD] = {"payload", 'p', "TEXT", "its payload; without one it is empty"},
    [OPT_PAYLOAD_FILE] = {"payload-file", 'f', "FILE", "its payload from a file; - is standard input"},
    [OPT_CLIENT_ID] = {"client-id", 'i', "ID", "who published it, for clientid()"},
    [OPT_SQL_VERSION] = {"sql-version", 0, "VERSION", "of --sql: 2016-03-23 (default), 2015-10-08, beta"},
    [OPT_USER_PROPERTY] = {"user-property", 'u', "NAME=VALUE", "an MQTT 5 user property; may be repeated"},
    [OPT_EXPLAIN] = {"explain", 0, NULL,
                     "print the steps of the compiled statement as well,\n"
                     "on standard error; needs no --topic"},
    {0},
};

static const struct usage usage = {
    .command = "eval",
    .synopsis = "(--sql SQL | --rule FILE) --topic TOPIC [OPTION]...",
    .text = "Evaluate a statement or a rule on one message. Contacts nothing.\n\n"
            "  topicrule eval --topic plant/7/temp --payload '{\"temp\":61}' \\\n"
            "    --sql \"SELECT temp AS celsius FROM 'plant/+/temp' WHERE temp > 50\"\n\n"
            "exit status: 0 the rule matched, 1 it did not, 2 an error\n",
    .rows = rows,
};

struct request {
    const char *sql, *rule, *topic, *payload, *payload_file, *client_id;
    enum sql_version version;
    bool explain;
    struct sql_user_property *properties; /* owned; texts are argv's */
    size_t property_count;
};

static int add_property(struct request *request, const char *text)
{
    const char *equals = strchr(text, '=');
    struct sql_user_property *more =
        reallocarray(request->properties, request->property_count + 1, sizeof *more);

    if (!more)
        return usage_error(&usage, "out of memory");
    request->properties = more;
    if (!equals)
        return usage_error(&usage, "--user-property should be NAME=VALUE, and is '%s'", text);
    more[request->property_count++] =
        (struct sql_user_property){{text, (size_t)(equals - text)}, span_of(equals + 1)};
    return STATUS_FINE;
}

/* STATUS_FINE, or what to return. `*ended`: there is nothing to evaluate. */
static int read_options(int argc, char **argv, struct request *request, bool *ended)
{
    struct options options = options_begin(&usage, argc, argv);
    int status = STATUS_FINE;

    while (options_next(&options)) {
        switch (options.row) {
        case OPT_SQL: request->sql = options.value; break;
        case OPT_RULE: request->rule = options.value; break;
        case OPT_TOPIC: request->topic = options.value; break;
        case OPT_PAYLOAD: request->payload = options.value; break;
        case OPT_PAYLOAD_FILE: request->payload_file = options.value; break;
        case OPT_CLIENT_ID: request->client_id = options.value; break;
        case OPT_EXPLAIN: request->explain = true; break;
        case OPT_USER_PROPERTY: status |= add_property(request, options.value); break;
        case OPT_SQL_VERSION:
            if (!sql_version_parse(span_of(options.value), &request->version))
                status =
                    usage_error(&usage, "no SQL version '%s': 2016-03-23, 2015-10-08 or beta", options.value);
            break;
        default: break;
        }
    }
    *ended = options.ended || status != STATUS_FINE;
    if (*ended)
        return options.ended ? options.status : status;
    *ended = true;
    if (!request->sql == !request->rule)
        return usage_error(&usage, "one of --sql and --rule is needed");
    if (!request->topic && !request->explain)
        return usage_error(&usage, "--topic is needed");
    if (request->payload && request->payload_file)
        return usage_error(&usage, "--payload and --payload-file contradict each other");
    *ended = false;
    return STATUS_FINE;
}

static int read_payload(const char *name, struct buf *out, struct err *err)
{
    bool is_stdin = strcmp(name, "-") == 0;
    FILE *in = is_stdin ? stdin : fopen(name, "rb");
    char chunk[16384];
    size_t got;

    if (!in)
        return err_set(err, ERR_IO, "%s: %s", name, strerror(errno));
    while ((got = fread(chunk, 1, sizeof chunk, in)) > 0)
        buf_add(out, chunk, got);
    int status = ferror(in) ? err_set(err, ERR_IO, "%s: %s", name, strerror(errno)) : 0;
    if (!is_stdin)
        (void)fclose(in);
    if (out->failed)
        return err_memory(err);
    return status;
}

static int failed(const struct err *err)
{
    paint_err(err, stderr);
    return STATUS_BAD;
}

/* The outgoing payload as it is; text gets the newline that a terminal wants. */
static void print_payload(struct span payload)
{
    if (payload.size > 0)
        (void)fwrite(payload.data, 1, payload.size, stdout);
    if (utf8_valid(payload) == payload.size)
        (void)putchar('\n');
}

static int eval_sql(const struct request *request, struct sql_scope *scope, struct sql_message *message)
{
    struct report report = REPORT_INIT;
    struct err err;
    struct span payload;
    int status = STATUS_NOT;
    struct sql_program *program = sql_compile(span_of(request->sql), request->version, &report, &err);

    paint_report(&report, stderr);
    report_done(&report);
    if (!program)
        return failed(&err);
    if (request->explain)
        trial_explain(program);
    if (!request->topic) {
        sql_program_free(program);
        return STATUS_FINE;
    }
    bool routed = trial_routes(program, (struct span){0}, message);
    sql_scope_begin(scope, message);
    if (!routed) {
        (void)fprintf(stderr, "no match: the topic filter does not take '%s'\n", request->topic);
    } else {
        switch (sql_run(program, scope, &payload, &err)) {
        case SQL_MATCHED:
            print_payload(payload);
            status = STATUS_FINE;
            break;
        case SQL_FILTERED: (void)fprintf(stderr, "no match: WHERE is not true\n"); break;
        case SQL_FAILED: status = failed(&err); break;
        }
    }
    sql_program_free(program);
    return status;
}

static int evaluate(const struct request *request, struct span payload)
{
    struct trial trial;
    struct err err;
    int status;
    struct sql_message message = {
        .topic = span_of(request->topic),
        .payload = payload,
        .client_id = span_of(request->client_id),
        .payload_format = -1,
        .user_properties = request->properties,
        .user_property_count = request->property_count,
    };

    trial_init(&trial);
    trial.host.secret = NULL;
    struct sql_scope *scope = sql_scope_new(&trial.host, SQL_LIMITS_DEFAULT, &err);
    if (!scope)
        status = failed(&err);
    else if (request->sql)
        status = eval_sql(request, scope, &message);
    else
        status = eval_rule(request->rule, request->explain, scope, request->topic ? &message : NULL);
    sql_scope_free(scope);
    trial_done(&trial);
    return status;
}

int cmd_eval(int argc, char **argv)
{
    struct request request = {.version = SQL_2016_03_23};
    struct buf payload = BUF_INIT;
    struct err err;
    bool ended;
    int status = read_options(argc, argv, &request, &ended);

    if (!ended && request.payload)
        buf_text(&payload, request.payload);
    if (!ended && request.payload_file && read_payload(request.payload_file, &payload, &err)) {
        status = failed(&err);
        ended = true;
    }
    if (!ended)
        status = evaluate(&request, buf_view(&payload));
    buf_done(&payload);
    free(request.properties);
    return status;
}
