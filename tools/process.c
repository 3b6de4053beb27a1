#include "process.h"

#include "command.h"
#include "kafka/kafka.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* The leak checker of the sanitizers is a debugger of ourselves. */
#if defined(__SANITIZE_ADDRESS__)
enum { DEBUGGABLE = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { DEBUGGABLE = 1 };
#else
enum { DEBUGGABLE = 0 };
#endif
#else
enum { DEBUGGABLE = 0 };
#endif

void process_harden(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    kafka_process_wipes();
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (!DEBUGGABLE)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int process_init(struct err *err)
{
    return kafka_process_init(err);
}

int process_finish(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno != EPIPE) /* the reader of a pipe went away: its choice */
        (void)fprintf(stderr, "topicrule: standard output: %s\n", errno ? strerror(errno) : "write failed");
    return STATUS_BAD;
}
