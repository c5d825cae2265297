/// Error numbers of Linux that replies carry; engines import no C library.
enum ErrorNumber {
    static let notPermitted: Int32 = 1  // EPERM
    static let noEntry: Int32 = 2  // ENOENT
    static let interrupted: Int32 = 4  // EINTR
    static let inputOutput: Int32 = 5  // EIO
    static let noSuchAddress: Int32 = 6  // ENXIO
    static let tooBig: Int32 = 7  // E2BIG
    static let badDescriptor: Int32 = 9  // EBADF
    static let again: Int32 = 11  // EAGAIN
    static let accessDenied: Int32 = 13  // EACCES
    static let busy: Int32 = 16  // EBUSY
    static let exists: Int32 = 17  // EEXIST
    static let notDirectory: Int32 = 20  // ENOTDIR
    static let isDirectory: Int32 = 21  // EISDIR
    static let invalid: Int32 = 22  // EINVAL
    static let notTerminal: Int32 = 25  // ENOTTY
    static let fileTooBig: Int32 = 27  // EFBIG
    static let noSpace: Int32 = 28  // ENOSPC
    static let readOnly: Int32 = 30  // EROFS
    static let tooManyLinks: Int32 = 31  // EMLINK
    static let outOfRange: Int32 = 34  // ERANGE
    static let nameTooLong: Int32 = 36  // ENAMETOOLONG
    static let notImplemented: Int32 = 38  // ENOSYS
    static let notEmpty: Int32 = 39  // ENOTEMPTY
    static let symlinkLoop: Int32 = 40  // ELOOP
    static let noData: Int32 = 61  // ENODATA
    static let protocolError: Int32 = 71  // EPROTO
    static let notSupported: Int32 = 95  // EOPNOTSUPP
    static let stale: Int32 = 116  // ESTALE
}
