/* admin.h - the daemon tells about itself over HTTP: metrics, health, rules, secrets' names.
 *
 * On a Unix socket or a loopback address alone. One thread of its own, which looks (view.h) and never makes
 * anybody wait: whoever asks too often gets the page of a moment ago, and whoever asks too slowly is cut off.
 */
#ifndef ENGINE_ADMIN_H
#define ENGINE_ADMIN_H

#include "view.h"

#include "rules/listen.h"

struct admin;

/* Listen where the configuration says, or, where it says nothing, at $RUNTIME_DIRECTORY/admin.sock if there
 * is one. NULL with `err.code` ERR_NONE: nowhere, as wished. NULL with `err` otherwise. `subject` is copied.
 */
struct admin *admin_new(const struct listen *listen, const struct subject *subject, struct err *err);
/* Ends the thread and removes the socket. NULL is a no-op. */
void admin_free(struct admin *admin);
/* Look at this from now on: from its return on nothing of the former subject is looked at. */
void admin_show(struct admin *admin, const struct subject *subject);
/* The same in two steps, between which nothing is looked at. */
void admin_begin_change(struct admin *admin);
void admin_end_change(struct admin *admin, const struct subject *subject);

/* ---- between the files of the admin ---- */

/* A socket that listens. A Unix socket has mode 0660; one that is there already is replaced if nobody listens
 * to it. -1 with `err`. */
int admin_listen(const struct listen *listen, struct err *err);
/* Whether a request's Host names this machine, so that no web page of somebody else can ask through a
 * browser. */
bool admin_host_is_ours(const char *host);

#endif
