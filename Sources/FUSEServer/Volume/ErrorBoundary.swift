internal import EngineKit
internal import FileSystem

extension ErrorNumber {
    /// What an application is told of an operation's failure. The only place where that is decided.
    static func number(of error: FileSystemError) -> Int32 {
        switch error {
        case .notFound: noEntry
        case .alreadyExists: exists
        case .notADirectory: notDirectory
        case .isADirectory: isDirectory
        case .directoryNotEmpty: notEmpty
        case .nameTooLong: nameTooLong
        case .noSpace: noSpace
        case .readOnly: readOnly
        case .notPermitted: notPermitted
        case .accessDenied: accessDenied
        case .invalidArgument: invalid
        // Never ENOSYS: that would switch the request off for the life of the mount. Spec: fuse 8.2.
        case .notSupported: notSupported
        case .tooManyLinks: tooManyLinks
        case .fileTooLarge: fileTooBig
        case .stale: stale
        case .noAttribute: noData
        case .bufferTooSmall: outOfRange
        case .attributeTooLarge: tooBig
        case .tooManySymbolicLinks: symlinkLoop
        case .busy: busy
        case .wouldBlock: again
        case .interrupted: interrupted
        case .noSuchRange: noSuchAddress
        case .corrupt: inputOutput
        // A full backing store is the application's full disk; every other number of a device means a broken one.
        case .device(let error): error.errno == noSpace ? noSpace : inputOutput
        case .aborted: inputOutput
        }
    }
}
