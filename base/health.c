#include "base/health.h"

#include <stdarg.h>
#include <stdio.h>

void health_tell(const struct health_report *report, enum health health, const char *what, const char *format,
                 ...)
{
    char text[600];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report->tell(report->context, health, what, text);
}
