/* Rules by the filters they hear, and the identifiers of the subscriptions. */
#include "route.h"

#include "trie.h"

#include "base/auto.h"

#include <stdio.h>

enum { ID_MOST = 268435455 }; /* MQTT 5, 3.8.2.1.2 */

static const char ingest_prefix[] = "$aws/rules/";

struct entry {
    struct route_entry seen;
    uint32_t *rules;
    size_t room;
};

struct route {
    const struct rule_set *set;
    struct trie trie; /* its values are 1 + entry */
    struct trie gone; /* the same, of those that are gone */

    struct entry *entries; /* those that rules hear, then those that are gone */
    size_t entry_count, entry_room, gone_count;
    uint32_t *ids; /* hash table of 1 + entry, by own_id; 0 free */
    size_t id_room;

    uint32_t *by_name; /* the enabled rules, for Basic Ingest; NULL: it is off */
    size_t name_count;
};

DEFINE_DROP(route, struct route *, route_free)

/* ---- building ---- */

static struct entry *add_entry(struct route *route, const char *filter, struct err *err)
{
    if (route->entry_count == route->entry_room) {
        size_t room = route->entry_room ? route->entry_room * 2 : 16;
        struct entry *entries = realloc(route->entries, room * sizeof *entries);

        if (!entries) {
            err_memory(err);
            return NULL;
        }
        route->entries = entries;
        route->entry_room = room;
    }
    struct entry *entry = &route->entries[route->entry_count++];
    *entry = (struct entry){.seen.filter = filter};
    return entry;
}

static int add_rule(struct entry *entry, uint32_t rule, struct err *err)
{
    if (entry->seen.rule_count == entry->room) {
        size_t room = entry->room ? entry->room * 2 : 1;
        uint32_t *rules = realloc(entry->rules, room * sizeof *rules);

        if (!rules)
            return err_memory(err);
        entry->rules = rules;
        entry->seen.rules = rules;
        entry->room = room;
    }
    entry->rules[entry->seen.rule_count++] = rule;
    return 0;
}

/* Takes `filter`. An equal filter has its path already, so nothing new borrows this text and it can go. */
static int add_filter(struct route *route, char *filter, uint32_t rule, bool basic_ingest, struct err *err)
{
    AUTO(free_drop) char *text = filter;
    uint32_t *place = text ? trie_add(&route->trie, span_of(text), err) : NULL;

    if (!place)
        return text ? -1 : err_memory(err);
    if (*place == 0) {
        struct entry *entry = add_entry(route, text, err);

        if (!entry)
            return -1;
        entry->seen.basic_ingest = basic_ingest;
        text = NULL;
        *place = (uint32_t)route->entry_count;
    }
    return add_rule(&route->entries[*place - 1], rule, err);
}

static char *ingest_filter(const char *rule)
{
    char *text;

    return asprintf(&text, "%s%s/#", ingest_prefix, rule) < 0 ? NULL : text;
}

static int add_rules(struct route *route, struct err *err)
{
    for (uint32_t i = 0; i < route->set->count; i++) {
        const struct rule *rule = route->set->rules[i];

        if (rule->disabled)
            continue;
        if (route->by_name)
            route->by_name[route->name_count++] = i;
        if ((rule->filter.data &&
             add_filter(route, strndup(rule->filter.data, rule->filter.size), i, false, err) != 0) ||
            (route->by_name && add_filter(route, ingest_filter(rule->name), i, true, err) != 0)) {
            err_prefix(err, "rule %s", rule->name);
            return -1;
        }
    }
    return 0;
}

/* ---- identifiers ---- */

static struct entry *find_id(const struct route *route, uint32_t id)
{
    for (size_t at = id & (route->id_room - 1);; at = (at + 1) & (route->id_room - 1)) {
        if (route->ids[at] == 0)
            return NULL;
        if (route->entries[route->ids[at] - 1].seen.own_id == id)
            return &route->entries[route->ids[at] - 1];
    }
}

/* Two filters of one set that meet are told apart by a second round; the look-up holds filter against topic
 * anyway. */
static uint32_t free_id(const struct route *route, struct span filter)
{
    for (uint64_t hash = trie_hash(filter);;) {
        const uint32_t id = trie_identifier(&hash);

        if (id > ROUTE_SHARED && id <= ID_MOST && !find_id(route, id))
            return id;
    }
}

/* An empty table with room for the entries that there are, and as many again. */
static int make_ids(struct route *route, struct err *err)
{
    free(route->ids);
    for (route->id_room = 16; route->id_room < route->entry_count * 4;)
        route->id_room *= 2;
    route->ids = calloc(route->id_room, sizeof *route->ids);
    return route->ids ? 0 : err_memory(err);
}

static void put_id(struct route *route, size_t index, uint32_t id)
{
    struct route_entry *entry = &route->entries[index].seen;
    size_t at = id & (route->id_room - 1);

    while (route->ids[at])
        at = (at + 1) & (route->id_room - 1);
    if (entry->id != ROUTE_SHARED)
        entry->id = id;
    entry->own_id = id;
    route->ids[at] = (uint32_t)index + 1;
}

