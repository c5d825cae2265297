import Journal

extension MountedVolume {
    /// Runs `body` with a handle for at most `credits` blocks, which ends with it.
    ///
    /// What can fail is done before, so that `body` fails only when a block cannot be read or is corrupt: then what it
    /// changed so far stays in the transaction, and ``report(_:)`` or the journal has stopped the mount.
    func change<Result>(
        credits: Int, _ body: (JournalHandle) async throws(FileSystemError) -> Result
    ) async throws(FileSystemError) -> Result {
        let handle = try await begin(credits: credits)
        defer { handle.end() }
        return try await body(handle)
    }
}
