#define _GNU_SOURCE 1
#pragma once

// epoll and eventfd.

#include "CYokeFeatures.h"

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const uint32_t YOKE_EPOLL_IN = EPOLLIN;
static const uint32_t YOKE_EPOLL_OUT = EPOLLOUT;
static const uint32_t YOKE_EPOLL_ERROR = EPOLLERR;
static const uint32_t YOKE_EPOLL_HANG_UP = EPOLLHUP;
static const uint32_t YOKE_EPOLL_PEER_HANG_UP = EPOLLRDHUP;
static const uint32_t YOKE_EPOLL_EDGE = EPOLLET;
/// Input, and the end of the peer's direction. Errors are reported unasked.
static const uint32_t YOKE_POLL_INPUT = EPOLLIN | EPOLLRDHUP;

static inline int yoke_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

/// EPOLL_CTL_ADD with a 64-bit cookie.
static inline int yoke_epoll_add(int epoll, int fd, uint32_t events, uint64_t cookie) {
    struct epoll_event event = {.events = events, .data = {.u64 = cookie}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/// EPOLL_CTL_MOD; what is ready of the new events is reported anew.
static inline int yoke_epoll_modify(int epoll, int fd, uint32_t events, uint64_t cookie) {
    struct epoll_event event = {.events = events, .data = {.u64 = cookie}};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

static inline int yoke_epoll_remove(int epoll, int fd) {
    struct epoll_event event = {0};
    return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &event);
}

/// Waits at most `nanoseconds` (negative: without limit). Falls back to milliseconds, rounded up, before Linux 5.11.
static inline int yoke_epoll_wait(int epoll, struct epoll_event *events, int limit, int64_t nanoseconds) {
    if (nanoseconds <= 0)
        return epoll_wait(epoll, events, limit, nanoseconds < 0 ? -1 : 0);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
    struct timespec timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    int count = epoll_pwait2(epoll, events, limit, &timeout, NULL);
    if (count >= 0 || errno != ENOSYS)
        return count;
#endif
    int64_t milliseconds = (nanoseconds + 999999) / 1000000;
    return epoll_wait(epoll, events, limit, milliseconds > INT32_MAX ? INT32_MAX : (int)milliseconds);
}

static inline uint64_t yoke_epoll_event_cookie(const struct epoll_event *event) { return event->data.u64; }

static inline int yoke_eventfd_create(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