static int give_ids(struct route *route, struct err *err)
{
    AUTO(free_drop) struct trie_visit *stack = calloc(TRIE_STACK, sizeof *stack);

    if (!stack)
        return err_memory(err);
    if (make_ids(route, err) != 0)
        return -1;
    for (size_t i = 0; i < route->entry_count; i++) {
        struct route_entry *entry = &route->entries[i].seen;
        const struct span filter = span_of(entry->filter);

        if (!trie_overlaps(&route->trie, filter, (uint32_t)i + 1, stack))
            entry->id = ROUTE_SHARED;
        put_id(route, i, free_id(route, filter));
    }
    return 0;
}

int route_identify(struct route *route, const uint32_t *ids, struct err *err)
{
    if (make_ids(route, err) != 0)
        return -1;
    for (size_t i = 0; i < route->entry_count; i++)
        put_id(route, i, ids[i]);
    return 0;
}

void route_mark_old(struct route *route, const char *filter)
{
    const uint32_t value = trie_find(&route->trie, span_of(filter));

    if (value != 0)
        route->entries[value - 1].seen.is_old = true;
}

int route_add_gone(struct route *route, const char *filter, uint32_t id, struct err *err)
{
    if (trie_find(&route->trie, span_of(filter)) != 0)
        return 0;
    AUTO(free_drop) char *text = strdup(filter);
    if (!text)
        return err_memory(err);
    uint32_t *place = trie_add(&route->gone, span_of(text), err);
    struct entry *entry = place ? add_entry(route, text, err) : NULL;
    if (!entry)
        return -1;
    *place = (uint32_t)route->entry_count;
    text = NULL;
    entry->seen.id = entry->seen.own_id = id;
    route->gone_count++;
    if (route->entry_count * 2 <= route->id_room) {
        put_id(route, route->entry_count - 1, id);
        return 0;
    }
    if (make_ids(route, err) != 0)
        return -1;
    for (size_t i = 0; i < route->entry_count; i++)
        put_id(route, i, route->entries[i].seen.own_id);
    return 0;
}

int route_part_from_gone(struct route *route, struct err *err)
{
    AUTO(free_drop) struct trie_visit *stack = calloc(TRIE_STACK, sizeof *stack);

    if (!stack)
        return err_memory(err);
    for (size_t i = 0; route->gone_count > 0 && i < route_count(route); i++) {
        struct route_entry *entry = &route->entries[i].seen;

        if (entry->id == ROUTE_SHARED && trie_overlaps(&route->gone, span_of(entry->filter), 0, stack))
            entry->id = entry->own_id;
    }
    return 0;
}

static int by_name(const void *a, const void *b, void *context)
{
    const struct route *route = context;
    uint32_t left, right;

    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return strcmp(route->set->rules[left]->name, route->set->rules[right]->name);
}

struct route *route_new(const struct rule_set *set, bool basic_ingest, struct err *err)
{
    AUTO(route_drop) struct route *route = calloc(1, sizeof *route);

    if (!route || (basic_ingest && !(route->by_name = calloc(set->count + 1, sizeof *route->by_name)))) {
        err_memory(err);
        return NULL;
    }
    route->set = set;
    if (trie_init(&route->trie, err) != 0 || trie_init(&route->gone, err) != 0 ||
        add_rules(route, err) != 0 || give_ids(route, err) != 0)
        return NULL;
    if (basic_ingest)
        qsort_r(route->by_name, route->name_count, sizeof *route->by_name, by_name, route);
    return TAKE(route);
}

void route_free(struct route *route)
{
    if (!route)
        return;
    for (size_t i = 0; i < route->entry_count; i++) {
        free(route->entries[i].rules);
        free((void *)(uintptr_t)route->entries[i].seen.filter);
    }
    free(route->entries);
    trie_done(&route->trie);
    trie_done(&route->gone);
    free(route->ids);
    free(route->by_name);
    free(route);
}

size_t route_count(const struct route *route)
{
    return route->entry_count - route->gone_count;
}

bool route_hears(const struct route *route, const char *filter)
{
    return trie_find(&route->trie, span_of(filter)) != 0;
}

size_t route_gone_count(const struct route *route)
{
    return route->gone_count;
}

const char *route_gone(const struct route *route, size_t index)
{
    return route->entries[route_count(route) + index].seen.filter;
}

bool route_is_gone(const struct route *route, uint32_t id)
{
    const struct entry *entry = find_id(route, id);

    return entry && (size_t)(entry - route->entries) >= route_count(route);
}

bool route_is_new(const struct route *route, uint32_t id)
{
    const struct entry *entry = find_id(route, id);

    return entry && (size_t)(entry - route->entries) < route_count(route) && !entry->seen.is_old;
}

const struct route_entry *route_entry(const struct route *route, size_t index)
{
    return &route->entries[index].seen;
}

/* ---- looking up ---- */

struct matching {
    const struct route *route;
    uint32_t *out;
    size_t count;
};

