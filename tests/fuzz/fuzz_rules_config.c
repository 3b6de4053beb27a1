/* Any bytes as a configuration, JSON and YAML: refused with a reason, or complete. */
#include "rules/config.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int yaml = 0; yaml < 2; yaml++) {
        struct report report = REPORT_INIT;
        struct config *config =
            config_read((struct span){(const char *)data, size}, yaml ? "c.yaml" : "c.json", &report);

        assert(!config == (report.errors > 0));
        for (size_t i = 0; i < report.count; i++)
            assert(report.findings[i].err.text[0] != '\0');
        if (config) {
            assert(config->mqtt.broker_count > 0 && config->rules_path && config->mqtt.client_id.tmpl);
            for (size_t i = 0; i < config->mqtt.broker_count; i++)
                assert(config->mqtt.brokers[i].host[0] && config->mqtt.brokers[i].port > 0);
            for (size_t i = 0; i < config->secrets.backend_count; i++)
                assert(config->secrets.backends[i].name && config->secrets.backends[i].type);
        }
        config_free(config);
        report_done(&report);
    }
    return 0;
}
