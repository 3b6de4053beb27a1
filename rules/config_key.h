/* config_key.h - the keys of the configuration, as a table: what is not in it is refused. */
#ifndef RULES_CONFIG_KEY_H
#define RULES_CONFIG_KEY_H

#include "reader.h"
#include "rules/config.h"

enum config_kind {
    CONFIG_TEXT,     /* struct config_text: may hold ${get_secret(...)} */
    CONFIG_STRING,   /* const char *: no template */
    CONFIG_BOOL,     /* bool */
    CONFIG_INT,      /* int */
    CONFIG_SECONDS,  /* int: a duration of whole seconds */
    CONFIG_SECONDS8, /* int64_t: the same */
    CONFIG_MILLIS,   /* int64_t: a duration in milliseconds */
    CONFIG_SIZE,     /* int64_t: bytes */
    CONFIG_CHOICE,   /* int: index into `choices` */
    CONFIG_SWITCH,   /* bool: two choices, the second is true */
    CONFIG_OTHER,    /* `read` does it, and owns all keys below */
};

struct config_reader {
    struct reader in;
    struct config *config;
    struct arena *arena; /* lives as long as the configuration */
};

struct config_key {
    const char *path; /* "mqtt.keepalive" */
    enum config_kind kind;
    size_t offset;        /* in struct config */
    const char *standard; /* the default, as one would write it; NULL: none */
    int64_t least, most;  /* INT; SECONDS; SIZE */
    const char *example;  /* for messages */
    const char *const *choices;
    void (*read)(struct config_reader *reader, const struct doc_node *node);
    bool required;
    bool fixed; /* a daemon that runs cannot take another value */
    bool (*same)(const struct config *, const struct config *); /* OTHER, if fixed */
};

/* The i-th key, or NULL past the last. */
const struct config_key *config_key_at(size_t index);

/* Where the key's value goes. */
void *config_slot(struct config *config, const struct config_key *key);

void config_read_value(struct config_reader *reader, const struct config_key *key,
                       const struct doc_node *node);

/* ---- keys with a form of their own (config_other.c) */
void config_read_url(struct config_reader *reader, const struct doc_node *node);
void config_read_allow(struct config_reader *reader, const struct doc_node *node);
void config_read_backends(struct config_reader *reader, const struct doc_node *node);
void config_read_listen(struct config_reader *reader, const struct doc_node *node);
void config_read_defaults(struct config_reader *reader, const struct doc_node *node);
void config_read_destinations(struct config_reader *reader, const struct doc_node *node);

bool config_same_url(const struct config *a, const struct config *b);
bool config_same_backends(const struct config *a, const struct config *b);
bool config_same_listen(const struct config *a, const struct config *b);

/* Copies in the configuration's arena; NULL: reported. */
char *config_copy(struct config_reader *reader, struct span text);
void *config_array(struct config_reader *reader, size_t count, size_t size);

/* Compile what may hold ${get_secret(...)} and nothing that needs a message. NULL: reported. */
struct sql_template *config_template(struct config_reader *reader, const struct doc_node *node);

#endif
