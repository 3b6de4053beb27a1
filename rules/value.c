#include "value.h"

#include <stddef.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* A whole number without sign, then one of `units`. */
static bool measure(struct span text, const struct unit *units, size_t count, int64_t *out)
{
    int64_t number = 0;
    size_t i = 0;

    for (; i < text.size && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        if (__builtin_mul_overflow(number, (int64_t)10, &number) ||
            __builtin_add_overflow(number, (int64_t)(text.data[i] - '0'), &number))
            return false;
    if (i == 0)
        return false;
    struct span unit = {text.data + i, text.size - i};
    for (size_t u = 0; u < count; u++)
        if (span_is(unit, units[u].name))
            return !__builtin_mul_overflow(number, units[u].factor, out);
    return false;
}

bool value_duration(struct span text, int64_t *ms)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

    return measure(text, units, sizeof units / sizeof *units, ms);
}

bool value_size(struct span text, int64_t *bytes)
{
    static const struct unit units[] = {
        {"", 1}, {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

    return measure(text, units, sizeof units / sizeof *units, bytes);
}

static bool is_host(struct span host)
{
    for (size_t i = 0; i < host.size; i++) {
        unsigned char c = (unsigned char)host.data[i];

        if (c <= ' ' || c == 0x7f || strchr("/?#[]\\\"'<>{}|^`,", c))
            return false;
    }
    return host.size > 0 && host.size <= 253;
}

const char *value_broker(struct span text, struct span *host, int *port, bool *tls)
{
    static const char wrong_port[] = "the port is no number from 1 to 65535";
    struct span rest = text;
    const char *colon;

    if (span_starts_with(text, "mqtt://"))
        rest = (struct span){text.data + 7, text.size - 7};
    else if (span_starts_with(text, "mqtts://"))
        rest = (struct span){text.data + 8, text.size - 8};
    else
        return "expected mqtt://host:1883 or mqtts://host:8883";
    *tls = text.data[4] == 's';
    *port = *tls ? 8883 : 1883;
    if (rest.size && rest.data[rest.size - 1] == '/')
        rest.size--;
    if (rest.size && memchr(rest.data, '@', rest.size))
        return "user name and password do not stand in the address: set mqtt.username and mqtt.password";

    if (rest.size && rest.data[0] == '[') {
        const char *close = memchr(rest.data, ']', rest.size);

        if (!close)
            return "the [ of an IPv6 address has no ]";
        *host = (struct span){rest.data + 1, (size_t)(close - rest.data) - 1};
        rest = (struct span){close + 1, rest.size - host->size - 2};
        if (rest.size && rest.data[0] != ':')
            return "expected : and a port after ]";
        colon = rest.size ? rest.data : NULL;
    } else {
        colon = rest.size ? memchr(rest.data, ':', rest.size) : NULL;
        *host = (struct span){rest.data, colon ? (size_t)(colon - rest.data) : rest.size};
        if (colon && memchr(colon + 1, ':', rest.size - host->size - 1))
            return "an IPv6 address stands in brackets, as in mqtt://[::1]:1883";
    }
    if (!is_host(*host))
        return "there is no host name in it: expected mqtt://host:1883 or mqtts://host:8883";
    if (!colon)
        return NULL;

    size_t digits = rest.size - (size_t)(colon + 1 - rest.data);
    *port = 0;
    for (size_t i = 1; i <= digits; i++) {
        if (colon[i] < '0' || colon[i] > '9' || digits > 5)
            return wrong_port;
        *port = *port * 10 + (colon[i] - '0');
    }
    return *port >= 1 && *port <= 65535 ? NULL : wrong_port;
}
