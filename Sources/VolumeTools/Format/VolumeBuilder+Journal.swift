import LayoutKit
import OCFS2Layout

// Journals: an empty log, whose superblock nevertheless names a first transaction. Spec: ocfs2-disk 14.2.
extension VolumeBuilder {
    private enum JournalField {
        static let magic = BE32(offset: 0x00), type = BE32(offset: 0x04), blockSize = BE32(offset: 0x0c)
        static let blockCount = BE32(offset: 0x10), first = BE32(offset: 0x14), sequence = BE32(offset: 0x18)
        static let start = BE32(offset: 0x1c), incompatible = BE32(offset: 0x28), users = BE32(offset: 0x40)
        static let uuidOffset = 0x30
    }

    mutating func writeJournal(_ slot: Int) {
        let file = file(.journal, slot: slot)
        let blocks = geometry.blocks(inClusters: file.clusters)
        let (blockSize, uuid, is64Bit) = (geometry.blockSize, identity.uuid, format.has64BitJournal)
        // Old transactions of an earlier volume must never be taken for transactions of this one.
        for run in file.runs { clear(run) }
        add(geometry.firstBlock(ofCluster: file.runs[0].lowerBound), check: nil) { bytes in
            bytes[JournalField.magic] = 0xc03b_3998
            bytes[JournalField.type] = 4
            bytes[JournalField.blockSize] = UInt32(blockSize)
            bytes[JournalField.blockCount] = UInt32(blocks)
            bytes[JournalField.first] = blockSize == 512 ? 2 : 1
            bytes[JournalField.sequence] = 1
            bytes[JournalField.start] = 1
            bytes[JournalField.incompatible] = is64Bit ? 2 : 0
            uuid.store(into: bytes, at: JournalField.uuidOffset)
            bytes[JournalField.users] = 1
        }
    }
}
