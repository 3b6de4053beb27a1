/* record.c - an Object made of the items of a SELECT list or of a literal.
 *
 * The usual Object has different simple names and is a list made in one go. Where names may meet (`*`, `a.*`,
 * dotted or repeated aliases) a tree is grown instead, one item after another: a name that is there already
 * keeps its place and takes the new value, a dotted name steps into the Object that it finds, or makes one.
 */
#include "eval.h"

struct branch {
    struct span key;
    struct value value; /* unless `grown` */
    bool grown;         /* an Object whose members are branches */
    struct branch *first, *last, *next;
    size_t count;
};

struct grower {
    const struct run *run;
    struct err *err;
};

static int full(const struct grower *grower)
{
    return call_full(grower->err);
}

static int add_branch(const struct grower *grower, struct branch *parent, struct span key,
                      struct branch **out)
{
    struct branch *branch = arena_alloc(&grower->run->scope->arena, sizeof *branch);

    if (!branch)
        return full(grower);
    *branch = (struct branch){.key = key};
    if (parent->last)
        parent->last->next = branch;
    else
        parent->first = branch;
    parent->last = branch;
    parent->count++;
    *out = branch;
    return 0;
}

/* The branch of that name, or NULL; looking is work that is counted. */
static int find_branch(const struct grower *grower, const struct branch *parent, struct span key,
                       struct branch **out)
{
    if (!scope_charge(grower->run->scope, parent->count / 8, grower->err))
        return -1;
    *out = parent->first;
    while (*out && !span_equal((*out)->key, key))
        *out = (*out)->next;
    return 0;
}

/* Put every member of an Object into `parent`, which is grown. What is no Object has none. */
static int add_members(const struct grower *grower, struct branch *parent, const struct value *object)
{
    struct value_walk walk = value_walk(object);
    bool failed = false, fresh = !parent->first;
    struct branch *branch;
    struct span key;
    struct value item;

    if (object->type != VALUE_OBJECT)
        return 0;
    while (value_next(&walk, &grower->run->scope->arena, &key, &item, &failed)) {
        branch = NULL;
        if (!fresh && find_branch(grower, parent, key, &branch) < 0) /* an Object's own keys all differ */
            return -1;
        if (!branch && add_branch(grower, parent, key, &branch) < 0)
            return -1;
        branch->value = item;
        branch->grown = false;
    }
    return failed ? full(grower) : 0;
}

/* Make `branch` one that others grow from: an Object keeps its members, anything else is replaced. */
static int open_branch(const struct grower *grower, struct branch *branch)
{
    struct value value = branch->value;

    if (branch->grown)
        return 0;
    branch->grown = true;
    branch->first = branch->last = NULL;
    branch->count = 0;
    return add_members(grower, branch, &value);
}

static int add_field(const struct grower *grower, struct branch *root, const struct field *field,
                     const struct value *value)
{
    struct branch *at = root;

    for (unsigned i = 0; i < field->depth; i++) {
        struct branch *child;

        if (open_branch(grower, at) < 0 || find_branch(grower, at, field->path[i], &child) < 0)
            return -1;
        if (!child && add_branch(grower, at, field->path[i], &child) < 0)
            return -1;
        at = child;
    }
    at->value = *value;
    at->grown = false;
    return 0;
}

/* The branch as a value. Recursion goes as deep as an alias has dots, which check.c bounds. */
static int harvest(const struct grower *grower, const struct branch *branch, struct value *out)
{
    struct member *members;
    size_t i = 0;

    if (!branch->grown) {
        *out = branch->value;
        return 0;
    }
    members = arena_array(&grower->run->scope->arena, branch->count + 1, sizeof *members);
    if (!members)
        return full(grower);
    for (const struct branch *child = branch->first; child; child = child->next, i++) {
        members[i].key = child->key;
        if (harvest(grower, child, &members[i].value) < 0)
            return -1;
    }
    *out = (struct value){.type = VALUE_OBJECT, .form = FORM_LIST};
    out->list.members = members;
    out->list.count = i;
    return 0;
}

static int build_distinct(const struct shape *shape, const struct run *run, const struct value *values,
                          struct value *out, struct err *err)
{
    struct member *members = arena_array(&run->scope->arena, shape->count + 1, sizeof *members);
    size_t count = 0;

    if (!members)
        return call_full(err);
    for (unsigned i = 0; i < shape->count; i++)
        if (values[i].type != VALUE_UNDEFINED)
            members[count++] = (struct member){*shape->fields[i].path, values[i]};
    *out = (struct value){.type = VALUE_OBJECT, .form = FORM_LIST};
    out->list.members = members;
    out->list.count = count;
    return 0;
}

int record_build(const struct shape *shape, const struct run *run, const struct value *values,
                 struct value *out, struct err *err)
{
    const struct grower grower = {run, err};
    struct branch root = {.grown = true};

    if (shape->distinct)
        return build_distinct(shape, run, values, out, err);
    for (unsigned i = 0; i < shape->count; i++) {
        int result = 0;

        if (shape->fields[i].depth == 0)
            result = add_members(&grower, &root, &values[i]);
        else if (values[i].type != VALUE_UNDEFINED)
            result = add_field(&grower, &root, &shape->fields[i], &values[i]);
        if (result < 0)
            return -1;
    }
    return harvest(&grower, &root, out);
}
