package import LayoutKit

/// A protocol version, major and minor.
package struct ProtocolVersion: Hashable, Sendable {
    package var major: UInt8
    package var minor: UInt8

    package init(_ major: UInt8, _ minor: UInt8) {
        self.major = major
        self.minor = minor
    }
}

/// The name of a lock domain: for a filesystem the volume's UUID, 32 upper-case hexadecimal digits.
enum DomainName {
    static let capacity = 64

    static func decode(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, count: UInt8
    ) throws(LayoutError) -> String {
        guard (1...capacity).contains(Int(count)) else {
            throw .badValue(field: "domain name length", found: UInt64(count), expected: "1 to 64")
        }
        return String(decoding: bytes[offset..<offset + Int(count)], as: UTF8.self)
    }

    static func put(_ name: String, _ out: UnsafeMutableRawBufferPointer, at offset: Int) {
        for (index, byte) in name.utf8.prefix(capacity).enumerated() { out[offset + index] = byte }
    }
}

/// QUERY_JOIN (510). Spec: o2dlm 4.1.
package struct QueryJoinMessage: Equatable, Sendable {
    package var node: NodeNumber
    package var lockManager: ProtocolVersion
    package var fileSystem: ProtocolVersion
    package var domain: String
    /// The nodes that the joiner sees alive, itself included.
    package var liveNodes: NodeSet

    package init(
        node: NodeNumber, lockManager: ProtocolVersion, fileSystem: ProtocolVersion, domain: String,
        liveNodes: NodeSet
    ) {
        self.node = node
        self.lockManager = lockManager
        self.fileSystem = fileSystem
        self.domain = domain
        self.liveNodes = liveNodes
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try MessageField.require(104, bytes)
        node = try MessageField.node(bytes[U8(offset: 0)], "node")
        lockManager = ProtocolVersion(bytes[U8(offset: 4)], bytes[U8(offset: 5)])
        fileSystem = ProtocolVersion(bytes[U8(offset: 6)], bytes[U8(offset: 7)])
        domain = try DomainName.decode(bytes, at: 8, count: bytes[U8(offset: 3)])
        liveNodes = []
        for value in UInt8(0)..<255 where bytes[72 + Int(value) / 8] & (1 << (value % 8)) != 0 {
            if let node = NodeNumber(value) { liveNodes.insert(node) }
        }
    }

    package var payload: [UInt8] {
        MessageField.payload(104) { out in
            out[U8(offset: 0)] = node.value
            out[U8(offset: 3)] = UInt8(domain.utf8.count)
            out[U8(offset: 4)] = lockManager.major
            out[U8(offset: 5)] = lockManager.minor
            out[U8(offset: 6)] = fileSystem.major
            out[U8(offset: 7)] = fileSystem.minor
            DomainName.put(domain, out, at: 8)
            for node in liveNodes { out[72 + Int(node.value) / 8] |= 1 << (node.value % 8) }
        }
    }
}

/// The answer to QUERY_JOIN, packed in the status word. Spec: o2dlm 6.2.
package struct JoinAnswer: Equatable, Sendable {
    package enum Code: UInt8, Sendable {
        case disallow = 0
        case member = 1
        case notMember = 2
        case protocolMismatch = 3
    }

    package var code: Code
    /// The minor versions to use; with ``Code/member`` only.
    package var lockManagerMinor: UInt8
    package var fileSystemMinor: UInt8

    package init(_ code: Code, lockManagerMinor: UInt8 = 0, fileSystemMinor: UInt8 = 0) {
        self.code = code
        self.lockManagerMinor = lockManagerMinor
        self.fileSystemMinor = fileSystemMinor
    }

    /// Nil for a code that is not known.
    package init?(status: Int32) {
        let word = UInt32(bitPattern: status)
        guard let code = Code(rawValue: UInt8(word >> 24)) else { return nil }
        self.init(
            code, lockManagerMinor: UInt8(truncatingIfNeeded: word >> 16),
            fileSystemMinor: UInt8(truncatingIfNeeded: word >> 8))
    }

    package var status: Int32 {
        Int32(
            bitPattern: UInt32(code.rawValue) << 24 | UInt32(lockManagerMinor) << 16 | UInt32(fileSystemMinor) << 8)
    }
}

