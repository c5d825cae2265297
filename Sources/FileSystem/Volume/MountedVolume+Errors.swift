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
                isFaulty = true
                environment.log(.error, "the volume is read-only now (errors=remount-ro); run fsck.ocfs2")
            }
        case .panic:
            stop("corrupt metadata in block \(corruption.block) (errors=panic)")
        }
        return .corrupt(corruption)
    }

    /// Ends all writing: the journal is given up as it is, and replayed by the next mount, or by the other hosts once this
    /// one is no member any more.
    func stop(_ reason: String) {
        guard stopReason == nil else { return }
        stopReason = reason
        isReadOnly = true
        environment.log(.critical, "the mount has stopped: \(reason)")
        journal?.abort(reason)
        onStop?(reason)
    }

    /// Throws unless files may be changed.
    package func requireWritable() throws(FileSystemError) {
        try requireWriting()
        if isReadOnly { throw .readOnly }
    }

    /// Throws unless what was answered can be brought to the disk. After `errors=remount-ro` it still is: whoever was told
    /// that a write succeeded did not do it in vain, and another host gets the lock that it waits for. A mount that is
    /// read-only by option writes nothing but its recoveries.
    func requireWriting() throws(FileSystemError) {
        if let stopReason { throw .aborted(stopReason) }
        if journal == nil { throw .readOnly }
    }
}
