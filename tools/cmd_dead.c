/* topicrule dead: what failed for good, and what waits for a rule that is gone. */
#include "base/auto.h"
#include "base/clock.h"
#include "base/nearest.h"
#include "command.h"
#include "dead_time.h"
#include "engine/dead.h"
#include "engine/store_path.h"
#include "load.h"
#include "options.h"
#include "paint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { OPT_CONFIG, OPT_STORE, OPT_RULE, OPT_CODE, OPT_BEFORE, OPT_WAITING, OPT_ALL, OPT_TO, OPT_YES };

static const struct option_row rows[] = {
    [OPT_CONFIG] = {"config", 'c', "FILE",
                    "the configuration, which says where the store is;\ndefault " CONFIG_FILE},
    [OPT_STORE] = {"store", 's', "FILE", "the store itself: no configuration is read"},
    [OPT_RULE] = {"rule", 'r', "NAME", "only those of this rule"},
    [OPT_CODE] = {"code", 0, "CODE", "only those that failed with this code"},
    [OPT_BEFORE] = {"before", 'b', "TIME",
                    "only older ones: 2026-11-21, 2026-11-21T10:00:00Z,\nor 7d: seven days ago (s, m, h, d)"},
    [OPT_WAITING] = {"waiting", 'w', NULL,
                     "not dead letters, but records that wait for an action\nthat is gone; with --rule: for "
                     "any of that rule"},
    [OPT_ALL] = {"all", 'a', NULL, "retry, purge: all of them"},
    [OPT_TO] = {"to", 0, "NAME", "retry: to the action at the same place of this rule"},
    [OPT_YES] = {"yes", 'y', NULL, "purge: do not ask"},
    {0},
};

static const struct usage usage = {
    .command = "dead",
    .synopsis = "list|show|export|retry|purge [-c FILE | -s FILE] [-r NAME] [--code CODE]\n"
                "                      [-b TIME] [-w] [-a] [--to NAME] [-y] [ID...]",
    .text = "Dead letters: records that failed for good and that no error action took, and messages whose\n"
            "rule did. A daemon may run meanwhile.\n\n"
            "  list    a line for each\n"
            "  show    all of the letters with these ids, as JSON\n"
            "  export  all of every letter, as lines of JSON\n"
            "  retry   send them again: a running daemon does so within a second, else the next one\n"
            "  purge   drop them for good\n\n"
            "exit status: 0 done, 1 there is no such letter, 2 an error\n",
    .rows = rows,
    .words = true,
};

DEFINE_DROP(config, struct config *, config_free)
DEFINE_DROP(rule_set, struct rule_set *, rule_set_free)
DEFINE_DROP(dead, struct dead *, dead_close)

struct request {
    const char *config_file, *store, *to;
    struct dead_filter filter;
    bool all, yes;
    char **ids; /* of those asked for by number */
    size_t id_count;
    struct dead *dead;
    const struct rule_set *rules;
    uint64_t seen, failures;
    struct buf out;
};

static int give_up(const struct err *err)
{
    paint_err(err, stderr);
    return STATUS_BAD;
}

/* ---- a letter on the screen ---- */

