/* scripted_action.h - an action whose other side does what a test says: the engine without Kafka.
 *
 * Stands in for the type "kafka". Every record sent stays open until a command answers it. Commands, one a
 * line:
 *
 *     deliver N | wait N | refuse N | fail N    answer the N oldest open records (0: all there are)
 *     auto on | auto off                        deliver all by itself, now and from now on
 *     take N                                    take N records more, then be BUSY (-1: no limit)
 *     later on | later off                      ACTION_NOT_YET
 *     shut N                                    the next N clients cannot be opened
 *     hang TEXT | hang                          no answer for records with TEXT in their payload
 *     deny TOPIC | allow TOPIC                  ACTION_STREAM for records of that topic; TOPIC* is a prefix
 *     die                                       the client is DEAD; the next one is a new one
 *     ready | away [REASON]                     the state it tells
 *
 * A number in front of a command means the client of that number alone: "2 ready". Settings that mean
 * something: "refuse.open"; "start.away", a new client is AWAY, not READY; "in.place", update takes them.
 *
 * A topic "bad" is refused for good by send. Commands concern every open client, and are kept for the next
 * one if there is none. */
#ifndef TESTS_SCRIPTED_ACTION_H
#define TESTS_SCRIPTED_ACTION_H

#include "actions/action.h"

extern const struct action_type scripted_action_type;

/* Thread safe; carried out by the next poll. */
void scripted_command(const char *line);

/* Called with "open 1", "sent 1 TOPIC KEY PAYLOAD", "update 1", "close 1": the number is the client's. Before
 * any client.
 */
void scripted_watch(void (*seen)(const char *line));

/* Called with topic and payload of every record that is delivered. Before any client. */
void scripted_taken(void (*taken)(struct span topic, struct span payload));

/* Forget commands, modes and numbers: the next test starts afresh. No client may be open. */
void scripted_reset(void);

#endif
