internal import EngineKit
internal import Journal

extension MountedVolume {
    /// Logs what is wrong with the volume, does what `errors=` says, and gives the error to throw.
    package func report(_ corruption: Corruption) -> FileSystemError {
        let owner = corruption.inode.map { " of inode \($0)" } ?? ""
        environment.log(.error, "corrupt metadata in block \(corruption.block)\(owner): \(corruption.what)")
        switch options.errors {
        case .continue: break
        case .remountReadOnly:
            if !isReadOnly {
                isReadOnly = true
                environment.log(.error, "the volume is read-only now (errors=remount-ro); run fsck.ocfs2")
            }
        case .panic:
            stop("corrupt metadata in block \(corruption.block) (errors=panic)")
        }
        return .corrupt(corruption)
    }

    /// Ends all writing: the journal is given up as it is, and replayed by the next mount.
    func stop(_ reason: String) {
        guard stopReason == nil else { return }
        stopReason = reason
        isReadOnly = true
        environment.log(.critical, "the mount has stopped: \(reason)")
        journal?.abort(reason)
    }

    /// Throws unless the mount writes.
    package func requireWritable() throws(FileSystemError) {
        if let stopReason { throw .aborted(stopReason) }
        if isReadOnly { throw .readOnly }
    }
}
