/* tools/trial.h - one message tried without broker or Kafka: the world that `eval` and `test` lend to SQL. */
#ifndef TOOLS_TRIAL_H
#define TOOLS_TRIAL_H

#include "base/arena.h"
#include "sql/json.h"
#include "sql/sql.h"

/* What the host callbacks say. Must outlive the scope. */
struct trial {
    bool clock_stands;
    int64_t now_ms;          /* when the clock stands */
    struct sql_json secrets; /* id -> string, object or {"base64": ...}; text.data NULL: there are none */
    struct arena arena;      /* texts of secrets, until trial_done */
    struct sql_host host;
};

void trial_init(struct trial *trial);
void trial_done(struct trial *trial);

/* Would the rule hear this message? Holds the topic against FROM. A Basic Ingest topic
 * ($aws/rules/NAME/REST) goes to the rule NAME alone and becomes REST; `rule` with data NULL: the topic names
 * the rule. `program` NULL: every topic is heard, Basic Ingest is taken off all the same. */
bool trial_routes(const struct sql_program *program, struct span rule, struct sql_message *message);

/* The compiled steps, on standard error. */
void trial_explain(const struct sql_program *program);

/* Standard base64 of the bytes, appended. */
void trial_encode64(struct span bytes, struct buf *out);
/* Bytes from standard base64 appended to `out`. 0, or -1 with `err`. */
int trial_decode64(struct span text, struct buf *out, struct err *err);

#endif
