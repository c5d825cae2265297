internal import CYoke
internal import Glibc

/// Settings of a stream socket.
package struct SocketOptions: Equatable, Sendable {
    /// TCP_NODELAY. Requests are coalesced by the sender, so Nagle's algorithm only adds waits.
    package var noDelay = true
    /// SO_SNDBUF in bytes; 0 leaves it to the kernel's tuning. Spec: drbd-config-and-tools, `sndbuf-size`.
    package var sendBufferByteCount = 0
    /// SO_RCVBUF in bytes; 0 leaves it to the kernel's tuning. Spec: drbd-config-and-tools, `rcvbuf-size`.
    package var receiveBufferByteCount = 0

    /// TCP_USER_TIMEOUT in milliseconds: how long sent bytes may stay without an answer; 0 leaves it to the kernel.
    package var userTimeoutMilliseconds = 0

    package init() {}

    /// Sets them on a socket that is not connected yet, since buffer sizes decide the window that is announced.
    /// Settings that the kernel refuses keep its own values.
    func apply(to descriptor: Int32, family: Int32) {
        if sendBufferByteCount > 0 {
            Self.setByteCount(sendBufferByteCount, SO_SNDBUFFORCE, else: SO_SNDBUF, of: descriptor)
        }
        if receiveBufferByteCount > 0 {
            Self.setByteCount(receiveBufferByteCount, SO_RCVBUFFORCE, else: SO_RCVBUF, of: descriptor)
        }
        if noDelay && family != AF_UNIX {
            _ = yoke_set_option(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        }
        if userTimeoutMilliseconds > 0 && family != AF_UNIX {
            let milliseconds = Int32(clamping: userTimeoutMilliseconds)
            _ = yoke_set_option(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, milliseconds)
        }
    }

    /// Past `wmem_max` and `rmem_max` where that is allowed, as the kernel's own DRBD does.
    private static func setByteCount(_ count: Int, _ forced: Int32, else limited: Int32, of descriptor: Int32) {
        let count = Int32(clamping: count)
        guard yoke_set_option(descriptor, SOL_SOCKET, forced, count) != 0 else { return }
        _ = yoke_set_option(descriptor, SOL_SOCKET, limited, count)
    }
}
