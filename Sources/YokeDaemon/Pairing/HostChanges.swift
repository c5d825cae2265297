internal import Configuration
internal import FoundationEssentials
internal import Glibc
internal import Pairing
internal import Synchronization

/// What a set-up has changed on this host, so that it can be taken back: after a failure, and, since the list is a file,
/// after a crash too.
///
/// **Order:** a change is in the list, on stable storage, before it is made. The list goes when the set-up is complete
/// (``keep()``), or when everything is taken back. Files are `/var/lib/yoke/setup-NAME.json`, for root only.
///
/// Blocking; for one task at a time.
final class HostChanges: Sendable {
    struct Change: Codable, Equatable {
        enum Kind: String, Codable { case text, image, directory }

        var kind: Kind
        var path: String
        /// Nil: there was no such file.
        var before: String?
        /// What was written. Somebody else's change since then is left alone.
        var after: String?
    }

    private struct Record: Codable {
        var resource: String
        var changes: [Change]
    }

    let resource: String
    private let list: String
    private let changes: Mutex<[Change]>

    init(resource: String, stateDirectory: String) {
        self.resource = resource
        list = "\(stateDirectory)/setup-\(resource).json"
        changes = Mutex([])
    }

    /// What a crash left behind; nil if it cannot be read.
    private init?(list: String) {
        guard let bytes = try? FileConfigurationSource().read(list),
            let record = try? JSONDecoder().decode(Record.self, from: Data(bytes))
        else { return nil }
        resource = record.resource
        self.list = list
        changes = Mutex(record.changes)
    }

    /// The set-ups that a crash interrupted.
    static func unfinished(stateDirectory: String) -> [HostChanges] {
        FileConfigurationSource().glob("\(stateDirectory)/setup-*.json").compactMap { HostChanges(list: $0) }
    }

    // MARK: Changing

    /// Replaces or makes a file.
    func write(_ path: String, _ text: String, mode: UInt32 = 0o644) throws(PairingRefusal) {
        let before = try Self.text(of: path)
        try note(Change(kind: .text, path: path, before: before, after: text))
        do throws(AtomicFile.Failure) {
            try AtomicFile.replace(path, with: text, mode: mode)
        } catch {
            throw PairingRefusal("cannot write \(path): \(error.reason)")
        }
    }

    /// Nil where there is no such file. What is no text cannot be put back as it was.
    private static func text(of path: String) throws(PairingRefusal) -> String? {
        let bytes: [UInt8]
        do throws(SourceError) {
            bytes = try FileConfigurationSource().read(path)
        } catch {
            if case .notFound = error { return nil }
            throw PairingRefusal("\(path): \(error.reason)")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        guard Array(text.utf8) == bytes else { throw PairingRefusal("\(path) is no UTF-8 text: correct it first") }
        return text
    }

    /// Makes a file that reads as zeroes, with all its room unless it is sparse.
    func makeImage(_ path: String, byteCount: UInt64, isSparse: Bool) throws(PairingRefusal) {
        try note(Change(kind: .image, path: path))
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let reason = Self.reason
            // What is there, if anything, is not ours to remove.
            try forgetLast()
            throw PairingRefusal("cannot make \(path): \(reason)")
        }
        defer { close(descriptor) }
        let code = isSparse ? 0 : posix_fallocate(descriptor, 0, off_t(byteCount))
        guard code == 0 else {
            throw PairingRefusal(
                "cannot make \(path) of \(ByteSize.text(byteCount)): \(String(cString: strerror(code)))")
        }
        guard ftruncate(descriptor, off_t(byteCount)) == 0, fsync(descriptor) == 0 else {
            throw PairingRefusal("cannot make \(path): \(Self.reason)")
        }
    }

    /// Makes a directory, and those above it, where they are missing.
    func makeDirectory(_ path: String) throws(PairingRefusal) {
        var partial = ""
        for part in path.split(separator: "/") {
            partial += "/" + part
            guard access(partial, F_OK) != 0 else { continue }
            try note(Change(kind: .directory, path: partial))
            guard mkdir(partial, 0o755) == 0 || errno == EEXIST else {
                throw PairingRefusal("cannot make \(partial): \(Self.reason)")
            }
        }
    }

    private func forgetLast() throws(PairingRefusal) {
        let all = changes.withLock { changes in
            changes.removeLast()
            return changes
        }
        try save(all)
    }

    private func note(_ change: Change) throws(PairingRefusal) {
        let all = changes.withLock { changes in
            changes.append(change)
            return changes
        }
        try save(all)
    }

    private func save(_ all: [Change]) throws(PairingRefusal) {
        do {
            let text = String(
                decoding: try JSONEncoder().encode(Record(resource: resource, changes: all)), as: UTF8.self)
            try AtomicFile.replace(list, with: text, mode: 0o600)
        } catch let failure as AtomicFile.Failure {
            throw PairingRefusal("cannot write \(list): \(failure.reason)")
        } catch {
            throw PairingRefusal("cannot write \(list): \(error)")
        }
    }

    // MARK: The end

    /// The set-up is complete: nothing is taken back any more.
    func keep() {
        changes.withLock { $0 = [] }
        unlink(list)
    }

    /// Puts everything back, the last change first. Answers what could not be put back, in words.
    func takeBack() -> [String] {
        let all = changes.withLock { changes in
            defer { changes = [] }
            return changes
        }
        let problems = all.reversed().compactMap { takeBack($0) }
        unlink(list)
        return problems
    }

    private func takeBack(_ change: Change) -> String? {
        let path = change.path
        switch change.kind {
        case .image: return unlink(path) == 0 || errno == ENOENT ? nil : "\(path): \(Self.reason)"
        case .directory:
            // Somebody put something into it.
            return rmdir(path) == 0 || [ENOENT, ENOTEMPTY, EEXIST].contains(errno) ? nil : "\(path): \(Self.reason)"
        case .text: break
        }
        let now = (try? FileConfigurationSource().read(path)).map { String(decoding: $0, as: UTF8.self) }
        guard now == change.after else {
            // Not written yet, or changed by somebody since.
            return now == change.before ? nil : "\(path) was changed by somebody else and stays as it is"
        }
        guard let before = change.before else {
            return unlink(path) == 0 || errno == ENOENT ? nil : "\(path): \(Self.reason)"
        }
        do throws(AtomicFile.Failure) {
            try AtomicFile.replace(path, with: before)
            return nil
        } catch {
            return "\(path): \(error.reason)"
        }
    }

    private static var reason: String { strerror(errno).map { String(cString: $0) } ?? "error \(errno)" }
}
