/* parse_time by Joda-Time's letters, time_to_epoch by java.time's. */
#include "sql_rows.h"

#define V2 SQL_2016_03_23

#define WRITE(name, pattern, ms, want)                                                                       \
    {                                                                                                        \
        name, "parse_time(p, t)", "{\"p\":\"" pattern "\",\"t\":" ms "}", want, V2                           \
    }
#define WRITE_AT(name, pattern, ms, zone, want)                                                              \
    {                                                                                                        \
        name, "parse_time(p, t, z)", "{\"p\":\"" pattern "\",\"t\":" ms ",\"z\":\"" zone "\"}", want, V2     \
    }
#define READ(name, pattern, text, want)                                                                      \
    {                                                                                                        \
        name, "time_to_epoch(t, p)", "{\"p\":\"" pattern "\",\"t\":\"" text "\"}", want, V2                  \
    }

static const struct sql_row rows[] = {
    /* ---- parse_time ---- */
    WRITE("iso", "yyyy-MM-dd'T'HH:mm:ss.SSSZZ", "1700000000123", "\"2023-11-14T22:13:20.123+00:00\""),
    WRITE("before_1970", "yyyy-MM-dd HH:mm:ss.SSS", "-1", "\"1969-12-31 23:59:59.999\""),
    WRITE("names", "EEEE|E|MMMM|MMM|a|G", "951782400000", "\"Tuesday|Tue|February|Feb|AM|AD\""),
    WRITE("years", "y|yy|yyy|yyyyyy|Y|C", "1700000000123", "\"2023|23|2023|002023|2023|20\""),
    WRITE("years_before_christ", "y|yy|Y|G", "-63000000000000", "\"-27|27|28|BC\""),
    WRITE("year_10000", "yyyyMMdd", "253402300800000", "\"100000101\""),
    WRITE("week_years", "xxxx-'W'ww-e", "1704067200000", "\"2024-W01-1\""),
    WRITE("the_last_days_may_be_next_years", "x/w/e D", "1735603200000", "\"2025/1/2 366\""),
    WRITE("hours", "H|k|K|h|HH|kk|KK|hh", "1700006400000", "\"0|24|0|12|00|24|00|12\""),
    WRITE("hours_after_noon", "H|k|K|h a", "1700000000123", "\"22|22|10|10 PM\""),
    WRITE("fractions", "S|SS|SSS|SSSSSS", "1700000000123", "\"1|12|123|123000\""),
    WRITE("quotes", "'at' ''yy'' 'o''clock' 'open", "0", "\"at '70' o'clock open\""),
    WRITE("other_characters", "[yy] #{\u00e9}", "0", "\"[70] #{\u00e9}\""),
    WRITE("offsets", "Z|ZZ|ZZZ|z|zzzz", "0", "\"+0000|+00:00|UTC|UTC|Coordinated Universal Time\""),
    WRITE("a_fraction_of_a_millisecond", "SSS", "999.9", "\"999\""),
    WRITE("the_time_as_text", "yyyy", "\"0\"", "\"1970\""),
    WRITE("the_last_millisecond", "yyyy-MM-dd'T'HH:mm:ss.SSS", "9223372036854775807",
          "\"292278994-08-17T07:12:55.807\""),
    WRITE("too_late", "yyyy", "9223372036854775808", ""),
    WRITE("an_unknown_letter", "yyyy-MM-ddTHH", "0", ""),
    WRITE("no_pattern", "", "0", ""),
    WRITE("a_time_that_is_true", "yyyy", "true", ""),
    WRITE_AT("winter", "HH:mm z ZZ", "1700000000123", "America/New_York", "\"17:13 EST -05:00\""),
    WRITE_AT("summer", "HH:mm z zzzz", "1720000000000", "America/New_York",
             "\"05:46 EDT Eastern Daylight Time\""),
    WRITE_AT("half_an_hour", "HH:mm z Z ZZZ", "1720000000000", "Asia/Kolkata",
             "\"15:16 IST +0530 Asia/Kolkata\""),
    WRITE_AT("central_europe", "z", "1720000000000", "Europe/Berlin", "\"CEST\""),
    WRITE_AT("japan", "z", "0", "Asia/Tokyo", "\"JST\""),
    WRITE_AT("china", "z", "0", "Asia/Shanghai", "\"CST\""),
    WRITE_AT("a_zone_without_a_name", "z", "1720000000000", "America/Sao_Paulo", "\"-03:00\""),
    WRITE_AT("an_offset", "HH:mm z ZZZ", "0", "+05:30", "\"05:30 +05:30 +05:30\""),
    WRITE_AT("a_short_offset", "HH:mm", "0", "-08", "\"16:00\""),
    WRITE_AT("an_offset_without_colon", "HH:mm ZZ", "0", "-0330", "\"20:30 -03:30\""),
    WRITE_AT("names_have_their_case", "yyyy", "0", "europe/berlin", ""),
    WRITE_AT("no_such_zone", "yyyy", "0", "Mars/Olympus", ""),
    WRITE_AT("icu_alone_knows_it", "yyyy", "0", "PST", ""),
    WRITE_AT("an_offset_of_too_much", "yyyy", "0", "+25:00", ""),
    /* ---- time_to_epoch ---- */
    READ("date_alone_is_midnight", "dd MMMM yyyy", "18 December 2015", "1450396800000"),
    READ("iso_with_z", "yyyy-MM-dd'T'HH:mm:ss.SSSX", "2020-03-03T14:57:14.699Z", "1583247434699"),
    READ("offset_with_colon", "yyyy-MM-dd HH:mm:ssXXX", "2020-03-03 14:57:14+05:30", "1583227634000"),
    READ("offset_without_colon", "yyyy-MM-dd HH:mm:ssZ", "2020-03-03 14:57:14-0800", "1583276234000"),
    READ("offset_of_hours", "yyyy-MM-dd HHX", "2020-03-03 14+02", "1583236800000"),
    READ("offset_of_gmt", "yyyy-MM-dd HH:mm O", "2020-03-03 14:57 GMT+8", "1583218620000"),
    READ("a_zone_id", "yyyy-MM-dd HH:mm:ss VV", "2020-07-03 14:57:14 America/New_York", "1593802634000"),
    READ("a_zone_that_is_an_offset", "yyyy-MM-dd HH:mm:ss VV", "2020-04-03 09:45:18 UTC+01:00",
         "1585903518000"),
    READ("a_zone_id_by_z", "yyyy-MM-dd HH:mm:ss.SSS z", "2007-12-03 10:15:30.592 America/Los_Angeles",
         "1196705730592"),
    READ("a_zone_by_its_name", "yyyy-MM-dd HH:mm z", "2020-07-03 12:00 PDT", "1593802800000"),
    READ("a_zone_by_its_long_name", "yyyy-MM-dd HH:mm zzzz", "2020-07-03 12:00 Pacific Standard Time",
         "1593802800000"),
    READ("shown_twice_is_the_earlier", "yyyy-MM-dd HH:mm VV", "2023-10-29 02:30 Europe/Berlin",
         "1698539400000"),
    READ("never_shown_is_after_the_jump", "yyyy-MM-dd HH:mm VV", "2023-03-26 02:30 Europe/Berlin",
         "1679794200000"),
    READ("offset_and_zone", "yyyy-MM-dd HH:mmXXX'['VV']'", "2023-10-29 02:30+01:00[Europe/Berlin]",
         "1698543000000"),
    READ("digits_side_by_side", "yyyyMMddHHmmssSSS", "20200303145714699", "1583247434699"),
    READ("a_long_year_side_by_side", "yyyyMMdd", "20200303", "1583193600000"),
    READ("day_of_year", "uuuu-DDD", "2020-063", "1583193600000"),
    READ("two_digits_of_a_year", "dd.MM.yy", "03.03.99", "4076179200000"),
    READ("before_christ", "yyyy-MM-dd G", "0028-08-11 BC", "-63000028800000"),
    READ("noon_and_midnight", "yyyy-MM-dd hh:mm a", "2020-03-03 12:30 AM", "1583195400000"),
    READ("hour_24_is_midnight", "yyyy-MM-dd HH:mm", "2020-03-02 24:00", "1583193600000"),
    READ("k_24_is_midnight_before", "yyyy-MM-dd kk:mm", "2020-03-03 24:00", "1583193600000"),
    READ("weekday_that_is_right", "EEE, d MMM yyyy", "Tue, 3 Mar 2020", "1583193600000"),
    READ("a_part_that_may_be_missing", "yyyy-MM-dd['T'HH:mm[:ss]]", "2020-03-03T14:57", "1583247420000"),
    READ("all_that_may_be_missing", "yyyy-MM-dd['T'HH:mm[:ss]]", "2020-03-03", "1583193600000"),
    READ("a_quote", "yyyy-MM-dd ''HH'' 'o''clock'", "2020-03-03 '14' o'clock", "1583244000000"),
    READ("millisecond_of_the_day", "yyyy-MM-dd A", "2020-03-03 1", "1583193600001"),
    READ("a_large_year_has_a_plus", "yyyy-MM-dd", "+12020-03-03", "317152713600000"),
    READ("a_small_year_has_none", "yyyy-MM-dd", "+2020-03-03", ""),
    READ("a_leap_day", "yyyy-MM-dd", "2020-02-29", "1582934400000"),
    READ("no_leap_day", "yyyy-MM-dd", "2021-02-29", ""),
    READ("a_day_of_no_month", "yyyy-MM-dd", "2021-04-31", ""),
    READ("month_13", "yyyy-MM-dd", "2021-13-01", ""),
    READ("minute_60", "yyyy-MM-dd HH:mm", "2021-01-01 00:60", ""),
    READ("weekday_that_is_wrong", "EEE, d MMM yyyy", "Wed, 3 Mar 2020", ""),
    READ("too_few_digits", "yyyy-MM-dd", "2020-3-3", ""),
    READ("any_number_of_digits", "yyyy-M-d", "2020-3-3", "1583193600000"),
    READ("names_have_their_case_too", "MMM d yyyy", "mar 3 2020", ""),
    READ("more_text_than_pattern", "yyyy-MM-dd", "2020-03-03 ", ""),
    READ("less_text_than_pattern", "yyyy-MM-dd ", "2020-03-03", ""),
    READ("no_year", "MM-dd", "03-03", ""),
    READ("no_day", "yyyy-MM", "2020-03", ""),
    READ("no_hour", "yyyy-MM-dd mm", "2020-03-03 10", ""),
    READ("half_a_day_too_many", "yyyy-MM-dd hh", "2020-03-03 10", ""),
    READ("the_same_twice_and_different", "yyyy-MM-dd dd", "2020-03-03 04", ""),
    READ("no_such_zone_to_read", "yyyy-MM-dd VV", "2020-03-03 Mars/Olympus", ""),
    READ("weeks_depend_on_the_country", "YYYY-ww", "2020-03", ""),
    READ("too_many_letters", "yyyy-MM-ddd", "2020-03-003", ""),
    READ("an_open_quote", "yyyy-MM-dd'T", "2020-03-03T", ""),
    READ("a_bracket_too_many", "yyyy-MM-dd]", "2020-03-03", ""),
    READ("reserved", "yyyy-MM-dd#", "2020-03-03#", ""),
    READ("a_year_beyond_milliseconds", "yyyy-MM-dd", "+999999999-01-01", ""),
    {"there_and_back", "parse_time('yyyy-MM-dd', time_to_epoch('18 December 2015', 'dd MMMM yyyy'))", "{}",
     "\"2015-12-18\"", V2},
};

