internal import FoundationEssentials

/// What travels between two authenticated sides. The host drives; the guest answers each order with ``done`` or
/// ``failed(_:)``.
///
///     guest                                     host
///     survey        ------>
///                   <------   plan, or failed
///     done, or failed ---->                     nothing has been changed so far
///                   <------   order(prepare)    files, disk, metadata, resource up: both
///     done          ------>
///                   <------   order(mount)      Primary and mounted: both
///     done          ------>
///                   <------   order(keep)       the line of fstab; nothing is taken back from here on
///     done          ------>
///
/// Whoever fails says so and takes back what it made, and so does the other, also when the connection is lost.
package enum PairingMessage: Equatable, Sendable {
    package enum Order: String, Codable, Equatable, Sendable { case prepare, mount, keep }

    case survey(HostSurvey)
    case plan(PairPlan)
    case order(Order)
    case done
    /// Why not, for a person.
    case failed(String)
}

extension PairingMessage: Codable {
    private enum Key: String, CodingKey { case survey, plan, order, done, failed }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        guard let key = container.allKeys.first, container.allKeys.count == 1 else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "one key is expected"))
        }
        switch key {
        case .survey: self = .survey(try container.decode(HostSurvey.self, forKey: key))
        case .plan: self = .plan(try container.decode(PairPlan.self, forKey: key))
        case .order: self = .order(try container.decode(Order.self, forKey: key))
        case .done: self = .done
        case .failed: self = .failed(try container.decode(String.self, forKey: key))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch self {
        case .survey(let survey): try container.encode(survey, forKey: .survey)
        case .plan(let plan): try container.encode(plan, forKey: .plan)
        case .order(let order): try container.encode(order, forKey: .order)
        case .done: try container.encode(true, forKey: .done)
        case .failed(let reason): try container.encode(reason, forKey: .failed)
        }
    }

    /// JSON.
    func encoded() throws(PairingLinkError) -> [UInt8] {
        do {
            return Array(try JSONEncoder().encode(self))
        } catch {
            throw .notUnderstood("cannot encode: \(error)")
        }
    }

    init(decoding bytes: [UInt8]) throws(PairingLinkError) {
        do {
            self = try JSONDecoder().decode(PairingMessage.self, from: Data(bytes))
        } catch {
            throw .notUnderstood("\(error)")
        }
    }
}
