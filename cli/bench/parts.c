/* SPDX-License-Identifier: MIT */
/* See parts.h. */
#include "parts.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inputs.h"
#include "interrupt.h"
#include "spawn_self.h"
#include "support.h"

/* A process's standard output as JSON; NULL: there is none, and it has said why or a signal came. */
static json_t *answer_of(const char *const *arguments, const char *what)
{
    spawned child;
    const int error = spawn_self(&(spawn_options){.arguments = (char *const *)arguments}, &child);
    if (error != 0) {
        fprintf(stderr, "ortpool bench: %s: no process can be started: %s\n", what,
                strerror(error));
        return NULL;
    }
    if (!interrupt_wait_readable(child.output)) {
        (void)kill(child.pid, SIGTERM);
    }
    json_t *answer = json_loadfd(child.output, 0, NULL);
    int status = 0;
    (void)close(child.output);
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        if (answer == NULL) {
            fprintf(stderr, "ortpool bench: %s: its process answered nothing\n", what);
        }
        return answer;
    }
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "ortpool bench: %s: its process ended with signal %d (%s)\n", what,
                WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    json_decref(answer);
    return NULL;
}

static bool add_typing(json_t *document, const collect_options *options, size_t typing)
{
    char count[32], beam[32];
    snprintf(count, sizeof(count), "%zu", typing);
    snprintf(beam, sizeof(beam), "%zu", options->beam);
    const char *const arguments[] = {
        "bench", "typing", options->folders[ROW_MODEL],    options->swipes,
        count,   beam,     options->quiet ? "quiet" : "-", NULL};
    json_t *answer = answer_of(arguments, "typing");
    if (answer == NULL) {
        return false;
    }
    bench_put(document, "typing", answer);
    return true;
}

static bool add_pool(json_t *document)
{
    static const char *const arguments[] = {"bench", "pool", "--json", NULL};
    json_t *answer = answer_of(arguments, "pool");
    json_t *pool = json_incref(json_object_get(answer, "pool"));
    json_decref(answer);
    if (pool == NULL) {
        return false;
    }
    bench_put(document, "pool", pool);
    return true;
}

bool parts_add(json_t *document, const collect_options *options, size_t typing, bool pool)
{
    /* A session is one of words; without a keyboard there is none. */
    const bool types = typing > 0 && inputs_keyboard(options->folders[ROW_MODEL]);
    return (!types || add_typing(document, options, typing)) && (!pool || add_pool(document)) &&
           interrupt_signal() == 0;
}
