import Glibc

/// The floor of a replicated write: a request of some size goes over TCP, a short answer comes back.
///
///     tcp-ping-pong serve ADDRESS PORT
///     tcp-ping-pong call ADDRESS PORT REQUEST-BYTES ANSWER-BYTES ROUNDS     prints microseconds: p50 p99 mean
///     tcp-ping-pong stream ADDRESS PORT MIB                                 prints MiB/s, one way
///
/// Blocking sockets on both ends, TCP_NODELAY: nothing faster can be done with plain sockets on one connection.
@main
struct PingPong {
    static func main() {
        let words = CommandLine.arguments
        guard words.count >= 4, let port = UInt16(words[3]) else { fail("see the head of the source for the usage") }
        switch (words[1], words.count) {
        case ("serve", 4): serve(words[2], port)
        case ("call", 7): call(words[2], port, request: Int(words[4])!, answer: Int(words[5])!, rounds: Int(words[6])!)
        case ("stream", 5): stream(words[2], port, mebibytes: Int(words[4])!)
        default: fail("see the head of the source for the usage")
        }
    }

    /// Each connection starts with two numbers, request and answer size (answer 0: only read until the end).
    static func serve(_ address: String, _ port: UInt16) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var one: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        withAddress(address, port) { if bind(listener, $0, $1) != 0 { fail("bind: \(errno)") } }
        listen(listener, 5)
        while true {
            let peer = accept(listener, nil, nil)
            setsockopt(peer, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
            var sizes = [UInt32](repeating: 0, count: 2)
            guard readAll(peer, &sizes, 8) else { continue }
            var buffer = [UInt8](repeating: 0, count: max(Int(sizes[0]), Int(sizes[1]), 1))
            while readAll(peer, &buffer, Int(sizes[0])) {
                if sizes[1] > 0 { writeAll(peer, &buffer, Int(sizes[1])) }
            }
            if sizes[1] == 0 { writeAll(peer, &buffer, 1) }
            close(peer)
        }
    }

    static func call(_ address: String, _ port: UInt16, request: Int, answer: Int, rounds: Int) {
        let peer = connected(address, port, request, answer)
        var buffer = [UInt8](repeating: 0x5a, count: max(request, answer))
        var times: [Double] = []
        for round in 0..<rounds + rounds / 10 {
            let start = now()
            writeAll(peer, &buffer, request)
            guard readAll(peer, &buffer, answer) else { fail("the server went away") }
            if round >= rounds / 10 { times.append(now() - start) }
        }
        times.sort()
        print(times[times.count / 2], times[times.count * 99 / 100], times.reduce(0, +) / Double(times.count))
    }

    static func stream(_ address: String, _ port: UInt16, mebibytes: Int) {
        let peer = connected(address, port, 131_072, 0)
        var buffer = [UInt8](repeating: 0x5a, count: 131_072)
        let start = now()
        for _ in 0..<mebibytes * 8 { writeAll(peer, &buffer, buffer.count) }
        shutdown(peer, Int32(SHUT_WR))
        _ = readAll(peer, &buffer, 1)
        print(Double(mebibytes) / ((now() - start) / 1e6))
    }

    static func connected(_ address: String, _ port: UInt16, _ request: Int, _ answer: Int) -> Int32 {
        let peer = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        withAddress(address, port) { if connect(peer, $0, $1) != 0 { fail("connect: \(errno)") } }
        var one: Int32 = 1
        setsockopt(peer, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
        var sizes = [UInt32(request), UInt32(answer)]
        writeAll(peer, &sizes, 8)
        return peer
    }

    static func withAddress(_ text: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Void) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, text, &address.sin_addr)
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    static func readAll(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer, _ count: Int) -> Bool {
        var done = 0
        while done < count {
            let got = read(descriptor, buffer + done, count - done)
            if got <= 0 { return false }
            done += got
        }
        return true
    }

    static func writeAll(_ descriptor: Int32, _ buffer: UnsafeRawPointer, _ count: Int) {
        var done = 0
        while done < count {
            let sent = send(descriptor, buffer + done, count - done, Int32(MSG_NOSIGNAL))
            if sent <= 0 { fail("send: \(errno)") }
            done += sent
        }
    }

    /// Microseconds on the monotonic clock.
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
    }

    static func fail(_ text: String) -> Never {
        let line = Array("tcp-ping-pong: \(text)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        exit(1)
    }
}
