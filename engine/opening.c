#include "opening.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

int opening_try(struct opening *opening, struct store **store, struct err *err)
{
    char problem[sizeof opening->problem] = "";

    *store = store_open(&opening->options, err);
    if (!*store && err->code != ERR_IO)
        return -1;
    if (!*store)
        (void)snprintf(problem, sizeof problem, "waiting for the store: %s", err->text);
    if (*store && opening->problem[0])
        log_info("store", "%s: open now", opening->options.path);
    else if (strcmp(problem, opening->problem) != 0)
        log_warn("store", "%s; until then nothing is taken from the MQTT broker", problem);
    memcpy(opening->problem, problem, sizeof problem);
    return 0;
}
