/* base/clock.h - the clocks: wall time for timestamps, monotonic time for waiting. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void); /* milliseconds since 1970-01-01T00:00:00Z */
int64_t clock_mono_ms(void); /* milliseconds since some start; never goes back */
int64_t clock_mono_ns(void);
int64_t clock_boot_ms(void); /* as clock_mono_ms, and goes on while the machine sleeps */

#endif
