internal import Replication

/// Somebody whose block requests a runner carries out. Called on the runner's thread.
package protocol VolumeUser: AnyObject {
    /// The request with this token is done; `errno` 0 is success.
    func requestCompleted(token: UInt64, errno: Int32)
}

/// Requests of applications that the engine has not answered. No allocation once it has grown.
struct RequestTable {
    private struct Slot {
        var user: (any VolumeUser)?
        var token: UInt64 = 0
        /// Counts the uses of the slot, so that an answer that comes twice is found out.
        var generation: UInt32 = 0
    }

    private var slots: [Slot] = []
    private var free: [UInt32] = []
    private(set) var count = 0

    mutating func add(_ user: any VolumeUser, token: UInt64) -> RequestID {
        count += 1
        let index: UInt32
        if let last = free.popLast() {
            index = last
        } else {
            index = UInt32(slots.count)
            slots.append(Slot())
        }
        slots[Int(index)].user = user
        slots[Int(index)].token = token
        slots[Int(index)].generation &+= 1
        return RequestID(UInt64(slots[Int(index)].generation) << 32 | UInt64(index))
    }

    mutating func take(_ id: RequestID) -> (user: any VolumeUser, token: UInt64) {
        let index = Int(id.rawValue & 0xffff_ffff)
        precondition(
            index < slots.count && slots[index].generation == UInt32(id.rawValue >> 32),
            "the engine completed request \(id.rawValue) twice")
        guard let user = slots[index].user else { preconditionFailure("request \(id.rawValue) has no user") }
        let token = slots[index].token
        slots[index].user = nil
        free.append(UInt32(index))
        count -= 1
        return (user, token)
    }
}
