import Glibc
import SimulationProcesses
import Simulator

/// Many histories in several processes: an engine that traps takes only its process along.
struct Campaign {
    struct Failure {
        var seed: UInt64
        var text: String
    }

    let first: UInt64
    let count: Int
    let jobs: Int
    /// 0: no limit.
    let seconds: Int
    let failuresMax: Int
    let fault: String?
    let emphasis: String?
    var announcesFailures = false

    private(set) var failures: [Failure] = []
    private(set) var histories = 0
    private(set) var requests = 0
    private(set) var virtualMilliseconds = 0
    private(set) var marks = CoverageCounts()
    private(set) var elapsed = 0.0

    init(first: UInt64, count: Int, jobs: Int, seconds: Int, failuresMax: Int, fault: String?, emphasis: String?) {
        self.first = first
        self.count = count
        self.jobs = min(jobs, count)
        self.seconds = seconds
        self.failuresMax = failuresMax
        self.fault = fault
        self.emphasis = emphasis
    }

    mutating func run() {
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

    // MARK: Processes

    private func start(lane: Int, skipping done: Int) -> WorkerProcess? {
        let ofLane = (count - lane + jobs - 1) / jobs
        guard done < ofLane else { return nil }
        var arguments = [
            "work", "--first", String(first + UInt64(lane) + UInt64(done) * UInt64(jobs)), "--count",
            String(ofLane - done), "--stride", String(jobs),
        ]
        if let fault { arguments += ["--fault", fault] }
        if let emphasis { arguments += ["--emphasis", emphasis] }
        return WorkerProcess(name: "yoke-sim", lane: lane, done: done, arguments: arguments)
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
        guard words.count >= 2 else { return }
        switch words[0] {
        case "B":
            worker.present = UInt64(words[1])
            worker.presentSince = Self.now()
        case "R":
            let numbers = words.count > 2 ? words[2].split(separator: " ").compactMap { Int($0) } : []
            if numbers.count == 2 {
                requests += numbers[0]
                virtualMilliseconds += numbers[1]
            }
            endHistory(&worker)
        case "F":
            note(Failure(seed: UInt64(words[1]) ?? 0, text: words.count > 2 ? words[2] : ""))
            endHistory(&worker)
        case "M":
            for (index, number) in line.split(separator: " ").dropFirst().enumerated() {
                marks.add(Int(number) ?? 0, of: CoverageMark.allCases[index])
            }
        default: break
        }
    }

    private mutating func endHistory(_ worker: inout WorkerProcess) {
        worker.present = nil
        worker.done += 1
        histories += 1
    }

    private mutating func note(_ failure: Failure) {
        failures.append(failure)
        guard announcesFailures else { return }
        print("FAILED seed \(failure.seed): \(failure.text)")
        let options = (emphasis.map { " --emphasis \($0)" } ?? "") + (fault.map { " --fault \($0)" } ?? "")
        print("  replay: yoke-sim run --seed \(failure.seed) --trace\(options)")
        fflush(nil)
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    // MARK: Summary

    func printSummary() {
        let rate = elapsed > 0 ? Double(histories) / elapsed : 0
        let reached = CoverageMark.allCases.filter { marks[$0] > 0 }
        let missing = CoverageMark.allCases.filter { marks[$0] == 0 }
        print("situations reached: " + reached.map { "\($0.name) \(marks[$0])" }.joined(separator: ", "))
        if !missing.isEmpty { print("never reached: " + missing.map(\.name).joined(separator: ", ")) }
        print(
            "\(histories) histories from seed \(first) in \(Int(elapsed)) s (\(Int(rate)) a second, \(jobs) processes), "
                + "\(requests) requests, \(virtualMilliseconds / 3_600_000) hours of virtual time, "
                + "\(failures.count) failed")
    }
}
