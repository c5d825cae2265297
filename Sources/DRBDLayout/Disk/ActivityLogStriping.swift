/// How the blocks of the activity log are laid over stripes. Spec: drbd-disk-and-state 2, 5.4.
package struct ActivityLogStriping: Hashable, Sendable {
    /// 1 and above.
    package let stripes: UInt32
    /// Blocks of 4 KiB in each stripe.
    package let stripeBlocks: UInt32

    /// 8 blocks, 32 KiB.
    package static let standard = ActivityLogStriping(stripes: 1, stripeBlocks: 8)!
    /// Fewest and most blocks of a log.
    package static let blockCounts: ClosedRange<UInt64> = 8...4_194_304

    /// Nil when the log would be shorter than 32 KiB or longer than 16 GiB.
    package init?(stripes: UInt32, stripeBlocks: UInt32) {
        guard Self.blockCounts.contains(UInt64(stripes) * UInt64(stripeBlocks)) else { return nil }
        self.stripes = stripes
        self.stripeBlocks = stripeBlocks
    }

    /// Blocks of the log, and length of the ring of transactions.
    package var blockCount: UInt32 { stripes * stripeBlocks }

    /// Sectors of the log.
    package var sectorCount: UInt64 { UInt64(blockCount) * 8 }

    /// The block of the log that holds transaction `number`, counted from the log's start.
    package func block(ofTransaction number: UInt32) -> UInt32 {
        block(atRingPosition: number % blockCount)
    }

    /// The block at `position` of the ring, below ``blockCount``.
    package func block(atRingPosition position: UInt32) -> UInt32 {
        (position % stripes) * stripeBlocks + position / stripes
    }

    /// Most slots that the ring can describe: one block less than there are must be enough for all contexts.
    /// Spec: drbd-disk-and-state 5.2.
    package var extentCountMax: Int {
        min(65534, (Int(blockCount) - 1) * ActivityLogTransaction.contextCount)
    }
}
