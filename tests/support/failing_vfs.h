/* failing_vfs.h - a disk for SQLite that fails as real ones do.
 *
 * Wraps SQLite's own files. Errors: chosen calls give EIO, "disk full" or a short write. Power cut: from a
 * chosen call on nothing reaches the disk; failing_vfs_restore then makes the files what a disk would hold:
 * all that was synced, and of the writes after that some, some torn, some not. A sync that fails loses what
 * it should have synced, as on Linux: a later sync does not bring it back. */
#ifndef FAILING_VFS_H
#define FAILING_VFS_H

#include <stdbool.h>
#include <stdint.h>

enum failing_call {
    FAILING_READ = 1,
    FAILING_WRITE = 2,
    FAILING_SYNC = 4,
    FAILING_TRUNCATE = 8,
    FAILING_OPEN = 16,
};

enum failing_error {
    FAILING_EIO,
    FAILING_FULL,
    FAILING_SHORT, /* a write that ends in the middle, with EIO */
};

/* Becomes SQLite's default. Once in a process. */
void failing_vfs_register(void);
/* The next `after` calls of these kinds succeed, the `count` ones after them fail. */
void failing_vfs_set(unsigned calls, enum failing_error error, uint64_t after, uint64_t count);
void failing_vfs_clear(void);
/* Calls that failed since failing_vfs_set. */
uint64_t failing_vfs_met(void);

/* The power goes after that many writes, syncs and truncations. */
void failing_vfs_cut_after(uint64_t calls);
bool failing_vfs_is_cut(void);
/* Nobody has the files open. What the disk holds, by `seed`; and there is power again. */
void failing_vfs_restore(uint64_t seed);
/* Forget the files: their folder goes. */
void failing_vfs_forget(void);

#endif
