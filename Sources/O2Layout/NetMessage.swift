package import LayoutKit

/// The first bytes of each connection, from both sides at once. Spec: o2cb 10.3.
///
/// | offset | size | meaning (big-endian) |
/// |---|---|---|
/// | 0 | 8 | protocol version, 11 |
/// | 8 | 8 | connector id, not checked: 1 for a kernel host, ``yokeConnector`` for a Yoke host |
/// | 16, 20, 24, 28 | 4 | heartbeat timeout, idle timeout, keepalive delay, reconnect delay, in ms |
package struct NetHandshake: FixedLayout, Equatable, Sendable {
    package static let byteCount = 32
    package static let protocolVersion: UInt64 = 11
    /// By this members that judge together know each other ("Yoke").
    package static let yokeConnector: UInt64 = 0x596f_6b65

    private enum Field {
        static let version = BE64(offset: 0)
        static let connector = BE64(offset: 8)
        static let heartbeat = BE32(offset: 16)
        static let idle = BE32(offset: 20)
        static let keepalive = BE32(offset: 24)
        static let reconnect = BE32(offset: 28)
    }

    package var version = protocolVersion
    package var connector: UInt64 = 1
    package var heartbeatTimeoutMilliseconds: UInt32
    package var idleTimeoutMilliseconds: UInt32
    package var keepaliveDelayMilliseconds: UInt32
    package var reconnectDelayMilliseconds: UInt32

    package init(heartbeat: UInt32, idle: UInt32, keepalive: UInt32, reconnect: UInt32) {
        heartbeatTimeoutMilliseconds = heartbeat
        idleTimeoutMilliseconds = idle
        keepaliveDelayMilliseconds = keepalive
        reconnectDelayMilliseconds = reconnect
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        version = bytes[Field.version]
        connector = bytes[Field.connector]
        heartbeatTimeoutMilliseconds = bytes[Field.heartbeat]
        idleTimeoutMilliseconds = bytes[Field.idle]
        keepaliveDelayMilliseconds = bytes[Field.keepalive]
        reconnectDelayMilliseconds = bytes[Field.reconnect]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.version] = version
        out[Field.connector] = connector
        out[Field.heartbeat] = heartbeatTimeoutMilliseconds
        out[Field.idle] = idleTimeoutMilliseconds
        out[Field.keepalive] = keepaliveDelayMilliseconds
        out[Field.reconnect] = reconnectDelayMilliseconds
    }
}

/// What a message is. Spec: o2cb 11.1.
package enum NetMagic: UInt16, Sendable {
    /// A request; answered by exactly one ``status``.
    case request = 0xfa55
    case status = 0xfa56
    case keepaliveRequest = 0xfa57
    case keepaliveResponse = 0xfa58
}

/// The transport's own verdict on a request. A kernel peer stops with a bug at any other value. Spec: o2cb 11.2.
package enum SystemStatus: UInt32, Sendable {
    case handled = 0
    case noHandler = 1
    case overflow = 2
    /// Never on the wire: the connection died.
    case hostDown = 3
}

/// The header of each message. Spec: o2cb 11.1.
///
/// | offset | size | meaning (big-endian) |
/// |---|---|---|
/// | 0 | 2 | magic |
/// | 2 | 2 | payload bytes that follow, at most 4072 |
/// | 4 | 2 | type |
/// | 6 | 2 | pad, echoed |
/// | 8 | 4 | system status |
/// | 12 | 4 | status of the handler, signed |
/// | 16 | 4 | key |
/// | 20 | 4 | number of the request |
package struct NetHeader: FixedLayout, Equatable, Sendable {
    package static let byteCount = 24
    package static let payloadByteCountMax = 4072

    private enum Field {
        static let magic = BE16(offset: 0)
        static let length = BE16(offset: 2)
        static let type = BE16(offset: 4)
        static let pad = BE16(offset: 6)
        static let systemStatus = BE32(offset: 8)
        static let status = BE32(offset: 12)
        static let key = BE32(offset: 16)
        static let number = BE32(offset: 20)
    }

    package var magic: NetMagic
    package var payloadByteCount: UInt16 = 0
    package var type: UInt16 = 0
    package var pad: UInt16 = 0
    package var systemStatus: UInt32 = 0
    package var status: Int32 = 0
    package var key: UInt32 = 0
    package var number: UInt32 = 0

    package init(_ magic: NetMagic) {
        self.magic = magic
    }

    package init(request type: UInt16, key: UInt32, number: UInt32, payloadByteCount: Int) {
        precondition(payloadByteCount <= Self.payloadByteCountMax, "a payload has at most 4072 bytes")
        magic = .request
        self.type = type
        self.key = key
        self.number = number
        self.payloadByteCount = UInt16(payloadByteCount)
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        guard let magic = NetMagic(rawValue: bytes[Field.magic]) else {
            throw .badMagic(found: UInt64(bytes[Field.magic]), expected: UInt64(NetMagic.request.rawValue))
        }
        self.magic = magic
        payloadByteCount = bytes[Field.length]
        guard Int(payloadByteCount) <= Self.payloadByteCountMax else {
            throw .badValue(field: "data length", found: UInt64(payloadByteCount), expected: "at most 4072")
        }
        type = bytes[Field.type]
        pad = bytes[Field.pad]
        systemStatus = bytes[Field.systemStatus]
        status = Int32(bitPattern: bytes[Field.status])
        key = bytes[Field.key]
        number = bytes[Field.number]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.magic] = magic.rawValue
        out[Field.length] = payloadByteCount
        out[Field.type] = type
        out[Field.pad] = pad
        out[Field.systemStatus] = systemStatus
        out[Field.status] = UInt32(bitPattern: status)
        out[Field.key] = key
        out[Field.number] = number
    }

    /// The answer to this request: its header sent back. Spec: o2cb 11.1.
    package func answer(_ system: SystemStatus, _ status: Int32) -> NetHeader {
        var answer = self
        answer.magic = .status
        answer.payloadByteCount = 0
        answer.systemStatus = system.rawValue
        answer.status = system == .handled ? status : 0
        return answer
    }
}
