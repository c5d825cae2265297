internal import EngineKit
internal import Replication

/// One TCP connection, or an attempt to make one: two ends and a pipe in each direction.
final class SimulatedConnection {
    enum EndState {
        /// The client waits for an answer, the server end is nobody's yet.
        case connecting
        case open
        /// Closed by its owner, or told to it that the connection is over.
        case closed
        /// Its machine lost power: nobody will ever answer, until the machine is back and answers with a reset.
        case vanished
    }

    struct End {
        let host: Int
        /// Nil on the server side until it is accepted.
        var socket: SocketID?
        var state = EndState.connecting
    }

    /// 0 is the client, 1 the server.
    var ends: [End]
    /// 0 from client to server, 1 back.
    var pipes: [Pipe] = [Pipe(), Pipe()]
    /// Nothing arrives any more in either direction and nobody is told: a middlebox forgot the connection.
    var isForgotten = false
    let deadline: UInt64

    init(client: Int, socket: SocketID, deadline: UInt64) {
        ends = [End(host: client, socket: socket), End(host: 1 - client)]
        self.deadline = deadline
    }

    var isOver: Bool {
        ends.allSatisfy { $0.state == .closed || $0.state == .vanished }
    }
}

/// Bytes in one direction of a connection.
struct Pipe {
    enum Ending {
        case finished
        case reset
    }

    struct Segment {
        var arrival: UInt64
        var count: Int
    }

    /// All bytes that the receiver did not take yet; the first ``arrived`` of them are at its host.
    var bytes = ByteRing()
    var arrived = 0
    /// What is still on the way, in order.
    var segments: [Segment] = []
    /// Bytes that the receiver took while it could not tell the sender.
    var unconfirmed = 0
    /// When the last byte so far arrives.
    var lastArrival: UInt64 = 0
    /// What follows the last byte.
    var ending: Ending?
    /// The ending has reached the receiver's host.
    var hasEndingArrived = false
    /// Something is on the way but the link is down.
    var isStalled = false
    var scanner = PacketScanner()

    /// Bytes that count against the buffers of both hosts.
    var occupancy: Int { bytes.count + unconfirmed }
    var bytesOnTheWay: Int { bytes.count - arrived }

    /// Drops what has not arrived.
    mutating func loseBytesOnTheWay() {
        bytes.removeLast(bytesOnTheWay)
        segments.removeAll()
    }

    mutating func clear() {
        bytes.removeAll()
        segments.removeAll()
        arrived = 0
    }
}
