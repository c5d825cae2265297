/// Data for the peer's reads and resync requests that waits on the data socket.
///
/// What the peer asks for is the only output whose amount the peer decides; nothing else of what waits there may hold
/// up the receiver: two Primaries whose links are full would each wait for the other one to read.
struct ReplyBacklog {
    /// Where the replies end in the stream of the socket, oldest first.
    private var replies: RingQueue<(position: UInt64, byteCount: Int)> = RingQueue()
    private(set) var byteCount = 0

    /// From so many bytes on nothing more is read for the peer.
    static let byteCountMax = 16 << 20

    mutating func append(byteCount: Int, position: UInt64) {
        replies.append((position: position, byteCount: byteCount))
        self.byteCount += byteCount
    }

    /// The socket has taken its bytes up to `position`.
    mutating func transmitted(position: UInt64) {
        while let first = replies.first, first.position <= position {
            _ = replies.popFirst()
            byteCount -= first.byteCount
        }
    }
}
