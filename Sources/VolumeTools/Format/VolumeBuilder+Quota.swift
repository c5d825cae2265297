import LayoutKit
import OCFS2Layout

// Quota files of a fresh volume. Spec: ocfs2-disk-2 18, B.6.
extension VolumeBuilder {
    private enum Header {
        static let magic = LE32(offset: 0), flags = LE32(offset: 8), chunks = LE32(offset: 12)
        static let localBlocks = LE32(offset: 16)
        static let blockGrace = LE32(offset: 8), inodeGrace = LE32(offset: 12), syncMilliseconds = LE32(offset: 16)
        static let blocks = LE32(offset: 20), freeEntry = LE32(offset: 28)
    }

    /// Levels of the tree above its leaves: 32-bit ids, as many references in a block as fit before the check.
    private var quotaTreeDepth: Int {
        let references = UInt64((geometry.blockSize - 8) / 4)
        var depth = 1, reach = references
        while reach < 1 << 32 {
            reach *= references
            depth += 1
        }
        return depth
    }

    /// Header, one path through the tree, one leaf.
    private var globalQuotaBlocks: Int { quotaTreeDepth + 2 }

    private var quotaTypes: [(global: SystemInode, local: SystemInode, number: UInt32)] {
        [(.userQuota, .localUserQuota, 0), (.groupQuota, .localGroupQuota, 1)].filter {
            $0.0.exists(format.features)
        }
    }

    /// First header and root of every global file with the local files behind it, then the rest of the global files.
    mutating func takeQuotaFiles() throws(FormatRefusal) {
        let blockSize = UInt64(geometry.blockSize)
        let head = geometry.clusters(coveringBlocks: 2)
        for type in quotaTypes {
            try give(type.global, clusters: head)
            for slot in 0..<format.slotCount {
                try give(type.local, slot: slot, clusters: head)
                setSize(type.local, slot: slot, 2 * blockSize)
            }
        }
        let all = geometry.clusters(coveringBlocks: UInt64(globalQuotaBlocks))
        for type in quotaTypes {
            if all > head { try extend(type.global, clusters: all - head) }
            setSize(type.global, slot: nil, UInt64(globalQuotaBlocks) * blockSize)
        }
    }

    mutating func writeQuotaFiles() {
        for type in quotaTypes {
            writeGlobalQuota(file(type.global), type.number)
            for slot in 0..<format.slotCount { writeLocalQuota(file(type.local, slot: slot), type.number) }
        }
    }

    /// Usage of id 0: the root directory, as mkfs.ocfs2 counts it.
    private mutating func writeGlobalQuota(_ file: SystemFile, _ type: UInt32) {
        let check = BlockCheck.trailerOffset(blockSize: geometry.blockSize)
        let blocks = fileBlocks(file)
        let depth = quotaTreeDepth
        let rootBytes = hasInlineData ? 0 : UInt64(geometry.clusterSize)
        add(blocks[0], check: check) { bytes in
            bytes[Header.magic] = 0x0cf5_2470 + type
            bytes[Header.blockGrace] = 604_800
            bytes[Header.inodeGrace] = 604_800
            bytes[Header.syncMilliseconds] = 10_000
            bytes[Header.blocks] = UInt32(depth + 2)
            bytes[Header.freeEntry] = UInt32(depth + 1)
        }
        for level in 1...depth {
            add(blocks[level], check: check) { $0[LE32(offset: 0)] = UInt32(level + 1) }
        }
        add(blocks[depth + 1], check: check) { bytes in
            bytes[LE16(offset: 8)] = 1
            let entry = 16
            bytes[LE64(offset: entry + 0x18)] = 1
            bytes[LE64(offset: entry + 0x30)] = rootBytes
        }
    }

    /// Header and one chunk without entry blocks.
    private mutating func writeLocalQuota(_ file: SystemFile, _ type: UInt32) {
        let check = BlockCheck.trailerOffset(blockSize: geometry.blockSize)
        let blocks = fileBlocks(file)
        add(blocks[0], check: check) { bytes in
            bytes[Header.magic] = 0x0cf5_24c0 + type
            bytes[Header.flags] = 1
            bytes[Header.chunks] = 1
            bytes[Header.localBlocks] = 2
        }
        add(blocks[1], check: check) { _ in }
    }

    /// The blocks of a file in their order.
    private func fileBlocks(_ file: SystemFile) -> [UInt64] {
        file.runs.flatMap { run in
            let first = geometry.firstBlock(ofCluster: run.lowerBound)
            return Array(first..<first + geometry.blocks(inClusters: UInt32(run.count)))
        }
    }
}
