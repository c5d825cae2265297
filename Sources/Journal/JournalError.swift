package import EngineKit
import LayoutKit

/// Why the journal cannot do what was asked.
package enum JournalError: Error, Equatable, Sendable {
    case device(BlockDeviceError)
    /// The journal's own blocks are not what they should be.
    case corrupt(String)
    /// A former error (named) stopped the journal: nothing can be changed any more.
    case aborted(String)
    /// More blocks than a transaction of this journal can hold.
    case tooLarge(credits: Int, most: Int)
}

extension JournalError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .device(let error): "the device failed with errno \(error.errno)"
        case .corrupt(let what): what
        case .aborted(let reason): reason
        case .tooLarge(let credits, let most): "\(credits) blocks in one change, but at most \(most) fit"
        }
    }
}

/// Runs a device operation and names its error in the journal's terms.
func reportingDeviceErrors<Result>(
    _ body: () async throws(BlockDeviceError) -> Result
) async throws(JournalError) -> Result {
    do throws(BlockDeviceError) {
        return try await body()
    } catch {
        throw .device(error)
    }
}
