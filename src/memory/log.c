/* SPDX-License-Identifier: MIT */
/*
 * Messages for people: the caller's error detail and the host's log callback. Both are formatted in
 * place, without a heap allocation, since most of them tell of a lack of memory.
 */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>

#define LOG_LINE_MAX 512

ortp_status ortp__fail(ortp_error *error, ortp_status status, const char *format, ...)
{
    if (error == NULL) {
        return status;
    }
    error->status = status;
    error->ort_code = 0;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return status;
}

void ortp__log(const ortp_logger *logger, ortp_log_level level, const char *format, ...)
{
    if (logger == NULL || logger->fn == NULL) {
        return;
    }
    ortp_log_level most = logger->level == 0 ? ORTP_LOG_WARNING : logger->level;
    if (level > most) {
        return;
    }
    char line[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    for (char *c = line; *c != 0; c++) {
        if (*c == '\n' || *c == '\r') {
            *c = ' '; /* names from files may hold them; a message is one line */
        }
    }
    logger->fn(logger->ctx, level, line);
}
