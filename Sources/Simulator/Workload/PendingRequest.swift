internal import EngineKit
internal import Replication

/// A request of an application, and what is known about it.
struct PendingRequest {
    enum State {
        case underWay
        case answered
        /// Its host crashed: there will be no answer.
        case dead
    }

    var host: Int
    var volume: Int
    var worker: Int
    var kind: ApplicationRequest.Kind
    var range: Range<Int>
    var issued: UInt64
    /// Of a write.
    var write: UInt32 = 0
    /// Of a read.
    var view: RegisterModel.ReadView?
    /// Of a read: where the data goes.
    var data: IOSlice?
    /// Of a flush: what was sure when it was issued.
    var surety: [RegisterModel.Surety] = []
    var state = State.underWay
}
