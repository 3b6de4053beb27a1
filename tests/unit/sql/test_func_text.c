/* Functions of text, and digests. */
#include "sql_rows.h"

#define V2 SQL_2016_03_23
#define V1 SQL_2015_10_08

static const struct sql_row rows[] = {
    {"lower_and_upper_map_one_to_one", "lower('ÉLAN ΣΑΣ') + upper('straße ﬁ')", "{}", "\"élan σασSTRAßE ﬁ\"",
     V2},
    {"case_mapping_may_lengthen", "lower('ȺȾ')", "{}", "\"ⱥⱦ\"", V2},
    {"lower_of_an_array", "lower(x)", "{\"x\":[\"HI\",1]}", "\"[\\\"hi\\\",1]\"", V2},
    {"trims_differ", "'<' + ltrim(x) + '|' + rtrim(x) + '|' + trim(x) + '>'", "{\"x\":\"\\n\\t a \\t\\n\"}",
     "\"<\\n\\t a \\t\\n|\\n\\t a \\t\\n|a>\"", V2},
    {"trim_of_blanks", "trim('  \t ')", "{}", "\"\"", V2},
    {"a_nul_is_no_blank", "trim(x)", "{\"x\":\" \\u0000 \"}", "\"\\u0000\"", V2},
    {"lpad_adds", "lpad('x', 2) + rpad('y', '2.9') + '|'", "{}", "\"  xy  |\"", V2},
    {"pads_are_clamped", "length(lpad('x', 5000)) + length(rpad('x', -3))", "{}", "1002", V2},
    {"pad_by_a_boolean", "lpad('x', true)", "{}", "", V2},
    {"chr_is_ascii", "[chr(65), chr('66.7'), chr(127), chr(128), chr(-1)]", "{}", "[\"A\",\"B\",\"\x7f\"]",
     V2},
    {"chr_of_zero", "chr(0)", "{}", "\"\\u0000\"", V2},
    {"lengths", "[length('na\u00efve\U0001F600'), numbytes('na\u00efve\U0001F600'), length(false)]", "{}",
     "[6,10,5]", V2},
    {"substring_counts_code_points", "substring('a\U0001F600b\u00e9c', 1, 4)", "{}", "\"\U0001F600b\u00e9\"",
     V2},
    {"substring_clamps",
     "[substring('012345', -50, 50), substring('012345', 3, 1), substring('012345', 99), "
     "substring('012345', -2.411E247)]",
     "{}", "[\"012345\",\"\",\"\",\"012345\"]", V2},
    {"substring_cuts_the_index", "substring('012345', '2.745', 4.9)", "{}", "\"23\"", V2},
    {"substring_from_a_boolean", "substring('abc', true)", "{}", "", V2},
    {"indexof_counts_code_points", "[indexof('\u20acuro', 'o'), indexof('abc', ''), indexof('abc', 'x')]",
     "{}", "[3,0,-1]", V2},
    {"heads_and_tails",
     "[startswith('cat', 'ca'), endswith('cat', 'at'), startswith('a', 'ab'), "
     "endswith(12345, 45), endswith('', ''), startswith('x', '')]",
     "{}", "[true,true,false,true,true,true]", V2},
    {"replace_is_literal", "replace('a+b+c', '+', '$1')", "{}", "\"a$1b$1c\"", V2},
    {"replace_does_not_overlap", "replace('aaa', 'aa', 'b')", "{}", "\"ba\"", V2},
    {"replace_of_nothing_stands_between", "replace('\u00e9a', '', '-')", "{}", "\"-\u00e9-a-\"", V2},
    {"replace_by_nothing", "replace('abcabc', 'bc', '')", "{}", "\"aa\"", V2},
    {"replace_by_null", "replace('abc', 'b', null)", "{}", "", V2},
    {"digests", "[md2('hello'), md5('hello'), sha1('hello'), sha224('')]", "{}",
     "[\"a9046c73e00331af68917d3804f70655\",\"5d41402abc4b2a76b9719d911017c592\","
     "\"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d\","
     "\"d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f\"]",
     V2},
    /* RFC 1319, A.5, and lengths around a block */
    {"md2_of_nothing", "md2('')", "{}", "\"8350e5a3e24c153df2275c9f80692773\"", V1},
    {"md2_of_several_blocks",
     "md2('12345678901234567890123456789012345678901234567890123456789012345678901234567890')", "{}",
     "\"d5976f79d83d3a0dc9806c3c66f3efd8\"", V2},
    {"sha256_of_a_number", "sha256(1.5)", "{}",
     "\"9f29a130438b81170b92a42650f9a94291ecad60bd47af2a3886e75f7f728725\"", V2},
    {"sha_long_ones", "[length(sha384('a')), length(sha512('a'))]", "{}", "[96,128]", V2},
    {"encode", "[encode('hello', 'base64'), encode(5, 'base64'), encode('', 'base64')]", "{}",
     "[\"aGVsbG8=\",\"NQ==\",\"\"]", V2},
    {"encode_the_payload", "encode(*, 'base64')", "{\"a\":1}", "\"eyJhIjoxfQ==\"", V2},
    {"encode_by_another_scheme", "encode('a', 'hex')", "{}", "", V2},
    {"decode_text", "decode('bmHDr3Zl', 'base64')", "{}", "\"na\u00efve\"", V2},
    {"decode_json", "decode('eyJhIjpbMSwyXX0=', 'base64').a", "{}", "[1,2]", V2},
    {"decode_scalars",
     "[decode('ODA=', 'base64'), decode('dHJ1ZQ==', 'base64'), decode('InMi', 'base64'), "
     "decode('bnVsbA==', 'base64')]",
     "{}", "[80,true,\"s\",null]", V2},
    {"decode_nothing", "decode('', 'base64')", "{}", "\"\"", V2},
    {"decode_without_padding", "decode('YQ', 'base64')", "{}", "\"a\"", V2},
    {"decode_what_is_no_base64",
     "[decode('%%%%', 'base64'), decode('YQ=', 'base64'), decode('Y', 'base64'), decode('YQ==YQ==', "
     "'base64'), decode(' YQ==', 'base64'), decode('Y===', 'base64')]",
     "{}", "[null,null,null,null,null,null]", V2},
    {"decode_what_is_no_text", "decode('/w==', 'base64')", "{}", "null", V2},
    {"decode_a_number", "decode(5, 'base64')", "{}", "", V2},
};

int main(void)
{
    return RUN_SQL_ROWS("functions of text", rows);
}
