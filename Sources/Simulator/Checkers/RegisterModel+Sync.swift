// What happens to the sets when copies become one again.
extension RegisterModel {
    /// The resync onto `target` is complete: its sectors are those of the source.
    ///
    /// Returns what is wrong with that.
    func finishResync(target: Int) -> String? {
        let source = 1 - target
        var problem: String?
        let isAllowed = discardGranted[target] && (wasPrimaryApart == [true, true] || isGivenUp[target])
        if !isAllowed, let loss = firstLoss(on: target) {
            problem =
                "the resync from \(hostName(source)) to \(hostName(target)) throws away \(loss)"
                + (discardGranted[target]
                    ? ", and the two were never Primary apart" : ", and nobody allowed that")
        }
        cells[target] = cells[source]
        superseded[target] = superseded[source]
        becomeOne()
        return problem
    }

    /// An acknowledged write that `target` has and the other host has not.
    private func firstLoss(on target: Int) -> String? {
        for number in unreplicated[target] {
            let write = writes[Int(number)]
            for index in write.range
            where cells[target][index].contains(number) && !cells[1 - target][index].contains(number) {
                let left = cells[1 - target][index].all
                // Zeroes are as good as any other zeroes.
                if write.isZero, left.contains(where: { writes[Int($0)].isZero }) { continue }
                // Overwritten by something later or concurrent is not lost.
                if left.allSatisfy({ writes[Int($0)].settled >= write.issued }) { continue }
                return "write \(number) of \(hostName(write.host)), acknowledged at "
                    + "\(Trace.format(write.settled)), sector \(areas.sector(at: index))"
            }
        }
        return nil
    }

    /// Both sides say UpToDate without a resync: what one may hold the other must be able to hold.
    func declareInSync() -> String? {
        var problem: String?
        for index in 0..<areas.count where cells[0][index] != cells[1][index] {
            let left = cells[0][index]
            let right = cells[1][index]
            if let common = left.filtered({ right.contains($0) }) {
                cells[0][index] = common
                cells[1][index] = common
                continue
            }
            let zeroes = left.all.contains { writes[Int($0)].isZero } && right.all.contains { writes[Int($0)].isZero }
            if !zeroes, problem == nil {
                problem =
                    "declared in sync, but sector \(areas.sector(at: index)) holds \(describe(left)) on A and "
                    + "\(describe(right)) on B"
            }
            for write in right.all { cells[0][index].insert(write) }
            cells[1][index] = cells[0][index]
        }
        becomeOne()
        return problem
    }

    private func becomeOne() {
        unreplicated = [[], []]
        wasPrimaryApart = [false, false]
        discardGranted = [false, false]
        isGivenUp = [false, false]
        isHalfSynced = [false, false]
        resyncTarget = nil
    }

    func describe(_ candidates: Candidates) -> String {
        candidates.all.map { number in
            let write = writes[Int(number)]
            if number == 0 { return "nothing written" }
            let state =
                write.isAcknowledged ? "acknowledged" : write.settled == .max ? "under way" : "failed or cut off"
            return "write \(number)\(write.isZero ? " (zeroes)" : "") of \(hostName(write.host)) (\(state))"
        }.joined(separator: " or ")
    }

    func hostName(_ host: Int) -> String { host == 0 ? "A" : "B" }
}
