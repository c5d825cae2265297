internal import Glibc

/// Runs histories with rules broken on purpose, one after the other, until each is caught. Prints a line for each.
package struct FaultSearch {
    package struct Fault {
        package var name: String
        /// Arguments of a ``SeedCampaign`` with the rule broken.
        package var planted: [String]
        /// The same without.
        package var sound: [String]

        package init(name: String, planted: [String], sound: [String]) {
            self.name = name
            self.planted = planted
            self.sound = sound
        }
    }

    private let program: String
    private let first: UInt64
    private let histories: Int
    private let seconds: Int
    private let jobs: Int

    /// - Parameters:
    ///   - histories: for each fault at most.
    ///   - seconds: for each fault at most.
    package init(program: String, first: UInt64, histories: Int, seconds: Int, jobs: Int) {
        self.program = program
        self.first = first
        self.histories = histories
        self.seconds = seconds
        self.jobs = jobs
    }

    /// How many were caught.
    package func run(_ faults: [Fault]) -> Int {
        let width = faults.map(\.name.count).max() ?? 0
        var caught = 0
        for fault in faults {
            let search = look(for: fault)
            let name = fault.name + String(repeating: " ", count: width - fault.name.count)
            let count = String(search.histories)
            let histories = String(repeating: " ", count: max(0, 5 - count.count)) + count
            if let failure = search.failure {
                caught += 1
                print("\(name)  caught by \(histories) histories, seed \(failure.seed): \(failure.text.prefix(150))")
            } else {
                print("\(name)  MISSED by \(histories) histories")
            }
            fflush(nil)
        }
        print("\(caught) of \(faults.count) faults caught")
        return caught
    }

    private struct Search {
        var histories = 0
        var failure: SeedCampaign.Failure?
    }

    /// A seed that fails without the fault too shows nothing, and the search goes on behind it.
    private func look(for fault: Fault) -> Search {
        var search = Search()
        var next = first
        var secondsLeft = seconds
        while search.histories < histories, secondsLeft > 0 {
            var campaign = SeedCampaign(
                program: program, arguments: fault.planted, first: next, count: histories - search.histories,
                jobs: jobs,
                seconds: secondsLeft, failuresMax: 1)
            campaign.run()
            search.histories += campaign.histories
            secondsLeft -= Int(campaign.elapsed)
            guard let failure = campaign.failures.first else { break }
            guard failsAnyway(failure.seed, fault) else {
                search.failure = failure
                break
            }
            print("\(fault.name): seed \(failure.seed) fails without it too")
            next = failure.seed + 1
        }
        return search
    }

    private func failsAnyway(_ seed: UInt64, _ fault: Fault) -> Bool {
        var campaign = SeedCampaign(
            program: program, arguments: fault.sound, first: seed, count: 1, jobs: 1, failuresMax: 1)
        campaign.run()
        return !campaign.failures.isEmpty
    }
}
