/* words.h - why a cluster is away, in a sentence that says what to do.
 *
 * librdkafka says the same in many words and different things in the same words (all certificate errors are
 * one text); what is told apart here was measured against a real broker. */
#ifndef KAFKA_WORDS_H
#define KAFKA_WORDS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

struct trouble {
    rd_kafka_resp_err_t error;
    const char *text;         /* librdkafka's; never a secret, but long */
    int x509_error;           /* of OpenSSL's last refusal of a broker's certificate; 0: there was none */
    const char *x509_subject; /* of that certificate */
    bool at_first;            /* the cluster never answered yet */
    bool own_certificate;     /* we have one to show */
    bool withheld;            /* and it was not sent: its authority is none that the broker names */
    bool own_certificate_ended;
};

/* The sentence, in `out`. Returns a number that is equal for troubles of one kind, for telling a change from
 * a repetition; never 0. */
int trouble_words(const struct trouble *trouble, char *out, size_t room);

/* What an error of OpenSSL's certificate check means for a broker's certificate. */
const char *certificate_words(int x509_error);

#endif
