import EngineKit
import Testing

@testable import Replication

/// Spec: drbd-wire 9.1.
struct UUIDComparisonTests {
    private static let a: UInt64 = 0xA0A0_0000_0000_1000
    private static let b: UInt64 = 0xB0B0_0000_0000_2000
    private static let c: UInt64 = 0xC0C0_0000_0000_3000
    private static let d: UInt64 = 0xD0D0_0000_0000_4000
    private static let e: UInt64 = 0xE0E0_0000_0000_5000
    private static let offset: UInt64 = 0x0001_0000_0000_0000

    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var own: UUIDComparison.Side
        var peer: UUIDComparison.Side
        var resolveConflicts = false
        var version = 101
        var hasWriteSame = true
        var rule: Int
        var number: Int
        var correction: UUIDComparison.Correction?
        var testDescription: String { "\(name): rule \(rule), \(number)" }

        func run(faults: PlantedFaults = []) -> UUIDComparison {
            UUIDComparison.compare(
                own: own, peer: peer,
                UUIDComparison.Circumstances(
                    resolveConflicts: resolveConflicts, agreedVersion: version, hasWriteSame: hasWriteSame,
                    faults: faults))
        }

        func crashed(own: Bool, peer: Bool) -> Row {
            var row = self
            row.own.isCrashedPrimary = own
            row.peer.isCrashedPrimary = peer
            return row
        }

        func primary(own: Bool, peer: Bool) -> Row {
            var row = self
            row.own.isPrimary = own
            row.peer.isPrimary = peer
            return row
        }

        func version(_ version: Int) -> Row {
            var row = self
            row.version = version
            return row
        }

        func flagHolder() -> Row {
            var row = self
            row.resolveConflicts = true
            return row
        }

