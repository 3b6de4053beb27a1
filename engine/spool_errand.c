/* Dead letters. Each is a job of its own on the heap: they are few, or something is badly wrong and speed is
 * not what matters. One that the disk does not take is tried again for as long as it takes; the message it
 * stands for is not acknowledged until then, and a row stays a row. */
#include "lane.h"
#include "row.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

struct spool_errand {
    struct store_job job; /* first: a job is its errand */
    struct spool_errand *next;
    struct lane *lane;
    size_t bytes; /* of memory, for the lane's limit */

    /* MISS */
    struct store_letter letter;
    struct firing *firing;
    uint32_t actions;

    /* BURY and FETCH: a row that failed for good. BURY_OLD: rows that waited too long. */
    int64_t row;
    struct lane_action *action;
    struct span name;      /* of the stream */
    struct stream *stream; /* BURY_OLD: it waits for the answer */
    uint32_t *queues;

    struct buf text; /* what the spans point to; the reason last */
};

/* ---- rows that are at their end ---- */

/* The place of the first that is not lower. */
static size_t find_ended(const struct spool *spool, int64_t row)
{
    size_t low = 0, high = spool->ended_count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (spool->ended[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool spool_has_ended(const struct lane *lane, int64_t row)
{
    const size_t at = find_ended(&lane->spool, row);

    return at < lane->spool.ended_count && lane->spool.ended[at] == row;
}

void spool_ended(struct lane *lane, int64_t row)
{
    struct spool *spool = &lane->spool;
    const size_t at = find_ended(spool, row);

    if (spool->ended_count == spool->ended_room) {
        const size_t room = spool->ended_room ? 2 * spool->ended_room : 64;
        int64_t *grown = realloc(spool->ended, room * sizeof *grown);

        if (!grown)
            lane_out_of_memory();
        spool->ended = grown;
        spool->ended_room = room;
    }
    memmove(spool->ended + at + 1, spool->ended + at, (spool->ended_count - at) * sizeof *spool->ended);
    spool->ended[at] = row;
    spool->ended_count++;
}

void spool_gone(struct lane *lane, int64_t row)
{
    struct spool *spool = &lane->spool;
    const size_t at = find_ended(spool, row);

    if (at == spool->ended_count || spool->ended[at] != row)
        return;
    spool->ended_count--;
    memmove(spool->ended + at, spool->ended + at + 1, (spool->ended_count - at) * sizeof *spool->ended);
}

/* ---- errands ---- */

static struct spool_errand *errand_new(struct lane *lane, void (*done)(struct store_job *job))
{
    struct spool_errand *errand = calloc(1, sizeof *errand);

    if (!errand)
        lane_out_of_memory();
    errand->lane = lane;
    errand->text = BUF_INIT;
    errand->job.done = done;
    return errand;
}

static void errand_free(struct spool_errand *errand)
{
    struct spool *spool = &errand->lane->spool;

    spool->errands--;
    spool->errand_bytes -= errand->bytes;
    free(errand->queues);
    buf_done(&errand->text);
    free(errand);
}

static void keep(struct spool_errand *errand)
{
    errand->next = errand->lane->spool.failed_errands;
    errand->lane->spool.failed_errands = errand;
}

static void post(struct spool_errand *errand)
{
    if (errand->lane->spool.closing) {
        keep(errand);
        return;
    }
    errand->lane->spool.jobs++;
    store_post(errand->lane->spool.port, &errand->job);
}

static void begin(struct spool_errand *errand)
{
    struct spool *spool = &errand->lane->spool;

    if (errand->text.failed)
        lane_out_of_memory();
    errand->bytes = sizeof *errand + errand->text.room;
    spool->errands++;
    spool->errand_bytes += errand->bytes;
    post(errand);
}

/* True when the job is done; else it is tried again. */
static bool is_done(struct spool_errand *errand)
{
    struct spool *spool = &errand->lane->spool;

    spool->jobs--;
    if (errand->job.answer == STORE_DONE) {
        if (!spool->failed_errands)
            spool->errand_answer = STORE_DONE;
        return true;
    }
    spool->errand_answer = errand->job.answer;
    keep(errand);
    spool->errand_retry_ms = errand->lane->now_ms + SPOOL_RETRY_MS;
    return false;
}

void spool_retry_errands(struct lane *lane)
{
    struct spool_errand *errand = lane->spool.failed_errands;

    if (!errand || lane->now_ms < lane->spool.errand_retry_ms)
        return;
    lane->spool.failed_errands = NULL;
    while (errand) {
        struct spool_errand *next = errand->next;

        post(errand);
        errand = next;
    }
}

void spool_abandon(struct lane *lane)
{
    for (struct spool_errand *errand = lane->spool.failed_errands; errand; errand = errand->next)
        if (errand->firing)
            settle_count_abandoned(lane, errand->firing, errand->actions);
}

void spool_free_errands(struct lane *lane)
{
    struct spool_errand *errand;

    while ((errand = lane->spool.failed_errands)) {
        lane->spool.failed_errands = errand->next;
        errand_free(errand);
    }
}

/* A copy in the errand's buffer. Its span gets its place when all is written. */
static struct span put_text(struct buf *out, struct span text)
{
    buf_span(out, text);
    return (struct span){NULL, text.size};
}

static struct span place(const char **at, struct span text)
{
    if (text.size == 0)
        return (struct span){NULL, 0};
    struct span placed = {*at, text.size};
    *at += text.size;
    return placed;
}

/* ---- what failed before it was ever on the disk ---- */

static void on_missed(struct store_job *job)
{
    struct spool_errand *errand = (struct spool_errand *)job;

    if (!is_done(errand))
        return;
    settle_kept(errand->lane, errand->firing, errand->actions);
    errand_free(errand);
}

void spool_miss(struct lane *lane, struct firing *firing, const struct lane_failure *failure,
                uint32_t actions)
{
    struct spool_errand *errand = errand_new(lane, on_missed);
    struct store_letter *letter = &errand->letter;
    const struct lane_action *action = failure->action;

    letter->at_ms = clock_wall_ms();
    letter->name.action = action ? action->place : 0;
    letter->name.rule = put_text(&errand->text, span_of(firing->rule->rule->name));
    letter->name.type = put_text(&errand->text, span_of(action ? action->action->type->name : ""));
    letter->name.stream = put_text(&errand->text, failure->stream);
    letter->code = put_text(&errand->text, span_of(failure->code ? failure->code : ""));
    letter->reason = put_text(&errand->text, span_of(failure->text));
    size_t start = errand->text.size;
    if (failure->record && action)
        row_put_record(&errand->text, action->action->type, failure->record);
    letter->record.size = errand->text.size - start;
    start = errand->text.size;
    if (failure->message)
        row_put_message(&errand->text, failure->message);
    letter->origin.size = errand->text.size - start;

    const char *at = errand->text.data;
    letter->name.rule = place(&at, letter->name.rule);
    letter->name.type = place(&at, letter->name.type);
    letter->name.stream = place(&at, letter->name.stream);
    letter->code = place(&at, letter->code);
    letter->reason = place(&at, letter->reason);
    letter->record = place(&at, letter->record);
    letter->origin = place(&at, letter->origin);

    errand->firing = firing;
    errand->actions = actions;
    errand->job.work = STORE_MISS;
    errand->job.count = 1;
    errand->job.letters = letter;
    begin(errand);
}

/* ---- rows that failed ---- */

static void complain(struct spool_errand *errand)
{
    const struct span code = errand->job.code;
    uint64_t left_out;

    if (limiter_allows(&errand->action->complaints, errand->lane->now_ms, &left_out))
        log_error("rule",
                  "%s: %s to '" SPAN_FMT "' failed for good%s" SPAN_FMT "%s: " SPAN_FMT
                  "; kept as a dead letter",
                  errand->action->rule->rule->name, errand->action->action->type_name, SPAN_ARG(errand->name),
                  code.size ? " (" : "", SPAN_ARG(code), code.size ? ")" : "", SPAN_ARG(errand->job.reason));
}

static void on_buried(struct store_job *job)
{
    struct spool_errand *errand = (struct spool_errand *)job;

    if (!is_done(errand))
        return;
    spool_gone(errand->lane, errand->row);
    if (errand->job.result.buried_rows > 0) { /* else somebody took it away */
        count_rule(errand->lane, errand->action->rule, dead, 1);
        complain(errand);
    }
    errand_free(errand);
}

static void set_reason(struct spool_errand *errand, struct span stream, const char *code, const char *text)
{
    struct span name = put_text(&errand->text, stream);
    struct span code_text = put_text(&errand->text, span_of(code ? code : ""));
    struct span reason = put_text(&errand->text, span_of(text));
    const char *at = errand->text.data;

    errand->name = place(&at, name);
    errand->job.code = place(&at, code_text);
    errand->job.reason = place(&at, reason);
}

static void bury(struct spool_errand *errand)
{
    errand->job.work = STORE_BURY;
    errand->job.done = on_buried;
    post(errand);
}

static void on_dropped(struct store_job *job)
{
    struct spool_errand *errand = (struct spool_errand *)job;

    errand->lane->spool.jobs--;
    spool_gone(errand->lane, errand->row);
    count_rule(errand->lane, errand->action->rule, dropped, 1);
    errand_free(errand);
}

/* The row again, for the message it was made from. */
static void on_fetched(struct store_job *job)
{
    struct spool_errand *errand = (struct spool_errand *)job;
    struct lane *lane = errand->lane;
    struct sql_message message;
    struct err err;

    if (!is_done(errand))
        return;
    const struct store_row *row = job->result.count ? &job->result.rows[0] : NULL;
    char code[64];
    (void)snprintf(code, sizeof code, SPAN_FMT, SPAN_ARG(errand->job.code));
    const struct lane_failure failure = {.action = errand->action,
                                         .stream = errand->name,
                                         .code = code,
                                         .text = errand->job.reason.size ? errand->job.reason.data : ""};
    arena_reset(&lane->spool.arena);
    bool reported = row && row->origin.data &&
                    row_get_message(row->origin, &lane->spool.arena, &message, &err) == 0 &&
                    settle_row_failure(lane, &message, &failure, errand->row);
    free(job->result.rows);
    if (!row) /* somebody took it away */
        spool_gone(lane, errand->row);
    if (reported || !row)
        errand_free(errand);
    else
        bury(errand);
}

void spool_row_failed(struct lane *lane, struct lane_action *action, struct stream *stream, int64_t row,
                      const char *code, const char *text)
{
    struct spool_errand *errand = errand_new(lane, on_buried);
    const struct lane_rule *rule = action->rule;
    const bool reports = rule->error_action && rule->error_action != action;

    spool_ended(lane, row);
    errand->row = row;
    errand->action = action;
    set_reason(errand, stream->name, code, text);
    errand->job.work = STORE_BURY;
    errand->job.count = 1;
    errand->job.numbers = &errand->row;
    if (reports) {
        errand->job.work = STORE_FETCH;
        errand->job.done = on_fetched;
    } else if (lane->options.config->delivery.drop_failures) {
        errand->job.work = STORE_DROP;
        errand->job.done = on_dropped;
    }
    begin(errand);
}

/* ---- rows that have waited too long ---- */

static void on_aged(struct store_job *job)
{
    struct spool_errand *errand = (struct spool_errand *)job;
    struct lane *lane = errand->lane;
    const uint64_t rows = job->result.buried_rows;

    lane->spool.jobs--; /* if it failed, there is a next time */
    lane->spool.ageing = false;
    if (rows > 0) /* there may be other topics of the kind */
        lane->spool.age_ms = lane->now_ms + SPOOL_AGE_NEXT_MS;
    counters_add(&lane->counters, COUNT_dead, rows);
    if (rows > 0)
        log_error("store",
                  "%llu records for '" SPAN_FMT "', which is refused, have waited too long or are too many "
                  "(delivery.refused): kept as dead letters",
                  (unsigned long long)rows, SPAN_ARG(errand->name));
    errand->stream->spool.reading = false;
    dispatch_make_wait(lane, errand->stream, errand->stream->due_ms);
    errand_free(errand);
}

void spool_bury_old(struct lane *lane, struct stream *stream, int64_t before_ms, int64_t bytes)
{
    struct spool_errand *errand = errand_new(lane, on_aged);
    const size_t count = stream->spool.queue_count;

    errand->stream = stream;
    errand->queues = calloc(count + 1, sizeof *errand->queues);
    if (!errand->queues)
        lane_out_of_memory();
    for (size_t i = 0; i < count; i++)
        errand->queues[i] = stream->spool.queues[i].id;
    set_reason(errand, stream->name, "REFUSED",
               "the topic has been refused for longer, or more waits for it, than "
               "delivery.refused allows");
    errand->job.work = STORE_BURY_OLD;
    errand->job.count = count;
    errand->job.queues = errand->queues;
    errand->job.before_ms = before_ms;
    errand->job.bury_bytes = bytes;
    stream->spool.reading = true; /* so that none of them is handed over meanwhile */
    lane->spool.ageing = true;
    begin(errand);
}
