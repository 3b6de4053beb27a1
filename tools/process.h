/* tools/process.h - what every command does before its first and after its last line. */
#ifndef TOOLS_PROCESS_H
#define TOOLS_PROCESS_H

/* SIGPIPE ignored (a vanished peer is an error of write, and libmosquitto no longer sees to it); no core file
 * and no debugger of the same user, since secrets are in our memory, and OpenSSL wipes what it gives back.
 * First of all in main. */
void process_harden(void);

/* What the kinds of action need of a process, before any thread: commands that open clients call it. */
struct err;
int process_init(struct err *err);

/* The exit status: STATUS_BAD when standard output could not be written in full. */
int process_finish(int status);

#endif