/* Without what would break a line or a terminal. */
static void put_text(struct buf *out, struct span text, const char *none)
{
    if (text.size == 0)
        buf_text(out, none);
    for (size_t i = 0; i < text.size; i++)
        buf_char(out, (unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f ? ' ' : text.data[i]);
}

static bool list_one(void *context, const struct dead_letter *letter)
{
    struct request *request = context;
    const bool people = paint_terminal(stdout);
    struct buf rule = BUF_INIT, stream = BUF_INIT, code = BUF_INIT, reason = BUF_INIT;
    char at[DEAD_TIME], action[16] = "error";

    if (people && request->seen == 0)
        (void)printf("%s%8s  %-20s  %-16s  %-6s  %-16s  %-22s  %s%s\n", paint_on(stdout, PAINT_BOLD), "id",
                     "time", "rule", "action", "stream", "code", "reason", paint_off(stdout));
    request->seen++;
    dead_time_print(letter->at_ms, at);
    if (letter->action >= 0)
        (void)snprintf(action, sizeof action, "%d", letter->action);
    put_text(&rule, letter->rule, "-");
    put_text(&stream, letter->stream, "-");
    put_text(&code, letter->code, "-");
    put_text(&reason, letter->reason, "-");
    if (rule.failed || stream.failed || code.failed || reason.failed)
        request->failures++;
    else
        (void)printf(people ? "%8" PRId64 "  %-20s  %-16s  %-6s  %-16s  %-22s  %s\n"
                            : "%" PRId64 "\t%s\t%s\t%s\t%s\t%s\t%s\n",
                     letter->id, at, rule.data, action, stream.data, code.data, reason.data);
    buf_done(&rule);
    buf_done(&stream);
    buf_done(&code);
    buf_done(&reason);
    return !ferror(stdout);
}

static bool print_one(void *context, const struct dead_letter *letter)
{
    struct request *request = context;
    struct err err = {0};

    request->seen++;
    request->out.size = 0;
    if (dead_print(letter, &request->out, &err) == 0) {
        buf_char(&request->out, '\n');
        (void)fwrite(request->out.data, 1, request->out.size, stdout);
    } else { /* one that is damaged does not hide the others */
        err_prefix(&err, "letter %" PRId64, letter->id);
        paint_err(&err, stderr);
        request->failures++;
        buf_done(&request->out);
        request->out = BUF_INIT;
    }
    return !ferror(stdout);
}

/* ---- what is asked for ---- */

static bool action_exists(void *context, struct span rule, int action)
{
    const struct request *request = context;

    for (size_t i = 0; i < request->rules->count; i++) {
        const struct rule *known = request->rules->rules[i];

        if (span_is(rule, known->name))
            return action < 0 ? known->error_action != NULL : (size_t)action < known->action_count;
    }
    return false;
}

static int read_id(const char *text, int64_t *id)
{
    char *end = NULL;

    errno = 0;
    *id = strtoll(text, &end, 10);
    return errno || end == text || *end || *id <= 0
               ? usage_error(&usage, "'%s' is no id; `topicrule dead list` shows them", text)
               : STATUS_FINE;
}

/* Once for each id that is asked for, or for all that the filter wants. */
static int each(struct request *request, int (*what)(struct request *request))
{
    int status = STATUS_FINE;

    if (request->id_count == 0)
        return what(request);
    for (size_t i = 0; i < request->id_count && status != STATUS_BAD; i++) {
        status = read_id(request->ids[i], &request->filter.id);
        const uint64_t before = request->seen;
        if (status == STATUS_FINE)
            status = what(request);
        if (status == STATUS_FINE && request->seen == before)
            (void)fprintf(stderr, "there is no letter %s that fits\n", request->ids[i]);
    }
    return status;
}

static int walk(struct request *request, bool (*seen)(void *context, const struct dead_letter *letter))
{
    struct err err = {0};

    return dead_each(request->dead, &request->filter, seen, request, &err) == 0 ? STATUS_FINE : give_up(&err);
}

static int list(struct request *request)
{
    return walk(request, list_one);
}

static int print(struct request *request)
{
    return walk(request, print_one);
}

static bool count_one(void *context, const struct dead_letter *letter)
{
    struct request *request = context;

    (void)letter;
    request->seen++;
    return true;
}

static int count(struct request *request)
{
    return walk(request, count_one);
}

static int retry(struct request *request)
{
    struct err err = {0};
    int64_t left = 0;
    const int64_t sent = dead_retry(request->dead, &request->filter, request->to, &left, &err);

    if (sent < 0)
        return give_up(&err);
    request->seen += (uint64_t)(sent + left);
    request->failures += (uint64_t)left;
    return STATUS_FINE;
}

static int purge(struct request *request)
{
    struct err err = {0};
    const int64_t gone = dead_purge(request->dead, &request->filter, &err);

    if (gone < 0)
        return give_up(&err);
    request->seen += (uint64_t)gone;
    return STATUS_FINE;
}

/* ---- the verbs ---- */

static const char *word_for(uint64_t count, const struct request *request)
{
    if (request->filter.waiting)
        return count == 1 ? "record" : "records";
    return count == 1 ? "letter" : "letters";
}

static int do_list(struct request *request)
{
    const int status = each(request, list);

    if (status == STATUS_FINE && request->seen == 0 && paint_terminal(stdout))
        (void)printf(request->filter.waiting ? "nothing waits for an action that is gone\n"
                                             : "no dead letters\n");
    return status;
}

static int do_print(struct request *request)
{
    const int status = each(request, print);

    if (status != STATUS_FINE || request->failures > 0)
        return STATUS_BAD;
    return request->id_count > 0 && request->seen < request->id_count ? STATUS_NOT : STATUS_FINE;
}

static int do_show(struct request *request)
{
    return request->id_count > 0 ? do_print(request) : usage_error(&usage, "which? show needs an id");
}

static bool is_chosen(const struct request *request)
{
    return request->all || request->id_count > 0 || request->filter.rule || request->filter.code ||
           request->filter.before_ms || request->filter.waiting;
}

static int do_retry(struct request *request)
{
    if (!is_chosen(request))
        return usage_error(&usage, "which? Ids, --rule, --code, --before, --waiting or --all");
    const int status = each(request, retry);
    if (status != STATUS_FINE)
        return status;
    const uint64_t sent = request->seen - request->failures;
    (void)printf("%" PRIu64 " %s to be sent again\n", sent, word_for(sent, request));
    if (request->failures > 0)
        (void)fprintf(stderr, "%" PRIu64 " %s no record to send: a message whose rule failed\n",
                      request->failures,
                      request->failures == 1 ? "letter stays, with" : "letters stay, with");
    return sent > 0 ? STATUS_FINE : STATUS_NOT;
}

static bool agrees(const struct request *request)
{
    char answer[16];

    if (request->yes || !isatty(STDIN_FILENO))
        return true;
    (void)fprintf(stderr, "drop %" PRIu64 " %s for good? [y/N] ", request->seen,
                  word_for(request->seen, request));
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int do_purge(struct request *request)
{
    if (!is_chosen(request))
        return usage_error(&usage, "which? Ids, --rule, --code, --before, --waiting or --all");
    int status = each(request, count);
    if (status != STATUS_FINE || request->seen == 0)
        return status == STATUS_FINE ? STATUS_NOT : status;
    if (!agrees(request))
        return STATUS_NOT;
    request->seen = 0;
    status = each(request, purge);
    if (status == STATUS_FINE)
        (void)printf("%" PRIu64 " %s dropped\n", request->seen, word_for(request->seen, request));
    return status;
}

static const struct verb {
    const char *name;
    int (*run)(struct request *request);
} verbs[] = {
    {"list", do_list}, {"show", do_show}, {"export", do_print}, {"retry", do_retry}, {"purge", do_purge}};

static const char *verb_name(const void *context, size_t index)
{
    (void)context;
    return index < sizeof verbs / sizeof *verbs ? verbs[index].name : NULL;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    const char *near = nearest(span_of(name), verb_name, NULL);
    (void)usage_error(&usage,
                      near ? "there is no `dead %s`; did you mean `dead %s`?" : "there is no `dead %s`", name,
                      near);
    return NULL;
}

/* ---- the command ---- */

/* Rows of actions that are there must not be taken for forgotten ones, so every rule has to be read. */
static struct rule_set *read_rules(const struct config *config, struct request *request)
{
    AUTO(report_done) struct report report = REPORT_INIT;
    AUTO(rule_set_drop) struct rule_set *set = load_rules(config->rules_path, config, false, &report);

    if (!set || report.errors > 0) {
        paint_errors(&report, stderr);
        (void)fprintf(
            stderr, "which actions are gone cannot be said while rules are refused; name one with --rule\n");
        return NULL;
    }
    request->rules = set;
    request->filter.exists = action_exists;
    request->filter.context = request;
    return TAKE(set);
}

static int with_store(struct request *request, const struct verb *verb, const char *path)
{
    struct err err = {0};
    AUTO(dead_drop) struct dead *dead = dead_open(path, &err);

    if (!dead)
        return give_up(&err);
    request->dead = dead;
    const int status = verb->run(request);
    buf_done(&request->out);
    return status;
}

static int with_config(struct request *request, const struct verb *verb)
{
    AUTO(report_done) struct report report = REPORT_INIT;
    AUTO(config_drop) struct config *config = config_load(request->config_file, &report);
    AUTO(rule_set_drop) struct rule_set *set = NULL;
    struct err err = {0};

    paint_errors(&report, stderr);
    if (!config)
        return STATUS_BAD;
    if (request->filter.waiting && !request->filter.rule && !(set = read_rules(config, request)))
        return STATUS_BAD;
    AUTO(free_drop) char *path = engine_store_path(config, &err);
    return path ? with_store(request, verb, path) : give_up(&err);
}

static int take_option(struct request *request, const struct options *options)
{
    switch (options->row) {
    case OPT_CONFIG: request->config_file = options->value; break;
    case OPT_STORE: request->store = options->value; break;
    case OPT_RULE: request->filter.rule = options->value; break;
    case OPT_CODE: request->filter.code = options->value; break;
    case OPT_BEFORE:
        if (!dead_time_read(options->value, clock_wall_ms(), &request->filter.before_ms))
            return usage_error(&usage, "'%s' is no time: 2026-11-21, 2026-11-21T10:00:00Z, or an age as 7d",
                               options->value);
        break;
    case OPT_WAITING: request->filter.waiting = true; break;
    case OPT_ALL: request->all = true; break;
    case OPT_TO: request->to = options->value; break;
    case OPT_YES: request->yes = true; break;
    }
    return STATUS_FINE;
}

int cmd_dead(int argc, char **argv)
{
    struct request request = {.config_file = CONFIG_FILE, .out = BUF_INIT};
    struct options options = options_begin(&usage, argc, argv);
    int status = STATUS_FINE;

    while (options_next(&options))
        if (status == STATUS_FINE)
            status = take_option(&request, &options);
    if (options.ended || status != STATUS_FINE)
        return options.ended ? options.status : status;
    if (options.rest >= argc)
        return usage_error(&usage, "list, show, export, retry or purge?");
    const struct verb *verb = find_verb(argv[options.rest]);
    if (!verb)
        return STATUS_BAD;
    request.ids = argv + options.rest + 1;
    request.id_count = (size_t)(argc - options.rest - 1);
    if (request.store && request.filter.waiting && !request.filter.rule)
        return usage_error(&usage,
                           "--waiting with --store needs --rule: without a configuration nobody knows "
                           "which actions are gone");
    if (request.to && verb->run != do_retry)
        return usage_error(&usage, "--to goes with retry alone");
    return request.store ? with_store(&request, verb, request.store) : with_config(&request, verb);
}