/* More zones than are kept. */
static void zones_come_and_go(void **state)
{
    static const struct sql_host host;
    struct err err = {0};
    struct span out;
    struct sql_program *program =
        sql_compile(SPAN("SELECT VALUE parse_time('HH:mm', 0, z) FROM 't'"), SQL_2016_03_23, NULL, &err);
    struct sql_scope *scope = sql_scope_new(&host, SQL_LIMITS_DEFAULT, &err);

    (void)state;
    assert_true(program && scope);
    for (int i = 0; i < 500; i++) {
        struct sql_message message = {.topic = SPAN("t"), .payload_format = -1};
        char payload[64], want[16];

        (void)snprintf(payload, sizeof payload, "{\"z\":\"+%02d:%02d\"}", i % 24, i % 60);
        (void)snprintf(want, sizeof want, "\"%02d:%02d\"", i % 24, i % 60);
        message.payload = span_of(payload);
        sql_scope_begin(scope, &message);
        assert_int_equal(sql_run(program, scope, &out, &err), SQL_MATCHED);
        assert_true(span_is(out, want));
    }
    sql_scope_free(scope);
    sql_program_free(program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(zones_come_and_go)};
    int failed = RUN_SQL_ROWS("functions of time", rows);

    return failed + cmocka_run_group_tests_name("zones", tests, NULL, NULL);
}
