/// Lock modes on the wire, signed bytes. Only NL, PR and EX are ever legal. Spec: o2dlm 3.
package enum LockMode: Int8, Comparable, Sendable, CaseIterable {
    case null = 0
    case protectedRead = 3
    case exclusive = 5

    /// What stands for "no mode".
    package static let none: Int8 = -1

    package static func < (left: LockMode, right: LockMode) -> Bool { left.rawValue < right.rawValue }

    /// Whether both may be granted at once. Spec: o2dlm 10.1.
    package func isCompatible(with other: LockMode) -> Bool {
        self == .null || other == .null || (self == .protectedRead && other == .protectedRead)
    }
}

/// Flags of lock messages. Spec: o2dlm 3.
package struct LockFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The caller uses the value block.
    package static let valueBlock = LockFlags(rawValue: 0x100)
    /// Fail rather than wait.
    package static let noQueue = LockFlags(rawValue: 0x200)
    package static let convert = LockFlags(rawValue: 0x400)
    package static let cancel = LockFlags(rawValue: 0x2000)
    /// The value block follows; the master shall store it.
    package static let putValue = LockFlags(rawValue: 0x2000_0000)
    /// The value block is wanted with the grant, or follows.
    package static let getValue = LockFlags(rawValue: 0x4000_0000)
    /// `$RECOVERY` only.
    package static let recovery = LockFlags(rawValue: 0x8000_0000)
}

/// Answers to lock messages. Only those that travel. Spec: o2dlm 5.
package enum LockStatus: Int32, Error, Sendable {
    case normal = 0
    case denied = 2
    case systemError = 8
    case cancelGrant = 10
    case invalidLock = 11
    case badArguments = 19
    case notQueued = 21
    case nameTooLong = 22
    case badParameter = 24
    case rejected = 26
    case forward = 32
    case recovering = 39
    case migrating = 40

    /// The request may succeed later, perhaps at another master.
    package var isTransient: Bool { self == .forward || self == .recovering || self == .migrating }
}

/// The name of a lock resource: 1 to 32 bytes, any bytes. Spec: o2dlm 1.
package struct ResourceName: Hashable, Comparable, Sendable {
    package static let byteCountMax = 32
    package let bytes: [UInt8]

    /// Nil if it is empty or longer than 32 bytes.
    package init?(_ bytes: [UInt8]) {
        guard (1...Self.byteCountMax).contains(bytes.count) else { return nil }
        self.bytes = bytes
    }

    package init(_ text: StaticString) {
        bytes = text.withUTF8Buffer(Array.init)
        precondition((1...Self.byteCountMax).contains(bytes.count), "a lock name has 1 to 32 bytes")
    }

    /// Each lock domain has it: who takes it leads the recovery. Spec: o2dlm 3.
    package static let recovery = ResourceName("$RECOVERY")

    package static func < (left: ResourceName, right: ResourceName) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

extension ResourceName: CustomStringConvertible {
    package var description: String {
        guard bytes.first == UInt8(ascii: "N"), bytes.count == 31 else {
            return String(decoding: bytes, as: UTF8.self)
        }
        // A dentry lock: the directory in text, the inode in binary (ocfs2-cluster 1).
        let inode = bytes[18..<26].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return String(decoding: bytes[0..<17], as: UTF8.self) + inode.suffix(8)
    }
}

/// Names a lock everywhere, together with its node: the node in the top byte, a counter below. Spec: o2dlm 9.
package struct LockCookie: Hashable, Comparable, Sendable {
    package let value: UInt64

    package init(value: UInt64) {
        self.value = value
    }

    package init(node: NodeNumber, counter: UInt64) {
        value = UInt64(node.value) << 56 | counter & 0x00ff_ffff_ffff_ffff
    }

    package static func < (left: LockCookie, right: LockCookie) -> Bool { left.value < right.value }
}

/// The 64 bytes that travel with a lock.
package struct ValueBlock: Hashable, Sendable {
    package static let byteCount = 64
    package let bytes: [UInt8]

    package static let zero = ValueBlock(bytes: [UInt8](repeating: 0, count: byteCount))

    package init(bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a value block has 64 bytes")
        self.bytes = bytes
    }

    package var isZero: Bool { bytes.allSatisfy { $0 == 0 } }
}

/// Types of lock manager messages. Spec: o2dlm 4.
package enum LockMessageType: UInt16, Sendable, CaseIterable {
    case masterRequest = 500
    case assertMaster = 502
    case createLock = 503
    case convertLock = 504
    case proxyAST = 505
    case unlockLock = 506
    case dereference = 507
    case migrateRequest = 508
    case migrateResource = 509
    case queryJoin = 510
    case assertJoined = 511
    case cancelJoin = 512
    case exitDomain = 513
    case masterRequery = 514
    case lockRequest = 515
    case recoveryDataDone = 516
    case beginRecovery = 517
    case finalizeRecovery = 518
    case queryRegion = 519
    case queryNodeInfo = 520
    case beginExitDomain = 521
    case dereferenceDone = 522

    /// Travels with ``MessageKey/joining``, the others with the domain's key.
    package var isJoining: Bool {
        switch self {
        case .queryJoin, .assertJoined, .cancelJoin, .queryRegion, .queryNodeInfo: true
        default: false
        }
    }

    /// The longest payload.
    package var payloadByteCountMax: Int {
        switch self {
        case .masterRequest, .assertMaster, .dereference, .dereferenceDone, .migrateRequest, .masterRequery,
            .recoveryDataDone:
            72
        case .createLock: 80
        case .convertLock, .proxyAST, .unlockLock: 144
        case .migrateResource: MigratedResource.byteCountMax
        case .queryJoin: 104
        case .assertJoined, .cancelJoin: 68
        case .exitDomain, .beginExitDomain: 4
        case .lockRequest, .beginRecovery, .finalizeRecovery: 8
        case .queryRegion: 1092
        case .queryNodeInfo: 2108
        }
    }
}
