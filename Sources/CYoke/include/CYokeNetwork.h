#define _GNU_SOURCE 1
#pragma once

// Sockets.

#include "CYokeFeatures.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static const int YOKE_SOCKET_STREAM = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

static const unsigned YOKE_INTERFACE_LOOPBACK = IFF_LOOPBACK;

static inline int yoke_accept(int fd) { return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

/// Sends what the socket takes at once, never raises SIGPIPE.
static inline ssize_t yoke_send(int fd, const struct iovec *pieces, size_t count) {
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = (struct iovec *)pieces;
    message.msg_iovlen = count;
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static inline ssize_t yoke_receive(int fd, void *bytes, size_t count) { return recv(fd, bytes, count, MSG_DONTWAIT); }

/// Looks at the first waiting bytes and leaves them.
static inline ssize_t yoke_peek(int fd, void *bytes, size_t count) {
    return recv(fd, bytes, count, MSG_DONTWAIT | MSG_PEEK);
}

static inline int yoke_set_option(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value);
}

/// SO_ERROR, or errno when even that fails.
static inline int yoke_socket_error(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : EIO;
}
