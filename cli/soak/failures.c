/* SPDX-License-Identifier: MIT */
#include "failures.h"

#include <stdarg.h>
#include <stdio.h>

void failures_start(failures *f)
{
    f->count = 0;
    (void)pthread_mutex_init(&f->mutex, NULL); /* a default one needs nothing that could lack */
}

void failures_end(failures *f)
{
    (void)pthread_mutex_destroy(&f->mutex);
}

/* Ids are anybody's bytes: what is left goes to terminals and into JSON. */
static void clean(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            *text = ' ';
        } else if (*text < ' ' || *text > '~') {
            *text = '?';
        }
    }
}

void failures_add(failures *f, const char *format, ...)
{
    (void)pthread_mutex_lock(&f->mutex);
    if (f->count < FAILURES_KEPT) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(f->kept[f->count], FAILURE_BYTES, format, args);
        va_end(args);
        clean(f->kept[f->count]);
    }
    f->count++;
    (void)pthread_mutex_unlock(&f->mutex);
}
