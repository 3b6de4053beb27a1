/* Functions of values, of the message, and of AWS. */
#include "base/report.h"
#include "sql_rows.h"

#define V2 SQL_2016_03_23
#define V1 SQL_2015_10_08

static const struct sql_row rows[] = {
    {"get_an_element", "[get(a, 0), get(a, '1.9'), get(a, 2), get(a, -1), get(a, true)]",
     "{\"a\":[10,20,[30]]}", "[10,20,[30]]", V2},
    {"get_a_character", "[get(a, 1), get(a, 3)]", "{\"a\":\"a\U0001F600b\"}", "[\"\U0001F600\"]", V2},
    {"get_a_member", "[get(o, 'my-key'), get(o, ''), get(o, 'nope')]", "{\"o\":{\"my-key\":1,\"\":2}}",
     "[1,2]", V2},
    {"a_key_is_not_converted", "get(o, 0)", "{\"o\":{\"0\":1}}", "", V2},
    {"get_from_a_number", "get(5, 0)", "{}", "", V2},
    {"get_beyond_all_numbers", "get(a, 1E400)", "{\"a\":[1]}", "", V2},
    {"absence", "[isNull(a), isNull(b), isUndefined(a), isUndefined(b)]", "{\"a\":null}",
     "[true,false,false,true]", V2},
    {"nanvl", "[nanvl(a, 1), nanvl(b, 2), nanvl('x', 3)]", "{\"a\":null}", "[1,2,\"x\"]", V2},
    {"concat_of_nothing", "concat()", "{}", "", V2},
    {"concat_of_one", "concat(1)", "{}", "1", V2},
    {"concat_of_texts", "concat(1, '-', true, {'a':1})", "{}", "\"1-true{\\\"a\\\":1}\"", V2},
    {"concat_of_numbers_alone", "concat(1, 2)", "{}", "", V2},
    {"concat_with_null", "concat('a', null)", "{}", "", V2},
    {"concat_of_arrays", "concat([1], 'b', a, null, nope)", "{\"a\":[[2],3]}", "[1,\"b\",[2],3,null]", V2},
    {"enrich", "transform('enrichArray', o, a)",
     "{\"o\":{\"k\":1,\"l\":2},\"a\":[{\"n\":1},{\"k\":9,\"m\":3},{}]}",
     "[{\"n\":1,\"k\":1,\"l\":2},{\"k\":1,\"m\":3,\"l\":2},{\"k\":1,\"l\":2}]", V2},
    {"enrich_by_queries", "transform('enrichArray', (SELECT a, b FROM d), (SELECT VALUE c FROM d))",
     "{\"d\":{\"a\":1,\"b\":2,\"c\":[{\"x\":3},{\"x\":4}]}}",
     "[{\"x\":3,\"a\":1,\"b\":2},{\"x\":4,\"a\":1,\"b\":2}]", V2},
    {"enrich_by_many", "transform('enrichArray', o, [{'c':0,'z':0}])",
     "{\"o\":{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10}}",
     "[{\"c\":3,\"z\":0,\"a\":1,\"b\":2,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10}]", V2},
    {"enrich_what_is_no_object", "transform('enrichArray', {'a':1}, [1])", "{}", "", V2},
    {"another_mode", "transform('EnrichArray', {'a':1}, [])", "{}", "", V2},
    /* ---- the message ---- */
    {"topic", "[topic(), topic(1), topic('2'), topic(3), topic(4), topic(5), topic(0), topic(-1)]", "{}",
     "[\"plant/7//temp\",\"plant\",\"7\",\"\",\"temp\"]", V2},
    {"who", "[clientid(), sourceip(), principal(), accountid()]", "{}", "[\"sensor-7\",\"192.0.2.7\"]", V2},
    {"when", "timestamp()", "{}", "1700000000123", V2},
    {"version", "sql_version()", "{}", "\"2015-10-08\"", V1},
    {"uuid", "newuuid()", "{}", "\"00010203-0405-4607-8809-0a0b0c0d0e0f\"", V2},
    {"traceid_stays", "traceid() = traceid()", "{}", "true", V2},
    {"rand", "rand() >= 0 AND rand() < 1", "{}", "true", V2},
    {"properties",
     "[get_mqtt_property('content_type'), get_mqtt_property('format_indicator'), "
     "get_mqtt_property('correlation_data'), get_mqtt_property('response_topic'), get_mqtt_property('x')]",
     "{}", "[\"text/plain\",\"UTF8_DATA\",\"Af8=\"]", V2},
    {"user_properties_of_a_key", "get_user_properties('site')", "{}", "[\"north\",\"9\"]", V2},
    {"user_properties_of_no_key", "get_user_properties('nope')", "{}", "", V2},
    {"all_user_properties", "get_user_properties()", "{}",
     "[{\"site\":\"north\"},{\"unit\":\"C\"},{\"site\":\"9\"}]", V2},
    /* ---- secrets ---- */
    {"a_secret", "get_secret('kafka', 'SecretString', 'r')", "{}", "\"whole\"", V2},
    {"a_key_of_a_secret", "get_secret('kafka', 'SecretString', 'password', 'r')", "{}", "\"password\"", V2},
    {"bytes_of_a_secret", "get_secret('kafka', 'SecretBinary', 'r')", "{}", "\"AAE=\"", V2},
    {"a_key_of_bytes", "get_secret('kafka', 'SecretBinary', 'k', 'r')", "{}", "!no keys", V2},
    {"another_type", "get_secret('kafka', 'Secret', 'r')", "{}", "!SecretString or SecretBinary", V2},
    {"no_such_secret", "get_secret('nope', 'SecretString', 'r')", "{}", "!no secret `nope`", V2},
    {"a_secret_or_else", "get_or_default(get_secret('nope', 'SecretString', 'r'), 'none')", "{}", "\"none\"",
     V2},
};

