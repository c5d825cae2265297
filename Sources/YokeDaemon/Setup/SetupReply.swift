package import Replication
package import YokeControl

/// Where a command writes.
package protocol CommandOutput: AnyObject, Sendable {
    /// The reader is slow: skip what can be skipped.
    var isBackedUp: Bool { get }
    func standardOutput(_ text: String)
    func standardError(_ text: String)
}

extension ControlOutput: CommandOutput {}

/// Exit statuses and texts of drbdsetup. Spec: drbd-config-and-tools 11, 17.
extension CommandOutput {
    /// `OBJ: Failure: (N) TEXT`, exit status 10.
    package func failure(_ object: String, _ number: ErrorNumber, info: String? = nil) -> Int32 {
        var text = "\(object): Failure: (\(number.rawValue)) \(number.text)\n"
        if let info { text += "additional info from kernel:\n\(info)\n" }
        standardError(text)
        return 10
    }

    /// `OBJ: State change failed: (N) TEXT`, exit status 11, or one of its own for some numbers.
    package func refused(_ object: String, _ result: StateChangeResult) -> Int32 {
        standardError("\(object): State change failed: (\(result.rawValue)) \(result.text)\n")
        return SetupExit.status(of: result)
    }

    package func answer(_ object: String, _ result: CommandResult) -> Int32 {
        switch result {
        case .success: return 0
        case .refused(let code) where code.isSuccess: return 0
        case .refused(let code): return refused(object, code)
        case .failed(let number, let info): return failure(object, number, info: info)
        }
    }

    package func usage(_ text: String) -> Int32 {
        standardError(text)
        return SetupExit.usage
    }
}

package enum SetupExit {
    package static let usage: Int32 = 20
    package static let timeout: Int32 = 5

    package static func status(of result: StateChangeResult) -> Int32 {
        switch result {
        case .noUpToDateDisk: 17
        case .lowerThanOutdated: 5
        case .noLocalDisk: 16
        default: 11
        }
    }
}
