/* sql/func_regex.c - regexp_matches, regexp_replace, regexp_substr: Java's regular expressions over PCRE2.
 *
 * Compiled patterns are kept by their text, over messages, least recently used out first. The work of a
 * match is counted in callouts that regex.c puts wherever a pattern may take the same way twice, and charged
 * to the statement: so `^(a+)+$` over hostile text, and `\s+$` over a megabyte of blanks, end with an SQL
 * error within a fraction of a second, while what is linear is not disturbed. */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "base/utf8.h"
#include "func.h"
#include "regex.h"

#include <pcre2.h>
#include <stdlib.h>

enum {
    PATTERNS = 64,             /* kept */
    PATTERN_BYTES = 4 << 20,   /* of compiled code kept, beyond the newest pattern */
    PATTERN_LONGEST = 16384,   /* bytes of one pattern */
    COMPILE_STEPS = 500,       /* charged for a new pattern, and as many for every 16 bytes of it */
    HOT = 16,                  /* uses after which machine code pays */
    MATCH_LIMIT = 1000000,     /* PCRE2's own bounds for one start position: backtracks */
    HEAP_LIMIT_KIB = 16 << 10, /* and their memory */
};

struct pattern {
    struct pattern *next; /* less recently used */
    char *text;
    size_t size;
    const char *why; /* invalid: a constant text; else NULL */
    size_t why_at;
    struct regex_text parts; /* of the plain form; `text` in it is gone */
    pcre2_code *forms[REGEX_FORMS];
    bool tried[REGEX_FORMS];
    unsigned uses;
    size_t bytes; /* of the code */
};

struct pattern_cache {
    struct pattern *first; /* most recently used */
    size_t count, bytes;
    pcre2_compile_context *compile;
    pcre2_match_context *match;
    pcre2_match_data *found;
    uint32_t pairs; /* that `found` has room for */
};

/* ---- the cache ---- */

static void pattern_free(struct pattern *pattern)
{
    for (int i = 0; i < REGEX_FORMS; i++)
        pcre2_code_free(pattern->forms[i]);
    regex_text_done(&pattern->parts);
    free(pattern->text);
    free(pattern);
}

void pattern_cache_free(struct pattern_cache *cache)
{
    if (!cache)
        return;
    for (struct pattern *pattern = cache->first, *next; pattern; pattern = next) {
        next = pattern->next;
        pattern_free(pattern);
    }
    pcre2_match_data_free(cache->found);
    pcre2_match_context_free(cache->match);
    pcre2_compile_context_free(cache->compile);
    free(cache);
}

/* The least recently used go until the bounds are kept; the newest stays. */
static void cache_trim(struct pattern_cache *cache)
{
    while (cache->first && cache->first->next && (cache->count > PATTERNS || cache->bytes > PATTERN_BYTES)) {
        struct pattern **last = &cache->first->next;

        while ((*last)->next)
            last = &(*last)->next;
        cache->count--;
        cache->bytes -= (*last)->bytes;
        pattern_free(*last);
        *last = NULL;
    }
}

static struct pattern *cache_find(struct pattern_cache *cache, struct span text)
{
    for (struct pattern **at = &cache->first; *at; at = &(*at)->next) {
        struct pattern *pattern = *at;

        if (!span_equal((struct span){pattern->text, pattern->size}, text))
            continue;
        *at = pattern->next;
        pattern->next = cache->first;
        cache->first = pattern;
        return pattern;
    }
    return NULL;
}

/* ---- what a match costs ---- */

struct work {
    struct sql_scope *scope;
    size_t start, last; /* of the current attempt: where it began, where the last callout was */
    struct err *err;
};

static int count_work(pcre2_callout_block *block, void *data)
{
    struct work *work = data;
    size_t position = block->current_position, moved = 0;

    if (block->start_match != work->start) {
        work->start = block->start_match;
        work->last = block->start_match;
    }
    if (position > work->last)
        moved = position - work->last;
    work->last = position;
    if (block->callout_number < REGEX_CALLOUT_WORK) { /* a back reference compares as much as it holds */
        uint32_t group = block->callout_number;

        if (group == REGEX_CALLOUT_WORK - 1)
            moved += block->subject_length;
        else if (group < block->capture_top && block->offset_vector[2 * group + 1] != PCRE2_UNSET)
            moved += block->offset_vector[2 * group + 1] - block->offset_vector[2 * group];
    }
    return scope_charge(work->scope, 1 + moved / 8, work->err) ? 0 : PCRE2_ERROR_CALLOUT;
}

/* ---- compiling ---- */

static struct pattern_cache *cache_get(struct sql_scope *scope, struct err *err)
{
    struct pattern_cache *cache = scope->patterns;

