/* SPDX-License-Identifier: MIT */
/* See row_process.h. */
#include "row_process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interrupt.h"

#define NUMBER 32 /* characters */

/* ---- the arguments: bench row NAME FOLDER SWIPES MOST BEAM FIRST MODE SPIN ---- */

enum { ARGUMENTS = 9 };

bool row_options_read(int argc, char **argv, row_options *out)
{
    if (argc != ARGUMENTS) {
        return false;
    }
    *out = (row_options){.name = argv[1],
                         .folder = argv[2],
                         .swipes = argv[3],
                         .most = strtoul(argv[4], NULL, 10),
                         .beam = strtoul(argv[5], NULL, 10),
                         .first = strtoul(argv[6], NULL, 10),
                         .once = strchr(argv[7], 'o') != NULL,
                         .cold = strchr(argv[7], 'c') != NULL,
                         .preloaded = strchr(argv[7], 'p') != NULL,
                         .spin_us = strtod(argv[8], NULL)};
    return true;
}

static int start(row_process *p, const row_options *o, const row_about *about)
{
    char most[NUMBER], beam[NUMBER], first[NUMBER], spin[NUMBER], mode[8];
    snprintf(most, sizeof(most), "%zu", o->most);
    snprintf(beam, sizeof(beam), "%zu", o->beam);
    snprintf(first, sizeof(first), "%zu", o->first);
    snprintf(spin, sizeof(spin), "%.1f", o->spin_us);
    snprintf(mode, sizeof(mode), "-%s%s%s", o->once ? "o" : "", o->cold ? "c" : "",
             about->preload != NULL ? "p" : "");
    const char *const arguments[] = {"bench", "row", o->name, o->folder, o->swipes, most,
                                     beam,    first, mode,    spin,      NULL};
    return spawn_self(&(spawn_options){.arguments = (char *const *)arguments,
                                       .count_heap = about->count_heap,
                                       .preload = about->preload,
                                       .tracer = about->tracer,
                                       .has_input = true},
                      &p->child);
}

bool row_process_start(row_process *p, const row_options *options, const row_about *about)
{
    static const row_about plain;
    *p = (row_process){.name = options->name};
    const int error = start(p, options, about != NULL ? about : &plain);
    if (error != 0) {
        fprintf(stderr, "ortpool bench: %s: no process can be started: %s\n", p->name,
                strerror(error));
        return false;
    }
    p->answers = fdopen(p->child.output, "r");
    if (p->answers == NULL) {
        fprintf(stderr, "ortpool bench: %s: %s\n", p->name, strerror(errno));
        (void)close(p->child.output);
        (void)row_process_end(p, true);
        return false;
    }
    return true;
}

/* An answer is a line, and there is one for each question: nothing of the next is read with it. */
static json_t *read_answer(row_process *p)
{
    char *line = NULL;
    size_t capacity = 0;
    json_t *answer = NULL;
    if (interrupt_wait_readable(p->child.output) && getline(&line, &capacity, p->answers) > 0) {
        answer = json_loads(line, 0, NULL);
    }
    free(line);
    return answer;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static void say_end(const char *name, int status)
{
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "ortpool bench: %s: its process ended with signal %d (%s)\n", name,
                WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) == 0) {
        fprintf(stderr, "ortpool bench: %s: its process ended before it was told to\n", name);
    } /* else it has said why */
}

json_t *row_process_ask(row_process *p, const char *line)
{
    const size_t length = line != NULL ? strlen(line) : 0;
    json_t *answer = NULL;
    if (length == 0 || write(p->child.input, line, length) == (ssize_t)length) {
        answer = read_answer(p);
    }
    if (answer == NULL &&
        interrupt_signal() == 0) { /* it has ended: nothing else closes its output */
        say_end(p->name, wait_for(p->child.pid));
        p->child.pid = -1;
    }
    return answer;
}

bool row_process_end(row_process *p, bool at_once)
{
    const pid_t pid = p->child.pid;
    int status = 0;
    if (p->child.input > 0) {
        (void)close(p->child.input);
    }
    if (pid > 0 && at_once) {
        (void)kill(pid, SIGKILL);
    }
    if (pid > 0) {
        status = wait_for(pid);
    }
    if (p->answers != NULL) {
        (void)fclose(p->answers);
    }
    const char *name = p->name;
    *p = (row_process){.name = name};
    if (!at_once && WIFSIGNALED(status)) {
        say_end(name, status);
    }
    return at_once || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
