package import EngineKit
package import Replication

// Bytes on their way.
extension SimulatedNetwork {
    /// Nanoseconds until TCP gives up sending; real ones take longer.
    static let sendingTimeout: UInt64 = 90_000_000_000

    /// Takes as much from the front of `queue` as the buffers hold. Returns how many bytes.
    package func send(host: Int, _ socket: SocketID, from queue: inout OutputQueue) -> Int {
        guard let (number, end) = find(host: host, socket), connections[number].ends[end].state == .open else {
            return 0
        }
        let connection = connections[number]
        let room = character.bufferSize - connection.pipes[end].occupancy
        let wanted = min(room, queue.byteCount)
        guard wanted > 0 else { return 0 }
        var taken = 0
        queue.withSegments(limit: 256) { segments in
            for segment in segments where taken < wanted {
                let part = UnsafeRawBufferPointer(rebasing: segment.prefix(wanted - taken))
                connection.pipes[end].bytes.append(part)
                if observesPackets { connection.pipes[end].scanner.scan(part, sender: host, into: &packets) }
                taken += part.count
            }
        }
        queue.consume(taken)
        put(taken, into: connection, number, pipe: end)
        return taken
    }

    private func put(_ count: Int, into connection: SimulatedConnection, _ number: Int, pipe: Int) {
        if connection.isForgotten {
            // TCP sends again and again, and gives up at last.
            return events.add(.sendingTimesOut(connection: number, end: pipe), at: now + Self.sendingTimeout)
        }
        let other = connection.ends[1 - pipe]
        if other.state == .vanished || other.state == .closed {
            // Nobody takes it. A machine that is up says so.
            if other.state == .vanished, isHostUp[other.host] { end(connection, number, pipe: 1 - pipe, with: .reset) }
            return
        }
        let travel = drawDelay() + UInt64(count * character.nanosecondsPerKiB / 1024)
        let arrival = max(connection.pipes[pipe].lastArrival, now + travel)
        connection.pipes[pipe].lastArrival = arrival
        connection.pipes[pipe].segments.append(Pipe.Segment(arrival: arrival, count: count))
        events.add(.arrival(connection: number, pipe: pipe), at: arrival)
    }

    /// TCP has had no answer for too long: the sender is told, nobody else.
    func giveUpSending(_ number: Int, end: Int) {
        let connection = connections[number]
        guard connection.ends[end].state == .open, let socket = connection.ends[end].socket else { return }
        connection.pipes[1 - end].ending = .reset
        connection.pipes[1 - end].hasEndingArrived = true
        connection.pipes[1 - end].clear()
        notices.append(.readable(host: connection.ends[end].host, socket))
    }

    func arrive(_ number: Int, pipe index: Int) {
        let connection = connections[number]
        if connection.isForgotten { return }
        guard isLinkUp[connection.ends[index].host] else {
            connection.pipes[index].isStalled = true
            return
        }
        guard isHostUp[connection.ends[1 - index].host] else { return }
        var count = 0
        while count < connection.pipes[index].segments.count, connection.pipes[index].segments[count].arrival <= now {
            connection.pipes[index].arrived += connection.pipes[index].segments[count].count
            count += 1
        }
        connection.pipes[index].segments.removeFirst(count)
        if connection.pipes[index].ending != nil, connection.pipes[index].lastArrival <= now {
            connection.pipes[index].hasEndingArrived = true
        }
        let receiver = connection.ends[1 - index]
        if receiver.state == .open, let socket = receiver.socket {
            notices.append(.readable(host: receiver.host, socket))
        }
    }

    /// Bytes that the host can take now.
    package func readableBytes(host: Int, _ socket: SocketID) -> Int {
        guard let (number, end) = find(host: host, socket), connections[number].ends[end].state == .open else {
            return 0
        }
        return connections[number].pipes[1 - end].arrived
    }

    /// Moves the next bytes to `target`, which must not be longer than ``readableBytes(host:_:)``.
    package func read(host: Int, _ socket: SocketID, into target: UnsafeMutableRawBufferPointer) {
        guard let (number, end) = find(host: host, socket) else { return }
        let connection = connections[number]
        let wasFull = connection.pipes[1 - end].occupancy >= character.bufferSize
        connection.pipes[1 - end].bytes.take(into: target)
        connection.pipes[1 - end].arrived -= target.count
        guard isLinkUp[host] else {
            connection.pipes[1 - end].unconfirmed += target.count
            return
        }
        if wasFull { tellWritable(connection, end: 1 - end) }
    }

    private func tellWritable(_ connection: SimulatedConnection, end: Int) {
        if connection.ends[end].state == .open, let socket = connection.ends[end].socket {
            notices.append(.writable(host: connection.ends[end].host, socket))
        }
    }

    /// Whether the stream has ended for this host: all bytes are taken and nothing follows. An errno, 0 for a proper
    /// end. The socket is closed with it.
    package func takeEnd(host: Int, _ socket: SocketID) -> Int32? {
        guard let (number, end) = find(host: host, socket), connections[number].ends[end].state == .open else {
            return nil
        }
        let pipe = connections[number].pipes[1 - end]
        guard pipe.hasEndingArrived, pipe.bytes.count == 0, let ending = pipe.ending else { return nil }
        close(host: host, socket)
        return ending == .finished ? 0 : Self.connectionReset
    }

    /// Closes a socket. What was sent still arrives, and after it the end of the stream.
    package func close(host: Int, _ socket: SocketID) {
        guard let (number, end) = find(host: host, socket) else { return }
        let connection = connections[number]
        let wasConnecting = connection.ends[end].state == .connecting
        connection.ends[end].state = .closed
        if wasConnecting {
            connection.ends[1 - end].state = .closed
            return
        }
        let hasUnread = connection.pipes[1 - end].bytes.count > 0
        connection.pipes[1 - end].clear()
        // Unread bytes turn the end into a reset, and that may overtake what is on the way.
        if hasUnread, random.chance(1, in: 2) { connection.pipes[end].loseBytesOnTheWay() }
        self.end(connection, number, pipe: end, with: hasUnread ? .reset : .finished)
    }

    /// Puts the end of the stream behind the bytes of a pipe.
    func end(_ connection: SimulatedConnection, _ number: Int, pipe: Int, with ending: Pipe.Ending) {
        guard connection.pipes[pipe].ending == nil, !connection.isForgotten else { return }
        connection.pipes[pipe].ending = ending
        let arrival = max(connection.pipes[pipe].lastArrival, now + drawDelay())
        connection.pipes[pipe].lastArrival = arrival
        events.add(.arrival(connection: number, pipe: pipe), at: arrival)
    }
}