static void add_match(struct matching *matching, const struct entry *entry)
{
    if (entry->seen.rule_count == 0)
        return; /* gone */
    memcpy(matching->out + matching->count, entry->rules, entry->seen.rule_count * sizeof *entry->rules);
    matching->count += entry->seen.rule_count;
}

static void found(void *context, uint32_t value)
{
    struct matching *matching = context;
    const struct entry *entry = &matching->route->entries[value - 1];

    if (!entry->seen.basic_ingest)
        add_match(matching, entry);
}

/* The entry that an identifier names and whose filter takes the topic, as MQTT has it; else NULL. */
static const struct entry *named(const struct route *route, uint32_t id, struct span topic,
                                 enum trie_fit *fit)
{
    const struct entry *entry = id == ROUTE_SHARED ? NULL : find_id(route, id);

    *fit = entry ? trie_fits(span_of(entry->seen.filter), topic) : TRIE_NO;
    return *fit == TRIE_NO ? NULL : entry;
}

struct others {
    const struct route *route;
    uint32_t id, *out;
    size_t count, room;
};

static void add_other(struct others *others, const struct entry *entry)
{
    if (entry->seen.own_id == others->id)
        return;
    if (others->count < others->room)
        others->out[others->count] = entry->seen.own_id;
    others->count++;
}

static void found_other(void *context, uint32_t value)
{
    struct others *others = context;

    add_other(others, &others->route->entries[value - 1]);
}

size_t route_others(const struct route *route, struct span topic, uint32_t id, uint32_t *out, size_t room)
{
    struct others others = {.route = route, .id = id, .out = out, .room = room};
    enum trie_fit fit;

    if (!named(route, id, topic, &fit) || fit != TRIE_YES ||
        (route->by_name && span_starts_with(topic, ingest_prefix)))
        return 0;
    trie_match(&route->trie, topic, found_other, &others);
    trie_match(&route->gone, topic, found_other, &others);
    return others.count;
}

uint32_t route_gone_for(const struct route *route, struct span topic)
{
    uint32_t id = 0;
    struct others others = {.route = route, .out = &id, .room = 1};

    if (route->gone_count > 0)
        trie_match(&route->gone, topic, found_other, &others);
    return id;
}

static bool repeated(const uint32_t *ids, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (ids[i] == ids[index])
            return true;
    return false;
}

/* Returns false when the identifiers do not say it all, and the topic must. */
static bool match_ids(struct matching *matching, struct span topic, const uint32_t *ids, size_t id_count)
{
    for (size_t i = 0; i < id_count; i++) {
        enum trie_fit fit;
        const struct entry *entry = named(matching->route, ids[i], topic, &fit);

        if (!entry)
            return false;
        if (fit == TRIE_YES && !repeated(ids, i))
            add_match(matching, entry);
    }
    return id_count > 0;
}

/* The enabled rule of that name, or NULL. */
static const uint32_t *find_rule(const struct route *route, struct span name)
{
    size_t low = 0, high = route->name_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const uint32_t *place = &route->by_name[middle];
        const char *other = route->set->rules[*place]->name;
        int order = strncmp(name.data, other, name.size);

        if (order == 0 && other[name.size] == '\0')
            return place;
        if (order <= 0) /* equal so far: `other` is longer */
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* $aws/rules/<rule>/<rest> goes to that rule alone. */
static struct route_match match_ingest(struct matching *matching, struct span topic, const uint32_t *ids,
                                       size_t id_count)
{
    const struct route *route = matching->route;
    struct route_match match = {.topic = topic};
    struct span rest = {topic.data + sizeof ingest_prefix - 1, topic.size - (sizeof ingest_prefix - 1)};
    struct span name = trie_level(&rest);

    for (size_t i = 0; i < id_count; i++) {
        enum trie_fit fit;
        const struct entry *entry = named(route, ids[i], topic, &fit);

        if (entry && !entry->seen.basic_ingest)
            return match; /* the copy that an ordinary filter brings is not the one that counts */
    }
    if (!rest.data || rest.size == 0)
        return match;

    const uint32_t *place = find_rule(route, name);
    match.topic = rest;
    match.no_such_rule = !place;
    if (place) {
        const struct rule *rule = route->set->rules[*place];

        if (!rule->filter.data || trie_fits(rule->filter, rest) == TRIE_YES)
            matching->out[match.count++] = *place;
    }
    return match;
}

static int by_place(const void *a, const void *b)
{
    uint32_t left, right;

    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return (left > right) - (left < right);
}

struct route_match route_match(const struct route *route, struct span topic, const uint32_t *ids,
                               size_t id_count, uint32_t *out)
{
    struct matching matching = {.route = route, .out = out};

    if (route->by_name && span_starts_with(topic, ingest_prefix))
        return match_ingest(&matching, topic, ids, id_count);
    if (!match_ids(&matching, topic, ids, id_count)) {
        matching.count = 0;
        trie_match(&route->trie, topic, found, &matching);
    }
    if (matching.count > 1)
        qsort(out, matching.count, sizeof *out, by_place);
    return (struct route_match){.count = matching.count, .topic = topic};
}