        func withoutWriteSame() -> Row {
            var row = self
            row.hasWriteSame = false
            return row
        }
    }

    private static func uuids(_ four: [UInt64]) -> GenerationUUIDs {
        GenerationUUIDs(current: four[0], bitmap: four[1], history0: four[2], history1: four[3])
    }

    private static func row(
        _ name: String, _ own: [UInt64], _ peer: [UInt64], rule: Int, _ number: Int,
        correctsOwn: [UInt64]? = nil, correctsPeer: [UInt64]? = nil
    ) -> Row {
        Row(
            name: name, own: .init(uuids: uuids(own)), peer: .init(uuids: uuids(peer)), rule: rule, number: number,
            correction: correctsOwn.map { .own(uuids($0)) } ?? correctsPeer.map { .peer(uuids($0)) })
    }

    static let rows: [Row] = [
        row("both new", [4, 0, 0, 0], [4, 0, 0, 0], rule: 10, 0),
        row("both new, odd", [5, 0, 0, 0], [4, 0, 0, 0], rule: 10, 0),
        row("own new", [4, 0, 0, 0], [a, 0, 0, 0], rule: 20, -2),
        row("own empty", [0, 0, 0, 0], [a, 0, 0, 0], rule: 20, -2),
        row("own empty with role bit", [1, 0, 0, 0], [a, 0, 0, 0], rule: 20, -2),
        row("peer new", [a, 0, 0, 0], [4, 0, 0, 0], rule: 30, 2),
        row("peer empty", [a, 0, 0, 0], [0, 0, 0, 0], rule: 30, 2),
        row("own empty, peer new", [0, 0, 0, 0], [4, 0, 0, 0], rule: 30, 2),
        row("missed the end as source", [a, b, c, d], [a, 0, b, c], rule: 34, 1, correctsOwn: [a, 0, b, c]),
        row("open bitmap", [a, b, c, d], [a, 0, c, d], rule: 36, 1),
        row("the peer missed the end", [a, 0, b, c], [a, b, c, d], rule: 35, -1, correctsPeer: [a, 0, b, c]),
        row("the peer's open bitmap", [a, 0, c, d], [a, b, c, d], rule: 37, -1),
        row("equal", [a, 0, b, c], [a | 1, 0, b, c], rule: 40, 0),
        row("equal, both open", [a, b, c, d], [a, b, c, d], rule: 40, 0),
        row("target of the peer's bitmap", [a, 0, c, d], [b, a | 1, c, d], rule: 50, -1),
        row(
            "the sync UUID was lost, as target", [a, 0, c, d], [b, a + offset, a, c], rule: 51, -1,
            correctsPeer: [b, a, c, c]),
        row("far behind, younger history", [a, 0, c, d], [b, e, a, d], rule: 60, -2),
        row("far behind, older history", [a, 0, c, d], [b, e, d, a], rule: 60, -2),
        row("source by bitmap", [b, a | 1, c, d], [a, 0, c, d], rule: 70, 1),
        row(
            "the sync UUID was lost, as source", [b, a + offset, a | 1, c], [a, 0, c, d], rule: 71, 1,
            correctsOwn: [b, a | 1, c, c]),
        row(
            "went on without the end, as source", [b, e, a, d], [a, 0, e, d], rule: 72, 1, correctsOwn: [b, a, e, d]),
        row(
            "went on without the end, as target", [a, 0, e, d], [b, e, a, d], rule: 52, -1, correctsPeer: [b, a, e, d]),
        row(
            "the sync UUID was lost, and the source went on", [b, a + offset, e, a], [a, 0, c, d], rule: 71, 1,
            correctsOwn: [b, a, e, c]),
        row(
            "likewise, and the target too", [b, a + offset, e, a], [d, a, c, c], rule: 100, -100,
            correctsOwn: [b, a, e, a]),
        row(
            "a lost sync UUID after a split brain", [b, a + offset, a, e], [d, a, c, c], rule: 100, -100,
            correctsOwn: [b, a, e, e]),
        row(
            "a lost sync UUID after a split brain, as target", [d, a, c, c], [b, a + offset, a, e], rule: 100, -100,
            correctsPeer: [b, a, e, e]),
        row("the target went on too", [b, e, a, d], [c, a, e, d], rule: 100, -100),
        row("far ahead, younger history", [b, e, a, d], [a, 0, c, d], rule: 80, 2),
        row("far ahead, older history", [b, e, d, a], [a, 0, c, d], rule: 80, 2),
        row("split brain", [b, a | 1, c, d], [e, a, c, d], rule: 90, 100),
        row("split brain of old", [b, 0, c, d], [e, 0, d, a], rule: 100, -100),
        row("two empty history slots are equal", [b, 0, c, 0], [e, 0, d, 0], rule: 100, -100),
        row("both without history", [b, 0, 0, 0], [e, 0, 0, 0], rule: 100, -100),
        row("unrelated", [b, 0, c, d], [e, 0, a, 0], rule: 100, -1000),
        row("unrelated, all slots used", [b, 0, c, d], [e, 0, a, a + 2], rule: 100, -1000),
        row("two empty bitmap slots are no common ancestor", [b, 0, c, d], [e, 0, 0, 0], rule: 100, -1000),
        // Corrections below 91 need a newer version.
        row("missed end below 91", [a, b, c, d], [a, 0, b, c], rule: 34, -1091).version(90),
        row("open bitmap below 91", [a, b, c, d], [a, 0, c, d], rule: 36, -1091).version(90),
        row("peer missed end below 91", [a, 0, b, c], [a, b, c, d], rule: 35, -1091).version(90),
        row("peer's open bitmap below 91", [a, 0, c, d], [a, b, c, d], rule: 37, -1091).version(90),
        row("lost sync below 96 as target", [a, 0, c, d], [b, e, a, c], rule: 51, -1, correctsPeer: [b, a, c, c])
            .version(95),
        row("lost sync below 96 as source", [b, e, a, c], [a, 0, c, d], rule: 71, 1, correctsOwn: [b, a, c, c])
            .version(95),
        row("the offset means nothing below 96", [a, 0, c, d], [b, a + offset, a, e], rule: 60, -2).version(95),
        row("lost sync below 91 as target", [a, 0, c, d], [b, e, a, c], rule: 51, -1091).version(90),
        row("lost sync below 91 as source", [b, e, a, c], [a, 0, c, d], rule: 71, -1091).version(90),
    ]

    private static let equal = row("equal", [a, 0, b, c], [a, 0, b, c], rule: 40, 0)

    private static func crashRow(_ name: String, _ rule: Int, _ number: Int, _ change: (Row) -> Row) -> Row {
        var row = change(equal)
        row.name = name
        row.rule = rule
        row.number = number
        return row
    }

    static let crashRows: [Row] = [
        crashRow("both Primary", 41, -100) { $0.crashed(own: true, peer: false).primary(own: true, peer: true) },
        crashRow("I am Primary", 41, 1) { $0.crashed(own: false, peer: true).primary(own: true, peer: false) },
        crashRow("the peer is Primary", 41, -1) { $0.crashed(own: true, peer: false).primary(own: false, peer: true) },
        crashRow("without the feature", 41, -1101) {
            $0.crashed(own: true, peer: false).primary(own: false, peer: true).withoutWriteSame()
        },
        crashRow("without the feature, no Primary", 40, 1) {
            $0.crashed(own: true, peer: false).withoutWriteSame()
        },
        crashRow("no crash, both Primary", 40, 0) { $0.primary(own: true, peer: true) },
        crashRow("only I crashed", 40, 1) { $0.crashed(own: true, peer: false) },
        crashRow("only the peer crashed", 40, -1) { $0.crashed(own: false, peer: true) },
        crashRow("both crashed, flag holder", 40, -1) { $0.crashed(own: true, peer: true).flagHolder() },
        crashRow("both crashed, no flag", 40, 1) { $0.crashed(own: true, peer: true) },
    ]

    @Test("a pair of sets is judged by the table", arguments: rows + crashRows)
    func table(row: Row) {
        let comparison = row.run()
        #expect(comparison.rule == row.rule)
        #expect(comparison.result.number == row.number)
        #expect(comparison.correction == row.correction)
    }

    @Test("role bits change nothing", arguments: rows)
    func roleBits(row: Row) {
        for bits in 0..<4 {
            var other = row
            // A raw 0 in a bitmap slot means "none"; everything else may carry the bit.
            other.own.uuids.current ^= UInt64(bits & 1)
            other.peer.uuids.current ^= UInt64(bits >> 1)
            let comparison = other.run()
            #expect(comparison.rule == row.rule)
            #expect(comparison.result.number == row.number)
        }
    }

    @Test("both nodes come to mirrored results", arguments: rows)
    func mirrored(row: Row) {
        var other = row
        swap(&other.own, &other.peer)
        other.resolveConflicts.toggle()
        let seen = other.run()
        #expect(seen.result == row.run().result.mirrored)
    }

    @Test("mirrored results for random sets of few values, too")
    func mirroredAtRandom() {
        let random = SeededRandom(seed: 7)
        let values: [UInt64] = [0, 0, 4, Self.a, Self.a + Self.offset, Self.b, Self.b + Self.offset, Self.c]
        func side() -> UUIDComparison.Side {
            func pick() -> UInt64 {
                let value = values[Int(random.next(below: 8))]
                return value != 0 && random.next(below: 8) == 0 ? value | 1 : value
            }
            // A current UUID of 0 makes both sides target; disks that were created have none.
            var current = pick()
            while current & ~1 == 0 { current = pick() }
            return UUIDComparison.Side(
                uuids: GenerationUUIDs(current: current, bitmap: pick(), history0: pick(), history1: pick()),
                isCrashedPrimary: random.next(below: 3) == 0, isPrimary: random.next(below: 3) == 0)
        }
        // Sets in which each side was source of a resync from the other's data do not occur: both nodes then
        // find themselves behind, as kernels do.
        func isBehind(_ result: UUIDComparison) -> Bool { [50, 51, 52, 60].contains(result.rule) }
        var counts: [Int: Int] = [:]
        for _ in 0..<20000 {
            let (own, peer) = (side(), side())
            let flag = random.next(below: 2) == 0
            let here = UUIDComparison.compare(own: own, peer: peer, .init(resolveConflicts: flag))
            let there = UUIDComparison.compare(own: peer, peer: own, .init(resolveConflicts: !flag))
            if isBehind(here) && isBehind(there) { continue }
            counts[here.rule, default: 0] += 1
            #expect(there.result == here.result.mirrored, "\(own) \(peer): \(here) against \(there)")
        }
        #expect(Set(counts.keys) == [10, 20, 30, 34, 35, 36, 37, 40, 41, 50, 51, 52, 60, 70, 71, 72, 80, 90, 100])
    }

    @Test("the planted fault takes the role bit for a difference")
    func fault() {
        let row = Self.row("equal but for the bit", [Self.a, 0, 0, 0], [Self.a | 1, 0, 0, 0], rule: 40, 0)
        #expect(row.run().result == .noSync)
        #expect(row.run(faults: .compareUUIDLowBit).result != .noSync)
    }
}
