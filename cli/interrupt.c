/* SPDX-License-Identifier: MIT */
/*
 * The one piece of global state of the command: a signal handler has no other way to say anything.
 *
 * The handler writes a byte into a pipe that nobody reads from, and every wait for input waits for
 * that pipe too: whatever the moment and the thread of the signal, no wait can miss it.
 */
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_int caught;
static int wake[2] = {-1, -1};

void interrupt_end_input(void)
{
    /* A full pipe is readable as well, so a write that fails changes nothing. */
    ssize_t ignored = write(wake[1], "", 1);
    (void)ignored;
}

static const int ends[] = {SIGINT, SIGTERM};

static void on_signal(int number)
{
    int kept = errno;
    atomic_store(&caught, number);
    interrupt_end_input();
    errno = kept;
}

bool interrupt_install(void)
{
    if (pipe(wake) != 0) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        (void)fcntl(wake[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(wake[i], F_SETFL, O_NONBLOCK);
    }
    /* Writes go on (SA_RESTART); poll() ends all the same. The second signal has its usual effect.
     */
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct sigaction current;
        sigaction(ends[i], NULL, &current);
        /* Started in the background with the signal ignored: it stays ignored. */
        if (current.sa_handler != SIG_IGN) {
            sigaction(ends[i], &action, NULL);
        }
    }
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
    return true;
}

void interrupt_every_time(void)
{
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct sigaction current;
        sigaction(ends[i], NULL, &current);
        if (current.sa_handler == on_signal) {
            current.sa_flags &= ~(int)SA_RESETHAND;
            sigaction(ends[i], &current, NULL);
        }
    }
}

int interrupt_signal(void)
{
    return atomic_load(&caught);
}

bool interrupt_wait_readable(int fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake[0], .events = POLLIN}};
    int ready;
    do {
        ready = poll(fds, 2, -1);
    } while (ready < 0 && errno == EINTR);
    /* After any other error nothing is marked: what is wrong is for the read to find out. */
    return fds[1].revents == 0;
}
