internal import Glibc

/// Whether somebody listens at an address, found out by a TCP connection that is closed at once.
enum PeerPort {
    enum Answer: Equatable {
        case listens
        case refused
        case silent(String)
        /// Not tried: no numeric address.
        case unknown
    }

    private static let timeoutMilliseconds: Int32 = 2000

    static func knock(_ address: String, port: Int, from local: String) -> Answer {
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        return resolved(address, "\(port)", hints) { peer in
            resolved(local, nil, hints) { own in knock(peer, own) } ?? .unknown
        } ?? .unknown
    }

    private static func resolved(
        _ address: String, _ service: String?, _ hints: addrinfo, _ body: (addrinfo) -> Answer?
    ) -> Answer? {
        var hints = hints
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(address, service, &hints, &list) == 0, let first = list else { return nil }
        defer { freeaddrinfo(list) }
        return body(first.pointee)
    }

    private static func knock(_ peer: addrinfo, _ own: addrinfo) -> Answer {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(peer.ai_family, type, 0)
        guard descriptor >= 0, own.ai_family == peer.ai_family else { return .unknown }
        defer { close(descriptor) }
        guard bind(descriptor, own.ai_addr, own.ai_addrlen) == 0 else { return .unknown }
        if connect(descriptor, peer.ai_addr, peer.ai_addrlen) == 0 { return .listens }
        guard errno == EINPROGRESS else { return answer(errno) }
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&wanted, 1, timeoutMilliseconds) > 0 else { return .silent("no answer within 2 s") }
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        return code == 0 ? .listens : answer(code)
    }

    private static func answer(_ code: Int32) -> Answer {
        code == ECONNREFUSED ? .refused : .silent(String(cString: strerror(code)))
    }
}
