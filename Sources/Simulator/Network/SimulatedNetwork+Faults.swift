// What goes wrong between hosts, and with hosts as the network sees them.
extension SimulatedNetwork {
    /// Whether bytes of `host` reach the other one.
    package func isLinkUp(from host: Int) -> Bool { isLinkUp[host] }

    /// Cuts or mends the direction from `host` to the other one. Nothing is lost inside a stream: what was sent
    /// meanwhile arrives after the link is mended, unless the connection is over by then.
    package func setLink(from host: Int, isUp: Bool) {
        guard isLinkUp[host] != isUp else { return }
        isLinkUp[host] = isUp
        guard isUp else { return }
        for number in connections.indices where !connections[number].isForgotten {
            let connection = connections[number]
            for end in 0...1 where connection.ends[end].host == host {
                resume(connection, number, pipe: end)
                confirm(connection, end: end)
            }
        }
    }

    /// What stalled is sent again after TCP's next retry.
    private func resume(_ connection: SimulatedConnection, _ number: Int, pipe: Int) {
        guard connection.pipes[pipe].isStalled else { return }
        connection.pipes[pipe].isStalled = false
        let retry = now + UInt64(random.between(200_000_000, 1_500_000_000))
        for index in connection.pipes[pipe].segments.indices {
            let arrival = max(connection.pipes[pipe].segments[index].arrival, retry)
            connection.pipes[pipe].segments[index].arrival = arrival
        }
        connection.pipes[pipe].lastArrival = max(connection.pipes[pipe].lastArrival, retry)
        events.add(.arrival(connection: number, pipe: pipe), at: connection.pipes[pipe].lastArrival)
    }

    /// The other side learns that its bytes were taken.
    private func confirm(_ connection: SimulatedConnection, end: Int) {
        let other = 1 - end
        guard connection.pipes[other].unconfirmed > 0 else { return }
        connection.pipes[other].unconfirmed = 0
        if connection.ends[other].state == .open, let socket = connection.ends[other].socket {
            notices.append(.writable(host: connection.ends[other].host, socket))
        }
    }

    /// Both sides of some connections are told that they were reset; what is on the way is lost.
    package func resetConnections() {
        for number in connections.indices where isEstablished(number) && random.chance(2, in: 3) {
            for pipe in 0...1 {
                connections[number].pipes[pipe].loseBytesOnTheWay()
                end(connections[number], number, pipe: pipe, with: .reset)
            }
        }
    }

    /// Some connections go silent for ever; nobody is told. Only pings find out.
    package func forgetConnections() {
        for number in connections.indices where isEstablished(number) && random.chance(2, in: 3) {
            connections[number].isForgotten = true
            for end in 0...1 where connections[number].pipes[end].bytesOnTheWay > 0 {
                events.add(.sendingTimesOut(connection: number, end: end), at: now + Self.sendingTimeout)
            }
        }
    }

    private func isEstablished(_ number: Int) -> Bool {
        connections[number].ends.allSatisfy { $0.state == .open }
    }

    /// The program that owns the sockets is gone; its kernel sends what it has and closes.
    package func crashOfProgram(host: Int) {
        isListening[host] = false
        for number in connections.indices {
            for end in 0...1 where connections[number].ends[end].host == host {
                switch connections[number].ends[end].state {
                case .open, .connecting:
                    if let socket = connections[number].ends[end].socket {
                        close(host: host, socket)
                    } else if end == 1, connections[number].ends[0].state == .open {
                        refuse(number)
                    }
                case .closed, .vanished: break
                }
            }
        }
    }

    /// The machine is off: nobody is told.
    package func powerFailure(host: Int) {
        isListening[host] = false
        isHostUp[host] = false
        for number in connections.indices {
            let connection = connections[number]
            for end in 0...1 where connection.ends[end].host == host {
                guard connection.ends[end].state == .open || connection.ends[end].state == .connecting else {
                    continue
                }
                connection.ends[end].state = .vanished
                // What left the machine arrives.
                if random.chance(1, in: 2) { connection.pipes[end].loseBytesOnTheWay() }
                connection.pipes[1 - end].clear()
            }
        }
    }

    /// The machine is back: it answers with a reset to what belongs to connections that it does not know.
    package func powerReturns(host: Int) {
        guard !isHostUp[host] else { return }
        isHostUp[host] = true
        for number in connections.indices where !connections[number].isForgotten {
            let connection = connections[number]
            for end in 0...1 where connection.ends[end].host == host && connection.ends[end].state == .vanished {
                guard connection.ends[1 - end].state == .open, connection.pipes[1 - end].bytes.count > 0 else {
                    continue
                }
                connection.pipes[end].lastArrival = max(
                    connection.pipes[end].lastArrival, now + UInt64(random.between(100_000_000, 2_000_000_000)))
                self.end(connection, number, pipe: end, with: .reset)
            }
        }
    }
}
