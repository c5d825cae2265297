/// What an inode is; the numbers are those of directory entries. Spec: ocfs2-disk 8.1.
package enum FileType: UInt8, Equatable, Sendable {
    case regular = 1
    case directory = 2
    case characterDevice = 3
    case blockDevice = 4
    case fifo = 5
    case socket = 6
    case symbolicLink = 7
}

/// The parts of POSIX `st_mode`. Spec: ocfs2-disk 5.
package enum FileMode {
    package static let typeMask: UInt16 = 0o170000
    package static let permissionMask: UInt16 = 0o7777
    package static let setUserID: UInt16 = 0o4000
    package static let setGroupID: UInt16 = 0o2000
    package static let sticky: UInt16 = 0o1000
    package static let groupExecute: UInt16 = 0o010
}

extension FileType {
    /// The type bits of `st_mode`.
    package var modeBits: UInt16 {
        switch self {
        case .regular: 0o100000
        case .directory: 0o040000
        case .characterDevice: 0o020000
        case .blockDevice: 0o060000
        case .fifo: 0o010000
        case .socket: 0o140000
        case .symbolicLink: 0o120000
        }
    }

    /// nil: the type bits of `mode` name none of the seven.
    package init?(mode: UInt16) {
        switch mode & FileMode.typeMask {
        case 0o100000: self = .regular
        case 0o040000: self = .directory
        case 0o020000: self = .characterDevice
        case 0o060000: self = .blockDevice
        case 0o010000: self = .fifo
        case 0o140000: self = .socket
        case 0o120000: self = .symbolicLink
        default: return nil
        }
    }

    /// `DT_*` of readdir(3), which is the type of `st_mode` shifted down.
    package var direntType: UInt32 { UInt32(modeBits >> 12) }
}
