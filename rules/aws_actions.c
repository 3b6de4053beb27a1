/* aws_actions.c - the actions that AWS IoT Core has, by name: known so that a rule that uses one gets a
 * sentence rather than "unknown". From the AWS IoT Core API reference, data type Action. */
#include "reader.h"

static const char *const names[] = {
    "cloudwatchAlarm",
    "cloudwatchLogs",
    "cloudwatchMetric",
    "dynamoDB",
    "dynamoDBv2",
    "elasticsearch",
    "firehose",
    "http",
    "influxDB",
    "iotAnalytics",
    "iotEvents",
    "iotSiteWise",
    "kafka",
    "kinesis",
    "lambda",
    "location",
    "openSearch",
    "republish",
    "s3",
    "salesforce",
    "sns",
    "sqs",
    "stepFunctions",
    "timestream",
};

const char *aws_action_name(const void *context, size_t index)
{
    (void)context;
    return index < sizeof names / sizeof *names ? names[index] : NULL;
}

bool aws_action_known(struct span name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_is_nocase(name, names[i]))
            return true;
    return false;
}
