#include "kafka/kafka.h"

#include "realms.h"

int kafka_process_init(struct err *err)
{
    return realms_init(err);
}
