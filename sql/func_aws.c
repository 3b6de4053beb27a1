/* sql/func_aws.c - functions that call AWS: refused at load with what to do instead; and get_secret, which
 * asks the installation's own backends. */
#include "func.h"

/* get_secret(id, type, role) or get_secret(id, type, key, role): their number tells them apart. The role is
 * handed on; a backend may choose its credentials by it. */
static int fn_get_secret(const struct call *call, struct value *out, struct err *err)
{
    const struct sql_host *host = call->scope->host;
    struct sql_secret_query query = {.key = {NULL, 0}, .computed = call->computed};
    struct span type, text = {NULL, 0};
    int had = arg_text(call, 0, &query.id, err);

    if (had > 0)
        had = arg_text(call, 1, &type, err);
    if (had > 0 && call->argc == 4)
        had = arg_text(call, 2, &query.key, err);
    if (had > 0)
        had = arg_text(call, call->argc - 1, &query.role_arn, err);
    if (had <= 0)
        return had;

    if (span_is(type, "SecretString"))
        query.type = SQL_SECRET_STRING;
    else if (span_is(type, "SecretBinary"))
        query.type = SQL_SECRET_BINARY;
    else
        return err_set(err, ERR_SECRET,
                       "get_secret: the second argument is SecretString or SecretBinary, not " SPAN_FMT,
                       SPAN_ARG(type));
    if (query.type == SQL_SECRET_BINARY && call->argc == 4)
        return err_set(err, ERR_SECRET,
                       "get_secret: a SecretBinary has no keys; leave the third argument out");
    if (!host || !host->secret)
        return err_set(err, ERR_SECRET,
                       "get_secret: there are no secrets here; configure a backend under secrets.backends");
    if (host->secret(host->context, &query, &text, err) != 0)
        return -1;
    *out = value_string(text);
    out->secret = true;
    return 0;
}

#define REFUSED(name) name, 0, -1, FUNC_REFUSED, NULL

const struct sql_func sql_aws_funcs[] = {
    {REFUSED("aws_lambda"),
     "calls AWS Lambda, which cannot be reached from here: compute the value in SQL, or in a consumer of the "
     "Kafka topic"},
    {REFUSED("get_dynamodb"),
     "reads an AWS DynamoDB table, which cannot be reached from here: let devices send the value, or join it "
     "in a consumer of the Kafka topic"},
    {REFUSED("get_registry_data"),
     "reads the AWS IoT registry, which a plain MQTT broker does not have: take the data from the topic or "
     "from user properties"},
    {"get_secret", 3, 4, 0, fn_get_secret,
     "get_secret(id, type[, key], role): a secret from the backends under secrets.backends"},
    {REFUSED("get_thing_shadow"), "reads an AWS IoT device shadow, which a plain MQTT broker does not have: "
                                  "let the device send its state"},
    {REFUSED("machinelearning_predict"),
     "calls Amazon Machine Learning, which cannot be reached from here: predict in a consumer of the Kafka "
     "topic"},
    {.name = NULL},
};
