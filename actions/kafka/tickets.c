/* tickets.c - tickets come in chunks and go back to a free list, so a record takes nothing from the heap. */
#include "client.h"

#include <stdlib.h>

struct ticket *ticket_take(struct action_client *client)
{
    struct ticket *ticket = client->free_tickets;

    if (!ticket) {
        struct ticket_chunk *chunk = calloc(1, sizeof *chunk);
        if (!chunk)
            return NULL;
        chunk->next = client->chunks;
        client->chunks = chunk;
        for (size_t i = TICKET_CHUNK; i-- > 0;) {
            chunk->tickets[i].next = client->free_tickets;
            client->free_tickets = &chunk->tickets[i];
        }
        ticket = client->free_tickets;
    }
    client->free_tickets = ticket->next;
    if (client->out++ == 0 && client->wake_at_ms == 0 && client->stuck_ms)
        client_wake_in(client, (int)client->stuck_ms); /* for watch.c */
    return ticket;
}

void ticket_give(struct action_client *client, struct ticket *ticket)
{
    ticket->topic = NULL; /* says that it is free */
    client->out--;
    ticket->next = client->free_tickets;
    client->free_tickets = ticket;
}

void tickets_drop(struct action_client *client)
{
    for (struct ticket_chunk *chunk = client->chunks; chunk; chunk = chunk->next) {
        for (size_t i = 0; i < TICKET_CHUNK; i++) {
            struct ticket *ticket = &chunk->tickets[i];
            void *tag = ticket->tag;

            if (!ticket->topic)
                continue;
            ticket_give(client, ticket);
            report_result(client, tag, ACTION_WAIT, RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, "");
        }
    }
}

void tickets_done(struct action_client *client)
{
    struct ticket_chunk *next;

    for (struct ticket_chunk *chunk = client->chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    client->chunks = NULL;
    client->free_tickets = NULL;
}
