#include "rules/listen.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>

#define EXPECTED "expected 127.0.0.1:9188, [::1]:9188, unix:/run/topicrule/admin.sock or off"

static const char *read_path(struct span path, const char *directory, struct listen *out)
{
    bool beside = path.size > 0 && path.data[0] != '/' && directory && strcmp(directory, ".") != 0;
    int size = snprintf(out->path, sizeof out->path, "%s%s" SPAN_FMT, beside ? directory : "",
                        beside ? "/" : "", SPAN_ARG(path));

    if (path.size == 0)
        return "unix: needs the path of a socket, as in unix:/run/topicrule/admin.sock";
    if (memchr(path.data, '\0', path.size))
        return "the path has a zero byte";
    if (size < 0 || (size_t)size >= sizeof out->path)
        return "the path of the socket is too long: the system takes 107 bytes";
    out->how = LISTEN_UNIX;
    return NULL;
}

static bool read_port(struct span text, int *port)
{
    *port = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || i == 5)
            return false;
        *port = *port * 10 + (text.data[i] - '0');
    }
    return *port > 0 && *port <= 65535;
}

/* In numbers: a name may mean another machine tomorrow. */
static bool is_loopback(const char *host)
{
    struct in6_addr six;
    struct in_addr four;

    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

const char *listen_read(struct span text, const char *directory, struct listen *out)
{
    const char *colon = text.size ? memrchr(text.data, ':', text.size) : NULL;
    struct span host = {text.data, colon ? (size_t)(colon - text.data) : 0};

    *out = (struct listen){0};
    if (span_is(text, "off")) {
        out->how = LISTEN_OFF;
        return NULL;
    }
    if (span_starts_with(text, "unix:"))
        return read_path((struct span){text.data + 5, text.size - 5}, directory, out);
    if (!colon || host.size == 0)
        return EXPECTED;
    if (!read_port((struct span){colon + 1, text.size - host.size - 1}, &out->port))
        return "the port is no number from 1 to 65535; " EXPECTED;
    if (host.data[0] == '[' && host.data[host.size - 1] == ']')
        host = (struct span){host.data + 1, host.size - 2};
    else if (memchr(host.data, ':', host.size))
        return "an IPv6 address stands in brackets, as in [::1]:9188";
    if (span_is(host, "localhost"))
        host = SPAN("127.0.0.1");
    (void)snprintf(out->host, sizeof out->host, SPAN_FMT, SPAN_ARG(host));
    if (host.size >= sizeof out->host || !is_loopback(out->host))
        return "only this machine may be listened to: 127.0.0.1:PORT, [::1]:PORT or unix:PATH; to look from "
               "another "
               "one, put a proxy in front that asks for a password";
    out->how = LISTEN_TCP;
    return NULL;
}
