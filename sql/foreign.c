/* foreign.c - words of other SQLs, and what one writes here instead. */
#include "parse.h"

struct advice {
    const char *word, *text;
};

static const struct advice words[] = {
    {"like", "LIKE is not part of this SQL: use startswith(), endswith(), indexof() or regexp_matches()"},
    {"rlike", "RLIKE is not part of this SQL: use regexp_matches()"},
    {"ilike", "ILIKE is not part of this SQL: use regexp_matches()"},
    {"regexp", "REGEXP is not part of this SQL: use regexp_matches()"},
    {"between", "BETWEEN is not part of this SQL: write a >= low AND a <= high"},
    {"is", "IS is not part of this SQL: write isNull(a), isUndefined(a), NOT isNull(a), or compare with `=`"},
    {"order", "ORDER BY is not part of this SQL: a rule sees one message at a time"},
    {"group", "GROUP BY is not part of this SQL: a rule sees one message at a time"},
    {"having", "HAVING is not part of this SQL: a rule sees one message at a time; use WHERE"},
    {"limit", "LIMIT is not part of this SQL: a rule sees one message at a time"},
    {"offset", "OFFSET is not part of this SQL: a rule sees one message at a time"},
    {"distinct", "DISTINCT is not part of this SQL: a rule sees one message at a time"},
    {"top", "TOP is not part of this SQL: a rule sees one message at a time"},
    {"all", "ALL is not part of this SQL: leave it out"},
    {"join", "JOIN is not part of this SQL: a rule reads one topic filter"},
    {"inner", "JOIN is not part of this SQL: a rule reads one topic filter"},
    {"left", "JOIN is not part of this SQL: a rule reads one topic filter"},
    {"cross", "JOIN is not part of this SQL: a rule reads one topic filter"},
    {"union", "UNION is not part of this SQL: write another rule"},
    {"except", "EXCEPT is not part of this SQL: name the attributes to keep"},
    {"intersect", "INTERSECT is not part of this SQL: write another rule"},
    {"into", "INTO is not part of this SQL: the rule's actions say where the result goes"},
    {"insert", "a rule reads messages alone: it starts with SELECT or SET"},
    {"update", "a rule reads messages alone: it starts with SELECT or SET"},
    {"delete", "a rule reads messages alone: it starts with SELECT or SET"},
    {"create", "a rule reads messages alone: it starts with SELECT or SET"},
    {"drop", "a rule reads messages alone: it starts with SELECT or SET"},
    {"with", "WITH is not part of this SQL: name values with SET @name = value before SELECT"},
    {"let", "LET is not part of this SQL: name values with SET @name = value before SELECT"},
    {"div", "DIV is not part of this SQL: write floor(a / b)"},
    {"mod", "MOD is a function here: mod(a, b), or a % b"},
    {"xor", "XOR is not part of this SQL: compare two Booleans with `<>`"},
};

#define AGGREGATE "a rule sees one message at a time and cannot aggregate"

static const struct advice functions[] = {
    {"coalesce", "write get_or_default(value, default) or nanvl(value, default)"},
    {"ifnull", "write get_or_default(value, default) or nanvl(value, default)"},
    {"nvl", "write get_or_default(value, default) or nanvl(value, default)"},
    {"nullif", "write CASE a WHEN b THEN null ELSE a END"},
    {"if", "write CASE condition WHEN true THEN a ELSE b END"},
    {"iif", "write CASE condition WHEN true THEN a ELSE b END"},
    {"len", "write length(text)"},
    {"char_length", "write length(text)"},
    {"substr", "write substring(text, start, end), counted from 0, end not included"},
    {"mid", "write substring(text, start, end), counted from 0, end not included"},
    {"left", "write substring(text, 0, n)"},
    {"instr", "write indexof(text, part)"},
    {"strpos", "write indexof(text, part)"},
    {"contains", "write indexof(text, part) >= 0, or value IN array"},
    {"ucase", "write upper(text)"},
    {"lcase", "write lower(text)"},
    {"now", "write timestamp(), in milliseconds"},
    {"current_timestamp", "write timestamp(), in milliseconds"},
    {"getdate", "write timestamp(), in milliseconds"},
    {"to_timestamp", "write time_to_epoch(text, pattern)"},
    {"date_format", "write parse_time(pattern, milliseconds)"},
    {"convert", "write cast(value AS type)"},
    {"to_number", "write cast(value AS Decimal)"},
    {"to_char", "write cast(value AS String)"},
    {"int", "write cast(value AS Int)"},
    {"ceiling", "write ceil(number)"},
    {"pow", "write power(base, exponent)"},
    {"random", "write rand()"},
    {"uuid", "write newuuid()"},
    {"json_extract", "write a path, a.b.c, or get(object, 'key')"},
    {"json_value", "write a path, a.b.c, or get(object, 'key')"},
    {"parse_json", "write decode(encode(text, 'base64'), 'base64')"},
    {"isnotnull", "write NOT isNull(value)"},
    {"isdefined", "write NOT isUndefined(value)"},
    {"count", AGGREGATE},
    {"sum", AGGREGATE},
    {"avg", AGGREGATE},
    {"min", AGGREGATE},
    {"max", AGGREGATE},
};

const char *foreign_word(struct span word)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_is_nocase(word, words[i].word))
            return words[i].text;
    return NULL;
}

const char *foreign_function(struct span name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (span_is_nocase(name, functions[i].word))
            return functions[i].text;
    return NULL;
}
