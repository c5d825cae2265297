package import LayoutKit

// Payloads of the lock manager's messages, big-endian. Receivers get at least what the fixed part needs or throw; kernel
// senders always send it in full. Spec: o2dlm 4.1.

/// Reads and writes the pieces that the messages share.
enum MessageField {
    static let nameCapacity = 64

    /// A lock name of `count` bytes at `offset`.
    static func name(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, count: UInt8
    ) throws(LayoutError) -> ResourceName {
        guard let name = ResourceName(Array(bytes[offset..<offset + min(Int(count), nameCapacity)])),
            name.bytes.count == Int(count)
        else { throw .badValue(field: "name length", found: UInt64(count), expected: "1 to 32") }
        return name
    }

    static func put(_ name: ResourceName, _ out: UnsafeMutableRawBufferPointer, at offset: Int) {
        for (index, byte) in name.bytes.enumerated() { out[offset + index] = byte }
    }

    static func node(_ byte: UInt8, _ field: String) throws(LayoutError) -> NodeNumber {
        guard let node = NodeNumber(byte) else {
            throw .badValue(field: field, found: UInt64(byte), expected: "a node number, 0 to 254")
        }
        return node
    }

    static func value(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> ValueBlock {
        ValueBlock(bytes: Array(bytes[offset..<offset + ValueBlock.byteCount]))
    }

    static func put(_ value: ValueBlock, _ out: UnsafeMutableRawBufferPointer, at offset: Int) {
        for (index, byte) in value.bytes.enumerated() { out[offset + index] = byte }
    }

    static func require(_ need: Int, _ bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(need, of: bytes)
    }

    /// A payload of `count` zero bytes, filled by `body`.
    static func payload(_ count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes(body)
        return bytes
    }
}

/// MASTER_REQUEST (500) and ASSERT_MASTER (502).
package struct MasterMessage: Equatable, Sendable {
    package struct Flags: OptionSet, Hashable, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        package static let cleanup = Flags(rawValue: 1)
        package static let requery = Flags(rawValue: 2)
        package static let finishMigration = Flags(rawValue: 4)
    }

    package var node: NodeNumber
    package var name: ResourceName
    /// ASSERT_MASTER only.
    package var flags: Flags

    package init(node: NodeNumber, name: ResourceName, flags: Flags = []) {
        self.node = node
        self.name = name
        self.flags = flags
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try MessageField.require(72, bytes)
        node = try MessageField.node(bytes[U8(offset: 0)], "node")
        name = try MessageField.name(bytes, at: 8, count: bytes[U8(offset: 1)])
        flags = Flags(rawValue: bytes[BE32(offset: 4)])
    }

    package var payload: [UInt8] {
        MessageField.payload(72) { out in
            out[U8(offset: 0)] = node.value
            out[U8(offset: 1)] = UInt8(name.bytes.count)
            out[BE32(offset: 4)] = flags.rawValue
            MessageField.put(name, out, at: 8)
        }
    }
}

/// CREATE_LOCK (503) and CONVERT_LOCK (504): the value block follows with ``LockFlags/putValue``.
package struct LockRequestMessage: Equatable, Sendable {
    package var cookie: LockCookie
    package var flags: LockFlags
    package var node: NodeNumber
    package var mode: LockMode
    package var name: ResourceName
    package var value: ValueBlock?

    package init(
        cookie: LockCookie, flags: LockFlags, node: NodeNumber, mode: LockMode, name: ResourceName,
        value: ValueBlock? = nil
    ) {
        self.cookie = cookie
        self.flags = flags
        self.node = node
        self.mode = mode
        self.name = name
        self.value = value
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try MessageField.require(80, bytes)
        cookie = LockCookie(value: bytes[BE64(offset: 0)])
        flags = LockFlags(rawValue: bytes[BE32(offset: 8)])
        node = try MessageField.node(bytes[U8(offset: 13)], "node")
        let mode = Int8(bitPattern: bytes[U8(offset: 14)])
        guard let mode = LockMode(rawValue: mode) else {
            throw .badValue(field: "mode", found: UInt64(UInt8(bitPattern: mode)), expected: "0, 3 or 5")
        }
        self.mode = mode
        name = try MessageField.name(bytes, at: 16, count: bytes[U8(offset: 15)])
        if flags.contains(.putValue) {
            try MessageField.require(144, bytes)
            value = MessageField.value(bytes, at: 80)
        }
    }

    package var payload: [UInt8] {
        MessageField.payload(value == nil ? 80 : 144) { out in
            out[BE64(offset: 0)] = cookie.value
            out[BE32(offset: 8)] = flags.rawValue
            out[U8(offset: 13)] = node.value
            out[U8(offset: 14)] = UInt8(bitPattern: mode.rawValue)
            out[U8(offset: 15)] = UInt8(name.bytes.count)
            MessageField.put(name, out, at: 16)
            if let value { MessageField.put(value, out, at: 80) }
        }
    }
}

