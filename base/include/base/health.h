/* base/health.h - what a look at another system finds, one thing at a time: does it work, and if not, why? */
#ifndef BASE_HEALTH_H
#define BASE_HEALTH_H

enum health {
    HEALTH_FINE,
    HEALTH_DOUBT,  /* works, and will surprise somebody */
    HEALTH_BROKEN, /* does not work */
    HEALTH_UNSEEN, /* could not be looked at, and need not */
};

struct health_report {
    void *context;
    /* `what` was looked at ("TLS"); `text` says what was found and what to do about it, one sentence without
     * a secret. Both are borrowed during the call, which comes on the thread of whoever looks. */
    void (*tell)(void *context, enum health health, const char *what, const char *text);
};

/* Tell, with a text that is formatted; one longer than 600 bytes is cut. */
void health_tell(const struct health_report *report, enum health health, const char *what, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

#endif
