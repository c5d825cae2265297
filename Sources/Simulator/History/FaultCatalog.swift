package import Replication

/// The rules that can be broken on purpose, by name.
package enum FaultCatalog {
    package struct Entry: Sendable {
        package let name: String
        package let fault: PlantedFaults
        /// Histories in which the rule matters often; nil: it matters in nearly all.
        package var emphasis: Scenario.Emphasis?
    }

    package static let all: [Entry] = [
        Entry(name: "skipActivityLogWrite", fault: .skipActivityLogWrite),
        Entry(name: "skipBitmapWriteBeforeEviction", fault: .skipBitmapWriteBeforeEviction),
        Entry(name: "ackBeforeWrite", fault: .ackBeforeWrite),
        Entry(name: "barrierAckBeforeFlush", fault: .barrierAckBeforeFlush, emphasis: .powerDuringFlush),
        Entry(name: "clearBitOnWriteAck", fault: .clearBitOnWriteAck),
        Entry(name: "rotateOnSyncUUID", fault: .rotateOnSyncUUID),
        Entry(name: "forgetNewCurrentUUID", fault: .forgetNewCurrentUUID),
        Entry(name: "ignoreConflicts", fault: .ignoreConflicts, emphasis: .meetingWrites),
        Entry(name: "skipResyncLock", fault: .skipResyncLock),
        Entry(name: "compareUUIDLowBit", fault: .compareUUIDLowBit),
        Entry(name: "dropOutOfSyncOnDisconnect", fault: .dropOutOfSyncOnDisconnect),
        Entry(name: "ignoreSequenceNumbers", fault: .ignoreSequenceNumbers, emphasis: .meetingWrites),
    ]

    package static func find(_ name: String) -> PlantedFaults? {
        all.first { $0.name == name }?.fault
    }

    package static var names: String { all.map(\.name).joined(separator: ", ") }
}
