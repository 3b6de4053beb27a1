/* Any bytes as a rule document, JSON and YAML: refused with a reason, or a whole rule. */
#include "../support/fake_action.h"

#include "doc.h"
#include "rules/rule.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every string of an accepted document can be mapped back to places inside the text. */
static void check_places(struct span text, enum doc_format format)
{
    struct doc doc;
    struct err err = {0};
    char path[DOC_PATH_MAX];

    if (doc_read(&doc, text, format, &err) != 0) {
        assert(err.text[0] != '\0');
        doc_done(&doc);
        return;
    }
    for (const struct doc_node *node = doc.root; node;) {
        assert(node->pos.line > 0 && node->pos.column > 0 && node->at <= node->end &&
               node->end <= doc.source.size);
        assert(strlen(doc_path(&doc, node, path)) < DOC_PATH_MAX);
        if (node->type == DOC_STRING && doc.source.size < 4096) { /* each look walks the text */
            struct pos last = doc_place(&doc, node, 0);

            for (size_t i = 1; i <= node->text.size && i < 64; i++) {
                struct pos pos = doc_place(&doc, node, i);

                assert(pos.line > last.line || (pos.line == last.line && pos.column >= last.column));
                last = pos;
            }
        }
        if (node->first) {
            node = node->first;
            continue;
        }
        while (node && !node->next)
            node = node->parent;
        node = node ? node->next : NULL;
    }
    doc_done(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rule_default items[] = {{NULL, "linger.ms", "5", {1, 2}, "kafka.defaults.linger.ms"},
                                                {"arn:x", "acks", "all", {3, 4}, "kafka.destinations.acks"}};
    static const struct rule_defaults defaults = {"c.yaml", items, 2};
    struct span text = {(const char *)data, size};

    for (int yaml = 0; yaml < 2; yaml++) {
        const struct rule_options options = {
            .types = fake_types, .defaults = &defaults, .skip_unsupported = yaml};
        struct report report = REPORT_INIT;
        struct rule *rule = rule_read(text, yaml ? "r.yaml" : "r.json", &options, &report);

        assert(!rule == (report.errors > 0));
        assert(!rule || rule->program);
        for (size_t i = 0; i < report.count; i++)
            assert(report.findings[i].err.text[0] != '\0' && !strchr(report.findings[i].err.path, '\n'));
        rule_free(rule);
        report_done(&report);
        check_places(text, yaml ? DOC_YAML : DOC_JSON);
    }
    return 0;
}
