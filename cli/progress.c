/* SPDX-License-Identifier: MIT */
/* The bar: redrawn in place with a carriage return, so nothing of it is left in the scroll-back. */
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BAR_COLUMNS 24
#define INTERVAL_SECONDS 0.1

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void progress_start(progress *p, const char *what, double delay, bool quiet)
{
    const char *term = getenv("TERM");
    bool can = term != NULL && strcmp(term, "dumb") != 0 && isatty(STDERR_FILENO);
    *p = (progress){.on = !quiet && can, .what = what, .start = seconds_now(), .delay = delay};
}

/* Seconds as "0:07" or "1:02:03". */
static void format_seconds(double seconds, char *text, size_t capacity)
{
    unsigned long whole = (unsigned long)(seconds + 0.5);
    if (whole >= 3600) {
        snprintf(text, capacity, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60, whole % 60);
    } else {
        snprintf(text, capacity, "%lu:%02lu", whole / 60, whole % 60);
    }
}

void progress_update(progress *p, double fraction, const char *note)
{
    if (!p->on) {
        return;
    }
    double now = seconds_now();
    if (now - p->start < p->delay || (p->shown && now - p->last < INTERVAL_SECONDS)) {
        return;
    }
    p->last = now;
    p->shown = true;
    if (fraction < 0) {
        fprintf(stderr, "\r\033[K%s  %s", p->what, note);
    } else {
        char bar[BAR_COLUMNS + 1];
        fraction = fmin(fraction, 1); /* a file may grow while it is read */
        int full = (int)(fraction * BAR_COLUMNS);
        for (int i = 0; i < BAR_COLUMNS; i++) {
            bar[i] = i < full ? '=' : i == full ? '>' : ' ';
        }
        bar[BAR_COLUMNS] = '\0';
        /* Over the last few per cent the estimate is noise. */
        char left[32] = "";
        if (fraction > 0.02 && fraction < 1) {
            char time[24];
            format_seconds((now - p->start) * (1 - fraction) / fraction, time, sizeof(time));
            snprintf(left, sizeof(left), ", %s left", time);
        }
        fprintf(stderr, "\r\033[K%s [%s] %3.0f %%  %s%s", p->what, bar, fraction * 100, note, left);
    }
    fflush(stderr);
}

void progress_clear(progress *p)
{
    if (p->shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        p->shown = false;
    }
}
