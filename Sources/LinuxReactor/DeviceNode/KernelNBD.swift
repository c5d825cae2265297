internal import CYoke
internal import Glibc

/// A block device `/dev/nbdN` of the kernel's nbd driver, connected to a server in this process.
///
/// The kernel gets one end of a socket pair and speaks the transmission phase on it; the other end belongs to an NBD
/// session that starts with transmission. Set up through generic netlink, which needs no thread of its own (Linux
/// 4.12). The socket must be one that the kernel accepts: a connected stream socket of the Unix or Internet family.
///
/// Source: linux/nbd-netlink.h; NBD project, doc/netlink-proto.md.
package struct KernelNBD: Sendable {
    /// Major number of nbd devices on Linux.
    package static let nbdMajor: UInt32 = 43

    package let index: Int

    package var path: String { "/dev/nbd\(index)" }

    /// Whether the driver is there. It is not loaded by this.
    package static var isAvailable: Bool { access("/sys/module/nbd", F_OK) == 0 || access("/dev/nbd0", F_OK) == 0 }

    /// What the kernel is told of the export.
    package struct Export: Sendable {
        package var sizeBytes: UInt64
        /// Logical block of the device.
        package var blockBytes: Int
        /// Transmission flags of the protocol.
        package var flags: UInt16
        /// Shown in sysfs, so that a later process finds its device.
        package var identifier: String

        package init(sizeBytes: UInt64, blockBytes: Int, flags: UInt16, identifier: String) {
            self.sizeBytes = sizeBytes
            self.blockBytes = blockBytes
            self.flags = flags
            self.identifier = identifier
        }
    }

    /// Connects a free device over `sockets`, whose descriptors may be closed afterwards. The kernel may read from the
    /// device before this returns: call it from another thread than the one that serves.
    package static func connect(_ export: Export, sockets: [Int32]) throws(DeviceNodeError) -> KernelNBD {
        let netlink = try GenericNetlink(family: "nbd")
        defer { netlink.close() }
        let reply = try netlink.call("connect an nbd device", connectMessage(export, sockets, family: netlink.family))
        guard let index = reply.number(UInt16(NBD_ATTR_INDEX)) else {
            throw DeviceNodeError("connect an nbd device", code: EPROTO, advice: "the kernel named no device")
        }
        return KernelNBD(index: Int(index))
    }

    /// Disconnects the device; its requests fail from now on. The kernel takes leave of the server and may wait for it
    /// to close: call it from another thread than the one that serves.
    package func disconnect() throws(DeviceNodeError) {
        let netlink = try GenericNetlink(family: "nbd")
        defer { netlink.close() }
        var message = NetlinkMessage(
            type: netlink.family, command: UInt8(NBD_CMD_DISCONNECT), version: UInt8(NBD_GENL_VERSION),
            sequence: 2)
        message.attribute(UInt16(NBD_ATTR_INDEX), UInt32(index))
        _ = try netlink.call("disconnect \(path)", message)
    }

    /// The message of ``connect(_:sockets:)``.
    package static func connectMessage(_ export: Export, _ sockets: [Int32], family: UInt16) -> NetlinkMessage {
        var message = NetlinkMessage(
            type: family, command: UInt8(NBD_CMD_CONNECT), version: UInt8(NBD_GENL_VERSION), sequence: 2)
        message.attribute(UInt16(NBD_ATTR_SIZE_BYTES), export.sizeBytes)
        message.attribute(UInt16(NBD_ATTR_BLOCK_SIZE_BYTES), UInt64(export.blockBytes))
        message.attribute(UInt16(NBD_ATTR_SERVER_FLAGS), UInt64(export.flags))
        message.attribute(UInt16(NBD_ATTR_BACKEND_IDENTIFIER), export.identifier)
        message.nested(UInt16(NBD_ATTR_SOCKETS)) { list in
            for socket in sockets {
                list.nested(UInt16(NBD_SOCK_ITEM)) {
                    $0.attribute(UInt16(NBD_SOCK_FD), UInt32(socket))
                }
            }
        }
        return message
    }
}

/// A socket to one generic netlink family.
package struct GenericNetlink {
    /// The family's number, the type of its messages.
    package let family: UInt16
    private let descriptor: Int32

    /// Opens a socket and asks for the family's number.
    package init(family name: String) throws(DeviceNodeError) {
        descriptor = yoke_generic_netlink_socket()
        guard descriptor >= 0 else { throw DeviceNodeError("open a netlink socket", code: errno) }
        var wait = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
        var message = NetlinkMessage(
            type: UInt16(GENL_ID_CTRL), command: UInt8(CTRL_CMD_GETFAMILY), version: 1, sequence: 1)
        message.attribute(UInt16(CTRL_ATTR_FAMILY_NAME), name)
        let operation = "find the kernel's \(name) driver"
        let reply: NetlinkReply
        do throws(DeviceNodeError) {
            reply = try Self.call(descriptor, operation, message)
        } catch {
            Glibc.close(descriptor)
            throw DeviceNodeError(
                operation, code: error.code, advice: error.code == ENOENT ? "load it: modprobe \(name)" : "")
        }
        guard let number = reply.number(UInt16(CTRL_ATTR_FAMILY_ID)), let family = UInt16(exactly: number) else {
            Glibc.close(descriptor)
            throw DeviceNodeError(operation, code: EPROTO, advice: "the kernel named no family")
        }
        self.family = family
    }

    package func close() {
        Glibc.close(descriptor)
    }

    /// Sends one message and waits for its acknowledgement.
    package func call(_ operation: String, _ message: NetlinkMessage) throws(DeviceNodeError) -> NetlinkReply {
        try Self.call(descriptor, operation, message)
    }

    private static func call(
        _ descriptor: Int32, _ operation: String, _ message: NetlinkMessage
    ) throws(DeviceNodeError) -> NetlinkReply {
        guard send(descriptor, message.bytes, message.bytes.count, 0) == message.bytes.count else {
            throw DeviceNodeError(operation, code: errno)
        }
        var reply = NetlinkReply()
        var datagram = [UInt8](repeating: 0, count: 16384)
        while reply.errorNumber == nil {
            let count = recv(descriptor, &datagram, datagram.count, 0)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw DeviceNodeError(operation, code: errno) }
            reply.take(datagram[..<count])
        }
        guard let code = reply.errorNumber, code == 0 else {
            throw DeviceNodeError(operation, code: reply.errorNumber ?? EPROTO)
        }
        return reply
    }
}
