package import Journal

extension MountedVolume {
    /// Opens a journal handle. `readOnly` and `aborted` when the mount does not write (any more).
    package func begin(credits: Int) async throws(FileSystemError) -> JournalHandle {
        try requireWriting()
        let journal = try usedJournal()
        do throws(JournalError) {
            return try await journal.begin(credits: credits)
        } catch {
            throw FileSystemError(error)
        }
    }

    /// Runs `body` inside a handle of its own. An error after its first change leaves that half done, which must never
    /// become durable: it ends the mount's writing. What can fail for good reasons, and what damage makes fail, has to
    /// fail before. Nothing in memory may be different either when a body throws without a change.
    package func transaction<Result>(
        credits: Int, _ body: (JournalHandle) async throws(FileSystemError) -> Result
    ) async throws(FileSystemError) -> Result {
        let handle = try await begin(credits: credits)
        defer { handle.end() }
        do throws(FileSystemError) {
            return try await body(handle)
        } catch {
            if handle.hasChanges { stop("a change of metadata could not be completed: \(error)") }
            throw error
        }
    }

    /// Makes all metadata changes of this mount durable.
    package func commit() async throws(FileSystemError) {
        guard let journal else { return }
        try await commit(journal.runningTransaction)
    }

    /// Returns when the transaction is durable. A mount that never wrote has nothing to wait for.
    package func commit(_ transaction: UInt64) async throws(FileSystemError) {
        guard let journal else { return }
        do throws(JournalError) {
            try await journal.commit(transaction)
        } catch {
            throw FileSystemError(error)
        }
    }

    /// Commits all and writes every block to its place.
    func checkpoint() async throws(FileSystemError) {
        guard let journal else { return }
        do throws(JournalError) {
            try await journal.flush()
        } catch {
            throw FileSystemError(error)
        }
    }

    private func usedJournal() throws(FileSystemError) -> Journal {
        guard let journal else { throw .readOnly }
        return journal
    }
}