    if (cache)
        return cache;
    cache = calloc(1, sizeof *cache);
    if (!cache)
        return err_memory(err), NULL;
    cache->pairs = 16;
    cache->compile = pcre2_compile_context_create(NULL);
    cache->match = pcre2_match_context_create(NULL);
    cache->found = pcre2_match_data_create(cache->pairs, NULL);
    if (!cache->compile || !cache->match || !cache->found) {
        pattern_cache_free(cache);
        return err_memory(err), NULL;
    }
    (void)pcre2_set_newline(cache->compile, PCRE2_NEWLINE_LF);
    (void)pcre2_set_match_limit(cache->match, MATCH_LIMIT);
    (void)pcre2_set_heap_limit(cache->match, HEAP_LIMIT_KIB);
    return scope->patterns = cache;
}

/* Compile one form. A pattern that PCRE2 cannot compile (too large) counts as invalid. */
static int compile_form(struct pattern_cache *cache, struct pattern *pattern, unsigned forms, struct err *err)
{
    struct regex_text parts;
    const char *why = NULL;
    size_t size = 0, at = 0;
    int code;

    switch (regex_translate((struct span){pattern->text, pattern->size}, forms, &parts, &why, &at)) {
    case REGEX_MEMORY: return err_memory(err);
    case REGEX_INVALID:
        pattern->tried[forms] = true;
        if (forms == 0) {
            pattern->why = why;
            pattern->why_at = at;
        }
        return 0;
    case REGEX_FINE: break;
    }
    pattern->forms[forms] =
        pcre2_compile((PCRE2_SPTR)(parts.text.data ? parts.text.data : ""), parts.text.size,
                      PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &at, cache->compile);
    if (!pattern->forms[forms] && code == PCRE2_ERROR_HEAP_FAILED) {
        regex_text_done(&parts);
        return err_memory(err);
    }
    pattern->tried[forms] = true;
    buf_done(&parts.text);
    if (forms == 0)
        pattern->parts = parts;
    else
        regex_text_done(&parts);
    if (pattern->forms[forms]) {
        (void)pcre2_pattern_info(pattern->forms[forms], PCRE2_INFO_SIZE, &size);
        pattern->bytes += size;
        cache->bytes += size;
    } else if (forms == 0) {
        pattern->why = "the pattern is too large";
    }
    return 0;
}

/* The pattern, from the cache or new; `why` in it is set when it is invalid. NULL with `err`. */
static struct pattern *pattern_get(struct sql_scope *scope, struct span text, struct err *err)
{
    struct pattern_cache *cache = cache_get(scope, err);
    struct pattern *pattern = cache ? cache_find(cache, text) : NULL;

    if (!cache || pattern)
        return pattern;
    if (!scope_charge(scope, COMPILE_STEPS + (uint64_t)text.size / 16 * COMPILE_STEPS, err))
        return NULL;
    pattern = calloc(1, sizeof *pattern);
    if (pattern)
        pattern->text = malloc(text.size + 1);
    if (!pattern || !pattern->text) {
        free(pattern);
        return err_memory(err), NULL;
    }
    if (text.size > 0)
        memcpy(pattern->text, text.data, text.size);
    pattern->size = text.size;
    if (compile_form(cache, pattern, 0, err) != 0) {
        pattern_free(pattern);
        return NULL;
    }
    pattern->next = cache->first;
    cache->first = pattern;
    cache->count++;
    cache_trim(cache);
    return pattern;
}

/* ---- matching ---- */

struct search {
    const struct call *call;
    struct pattern_cache *cache;
    const struct pattern *pattern;
    const pcre2_code *code;
    struct span text;
    struct work work;
};

/* Do Java and PCRE2 see the same line ends here? */
static bool has_other_line_ends(struct span text, bool ascii)
{
    return memchr(text.data, '\r', text.size) ||
           (!ascii &&
            (memmem(text.data, text.size, "\xc2\x85", 2) || memmem(text.data, text.size, "\xe2\x80\xa8", 3) ||
             memmem(text.data, text.size, "\xe2\x80\xa9", 3)));
}

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] & 0x80)
            return false;
    return true;
}

