/// The right to change metadata blocks as one step: after a crash all or none of them are changed.
package final class JournalHandle {
    private let journal: Journal
    private let owner: Transaction
    private var credits: Int
    private var usedCredits = 0
    private var isOpen = true
    /// Whether anything was changed through this handle.
    package private(set) var hasChanges = false

    init(_ journal: Journal, _ transaction: Transaction, credits: Int) {
        self.journal = journal
        owner = transaction
        self.credits = credits
    }

    deinit {
        precondition(!isOpen, "a handle was lost without its end")
    }

    /// Adds the block to the transaction. Before or after changing its bytes, but before ``end()``; any number of times.
    package func modify(_ block: MetadataBlock) {
        precondition(isOpen, "block \(block.number) is changed by a handle that has ended")
        hasChanges = true
        guard block.transaction != owner.id else { return }
        block.transaction = owner.id
        block.addUnwrittenImage()
        if owner.blocks.isEmpty { journal.firstChange(in: owner) }
        owner.blocks.append(block)
        usedCredits += 1
        if usedCredits <= credits {
            owner.outstandingCredits -= 1
        } else {
            journal.overran(credits: credits, used: usedCredits)
        }
    }

    /// Takes more credits without leaving the transaction; false if it has no room: end this handle and begin another.
    package func extend(credits more: Int) -> Bool {
        precondition(isOpen && more >= 0, "a handle is extended by \(more) after its end")
        guard journal.hasRoom(for: more, in: owner) else { return false }
        credits += more
        owner.outstandingCredits += more
        return true
    }

    /// Makes sure that `count` credits are left, extending by those that are missing; false as ``extend(credits:)``.
    package func ensure(credits count: Int) -> Bool {
        extend(credits: max(0, count - max(0, credits - usedCredits)))
    }

    /// The transaction that the changes belong to.
    package var transaction: UInt64 { owner.id }

    /// Runs `body` when the transaction is committed (not when the journal is aborted).
    package func afterCommit(_ body: @escaping () -> Void) {
        precondition(isOpen, "a handle that has ended takes no calls")
        owner.afterCommit.append(body)
    }

    /// Every handle is ended exactly once.
    package func end() {
        precondition(isOpen, "a handle is ended twice")
        isOpen = false
        owner.outstandingCredits -= max(0, credits - usedCredits)
        journal.ended(owner)
    }
}
