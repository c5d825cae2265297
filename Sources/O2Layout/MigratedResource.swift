package import LayoutKit

/// A lock on its way to another master. Spec: o2dlm 4.1.
package struct MigratedLock: Equatable, Sendable {
    package enum List: UInt8, Sendable {
        case granted = 0
        case converting = 1
        case blocked = 2
    }

    /// What the lock's value block waits for.
    package struct ValueFlags: OptionSet, Hashable, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        package static let put = ValueFlags(rawValue: 2)
        package static let get = ValueFlags(rawValue: 4)
    }

    package var cookie: LockCookie
    package var list: List
    package var flags: ValueFlags
    /// The granted mode; on the blocked list the wanted one. Nil in a dummy.
    package var mode: LockMode?
    /// Nil if not converting.
    package var convertMode: LockMode?
    package var node: NodeNumber

    package init(
        cookie: LockCookie, list: List, flags: ValueFlags = [], mode: LockMode?, convertMode: LockMode? = nil,
        node: NodeNumber
    ) {
        self.cookie = cookie
        self.list = list
        self.flags = flags
        self.mode = mode
        self.convertMode = convertMode
        self.node = node
    }

    /// Says only that the sender knows the resource.
    package static func dummy(of node: NodeNumber) -> MigratedLock {
        MigratedLock(cookie: LockCookie(value: 0), list: .blocked, mode: nil, node: node)
    }

    package var isDummy: Bool { cookie.value == 0 && mode == nil }
}

/// MIG_LOCKRES (509): a resource's locks, at most 240 a message. Spec: o2dlm 4.1.
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 1 | master, 255: not known |
/// | 1 | 1 | name length |
/// | 2 | 1 | locks in this message |
/// | 3 | 1 | flags |
/// | 4 | 4 | locks in all messages |
/// | 8 | 8 | cookie of the migration |
/// | 16 | 32 | name |
/// | 48 | 64 | value block |
/// | 112 | 16 each | locks |
package struct MigratedResource: Equatable, Sendable {
    package static let lockCountMax = 240
    package static let headerByteCount = 112
    package static let lockByteCount = 16
    package static let byteCountMax = headerByteCount + lockCountMax * lockByteCount

    package struct Flags: OptionSet, Hashable, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        package static let recovery = Flags(rawValue: 1)
        package static let migration = Flags(rawValue: 2)
        /// The last message about this resource.
        package static let allDone = Flags(rawValue: 4)
    }

    package var master: NodeNumber?
    package var flags: Flags
    package var totalLocks: UInt32
    package var migrationCookie: UInt64
    package var name: ResourceName
    package var value: ValueBlock
    package var locks: [MigratedLock]

    package init(
        master: NodeNumber?, flags: Flags, totalLocks: UInt32, migrationCookie: UInt64, name: ResourceName,
        value: ValueBlock, locks: [MigratedLock]
    ) {
        self.master = master
        self.flags = flags
        self.totalLocks = totalLocks
        self.migrationCookie = migrationCookie
        self.name = name
        self.value = value
        self.locks = locks
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try MessageField.require(Self.headerByteCount, bytes)
        master = NodeNumber(bytes[U8(offset: 0)])
        let count = Int(bytes[U8(offset: 2)])
        guard (1...Self.lockCountMax).contains(count) else {
            throw .badValue(field: "lock count", found: UInt64(count), expected: "1 to 240")
        }
        try MessageField.require(Self.headerByteCount + count * Self.lockByteCount, bytes)
        flags = Flags(rawValue: bytes[U8(offset: 3)])
        guard flags.contains(.recovery) || flags.contains(.migration) else {
            throw .badValue(field: "flags", found: UInt64(flags.rawValue), expected: "recovery or migration")
        }
        totalLocks = bytes[BE32(offset: 4)]
        migrationCookie = bytes[BE64(offset: 8)]
        let nameCount = bytes[U8(offset: 1)]
        guard (1...ResourceName.byteCountMax).contains(Int(nameCount)) else {
            throw .badValue(field: "name length", found: UInt64(nameCount), expected: "1 to 32")
        }
        name = try MessageField.name(bytes, at: 16, count: nameCount)
        value = MessageField.value(bytes, at: 48)
        locks = []
        locks.reserveCapacity(count)
        for index in 0..<count {
            let start = Self.headerByteCount + index * Self.lockByteCount
            locks.append(
                try MigratedLock(
                    decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<start + Self.lockByteCount])))
        }
    }

    package var payload: [UInt8] {
        precondition((1...Self.lockCountMax).contains(locks.count), "1 to 240 locks go into one message")
        return MessageField.payload(Self.headerByteCount + locks.count * Self.lockByteCount) { out in
            out[U8(offset: 0)] = master?.value ?? NodeNumber.none
            out[U8(offset: 1)] = UInt8(name.bytes.count)
            out[U8(offset: 2)] = UInt8(locks.count)
            out[U8(offset: 3)] = flags.rawValue
            out[BE32(offset: 4)] = totalLocks
            out[BE64(offset: 8)] = migrationCookie
            MessageField.put(name, out, at: 16)
            MessageField.put(value, out, at: 48)
            for (index, lock) in locks.enumerated() {
                let start = Self.headerByteCount + index * Self.lockByteCount
                lock.encode(into: UnsafeMutableRawBufferPointer(rebasing: out[start..<start + Self.lockByteCount]))
            }
        }
    }
}

extension MigratedLock {
    private enum Field {
        static let cookie = BE64(offset: 0)
        static let list = U8(offset: 10)
        static let flags = U8(offset: 11)
        static let mode = U8(offset: 12)
        static let convertMode = U8(offset: 13)
        static let highestBlocked = U8(offset: 14)
        static let node = U8(offset: 15)
    }

    init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        cookie = LockCookie(value: bytes[Field.cookie])
        guard let list = List(rawValue: bytes[Field.list]) else {
            throw .badValue(field: "list", found: UInt64(bytes[Field.list]), expected: "0 to 2")
        }
        self.list = list
        flags = ValueFlags(rawValue: bytes[Field.flags])
        mode = try Self.mode(bytes[Field.mode], "mode")
        convertMode = try Self.mode(bytes[Field.convertMode], "convert mode")
        guard convertMode == nil || list == .converting else {
            throw .badValue(field: "convert mode", found: UInt64(bytes[Field.convertMode]), expected: "none here")
        }
        guard bytes[Field.highestBlocked] == 0xff else {
            throw .badValue(
                field: "highest blocked", found: UInt64(bytes[Field.highestBlocked]), expected: "255")
        }
        node = try MessageField.node(bytes[Field.node], "node of the lock")
        guard mode != nil || isDummy else {
            throw .badValue(field: "mode", found: 0xff, expected: "a mode, since the lock has a cookie")
        }
    }

    private static func mode(_ byte: UInt8, _ field: String) throws(LayoutError) -> LockMode? {
        guard byte != UInt8(bitPattern: LockMode.none) else { return nil }
        guard let mode = LockMode(rawValue: Int8(bitPattern: byte)) else {
            throw .badValue(field: field, found: UInt64(byte), expected: "0, 3, 5 or 255")
        }
        return mode
    }

    func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.cookie] = cookie.value
        out[Field.list] = list.rawValue
        out[Field.flags] = flags.rawValue
        out[Field.mode] = UInt8(bitPattern: mode?.rawValue ?? LockMode.none)
        out[Field.convertMode] = UInt8(bitPattern: convertMode?.rawValue ?? LockMode.none)
        out[Field.highestBlocked] = 0xff
        out[Field.node] = node.value
    }
}
