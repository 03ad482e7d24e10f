/* SPDX-License-Identifier: MIT */
#include "reporter.h"

#include <assert.h>

void ortp__reporter_join(ortp_budget *budget, ortp__reporter *reporter, ortp__report_fn fn,
                         const void *object)
{
    ortp__reporters *all = ortp__budget_reporters(budget);
    assert(reporter->fn == NULL);
    ortp__lock(&all->lock);
    reporter->fn = fn;
    reporter->object = object;
    reporter->previous = NULL;
    reporter->next = all->first;
    if (reporter->next != NULL) {
        reporter->next->previous = reporter;
    }
    all->first = reporter;
    ortp__unlock(&all->lock);
}

void ortp__reporter_leave(ortp_budget *budget, ortp__reporter *reporter)
{
    if (reporter->fn == NULL) {
        return; /* only the object's own thread changes it */
    }
    ortp__reporters *all = ortp__budget_reporters(budget);
    ortp__lock(&all->lock);
    if (reporter->previous != NULL) {
        reporter->previous->next = reporter->next;
    } else {
        assert(all->first == reporter);
        all->first = reporter->next;
    }
    if (reporter->next != NULL) {
        reporter->next->previous = reporter->previous;
    }
    reporter->fn = NULL;
    ortp__unlock(&all->lock);
}
