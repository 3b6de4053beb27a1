/* file.h - a whole document file in memory. */
#ifndef RULES_FILE_H
#define RULES_FILE_H

#include "base/err.h"
#include "base/span.h"

/* Read a regular file of at most DOC_SIZE_MAX bytes. The caller frees `out->data`. 0, or -1 with `err`, whose
 * file is set. */
int file_read(const char *file, struct span *out, struct err *err);

#endif
