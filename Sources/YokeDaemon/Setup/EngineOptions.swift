package import Configuration
internal import EngineKit
package import Replication

// From option entries to the options of the engine. Names and units: drbd-config-and-tools 5. Values were checked
// against the option table before they come here.

/// An option whose value the configuration language allows and this program cannot serve.
package struct OptionFailure: Error, Equatable {
    package var number: ErrorNumber
    package var info: String?
}

extension ResourceOptions {
    package init(_ entries: [OptionEntry]) {
        self.init()
        let values = OptionValues(.options, entries)
        onNoDataAccessible = values.text("on-no-data-accessible") == "suspend-io" ? .suspendIO : .ioError
    }
}

extension DiskOptions {
    package init(_ entries: [OptionEntry]) {
        self.init()
        let values = OptionValues(.disk, entries)
        sizeSectors = UInt64(values.number("size"))
        onIOError =
            switch values.text("on-io-error") {
            case "pass_on": .passOn
            case "call-local-io-error": .callLocalIOError
            default: .detach
            }
        fencing =
            switch values.text("fencing") {
            case "resource-only": .resourceOnly
            case "resource-and-stonith": .resourceAndStonith
            default: .dontCare
            }
        diskFlushes = values.flag("disk-flushes")
        diskDrain = values.flag("disk-drain")
        metadataFlushes = values.flag("md-flushes")
        resyncRate = Int(values.number("resync-rate"))
        resyncAfterMinor = Int(values.text("resync-after")).flatMap { $0 >= 0 ? $0 : nil }
        activityLogExtents = Int(values.number("al-extents"))
        activityLogUpdates = values.flag("al-updates")
        discardZeroesIfAligned = values.flag("discard-zeroes-if-aligned")
        planAhead = Int(values.number("c-plan-ahead"))
        delayTarget = Int(values.number("c-delay-target"))
        fillTarget = Int(values.number("c-fill-target"))
        rateMax = Int(values.number("c-max-rate"))
        rateMin = Int(values.number("c-min-rate"))
        diskTimeout = Int(values.number("disk-timeout"))
        resyncDiscardGranularity = Int(values.number("rs-discard-granularity"))
    }
}

extension NetworkOptions {
    /// Errors: 120 and 146 for digests that do not exist here.
    package init(_ entries: [OptionEntry]) throws(OptionFailure) {
        self.init()
        let values = OptionValues(.net, entries)
        wireProtocol =
            switch values.text("protocol") {
            case "A", "a": .a
            case "B", "b": .b
            default: .c
            }
        timeout = Int(values.number("timeout"))
        epochSizeMax = Int(values.number("max-epoch-size"))
        buffersMax = Int(values.number("max-buffers"))
        connectInterval = Int(values.number("connect-int"))
        pingInterval = Int(values.number("ping-int"))
        pingTimeout = Int(values.number("ping-timeout"))
        sendBufferSize = Int(values.number("sndbuf-size"))
        receiveBufferSize = Int(values.number("rcvbuf-size"))
        koCount = Int(values.number("ko-count"))
        allowTwoPrimaries = values.flag("allow-two-primaries")
        authenticationAlgorithm = try Self.digest(values.text("cram-hmac-alg"), .authenticationAlgorithmUnknown)
        if authenticationAlgorithm == .crc32c { throw OptionFailure(number: .authenticationAlgorithmNoDigest) }
        sharedSecret = Array(values.text("shared-secret").utf8.prefix(63))
        afterSplitBrain0Primaries = Self.policy(values.text("after-sb-0pri"))
        afterSplitBrain1Primary = Self.policy(values.text("after-sb-1pri"))
        afterSplitBrain2Primaries = Self.policy(values.text("after-sb-2pri"))
        alwaysAfterSplitBrainPolicies = values.flag("always-asbp")
        onRoleConflict = Self.policy(values.text("rr-conflict"))
        verifyAlgorithm = try Self.digest(values.text("verify-alg"), .verifyAlgorithmUnknown)
        onCongestion =
            switch values.text("on-congestion") {
            case "pull-ahead": .pullAhead
            case "disconnect": .disconnect
            default: .block
            }
        congestionFill = Int(values.number("congestion-fill"))
        congestionExtents = Int(values.number("congestion-extents"))
        useRunLengthEncoding = values.flag("use-rle")
        socketCheckTimeout = Int(values.number("socket-check-timeout"))
    }

    private static func digest(
        _ name: String, _ number: ErrorNumber
    ) throws(OptionFailure) -> DigestAlgorithm? {
        if name.isEmpty { return nil }
        guard let algorithm = DigestAlgorithm(rawValue: name) else {
            throw OptionFailure(
                number: number,
                info: "'\(name)' is not one of " + DigestAlgorithm.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return algorithm
    }

    /// Names of the policies; numbers: drbd-wire 6.1.
    private static func policy(_ name: String) -> SplitBrainPolicy {
        switch name {
        case "discard-younger-primary": .discardYoungerPrimary
        case "discard-older-primary": .discardOlderPrimary
        case "discard-zero-changes": .discardZeroChanges
        case "discard-least-changes": .discardLeastChanges
        case "discard-local": .discardLocal
        case "discard-remote": .discardRemote
        case "consensus": .consensus
        case "discard-secondary": .discardSecondary
        case "call-pri-lost-after-sb", "call-pri-lost": .callPriLost
        case "violently-as0p", "violently": .violently
        default: .disconnect
        }
    }
}
