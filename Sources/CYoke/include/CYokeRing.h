#define _GNU_SOURCE 1
#pragma once

// io_uring by liburing, linked statically.

#include "CYokeFeatures.h"

#include <liburing.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>

/// The request of this completion goes on (a multishot poll).
static const unsigned YOKE_RING_MORE = IORING_CQE_F_MORE;

/// Makes a ring for one thread, with the cheapest way to run completions that the kernel offers: on entry only (6.1),
/// without interrupts (5.19), or plainly. Returns 0 or a negative error number.
static inline int yoke_ring_create(struct io_uring *ring, unsigned entries) {
    const unsigned choices[3] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_COOP_TASKRUN,
        0,
    };
    int error = 0;
    for (int index = 0; index < 3; index++) {
        struct io_uring_params parameters;
        memset(&parameters, 0, sizeof parameters);
        parameters.flags = choices[index] | IORING_SETUP_CLAMP;
        memset(ring, 0, sizeof *ring);
        error = io_uring_queue_init_params(entries, ring, &parameters);
        if (error == 0 && !(parameters.features & IORING_FEAT_EXT_ARG)) {
            // Before 5.11 a wait with a time limit needs a request of its own; epoll serves such kernels.
            io_uring_queue_exit(ring);
            return -ENOSYS;
        }
        if (error != -EINVAL)
            return error;
    }
    return error;
}

static inline unsigned yoke_ring_completion_entries(const struct io_uring *ring) { return ring->cq.ring_entries; }

/// Submits all and waits for one completion for at most `nanoseconds` (negative: without limit; 0: does not wait, but
/// lets the kernel post what is done).
static inline int yoke_ring_submit_and_wait(struct io_uring *ring, int64_t nanoseconds) {
    if (nanoseconds == 0)
        return io_uring_submit_and_get_events(ring);
    if (nanoseconds < 0)
        return io_uring_submit_and_wait(ring, 1);
    struct __kernel_timespec timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    struct io_uring_cqe *first = NULL;
    return io_uring_submit_and_wait_timeout(ring, &first, 1, &timeout, NULL);
}

/// Takes one completion; 0 when there is none.
static inline int yoke_ring_take(struct io_uring *ring, uint64_t *cookie, int32_t *result, uint32_t *flags) {
    struct io_uring_cqe *completion = NULL;
    if (io_uring_peek_cqe(ring, &completion) != 0 || completion == NULL)
        return 0;
    *cookie = completion->user_data;
    *result = completion->res;
    *flags = completion->flags;
    io_uring_cqe_seen(ring, completion);
    return 1;
}

static inline void yoke_ring_prepare_read(
    struct io_uring_sqe *entry, int fd, void *bytes, unsigned count, uint64_t offset, uint64_t cookie) {
    io_uring_prep_read(entry, fd, bytes, count, offset);
    entry->user_data = cookie;
}

static inline void yoke_ring_prepare_write(
    struct io_uring_sqe *entry, int fd, const void *bytes, unsigned count, uint64_t offset, int flags,
    uint64_t cookie) {
    io_uring_prep_write(entry, fd, bytes, count, offset);
    entry->rw_flags = flags;
    entry->user_data = cookie;
}

static inline void yoke_ring_prepare_synchronize(struct io_uring_sqe *entry, int fd, uint64_t cookie) {
    io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
    entry->user_data = cookie;
}

static inline void yoke_ring_prepare_allocate(
    struct io_uring_sqe *entry, int fd, int mode, uint64_t offset, uint64_t count, uint64_t cookie) {
    io_uring_prep_fallocate(entry, fd, mode, (off_t)offset, (off_t)count);
    entry->user_data = cookie;
}

/// Reports every edge until it is cancelled.
static inline void yoke_ring_prepare_poll(struct io_uring_sqe *entry, int fd, unsigned events, uint64_t cookie) {
    io_uring_prep_poll_multishot(entry, fd, events);
    entry->user_data = cookie;
}

/// Reports once that there is room to write.
static inline void yoke_ring_prepare_output_poll(struct io_uring_sqe *entry, int fd, uint64_t cookie) {
    io_uring_prep_poll_add(entry, fd, POLLOUT);
    entry->user_data = cookie;
}

/// Ends a poll for certain. IORING_OP_POLL_REMOVE would answer EALREADY and leave a poll armed that is just reporting;
/// then the ring keeps the file, a closed connection stays open, and a handed-over one wakes this ring for ever.
static inline void yoke_ring_prepare_poll_removal(struct io_uring_sqe *entry, uint64_t polled, uint64_t cookie) {
    io_uring_prep_cancel64(entry, polled, 0);
    entry->user_data = cookie;
}
