internal import EngineKit

/// Replies on their way to `/dev/fuse`. Each goes out by one write: a head, and payload by reference behind it.
package struct FUSEReplyQueue {
    private struct Message {
        var start: Int
        var count: Int
        var payload: IOSlice?
        /// Nodes that the kernel learns of by this reply.
        var nodes: [UInt64]
    }

    private var messages: [Message] = []
    private var first = 0
    private var arena: [UInt8] = []

    package init() {}

    package var isEmpty: Bool { first == messages.count }
    package var count: Int { messages.count - first }

    /// The first reply's head and payload; the pointers live as long as the call.
    package func withFirst<Result>(
        _ body: (_ head: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer) -> Result
    ) -> Result {
        precondition(!isEmpty, "no reply waits")
        let message = messages[first]
        return arena.withUnsafeBytes { bytes in
            body(
                UnsafeRawBufferPointer(rebasing: bytes[message.start..<message.start + message.count]),
                UnsafeRawBufferPointer(message.payload?.bytes ?? UnsafeMutableRawBufferPointer(start: nil, count: 0)))
        }
    }

    /// The first reply was written, or the kernel did not want it any more. Answers the nodes that it told of.
    @discardableResult
    mutating func removeFirst() -> [UInt64] {
        precondition(!isEmpty, "no reply waits")
        let nodes = messages[first].nodes
        messages[first].payload = nil
        first += 1
        if first == messages.count {
            messages.removeAll(keepingCapacity: true)
            arena.removeAll(keepingCapacity: true)
            first = 0
        }
        return nodes
    }

    /// Appends a reply whose head of `count` zeroed bytes `write` fills in.
    ///
    /// - Parameter nodes: whose lookup counts this reply raises.
    mutating func append(
        count: Int, payload: IOSlice? = nil, nodes: [UInt64] = [], _ write: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        let start = arena.count
        arena.append(contentsOf: repeatElement(0, count: count))
        arena.withUnsafeMutableBytes { write(UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + count])) }
        messages.append(Message(start: start, count: count, payload: payload, nodes: nodes))
    }
}
