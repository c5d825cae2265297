/// Error numbers of Linux that replies carry; engines import no C library.
enum ErrorNumber {
    static let notPermitted: Int32 = 1  // EPERM
    static let noEntry: Int32 = 2  // ENOENT
    static let inputOutput: Int32 = 5  // EIO
    static let noSuchAddress: Int32 = 6  // ENXIO
    static let notDirectory: Int32 = 20  // ENOTDIR
    static let isDirectory: Int32 = 21  // EISDIR
    static let invalid: Int32 = 22  // EINVAL
    static let notTerminal: Int32 = 25  // ENOTTY
    static let noSpace: Int32 = 28  // ENOSPC
    static let readOnly: Int32 = 30  // EROFS
    static let notImplemented: Int32 = 38  // ENOSYS
    static let protocolError: Int32 = 71  // EPROTO
    static let notSupported: Int32 = 95  // EOPNOTSUPP
}
