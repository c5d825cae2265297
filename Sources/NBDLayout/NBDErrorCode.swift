/// The errors that a reply may carry; the numbers are those of Linux. Spec: NBD protocol, "Error values".
package enum NBDErrorCode: UInt32, Sendable, CaseIterable {
    case notPermitted = 1
    case inputOutput = 5
    case outOfMemory = 12
    case invalid = 22
    case noSpace = 28
    case overflow = 75
    case notSupported = 95
    case shutdown = 108

    /// The protocol's word for an `errno` of Linux: a few have one, EDQUOT and EFBIG become "no space", the rest is
    /// an input/output error.
    package init(errno: Int32) {
        switch errno {
        case 1, 13, 30: self = .notPermitted  // EPERM, EACCES, EROFS
        case 12: self = .outOfMemory  // ENOMEM
        case 22: self = .invalid  // EINVAL
        case 27, 28, 122: self = .noSpace  // EFBIG, ENOSPC, EDQUOT
        case 75: self = .overflow  // EOVERFLOW
        case 95: self = .notSupported  // EOPNOTSUPP
        case 108: self = .shutdown  // ESHUTDOWN
        default: self = .inputOutput
        }
    }
}
