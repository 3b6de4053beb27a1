/* doc_json.c - JSON, strictly RFC 8259.
 *
 * jansson says whether the text is JSON and what its values are. It keeps no places, so a second pass walks
 * the same text beside the finished tree. That pass may trust every byte: it needs no error of its own but
 * the limits. Where jansson refuses, the tokens before the fault say what the writer did. */
#include "doc.h"

#include "base/auto.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>

enum token_kind { TOKEN_END, TOKEN_PUNCTUATION, TOKEN_STRING, TOKEN_OPEN_STRING, TOKEN_WORD };

struct token {
    enum token_kind kind;
    size_t at, end; /* OPEN_STRING: `end` is the control character, or the end of the text */
};

static void json_drop(json_t **json)
{
    json_decref(*json);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("+-._$@", c)) || (unsigned char)c >= 0x80;
}

static struct token next_token(struct span text, size_t at)
{
    struct token token = {TOKEN_END, text.size, text.size};

    while (at < text.size && strchr(" \t\r\n", text.data[at]) && text.data[at])
        at++;
    if (at == text.size)
        return token;
    token.at = at;
    if (text.data[at] == '"') {
        for (at++; at < text.size && text.data[at] != '"'; at++) {
            if ((unsigned char)text.data[at] < 0x20)
                break;
            if (text.data[at] == '\\' && at + 1 < text.size)
                at++;
        }
        token.kind = at < text.size && text.data[at] == '"' ? TOKEN_STRING : TOKEN_OPEN_STRING;
        token.end = token.kind == TOKEN_STRING ? at + 1 : at;
    } else if (is_word(text.data[at])) {
        while (at < text.size && is_word(text.data[at]))
            at++;
        token.kind = TOKEN_WORD;
        token.end = at;
    } else {
        token.kind = TOKEN_PUNCTUATION;
        token.end = at + 1;
    }
    return token;
}

/* ---- what went wrong ---- */

static int wrong_at(const struct doc *doc, struct err *err, size_t offset, const char *text)
{
    struct doc_cursor cursor = DOC_CURSOR_INIT;

    return err_at(err, ERR_SYNTAX, doc_cursor_byte(&cursor, doc->source, offset), "%s", text);
}

static int open_string(const struct doc *doc, struct token token, struct err *err)
{
    char text[128];

    if (token.end >= doc->source.size)
        return wrong_at(doc, err, token.at, "the string that starts here has no closing \"");
    char c = doc->source.data[token.end];
    if (c == '\n' || c == '\r')
        return wrong_at(
            doc, err, token.end,
            "a line break inside a string: a JSON string stands on one line (put a blank there, or \\n "
            "where the text needs the break; or name the file *.yaml, where strings may be folded)");
    if (c == '\t')
        return wrong_at(doc, err, token.end, "a tab inside a string: JSON writes it as \\t");
    (void)snprintf(text, sizeof text, "control character 0x%02x inside a string: JSON writes it as \\u%04x",
                   (unsigned char)c, (unsigned char)c);
    return wrong_at(doc, err, token.end, text);
}

static int ended_early(const struct doc *doc, struct err *err)
{
    struct {
        size_t at;
        char closer;
    } open[DOC_DEPTH_MAX];
    size_t depth = 0, missing = 0;
    struct doc_cursor cursor = DOC_CURSOR_INIT;

    for (struct token t = next_token(doc->source, 0); t.kind != TOKEN_END;
         t = next_token(doc->source, t.end)) {
        char c = doc->source.data[t.at];

        if (t.kind == TOKEN_OPEN_STRING)
            return open_string(doc, t, err);
        if (t.kind != TOKEN_PUNCTUATION)
            continue;
        if ((c == '{' || c == '[') && missing < DOC_DEPTH_MAX) {
            open[missing].at = t.at;
            open[missing++].closer = c == '{' ? '}' : ']';
        } else if ((c == '}' || c == ']') && missing > 0) {
            missing--;
        }
    }
    depth = missing;
    if (depth == 0)
        return wrong_at(doc, err, doc->source.size, "the text ends too early");
    struct pos opened = doc_cursor_byte(&cursor, doc->source, open[depth - 1].at);
    struct pos end = doc_cursor_byte(&cursor, doc->source, doc->source.size);
    if (depth == 1)
        return err_at(err, ERR_SYNTAX, end,
                      "the text ends too early: the %c that closes line %u, column %u is missing",
                      open[0].closer, opened.line, opened.column);
    return err_at(
        err, ERR_SYNTAX, end,
        "the text ends too early: %zu closing brackets are missing, first the %c that closes line %u, "
        "column %u",
        depth, open[depth - 1].closer, opened.line, opened.column);
}

