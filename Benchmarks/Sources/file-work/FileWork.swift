import Glibc

/// One pattern of work on a mounted filesystem, timed from inside: what starting a program costs is not part of it.
///
///     file-work create DIR COUNT BYTES                 new files f0 ..., each written once and closed
///     file-work stat DIR COUNT ROUNDS                  lstat of each
///     file-work open DIR COUNT                         open and close of each
///     file-work rename DIR COUNT                       fN -> gN
///     file-work unlink DIR COUNT                       gN
///     file-work list DIR                               what `ls -l` asks for: each entry, its attributes
///     file-work write FILE BLOCK SIZE COUNT ORDER SYNC COUNT blocks; SYNC none, each or end
///     file-work read FILE BLOCK SIZE COUNT ORDER       SIZE: the part of the file that is used
///
/// ORDER is `sequential` or `random` (always the same one). Prints operations and seconds.
@main
struct FileWork {
    static func main() {
        let words = Array(CommandLine.arguments.dropFirst())
        guard words.count >= 2 else { fail("see the head of the source for the usage") }
        let place = words[1]
        let start = now()
        let count: Int
        switch (words[0], words.count) {
        case ("create", 4): count = create(place, number(words[2]), bytes: number(words[3]))
        case ("stat", 4): count = stat(place, number(words[2]), rounds: number(words[3]))
        case ("open", 3): count = each(place, number(words[2])) { closing(open($0, O_RDONLY)) }
        case ("rename", 3): count = rename(place, number(words[2]))
        case ("unlink", 3): count = each(place, number(words[2]), letter: "g") { Glibc.unlink($0) }
        case ("list", 2): count = list(place)
        case ("write", 7): count = transfer(Transfer(words), writes: true)
        case ("read", 6): count = transfer(Transfer(words), writes: false)
        default: fail("see the head of the source for the usage")
        }
        print(count, now() - start)
    }
}

// MARK: Names

private func path(_ folder: String, _ letter: String, _ index: Int) -> String { "\(folder)/\(letter)\(index)" }

private func each(_ folder: String, _ count: Int, letter: String = "f", _ body: (String) -> Int32) -> Int {
    for index in 0..<count {
        let name = path(folder, letter, index)
        if body(name) < 0 { fail("\(name): \(errno)") }
    }
    return count
}

private func closing(_ descriptor: Int32) -> Int32 { descriptor < 0 ? -1 : close(descriptor) }

private func create(_ folder: String, _ count: Int, bytes: Int) -> Int {
    let content = [UInt8](repeating: 0x5a, count: bytes)
    return each(folder, count) {
        let file = open($0, O_CREAT | O_EXCL | O_WRONLY, 0o644)
        guard file >= 0, write(file, content, bytes) == bytes else { return -1 }
        return close(file)
    }
}

private func stat(_ folder: String, _ count: Int, rounds: Int) -> Int {
    var attributes = Glibc.stat()
    for _ in 0..<rounds { _ = each(folder, count) { lstat($0, &attributes) } }
    return count * rounds
}

private func rename(_ folder: String, _ count: Int) -> Int {
    for index in 0..<count where Glibc.rename(path(folder, "f", index), path(folder, "g", index)) != 0 {
        fail("rename \(index): \(errno)")
    }
    return count
}

private func list(_ folder: String) -> Int {
    guard let listing = opendir(folder) else { fail("\(folder): \(errno)") }
    let descriptor = dirfd(listing)
    var attributes = Glibc.stat()
    var count = 0
    // As ls does: each entry's attributes as soon as its name is read.
    while let entry = readdir(listing) {
        let status = withUnsafePointer(to: &entry.pointee.d_name) {
            fstatat(
                descriptor, UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self), &attributes, AT_SYMLINK_NOFOLLOW)
        }
        guard status == 0 else { fail("entry \(count): \(errno)") }
        count += 1
    }
    closedir(listing)
    return count
}

// MARK: Contents

private struct Transfer {
    let path: String
    let block, size, count: Int
    let isRandom: Bool
    let sync: String

    init(_ words: [String]) {
        path = words[1]
        block = number(words[2])
        size = number(words[3])
        count = number(words[4])
        isRandom = words[5] == "random"
        sync = words.count > 6 ? words[6] : "none"
    }
}

private func transfer(_ job: Transfer, writes: Bool) -> Int {
    let file = open(job.path, writes ? O_WRONLY | O_CREAT : O_RDONLY, 0o644)
    guard file >= 0 else { fail("\(job.path): \(errno)") }
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: job.block, alignment: 4096)
    buffer.initializeMemory(as: UInt8.self, repeating: 0x5a, count: job.block)
    let blocks = UInt64(job.size / job.block)
    var state: UInt64 = 88_172_645_463_325_252
    for index in 0..<UInt64(job.count) {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        let offset = off_t((job.isRandom ? state % blocks : index % blocks) * UInt64(job.block))
        let done = writes ? pwrite(file, buffer, job.block, offset) : pread(file, buffer, job.block, offset)
        guard done == job.block else { fail("\(job.path) at \(offset): \(done) of \(job.block), \(errno)") }
        if job.sync == "each", fsync(file) != 0 { fail("fsync: \(errno)") }
    }
    if job.sync == "end", fsync(file) != 0 { fail("fsync: \(errno)") }
    close(file)
    return job.count
}

// MARK: Small things

private func number(_ word: String) -> Int {
    guard let value = Int(word), value >= 0 else { fail("'\(word)' is not a number") }
    return value
}

private func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

private func fail(_ text: String) -> Never {
    let line = "file-work: \(text)\n"
    _ = Glibc.write(2, line, line.utf8.count)
    exit(1)
}
