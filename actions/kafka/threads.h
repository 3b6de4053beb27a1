/* threads.h - threads of ours that nobody joins, and the end of the process.
 *
 * Libraries give up their locks when the process ends, and libkrb5 aborts when one of its locks is gone. So
 * whoever is inside a library then is waited for, a second at most; after that the process ends without the
 * libraries' own end. */
#ifndef KAFKA_THREADS_H
#define KAFKA_THREADS_H

void threads_more(void); /* one is about to start */
void threads_less(void); /* it will call no library any more */

#endif
