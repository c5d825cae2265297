internal import Glibc

/// Many seeded histories in several processes of this program: one that traps or never ends takes only its process along.
///
/// A process is started with the arguments of the campaign and `--first --count --stride`; it says `B seed` before each
/// history and `R seed numbers...` or `F seed text` after it, and `M numbers...` whenever it likes (``HistoryReport``).
package struct SeedCampaign {
    package struct Failure: Sendable {
        package var seed: UInt64
        package var text: String
    }

    private let program: String
    private let arguments: [String]
    private let first: UInt64
    private let count: Int
    /// Processes: no more than histories.
    package let jobs: Int
    /// 0: no limit.
    private let seconds: Int
    private let failuresMax: Int
    /// Called for each failure at once.
    package var onFailure: (Failure) -> Void = { _ in }
    /// Called for numbers that are not of one history.
    package var onNumbers: ([Int]) -> Void = { _ in }

    package private(set) var failures: [Failure] = []
    package private(set) var histories = 0
    /// Sums of the numbers that histories report.
    package private(set) var sums: [Int] = []
    package private(set) var elapsed = 0.0

    package init(
        program: String, arguments: [String], first: UInt64, count: Int, jobs: Int, seconds: Int = 0, failuresMax: Int
    ) {
        self.program = program
        self.arguments = arguments
        self.first = first
        self.count = count
        self.jobs = min(jobs, count)
        self.seconds = seconds
        self.failuresMax = failuresMax
    }

    package mutating func run() {
        let began = Self.now()
        var workers = (0..<jobs).compactMap { start(lane: $0, skipping: 0) }
        while !workers.isEmpty, failures.count < failuresMax, seconds == 0 || Self.now() - began < Double(seconds) {
            for worker in workers where worker.isOverdue(now: Self.now()) { worker.end() }
            var sets = workers.map { pollfd(fd: $0.output, events: Int16(POLLIN), revents: 0) }
            guard poll(&sets, nfds_t(sets.count), 1000) > 0 else { continue }
            for index in sets.indices.reversed() where sets[index].revents != 0 {
                if workers[index].readMore() {
                    while let line = workers[index].nextLine() { take(line, &workers[index]) }
                } else {
                    replace(&workers, index)
                }
            }
        }
        for worker in workers { worker.stop() }
        elapsed = Self.now() - began
    }

    private func start(lane: Int, skipping done: Int) -> WorkerProcess? {
        let ofLane = (count - lane + jobs - 1) / jobs
        guard done < ofLane else { return nil }
        let range = [
            "--first", String(first + UInt64(lane) + UInt64(done) * UInt64(jobs)), "--count", String(ofLane - done),
            "--stride", String(jobs),
        ]
        return WorkerProcess(name: program, lane: lane, done: done, arguments: arguments + range)
    }

    /// A process has ended: at the end of its work, or in the middle of a history.
    private mutating func replace(_ workers: inout [WorkerProcess], _ index: Int) {
        let worker = workers.remove(at: index)
        let status = worker.wait()
        guard let seed = worker.present else { return }
        let text =
            worker.isOverdue(now: Self.now())
            ? "no end after \(Int(WorkerProcess.historyTimeMax)) s: an engine goes round in circles"
            : "the process died (\(status)): \(worker.lastWords())"
        note(Failure(seed: seed, text: text))
        histories += 1
        if let next = start(lane: worker.lane, skipping: worker.done + 1) { workers.append(next) }
    }

    private mutating func take(_ line: String, _ worker: inout WorkerProcess) {
        let words = line.split(separator: " ", maxSplits: 2).map(String.init)
        if words.first == "M" { return onNumbers(line.split(separator: " ").dropFirst().map { Int($0) ?? 0 }) }
        guard words.count >= 2, let seed = UInt64(words[1]) else { return }
        let rest = words.count > 2 ? words[2] : ""
        switch words[0] {
        case "B":
            worker.present = seed
            worker.presentSince = Self.now()
            return
        case "R":
            for (index, number) in rest.split(separator: " ").enumerated() {
                if index == sums.count { sums.append(0) }
                sums[index] += Int(number) ?? 0
            }
        case "F": note(Failure(seed: seed, text: rest))
        default: return
        }
        worker.present = nil
        worker.done += 1
        histories += 1
    }

    private mutating func note(_ failure: Failure) {
        failures.append(failure)
        onFailure(failure)
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// What a process of a ``SeedCampaign`` tells its parent.
package enum HistoryReport {
    package static func begin(_ seed: UInt64) { say("B \(seed)") }

    package static func end(_ seed: UInt64, failure: String?, numbers: [Int]) {
        if let failure {
            say("F \(seed) \(String(failure.map { $0.isNewline ? " " : $0 }))")
        } else {
            say("R \(seed) " + numbers.map(String.init).joined(separator: " "))
        }
    }

    package static func numbers(_ numbers: [Int]) { say("M " + numbers.map(String.init).joined(separator: " ")) }

    private static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(1, $0.baseAddress! + written, bytes.count - written) }
            guard count > 0 else { Glibc.exit(1) }
            written += count
        }
    }
}