/// UNLOCK_LOCK (506), also to cancel: the value block follows with ``LockFlags/putValue``.
package struct UnlockMessage: Equatable, Sendable {
    package var cookie: LockCookie
    package var flags: LockFlags
    package var node: NodeNumber
    package var name: ResourceName
    package var value: ValueBlock?

    package init(
        cookie: LockCookie, flags: LockFlags, node: NodeNumber, name: ResourceName, value: ValueBlock? = nil
    ) {
        self.cookie = cookie
        self.flags = flags
        self.node = node
        self.name = name
        self.value = value
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try MessageField.require(80, bytes)
        cookie = LockCookie(value: bytes[BE64(offset: 0)])
        flags = LockFlags(rawValue: bytes[BE32(offset: 8)])
        node = try MessageField.node(bytes[U8(offset: 14)], "node")
        name = try MessageField.name(bytes, at: 16, count: bytes[U8(offset: 15)])
        if flags.contains(.putValue) {
            try MessageField.require(144, bytes)
            value = MessageField.value(bytes, at: 80)
        }
    }

    package var payload: [UInt8] {
        MessageField.payload(value == nil ? 80 : 144) { out in
            out[BE64(offset: 0)] = cookie.value
            out[BE32(offset: 8)] = flags.rawValue
            out[U8(offset: 14)] = node.value
            out[U8(offset: 15)] = UInt8(name.bytes.count)
            MessageField.put(name, out, at: 16)
            if let value { MessageField.put(value, out, at: 80) }
        }
    }
}

/// PROXY_AST (505): granted, or asked to lower. The node is the sender, which is the master.
package struct ProxyASTMessage: Equatable, Sendable {
    package enum Kind: UInt8, Sendable {
        case granted = 0
        case blocking = 1
    }

    package var cookie: LockCookie
    package var node: NodeNumber
    package var kind: Kind
    /// Blocking: the highest mode that waits.
    package var blockedMode: LockMode
    package var name: ResourceName
    /// Goes with ``LockFlags/getValue``.
    package var value: ValueBlock?

    package init(
        cookie: LockCookie, node: NodeNumber, kind: Kind, blockedMode: LockMode = .null, name: ResourceName,
        value: ValueBlock? = nil
    ) {
        self.cookie = cookie
        self.node = node
        self.kind = kind
        self.blockedMode = blockedMode
        self.name = name
        self.value = value
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try MessageField.require(80, bytes)
        cookie = LockCookie(value: bytes[BE64(offset: 0)])
        let flags = LockFlags(rawValue: bytes[BE32(offset: 8)])
        node = try MessageField.node(bytes[U8(offset: 12)], "node")
        guard let kind = Kind(rawValue: bytes[U8(offset: 13)]) else {
            throw .badValue(field: "type", found: UInt64(bytes[U8(offset: 13)]), expected: "0 or 1")
        }
        self.kind = kind
        let blocked = bytes[U8(offset: 14)]
        guard let mode = LockMode(rawValue: Int8(bitPattern: blocked)) else {
            throw .badValue(field: "blocked type", found: UInt64(blocked), expected: "0, 3 or 5")
        }
        blockedMode = mode
        name = try MessageField.name(bytes, at: 16, count: bytes[U8(offset: 15)])
        if flags.contains(.getValue) {
            try MessageField.require(144, bytes)
            value = MessageField.value(bytes, at: 80)
        }
    }

    package var payload: [UInt8] {
        MessageField.payload(value == nil ? 80 : 144) { out in
            out[BE64(offset: 0)] = cookie.value
            out[BE32(offset: 8)] = value == nil ? 0 : LockFlags.getValue.rawValue
            out[U8(offset: 12)] = node.value
            out[U8(offset: 13)] = kind.rawValue
            out[U8(offset: 14)] = UInt8(bitPattern: blockedMode.rawValue)
            out[U8(offset: 15)] = UInt8(name.bytes.count)
            MessageField.put(name, out, at: 16)
            if let value { MessageField.put(value, out, at: 80) }
        }
    }
}

