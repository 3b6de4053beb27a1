/* base/thread.h - a thread that takes no signals: those are for the one that the program began with. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* 0, or an error number, as pthread_create has it. Any thread. */
int thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

#endif
