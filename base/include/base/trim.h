/* base/trim.h - give back memory that only the start has needed.
 *
 * Loading and linking some forty shared libraries touches pages all over them, and the kernel maps the
 * neighbours of each page that is touched. Most are never used again. They are clean and in the page cache,
 * so one that is needed after all comes back without reading a disk. */
#ifndef BASE_TRIM_H
#define BASE_TRIM_H

/* Once, when the start is over. Thread safe, and changes nothing but what is resident. */
void trim_memory(void);

#endif
