/* engine/store_path.h - where the store lies: the same for the daemon and for `topicrule dead`. */
#ifndef ENGINE_STORE_PATH_H
#define ENGINE_STORE_PATH_H

#include "base/err.h"
#include "rules/config.h"

/* delivery.store.path, relative to the configuration's folder; without one $STATE_DIRECTORY/store.db (systemd
 * sets it; the first folder, if it names several); without that store.db beside the configuration. A string
 * of the caller's to free; NULL with `err`: no memory. */
char *engine_store_path(const struct config *config, struct err *err);

#endif
