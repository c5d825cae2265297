package import OCFS2Layout

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
    /// `DT_*` of readdir(3): the type bits of `st_mode` shifted down.
    package var direntType: UInt32 { UInt32(modeBits >> 12) }
}
