package import O2Layout

/// Why a request for a lock ended without it.
package enum LockRequestError: Error, Equatable, Sendable {
    /// It would have had to wait, and the caller did not want that.
    case wouldWait
    /// ``LockDomain/cancel(_:)`` was in time.
    case cancelled
    /// The domain is being left, or was.
    case leaving
    case refused(LockStatus)
}

/// A lock as its user on this node holds it: made once, then converted up and down, and unlocked at the end.
///
/// Belongs to the executor of its domain.
package final class DomainLock {
    package let name: ResourceName
    /// The user reads and writes the value block.
    package let usesValue: Bool
    /// Called when somebody waits for this lock, with the mode that waits. May come again and again: a level, not an
    /// event. Spec: o2dlm 10.3.
    package var onBlocking: (LockMode) -> Void
    /// The granted mode; nil: there is no lock.
    package internal(set) var mode: LockMode?
    /// Read after a grant, written before lowering from EX. Zero: not known.
    package var value = ValueBlock.zero

    var lock: Lock?
    var resource: LockResource?
    /// The task that waits for a grant.
    var waiter: UnsafeContinuation<Bool, Never>?
    /// The grant came before its task waited for it.
    var isGrantAhead = false

    package init(name: ResourceName, usesValue: Bool, onBlocking: @escaping (LockMode) -> Void) {
        self.name = name
        self.usesValue = usesValue
        self.onBlocking = onBlocking
    }

    /// Waits for the grant of the request under way; false: it was cancelled.
    func awaitGrant() async -> Bool {
        if isGrantAhead {
            isGrantAhead = false
            return true
        }
        return await withUnsafeContinuation { waiter = $0 }
    }

    func wake(_ isGranted: Bool) {
        if let waiter {
            self.waiter = nil
            waiter.resume(returning: isGranted)
        } else if isGranted {
            isGrantAhead = true
        }
    }
}
