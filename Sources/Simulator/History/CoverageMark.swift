/// Rare situations that histories should reach. What many histories together never reach, they do not test.
package enum CoverageMark: Int, CaseIterable, Sendable {
    case fullSync, bitmapSync, syncFinished, syncInterrupted, syncPaused, crashDuringSync
    case splitBrain, splitBrainSolvedByPolicy, splitBrainSolvedByAdmin
    case superseded, retriedWrite
    case writeDuringSync, outOfSyncNotice, discardSent, zeroesSent
    case remoteRead, negativeDataReply, negativeAck, negativeResyncReply, resyncCancelled
    case activityLogTransaction, activityLogEviction, activityLogReplay
    case programKilled, powerLost, powerLostOnBoth, killedAsPrimary, unflushedDataLost, tornWrite
    case diskFailed, detached, attachedWhileConnected, disklessPrimary, metadataFailed
    case verifyFinished, verifyInterrupted, invalidated, ahead
    case crossedSockets, stateChangeCollision, twoStepRefused
    case failover, promotedAlone, suspendedIO, requestFailed, fullDisk
    case pingTimeout, requestTimeout, connectionForgotten, oneWayCut
    case disconnectedByAdmin, downAndUp, authenticated, plainBitmap, compressedBitmap
    case demotedWhole, flushFailed, disklessByForce

    /// The name, as summaries print it.
    package var name: String { "\(self)" }
}

/// How often each mark was reached.
package struct CoverageCounts: Sendable {
    package private(set) var counts = Array(repeating: 0, count: CoverageMark.allCases.count)

    package init() {}

    package subscript(mark: CoverageMark) -> Int { counts[mark.rawValue] }

    package mutating func reach(_ mark: CoverageMark) {
        counts[mark.rawValue] += 1
    }

    package mutating func add(_ other: CoverageCounts) {
        for index in counts.indices { counts[index] += other.counts[index] }
    }

    /// Sets the count of a mark that another process reached.
    package mutating func add(_ count: Int, of mark: CoverageMark) {
        counts[mark.rawValue] += count
    }
}