/* Ready `search` for argument 0 as text and argument 1 as pattern. 1; 0: the result is Undefined; -1. */
static int search_begin(const struct call *call, struct search *search, struct err *err)
{
    struct span pattern_text;
    unsigned forms = 0;

    *search = (struct search){.call = call};
    int had = arg_text(call, 0, &search->text, err);
    if (had > 0)
        had = arg_text(call, 1, &pattern_text, err);
    if (had <= 0)
        return had;
    if (pattern_text.size > PATTERN_LONGEST || utf8_valid(search->text) != search->text.size)
        return 0;
    struct pattern *pattern = pattern_get(call->scope, pattern_text, err);

    if (!pattern)
        return -1;
    if (pattern->why)
        return 0;
    if (search->text.size == 0)
        search->text = SPAN("");
    if (pattern->parts.lines || pattern->parts.words) {
        bool ascii = is_ascii(search->text);

        if (pattern->parts.lines && has_other_line_ends(search->text, ascii))
            forms |= REGEX_EXACT_LINES;
        if (pattern->parts.words && !ascii)
            forms |= REGEX_EXACT_WORDS;
    }
    search->cache = call->scope->patterns;
    if (!pattern->tried[forms] && compile_form(search->cache, pattern, forms, err) != 0)
        return -1;
    if (!pattern->forms[forms])
        return 0;
    if (++pattern->uses == HOT) /* fails where memory may not be made executable, and need not succeed */
        (void)pcre2_jit_compile(pattern->forms[forms], PCRE2_JIT_COMPLETE);
    if (pattern->parts.groups + 1 > search->cache->pairs) {
        pcre2_match_data *wider = pcre2_match_data_create(pattern->parts.groups + 1, NULL);

        if (!wider)
            return err_memory(err);
        pcre2_match_data_free(search->cache->found);
        search->cache->found = wider;
        search->cache->pairs = pattern->parts.groups + 1;
    }
    search->pattern = pattern;
    search->code = pattern->forms[forms];
    /* What no callout sees: every start position against a fixed beginning. */
    if (!scope_charge(call->scope, 1 + (uint64_t)search->text.size * pattern->size / 256, err))
        return -1;
    return 1;
}

/* The next match at or after `offset`: 1, its place in search_group(); 0: none; -1. */
static int search_next(struct search *search, size_t offset, struct err *err)
{
    struct pattern_cache *cache = search->cache;
    uint32_t options = PCRE2_NO_UTF_CHECK;
    int count;

    search->work = (struct work){.scope = search->call->scope, .start = SIZE_MAX, .err = err};
    (void)pcre2_set_callout(cache->match, count_work, &search->work);
    if (!scope_charge(search->call->scope, 1, err))
        return -1;
    do {
        count = pcre2_match(search->code, (PCRE2_SPTR)search->text.data, search->text.size, offset, options,
                            cache->found, cache->match);
        options |= PCRE2_NO_JIT; /* its stack is small: the interpreter has the heap */
    } while (count == PCRE2_ERROR_JIT_STACKLIMIT);
    (void)pcre2_set_callout(cache->match, NULL, NULL);
    if (count >= 0)
        return 1;
    switch (count) {
    case PCRE2_ERROR_NOMATCH: return 0;
    case PCRE2_ERROR_NOMEMORY: return err_memory(err);
    case PCRE2_ERROR_CALLOUT:
    default:
        return err_set(err, ERR_LIMIT,
                       "the regular expression needs too many steps on this text; avoid repetitions inside "
                       "repetitions, or anchor it");
    }
}

/* What group `group` took; data NULL: it took no part. */
static struct span search_group(const struct search *search, unsigned group)
{
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(search->cache->found);

    if (offsets[2 * group] == PCRE2_UNSET || offsets[2 * group] > offsets[2 * group + 1])
        return (struct span){NULL, 0};
    return (struct span){search->text.data + offsets[2 * group], offsets[2 * group + 1] - offsets[2 * group]};
}

static int fn_regexp_matches(const struct call *call, struct value *out, struct err *err)
{
    struct search search;
    int had = search_begin(call, &search, err);

    if (had > 0) {
        had = search_next(&search, 0, err);
        *out = value_boolean(had > 0);
    }
    return had < 0 ? -1 : 0;
}

static int fn_regexp_substr(const struct call *call, struct value *out, struct err *err)
{
    struct search search;
    int had = search_begin(call, &search, err);

    if (had > 0)
        had = search_next(&search, 0, err);
    if (had > 0)
        *out = value_string(search_group(&search, 0));
    return had < 0 ? -1 : 0; /* no match: Undefined (A22) */
}

/* ---- replacing ---- */

