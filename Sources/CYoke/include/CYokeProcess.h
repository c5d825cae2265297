#define _GNU_SOURCE 1
#pragma once

// Threads, child processes, randomness.

#include "CYokeFeatures.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/// Nanoseconds of CLOCK_MONOTONIC.
static inline uint64_t yoke_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/// A number that differs between the living threads of this process.
static inline uint64_t yoke_thread_identity(void) { return (uint64_t)pthread_self(); }

static inline int yoke_pidfd_open(pid_t process) {
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, process, 0);
#else
    errno = ENOSYS;
    return -1;
#endif
}

static inline int yoke_did_exit(int status) { return WIFEXITED(status); }
static inline int yoke_exit_status(int status) { return WEXITSTATUS(status); }
static inline int yoke_termination_signal(int status) { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }

/// posix_spawn(3) with stdin from /dev/null, no blocked signals, default signal actions, and a working directory.
/// Returns 0 or an error number.
static inline int yoke_spawn(
    pid_t *process, const char *path, char *const *arguments, char *const *environment, const char *directory) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0 /* O_RDONLY */, 0);
    if (error == 0 && directory != NULL)
        error = posix_spawn_file_actions_addchdir_np(&actions, directory);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    // All of ours are close-on-exec; those that somebody else left open to us are not.
    if (error == 0)
        error = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
#endif
    if (error == 0)
        error = posix_spawnp(process, path, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}
