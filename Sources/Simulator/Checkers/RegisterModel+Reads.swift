// What a read may return.
extension RegisterModel {
    /// The sets at the moment when a read was issued.
    struct ReadView {
        var issued: UInt64
        var reader: Int
        var range: Range<Int>
        /// Of each host whose copy may answer.
        var cells: [[Candidates]]
    }

    func issueRead(reader: Int, range: Range<Int>, holders: [Int], now: UInt64) -> ReadView {
        ReadView(
            issued: now, reader: reader, range: range, cells: sets(of: holders, reader: reader).map { Array($0[range]) }
        )
    }

    /// What a reader may see of these copies: of a source that has gone on alone also what it had when they parted.
    private func sets(of holders: [Int], reader: Int) -> [[Candidates]] {
        holders.flatMap { holder in
            guard holder != reader, let parting = cellsAtParting[holder] else { return [cells[holder]] }
            return [cells[holder], parting]
        }
    }

    /// Compares what a read returned with what it may. `holders`: whose copies may have answered by now. Returns what
    /// is wrong.
    func checkRead(_ view: ReadView, data: UnsafeRawBufferPointer, holders: [Int]) -> String? {
        for position in 0..<view.range.count {
            let index = view.range.lowerBound + position
            let bytes = UnsafeRawBufferPointer(rebasing: data[position * 512..<(position + 1) * 512])
            switch SectorStamp.decode(bytes) {
            case .torn:
                return "sector \(areas.sector(at: index)) is torn or garbage"
            case .zeroes:
                if isAllowed(zeroesAt: index, position, view, holders) { continue }
                return wrong(index, "zeroes", view, position, holders)
            case .stamp(let stamp):
                guard stamp.sector == areas.sector(at: index), stamp.write > 0, Int(stamp.write) < writes.count else {
                    return "sector \(areas.sector(at: index)) holds data of sector \(stamp.sector)"
                }
                if isAllowed(stamp.write, index, position, view, holders) { continue }
                return wrong(index, describe(Candidates(stamp.write)), view, position, holders)
            }
        }
        return nil
    }

    private func isAllowed(
        _ write: UInt32, _ index: Int, _ position: Int, _ view: ReadView, _ holders: [Int]
    ) -> Bool {
        if view.cells.isEmpty || holders.isEmpty { return true }
        if view.cells.contains(where: { $0[position].contains(write) }) { return true }
        if sets(of: holders, reader: view.reader).contains(where: { $0[index].contains(write) }) { return true }
        return writes[Int(write)].issued >= view.issued
    }

    private func isAllowed(zeroesAt index: Int, _ position: Int, _ view: ReadView, _ holders: [Int]) -> Bool {
        if view.cells.isEmpty || holders.isEmpty { return true }
        let sets = view.cells.map { $0[position] } + sets(of: holders, reader: view.reader).map { $0[index] }
        if sets.contains(where: { $0.all.contains { writes[Int($0)].isZero } }) { return true }
        return writes.last { $0.issued >= view.issued && $0.isZero && $0.range.contains(index) } != nil
    }

    private func wrong(
        _ index: Int, _ found: String, _ view: ReadView, _ position: Int, _ holders: [Int]
    ) -> String {
        let expected = holders.map { "\(hostName($0)): \(describe(cells[$0][index]))" }.joined(separator: "; ")
        return "sector \(areas.sector(at: index)) reads as \(found), expected \(expected)"
    }

    /// Compares what lies on the disk of `host` with its sets. Returns what is wrong.
    func checkDisk(host: Int, contents: (_ sector: UInt64, _ count: Int) -> [UInt8]) -> String? {
        for area in areas.areas {
            let bytes = contents(area.sector, area.count)
            let range = area.firstIndex..<area.firstIndex + area.count
            let view = issueRead(reader: host, range: range, holders: [host], now: .max)
            if let problem = bytes.withUnsafeBytes({ checkRead(view, data: $0, holders: [host]) }) { return problem }
        }
        return nil
    }
}

/// What a written sector carries: its write and its own number, sixty-four times.
struct SectorStamp: Equatable {
    enum Contents: Equatable {
        case zeroes
        case stamp(SectorStamp)
        case torn
    }

    var write: UInt32
    var sector: UInt64

    private var word: UInt64 { UInt64(write) << 32 | sector & 0xffff_ffff }

    func fill(_ target: UnsafeMutableRawPointer) {
        target.initializeMemory(as: UInt64.self, repeating: word, count: 64)
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) -> Contents {
        let first = bytes.loadUnaligned(as: UInt64.self)
        for index in 1..<64 where bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self) != first {
            return .torn
        }
        if first == 0 { return .zeroes }
        return .stamp(SectorStamp(write: UInt32(first >> 32), sector: first & 0xffff_ffff))
    }
}
