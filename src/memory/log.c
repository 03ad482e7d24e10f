/* SPDX-License-Identifier: MIT */
/*
 * Messages for people: the caller's error detail and the host's log callback. Both are formatted in
 * place, without a heap allocation, since most of them tell of a lack of memory.
 */
#include "internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define LOG_LINE_MAX 512

ortp_status ortp__fail(ortp_error *error, ortp_status status, const char *format, ...)
{
    if (ortp__out_check(error) != ORTP_OK) {
        return status;
    }
    ortp_error detail = ORTP_ERROR_INIT;
    detail.status = status;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(detail.message, sizeof detail.message, format, arguments);
    va_end(arguments);
    ortp__error_copy(error, &detail);
    return status;
}

void ortp__error_copy(ortp_error *error, const ortp_error *detail)
{
    if (ortp__out_check(error) != ORTP_OK) {
        return;
    }
    const size_t bytes = error->struct_size;
    const size_t before = offsetof(ortp_error, message);
    ortp__out_copy(error, bytes, detail, sizeof *detail);
    if (bytes > before && bytes < sizeof *detail) {
        error->message[bytes - before - 1] = '\0'; /* where it was cut */
    }
}

void ortp__error_set_ort_code(ortp_error *error, int32_t ort_code)
{
    if (error != NULL &&
        error->struct_size >= offsetof(ortp_error, ort_code) + sizeof error->ort_code) {
        error->ort_code = ort_code;
    }
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

ortp_status ortp__file_open_named(const char *path, FILE **out, ortp_error *error)
{
    *out = ortp__file_open(path);
    if (*out != NULL) {
        return ORTP_OK;
    }
    char reason[ORTP__ERRNO_BYTES];
    const int number = errno;
    return ortp__fail(error, ortp__open_status(number), "%s: cannot be opened: %s", path,
                      ortp__errno_text(number, reason));
}
