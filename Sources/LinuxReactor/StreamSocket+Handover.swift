internal import Glibc

// A connection that moves from one reactor to another: accepted and greeted by one, served by the other.
extension StreamSocket {
    /// Ends the use of the socket here and returns a descriptor of the same connection, which is the caller's. Nil when
    /// the system has no descriptor left; the connection is closed then.
    package func handOver() -> Int32? {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        close()
        return copy >= 0 ? copy : nil
    }
}

extension Reactor {
    /// Takes a connected stream socket, which must be non-blocking, into this reactor. On the reactor's thread. On
    /// failure the descriptor is closed.
    package func adopt(descriptor: Int32, handler: any StreamSocketHandler) throws(SystemError) -> StreamSocket {
        let socket = StreamSocket(accepted: descriptor, reactor: self)
        do throws(SystemError) {
            try watch(socket)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        socket.handler = handler
        return socket
    }
}
