import EngineKit

/// Changes that reach the disk together.
///
/// ```
///   running --(commit wanted)--> locked --(last handle ends)--> committing --> committed --> in place
///   takes handles                takes none                     images copied, successor runs
/// ```
final class Transaction {
    /// A block of a transaction as it was when the transaction was frozen.
    struct Frozen {
        let block: MetadataBlock
        let kind: UInt8
        /// In the log's write buffer.
        let logImage: IOSlice
        /// What belongs in the block's place: other memory only if the log's image is escaped.
        var homeImage: IOSlice
        var isEscaped = false
    }

    let id: UInt64

    // Running
    /// In the order of their first change.
    var blocks: [MetadataBlock] = []
    var openHandles = 0
    /// Credits of open handles that no block has used yet.
    var outstandingCredits = 0
    /// A commit waits for the open handles.
    var isLocked = false
    var afterCommit: [() -> Void] = []

    // Committing and later
    var frozen: [Frozen] = []
    var sequence: UInt32 = 0
    var logStart: UInt32 = 0
    var logBlockCount = 0

    init(id: UInt64) {
        self.id = id
    }

    /// What the transaction takes at most, if nobody else joins.
    var blockCountAtMost: Int { blocks.count + outstandingCredits }
}