static bool is_value_end(const struct doc *doc, struct token token)
{
    char c = doc->source.data[token.at];

    return token.kind == TOKEN_STRING || token.kind == TOKEN_WORD || c == '}' || c == ']';
}

/* Where the first escape that JSON does not have stands in the string at `start`. */
static size_t bad_escape(struct span string, size_t start)
{
    for (size_t i = 1; i + 1 < string.size; i++) {
        if (string.data[i] != '\\')
            continue;
        if (!strchr("\"\\/bfnrtu", string.data[i + 1]))
            return start + i;
        for (size_t digit = 0; string.data[i + 1] == 'u' && digit < 4; digit++)
            if (i + 2 + digit >= string.size || !strchr("0123456789abcdefABCDEF", string.data[i + 2 + digit]))
                return start + i;
        i++;
    }
    return start;
}

/* `bad` is the token that jansson stopped at, `before` the one before it (kind END: none). */
static int wrong_token(const struct doc *doc, struct token before, struct token bad, const char *said,
                       struct err *err)
{
    static const char *const words[][2] = {{"True", "true"},   {"TRUE", "true"}, {"False", "false"},
                                           {"FALSE", "false"}, {"None", "null"}, {"NULL", "null"},
                                           {"Null", "null"},   {"nil", "null"},  {"undefined", "null"}};
    struct span text = {doc->source.data + bad.at, bad.end - bad.at};
    char c = bad.at < doc->source.size ? doc->source.data[bad.at] : '\0', line[160];
    char previous = before.kind == TOKEN_END ? '\0' : doc->source.data[before.at];

    if (before.kind == TOKEN_END)
        return wrong_at(doc, err, bad.at,
                        "this is not JSON: expected { at the start (a rule in YAML is named *.yaml)");
    if (c == '\'')
        return wrong_at(doc, err, bad.at, "JSON strings and keys stand in double quotes");
    if (c == '/' || c == '#')
        return wrong_at(doc, err, bad.at,
                        "JSON has no comments (a file named *.yaml may have them, after #)");
    if ((c == '}' || c == ']') && previous == ',')
        return wrong_at(doc, err, before.at, "a comma with nothing after it");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (bad.kind == TOKEN_WORD && span_is(text, words[i][0])) {
            (void)snprintf(line, sizeof line, "%s is no JSON: write %s", words[i][0], words[i][1]);
            return wrong_at(doc, err, bad.at, line);
        }
    }
    if (bad.kind == TOKEN_STRING && is_value_end(doc, before))
        return wrong_at(doc, err, bad.at, "expected a comma before this string");
    if (bad.kind == TOKEN_STRING && strstr(said, "invalid escape"))
        return wrong_at(
            doc, err, bad_escape(text, bad.at),
            "a wrong escape: after a backslash JSON has one of \" \\ / b f n r t, or u and four digits");
    if (bad.kind == TOKEN_STRING && strstr(said, "Unicode"))
        return wrong_at(doc, err, bad.at,
                        "a \\u escape in this string is half of a surrogate pair, or no character");
    if (bad.kind == TOKEN_WORD && (previous == '{' || previous == ','))
        return wrong_at(doc, err, bad.at,
                        "expected a key or a value: keys and strings stand in double quotes");
    if (strstr(said, "']' expected") || strstr(said, "'}' expected"))
        return wrong_at(doc, err, bad.at, said[1] == ']' ? "expected a comma or ]" : "expected a comma or }");
    /* The tail "near 'token'" of jansson's text may be a password: it stays out. */
    const char *near = strstr(said, " near ");
    (void)snprintf(line, sizeof line, "not valid JSON: %.*s", (int)(near ? near - said : (long)strlen(said)),
                   said);
    return wrong_at(doc, err, bad.at, line);
}

