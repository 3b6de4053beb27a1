/* topicrule version: what is running, for a bug report. */
#include "command.h"
#include "options.h"

#include <librdkafka/rdkafka.h>
#include <mosquitto.h>
#include <openssl/crypto.h>
#include <stdio.h>

static const struct option_row rows[] = {{0}};
static const struct usage usage = {
    .command = "version",
    .synopsis = "",
    .text = "Print the version of topicrule and of the libraries it runs with.\n",
    .rows = rows,
};

int cmd_version(int argc, char **argv)
{
    int major, minor, revision;
    struct options options = options_begin(&usage, argc, argv);

    while (options_next(&options))
        continue;
    if (options.ended)
        return options.status;
    (void)mosquitto_lib_version(&major, &minor, &revision);
    (void)printf("topicrule %s\n", TOPICRULE_VERSION);
    (void)printf("librdkafka %s\n", rd_kafka_version_str());
    (void)printf("libmosquitto %d.%d.%d\n", major, minor, revision);
    (void)printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
    return STATUS_FINE;
}