/// ASSERT_JOINED (511) and CANCEL_JOIN (512).
package struct JoinMessage: Equatable, Sendable {
    package var node: NodeNumber
    package var domain: String

    package init(node: NodeNumber, domain: String) {
        self.node = node
        self.domain = domain
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try MessageField.require(68, bytes)
        node = try MessageField.node(bytes[U8(offset: 0)], "node")
        domain = try DomainName.decode(bytes, at: 4, count: bytes[U8(offset: 3)])
    }

    package var payload: [UInt8] {
        MessageField.payload(68) { out in
            out[U8(offset: 0)] = node.value
            out[U8(offset: 3)] = UInt8(domain.utf8.count)
            DomainName.put(domain, out, at: 4)
        }
    }
}

/// QUERY_REGION (519): the regions of global heartbeat; none with local heartbeat.
package struct QueryRegionMessage: Equatable, Sendable {
    package var node: NodeNumber
    package var domain: String
    package var regionCount: UInt8

    package init(node: NodeNumber, domain: String, regionCount: UInt8 = 0) {
        self.node = node
        self.domain = domain
        self.regionCount = regionCount
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try MessageField.require(68, bytes)
        node = try MessageField.node(bytes[U8(offset: 0)], "node")
        regionCount = bytes[U8(offset: 1)]
        domain = try DomainName.decode(bytes, at: 4, count: bytes[U8(offset: 2)])
    }

    package var payload: [UInt8] {
        MessageField.payload(1092) { out in
            out[U8(offset: 0)] = node.value
            out[U8(offset: 1)] = regionCount
            out[U8(offset: 2)] = UInt8(domain.utf8.count)
            DomainName.put(domain, out, at: 4)
        }
    }
}

/// A node of the cluster's configuration as nodes compare it.
package struct NodeAddress: Hashable, Sendable {
    package var node: NodeNumber
    package var port: UInt16
    /// IPv4, the first octet in the highest byte.
    package var address: UInt32

    package init(node: NodeNumber, port: UInt16, address: UInt32) {
        self.node = node
        self.port = port
        self.address = address
    }
}

/// QUERY_NODEINFO (520): the joiner's table of nodes.
package struct QueryNodeInfoMessage: Equatable, Sendable {
    package var node: NodeNumber
    package var domain: String
    package var nodes: [NodeAddress]

    package init(node: NodeNumber, domain: String, nodes: [NodeAddress]) {
        self.node = node
        self.domain = domain
        self.nodes = nodes
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try MessageField.require(2108, bytes)
        node = try MessageField.node(bytes[U8(offset: 0)], "node")
        domain = try DomainName.decode(bytes, at: 4, count: bytes[U8(offset: 2)])
        nodes = []
        for index in 0..<Int(bytes[U8(offset: 1)]) {
            let offset = 68 + 8 * index
            nodes.append(
                NodeAddress(
                    node: try MessageField.node(bytes[U8(offset: offset)], "node of the table"),
                    port: bytes[BE16(offset: offset + 2)], address: bytes[BE32(offset: offset + 4)]))
        }
    }

    package var payload: [UInt8] {
        precondition(nodes.count <= NodeNumber.countMax, "a cluster has at most 255 nodes")
        return MessageField.payload(2108) { out in
            out[U8(offset: 0)] = node.value
            out[U8(offset: 1)] = UInt8(nodes.count)
            out[U8(offset: 2)] = UInt8(domain.utf8.count)
            DomainName.put(domain, out, at: 4)
            for (index, entry) in nodes.enumerated() {
                let offset = 68 + 8 * index
                out[U8(offset: offset)] = entry.node.value
                out[BE16(offset: offset + 2)] = entry.port
                out[BE32(offset: offset + 4)] = entry.address
            }
        }
    }
}