static int explain(const struct doc *doc, const json_error_t *why, struct err *err)
{
    struct token before = {TOKEN_END, 0, 0}, token = next_token(doc->source, 0);
    size_t position = why->position > 0 ? (size_t)why->position : 0;

    if (why->text[0] == '\0')
        return err_memory(err); /* what jansson says, or rather does not, when malloc fails */
    if (token.kind == TOKEN_END)
        return err_set(err, ERR_SYNTAX, "the file is empty");
    while (token.kind != TOKEN_END && token.kind != TOKEN_OPEN_STRING && token.end < position) {
        before = token;
        token = next_token(doc->source, token.end);
    }
    switch (json_error_code(why)) {
    case json_error_out_of_memory: return err_memory(err);
    case json_error_premature_end_of_input: return ended_early(doc, err);
    case json_error_stack_overflow:
        (void)wrong_at(doc, err, token.at, "");
        return err_at(err, ERR_LIMIT, err->pos, "nested more than %d levels deep", DOC_DEPTH_MAX);
    case json_error_end_of_input_expected:
        return wrong_at(doc, err, token.at, "text after the end of the JSON value");
    case json_error_duplicate_key: return wrong_at(doc, err, token.at, "this key is there twice");
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return wrong_at(doc, err, token.at,
                        "the character \\u0000 has no place in a rule or a configuration");
    case json_error_numeric_overflow: return wrong_at(doc, err, token.at, "this number is too large");
    default: break;
    }
    if (token.kind == TOKEN_OPEN_STRING)
        return open_string(doc, token, err);
    return wrong_token(doc, before, token, why->text, err);
}

/* ---- the second pass ---- */

/* Where the pass stands in jansson's tree. Members of a map come in the order of the text. */
struct level {
    json_t *json;
    void *member;
    size_t index;
};

static json_t *next_value(struct level *level, struct span *key)
{
    if (json_is_array(level->json))
        return json_array_get(level->json, level->index++);
    level->member =
        level->member ? json_object_iter_next(level->json, level->member) : json_object_iter(level->json);
    const char *name = json_object_iter_key(level->member);
    *key = span_of(name);
    return json_object_iter_value(level->member);
}

static int fill(struct doc *doc, struct doc_node *node, const json_t *json, struct token token,
                struct err *err)
{
    struct span text = {doc->source.data + token.at, token.end - token.at};

    node->at = token.at;
    node->end = token.end;
    switch (json_typeof(json)) {
    case JSON_OBJECT: node->type = DOC_MAP; return 0;
    case JSON_ARRAY: node->type = DOC_LIST; return 0;
    case JSON_STRING:
        node->type = DOC_STRING;
        node->style = DOC_DOUBLE;
        text = (struct span){json_string_value(json), json_string_length(json)};
        break;
    case JSON_INTEGER:
    case JSON_REAL: node->type = DOC_NUMBER; break;
    case JSON_TRUE:
    case JSON_FALSE:
        node->type = DOC_BOOL;
        node->on = json_is_true(json);
        break;
    case JSON_NULL: node->type = DOC_NULL; break;
    }
    node->text = (struct span){arena_text(&doc->arena, text), text.size};
    return node->text.data ? 0 : err_memory(err);
}

static int walk(struct doc *doc, json_t *root, struct err *err)
{
    struct level levels[DOC_DEPTH_MAX + 2];
    struct doc_cursor cursor = DOC_CURSOR_INIT;
    struct doc_node *parent = NULL;
    size_t depth = 0;

    for (struct token t = next_token(doc->source, 0); t.kind != TOKEN_END;
         t = next_token(doc->source, t.end)) {
        char c = doc->source.data[t.at];
        struct span key = {NULL, 0};
        struct pos pos = doc_cursor_byte(&cursor, doc->source, t.at), key_pos = pos;
        json_t *json = root;

        if (c == ',' || c == ':')
            continue;
        if (c == '}' || c == ']') {
            assert(parent); /* Jansson has read it: brackets match */
            parent->end = t.end;
            parent = parent->parent;
            depth--;
            continue;
        }
        if (depth > 0)
            json = next_value(&levels[depth - 1], &key);
        if (key.data) { /* this token was the key: the value comes after the colon */
            t = next_token(doc->source, next_token(doc->source, t.end).end);
            pos = doc_cursor_byte(&cursor, doc->source, t.at);
        }
        struct doc_node *node = doc_add(doc, parent, pos, err);
        if (!node)
            return -1;
        if (key.data) {
            node->key = (struct span){arena_text(&doc->arena, key), key.size};
            node->key_pos = key_pos;
            if (!node->key.data)
                return err_memory(err);
        }
        if (fill(doc, node, json, t, err) != 0)
            return -1;
        if (node->type == DOC_MAP || node->type == DOC_LIST) {
            levels[depth++] = (struct level){.json = json}; /* doc_add has bounded the depth */
            parent = node;
        }
    }
    return 0;
}

int doc_read_json(struct doc *doc, struct err *err)
{
    AUTO(json_drop) json_t *json = NULL;
    json_error_t why = {.text = ""};

    /* Integers as reals: their text is what counts here, and a real has no "too big". */
    json = json_loadb(doc->source.data, doc->source.size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL,
                      &why);
    return json ? walk(doc, json, err) : explain(doc, &why, err);
}