/* A stretch of the replacement: plain text, or a group. */
struct piece {
    struct span text;
    bool is_group;
    unsigned group;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ${name} or $n: as many digits as make a group that exists (Java). `rest` begins behind the dollar. */
static bool read_group(const struct pattern *pattern, struct span *rest, struct piece *piece)
{
    size_t size = 1;

    piece->is_group = true;
    if (rest->size > 0 && rest->data[0] == '{') {
        const char *close = memchr(rest->data, '}', rest->size);
        struct span name = {rest->data + 1, close ? (size_t)(close - rest->data) - 1 : 0};
        const struct regex_name *found = NULL;

        for (size_t i = 0; close && i < pattern->parts.name_count && !found; i++)
            if (span_equal(pattern->parts.names[i].name, name))
                found = &pattern->parts.names[i];
        if (!found)
            return false;
        piece->group = found->group;
        size = name.size + 2;
    } else {
        if (rest->size == 0 || !is_digit(rest->data[0]))
            return false;
        piece->group = (unsigned)(rest->data[0] - '0');
        if (piece->group > pattern->parts.groups)
            return false;
        for (; size < rest->size && is_digit(rest->data[size]); size++) {
            unsigned longer = piece->group * 10 + (unsigned)(rest->data[size] - '0');

            if (longer > pattern->parts.groups)
                break;
            piece->group = longer;
        }
    }
    *rest = (struct span){rest->data + size, rest->size - size};
    return true;
}

/* Take the next piece off `rest`, which is not empty. False: no valid replacement. */
static bool next_piece(const struct pattern *pattern, struct span *rest, struct piece *piece)
{
    size_t size = 0;

    *piece = (struct piece){.is_group = false};
    if (rest->data[0] == '$') {
        *rest = (struct span){rest->data + 1, rest->size - 1};
        return read_group(pattern, rest, piece);
    }
    if (rest->data[0] == '\\') { /* what follows is meant */
        if (rest->size == 1)
            return false;
        *rest = (struct span){rest->data + 1, rest->size - 1};
        size = 1;
    }
    while (size < rest->size && rest->data[size] != '$' && rest->data[size] != '\\')
        size++;
    piece->text = (struct span){rest->data, size};
    *rest = (struct span){rest->data + size, rest->size - size};
    return true;
}

static bool replacement_is_valid(const struct pattern *pattern, struct span rest)
{
    struct piece piece;

    while (rest.size > 0)
        if (!next_piece(pattern, &rest, &piece))
            return false;
    return true;
}

static void put_replacement(const struct search *search, struct span rest, struct buf *out)
{
    struct piece piece;

    while (rest.size > 0 && next_piece(search->pattern, &rest, &piece))
        buf_span(out, piece.is_group ? search_group(search, piece.group) : piece.text);
}

static int fn_regexp_replace(const struct call *call, struct value *out, struct err *err)
{
    struct search search;
    struct span put;
    struct buf result = buf_in(&call->scope->arena, call->scope->limits.memory);
    int had = search_begin(call, &search, err);

    if (had > 0)
        had = arg_text(call, 2, &put, err);
    if (had <= 0)
        return had;
    if (!replacement_is_valid(search.pattern, put))
        return 0;

    size_t done = 0; /* of the text is in the result */
    for (size_t from = 0; from <= search.text.size;) {
        had = search_next(&search, from, err);
        if (had < 0)
            return -1;
        if (had == 0)
            break;
        struct span match = search_group(&search, 0);
        size_t at = (size_t)(match.data - search.text.data);

        buf_span(&result, (struct span){search.text.data + done, at - done});
        put_replacement(&search, put, &result);
        if (result.failed)
            return call_full(err);
        done = from = at + match.size;
        if (match.size == 0) { /* an empty match: go on behind the next character, as Java does */
            uint32_t code;
            size_t step = utf8_decode((struct span){search.text.data + from, search.text.size - from}, &code);

            from += step > 0 ? step : 1;
        }
    }
    buf_span(&result, (struct span){search.text.data + done, search.text.size - done});
    if (result.failed)
        return call_full(err);
    *out = value_string(buf_view(&result));
    return 0;
}

const char *sql_regex_doubt(struct span pattern, size_t *at)
{
    struct regex_text parts;
    const char *why = NULL;
    int code;

    *at = 0;
    if (pattern.size > PATTERN_LONGEST)
        return "the pattern is longer than 16 KiB";
    if (regex_translate(pattern, 0, &parts, &why, at) != REGEX_FINE)
        return why;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)(parts.text.data ? parts.text.data : ""), parts.text.size,
                      PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &(PCRE2_SIZE){0}, NULL);

    regex_text_done(&parts);
    pcre2_code_free(compiled);
    return compiled ? NULL : "the pattern is too large";
}

const struct sql_func sql_regex_funcs[] = {
    {"regexp_matches", 2, 2, FUNC_PURE, fn_regexp_matches,
     "regexp_matches(text, pattern): true if the regular expression matches somewhere"},
    {"regexp_replace", 3, 3, FUNC_PURE, fn_regexp_replace,
     "regexp_replace(text, pattern, new): every match becomes the new text; $1 is a group"},
    {"regexp_substr", 2, 2, FUNC_PURE, fn_regexp_substr,
     "regexp_substr(text, pattern): the first match of the regular expression"},
    {.name = NULL},
};