/// DEREF_LOCKRES (507), DEREF_LOCKRES_DONE (522) and MASTER_REQUERY (514): who, and which resource.
package struct ResourceMessage: Equatable, Sendable {
    package var node: NodeNumber
    package var name: ResourceName

    package init(node: NodeNumber, name: ResourceName) {
        self.node = node
        self.name = name
    }

    private static func nodeOffset(_ type: LockMessageType) -> Int { type == .masterRequery ? 2 : 6 }

    package init(decoding bytes: UnsafeRawBufferPointer, as type: LockMessageType) throws(LayoutError) {
        try MessageField.require(72, bytes)
        let offset = Self.nodeOffset(type)
        node = try MessageField.node(bytes[U8(offset: offset)], "node")
        name = try MessageField.name(bytes, at: 8, count: bytes[U8(offset: offset + 1)])
    }

    package func payload(as type: LockMessageType) -> [UInt8] {
        MessageField.payload(72) { out in
            let offset = Self.nodeOffset(type)
            out[U8(offset: offset)] = node.value
            out[U8(offset: offset + 1)] = UInt8(name.bytes.count)
            MessageField.put(name, out, at: 8)
        }
    }
}

/// MIGRATE_REQUEST (508).
package struct MigrateRequestMessage: Equatable, Sendable {
    package var oldMaster: NodeNumber
    package var newMaster: NodeNumber
    package var name: ResourceName

    package init(oldMaster: NodeNumber, newMaster: NodeNumber, name: ResourceName) {
        self.oldMaster = oldMaster
        self.newMaster = newMaster
        self.name = name
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try MessageField.require(72, bytes)
        oldMaster = try MessageField.node(bytes[U8(offset: 0)], "old master")
        newMaster = try MessageField.node(bytes[U8(offset: 1)], "new master")
        name = try MessageField.name(bytes, at: 8, count: bytes[U8(offset: 2)])
    }

    package var payload: [UInt8] {
        MessageField.payload(72) { out in
            out[U8(offset: 0)] = oldMaster.value
            out[U8(offset: 1)] = newMaster.value
            out[U8(offset: 2)] = UInt8(name.bytes.count)
            MessageField.put(name, out, at: 8)
        }
    }
}

/// LOCK_REQUEST (515), BEGIN_RECO (517), FINALIZE_RECO (518), and the fixed part of RECO_DATA_DONE (516).
package struct RecoveryMessage: Equatable, Sendable {
    package var node: NodeNumber
    package var deadNode: NodeNumber
    /// FINALIZE_RECO only: the second stage.
    package var isSecondStage: Bool

    package init(node: NodeNumber, deadNode: NodeNumber, isSecondStage: Bool = false) {
        self.node = node
        self.deadNode = deadNode
        self.isSecondStage = isSecondStage
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try MessageField.require(8, bytes)
        node = try MessageField.node(bytes[U8(offset: 0)], "node")
        deadNode = try MessageField.node(bytes[U8(offset: 1)], "dead node")
        isSecondStage = bytes[U8(offset: 2)] == 1
    }

    package func payload(as type: LockMessageType) -> [UInt8] {
        MessageField.payload(type == .recoveryDataDone ? 72 : 8) { out in
            out[U8(offset: 0)] = node.value
            out[U8(offset: 1)] = deadNode.value
            if type == .finalizeRecovery { out[U8(offset: 2)] = isSecondStage ? 1 : 0 }
        }
    }
}

/// EXIT_DOMAIN (513) and BEGIN_EXIT_DOMAIN (521).
package struct ExitMessage: Equatable, Sendable {
    package var node: NodeNumber

    package init(node: NodeNumber) {
        self.node = node
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try MessageField.require(4, bytes)
        node = try MessageField.node(bytes[U8(offset: 0)], "node")
    }

    package var payload: [UInt8] { [node.value, 0, 0, 0] }
}