/* ---- load ---- */

static const struct refusal {
    const char *name, *expression, *want; /* a part of the error, or of the warning */
    bool warning;
} refusals[] = {
    {"lambda", "aws_lambda('arn', *)", "calls AWS Lambda", false},
    {"dynamodb", "get_dynamodb('t', 'k', v, 'r')", "AWS DynamoDB", false},
    {"shadow", "get_thing_shadow('t', 'r')", "device shadow", false},
    {"registry", "get_registry_data('DescribeThing', 't', 'r')", "registry", false},
    {"machine_learning", "machinelearning_predict('m', 'r', *)", "Machine Learning", false},
    {"protobuf", "decode(*, 'proto', 'b', 'k', 'f', 'M')", "proto", false},
    {"no_regex", "regexp_matches(a, 'x(')", "near character 3: a group is not closed", true},
    {"look_behind", "regexp_replace(a, '(?<=x+)y', '')", "look-behind", true},
    {"no_letter", "parse_time('yyyy-MM-ddTHH', 1)", "parse_time() does not write", true},
    {"no_zone", "parse_time('yyyy', 1, 'Europe/Berlim')", "no time zone `Europe/Berlim`", true},
    {"no_letter_to_read", "time_to_epoch(a, 'YYYY-ww')", "time_to_epoch() does not read", true},
    {"no_mode", "transform('merge', a, b)", "'enrichArray' is the one mode", true},
    {"no_scheme", "encode(a, 'hex')", "'base64' is the one scheme", true},
    {"no_property", "get_mqtt_property('contentType')", "the names are content_type", true},
};

static void refusal_test(void **state)
{
    const struct refusal *row = *state;
    struct buf text = BUF_INIT;
    struct report report = REPORT_INIT;
    struct err err = {0};

    buf_format(&text, "SELECT %s AS r FROM 't'", row->expression);
    struct sql_program *program = sql_compile(buf_view(&text), SQL_2016_03_23, &report, &err);

    if (row->warning) {
        assert_non_null(program);
        assert_int_equal(report.count, 1);
        err = report.findings[0].err;
    } else {
        assert_null(program);
        assert_int_equal(err.code, ERR_UNSUPPORTED);
    }
    if (!strstr(err.text, row->want))
        fail_msg("'%s' is not in '%s'", row->want, err.text);
    sql_program_free(program);
    report_done(&report);
    buf_done(&text);
}

/* No function without its line of help; names in lower case. */
static void every_function_says_what_it_does(void **state)
{
    struct sql_function_info info;
    size_t count = 0;

    (void)state;
    for (; sql_function_at(count, &info); count++) {
        for (const char *c = info.name; *c; c++)
            assert_true((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_');
        assert_true(info.help && strlen(info.help) > 10 && !strchr(info.help, '\n'));
        assert_true(info.refused || strncasecmp(info.help, info.name, strlen(info.name)) == 0);
    }
    assert_true(count > 75);
}

int main(void)
{
    struct CMUnitTest tests[sizeof refusals / sizeof *refusals + 1];
    size_t count = 0;

    for (; count < sizeof refusals / sizeof *refusals; count++) {
        union {
            const struct refusal *row;
            void *state;
        } u = {.row = &refusals[count]};
        tests[count] = (struct CMUnitTest){
            .name = refusals[count].name, .test_func = refusal_test, .initial_state = u.state};
    }
    tests[count] = (struct CMUnitTest)cmocka_unit_test(every_function_says_what_it_does);
    int failed = RUN_SQL_ROWS("functions of values and messages", rows);

    return failed + cmocka_run_group_tests_name("functions at load", tests, NULL, NULL);
}
