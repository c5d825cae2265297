/// Number of a volume inside its resource, 0...65535. Spec: drbd-wire 1.
package struct VolumeNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt16

    package init(_ rawValue: UInt16) {
        self.rawValue = rawValue
    }

    package var description: String { String(rawValue) }

    package static func < (left: VolumeNumber, right: VolumeNumber) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// One stream socket of a resource. Chosen by the engine: for connects in ``Action/connect(_:)``, for accepted ones by
/// ``ReplicationEngine/nextSocketID()``, which the owner calls before it reports the socket. Never used twice.
package struct SocketID: Hashable, Sendable {
    package let rawValue: UInt32

    package init(_ rawValue: UInt32) {
        self.rawValue = rawValue
    }
}

/// One request of an application (an NBD client, the filesystem). Chosen by the owner of the engine.
package struct RequestID: Hashable, Sendable {
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// One operation on a backing device. Chosen by the engine.
package struct OperationID: Hashable, Sendable {
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// One administrative command. Chosen by the owner of the engine.
package struct CommandID: Hashable, Sendable {
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// One run of a handler. Chosen by the engine.
package struct HandlerRunID: Hashable, Sendable {
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// A backing device of a volume: the data, or the metadata (which may lie on the same file).
package struct BackingDeviceID: Hashable, Sendable {
    package enum Part: Sendable { case data, metadata }

    package let volume: VolumeNumber
    package let part: Part

    package init(volume: VolumeNumber, part: Part) {
        self.volume = volume
        self.part = part
    }
}
