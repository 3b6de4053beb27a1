/* A login line from a rule: read into fields, or refused with a finding. */
#include "jaas.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct action_setting item = {.name = "sasl.jaas.config", .value = {(const char *)data, size}};
    struct settings settings = {0};
    struct report report = REPORT_INIT;

    jaas_read(&settings, &item, item.value, &report);
    assert(report.errors <= 1);
    settings_done(&settings);
    report_done(&report);
    return 0;
}
