// The tables of drbd-config-and-tools 5.1 to 5.7, ranges and defaults of 8.4.

extension OptionTable {
    /// Spec: drbd-config-and-tools 5.1.
    static let resourceOptions: [OptionDescriptor] = [
        .init(.options, "cpu-mask", .text(byteCountMax: 32), .notServed("threads are not bound to processors")),
        .init(.options, "on-no-data-accessible", .enumeration(["io-error", "suspend-io"], default: "io-error")),
        .nine(.options, "auto-promote"), .nine(.options, "auto-promote-timeout"), .nine(.options, "quorum"),
        .nine(.options, "on-no-quorum"), .nine(.options, "quorum-minimum-redundancy"),
        .nine(.options, "on-suspended-primary-outdated"), .nine(.options, "peer-ack-window"),
        .nine(.options, "peer-ack-delay"), .nine(.options, "twopc-timeout"),
        .nine(.options, "twopc-retry-timeout"), .nine(.options, "max-io-depth"),
    ]

    /// Spec: drbd-config-and-tools 5.2.
    static let diskOptions: [OptionDescriptor] = [
        .init(.disk, "size", .number(.sectors, 0...(1 << 41), default: 0), isInitialOnly: true),
        .init(
            .disk, "max-bio-bvecs", .number(.count, 0...128, default: 0), .ignored, isInitialOnly: true),
        .init(
            .disk, "on-io-error", .enumeration(["pass_on", "call-local-io-error", "detach"], default: "detach")),
        .init(
            .disk, "fencing",
            .enumeration(["dont-care", "resource-only", "resource-and-stonith"], default: "dont-care")),
        .init(.disk, "disk-barrier", .flag(default: false), .ignored),
        .init(.disk, "disk-flushes", .flag(default: true)),
        .init(.disk, "disk-drain", .flag(default: true)),
        .init(.disk, "md-flushes", .flag(default: true)),
        .init(.disk, "resync-rate", .number(.kibibytes, 1...4_194_304, default: 250)),
        .init(.disk, "resync-after", .resource),
        // 8.3 allows 7 and up; the kernel clamps.
        .init(.disk, "al-extents", .number(.count, 67...65534, default: 1237), clampsToRange: true),
        .init(.disk, "al-updates", .flag(default: true)),
        .init(.disk, "discard-zeroes-if-aligned", .flag(default: true)),
        .init(.disk, "disable-write-same", .flag(default: false), .ignored),
        .init(.disk, "c-plan-ahead", .number(.deciseconds, 0...300, default: 20)),
        .init(.disk, "c-delay-target", .number(.deciseconds, 1...100, default: 10)),
        .init(.disk, "c-fill-target", .number(.sectors, 0...1_048_576, default: 100)),
        .init(.disk, "c-max-rate", .number(.kibibytes, 250...4_194_304, default: 102_400)),
        .init(.disk, "c-min-rate", .number(.kibibytes, 0...4_194_304, default: 250)),
        .init(.disk, "disk-timeout", .number(.deciseconds, 0...6000, default: 0)),
        .init(
            .disk, "read-balancing",
            .enumeration(
                [
                    "prefer-local", "prefer-remote", "round-robin", "least-pending", "when-congested-remote",
                    "32K-striping", "64K-striping", "128K-striping", "256K-striping", "512K-striping", "1M-striping",
                ], default: "prefer-local"),
            .servedOnly(value: "prefer-local", "reads are served by the local disk while there is one")),
        .init(
            .disk, "rs-discard-granularity", .number(.bytes, 0...1_048_576, default: 0),
            .servedOnly(value: "0", "a resync sends zeroes as data")),
    ]

    /// Spec: drbd-config-and-tools 5.3.
    static let netOptions: [OptionDescriptor] = [
        .init(.net, "protocol", .wireProtocol),
        .init(.net, "timeout", .number(.deciseconds, 1...600, default: 60)),
        .init(.net, "max-epoch-size", .number(.count, 1...20000, default: 2048)),
        .init(.net, "max-buffers", .number(.count, 32...131_072, default: 2048)),
        .init(.net, "unplug-watermark", .number(.count, 1...131_072, default: 128), .ignored),
        .init(.net, "connect-int", .number(.seconds, 1...120, default: 10)),
        .init(.net, "ping-int", .number(.seconds, 1...120, default: 10)),
        .init(.net, "sndbuf-size", .number(.bytes, 0...10_485_760, default: 0)),
        .init(.net, "rcvbuf-size", .number(.bytes, 0...10_485_760, default: 0)),
        .init(.net, "ko-count", .number(.count, 0...200, default: 7)),
        .init(.net, "allow-two-primaries", .flag(default: false)),
        .init(.net, "cram-hmac-alg", .text(byteCountMax: 63)),
        .init(.net, "shared-secret", .text(byteCountMax: 63)),
        .init(
            .net, "after-sb-0pri",
            .enumeration(
                [
                    "disconnect", "discard-younger-primary", "discard-older-primary", "discard-zero-changes",
                    "discard-least-changes", "discard-local", "discard-remote",
                ], default: "disconnect")),
        .init(
            .net, "after-sb-1pri",
            .enumeration(
                ["disconnect", "consensus", "discard-secondary", "call-pri-lost-after-sb", "violently-as0p"],
                default: "disconnect")),
        .init(
            .net, "after-sb-2pri",
            .enumeration(["disconnect", "call-pri-lost-after-sb", "violently-as0p"], default: "disconnect")),
        .init(.net, "always-asbp", .flag(default: false)),
        .init(
            .net, "rr-conflict",
            .enumeration(["disconnect", "call-pri-lost", "violently"], default: "disconnect")),
        .init(.net, "ping-timeout", .number(.deciseconds, 1...300, default: 5)),
        .init(
            .net, "data-integrity-alg", .text(byteCountMax: 63),
            .servedOnly(value: "", "data packets carry no checksum of their own")),
        .init(.net, "tcp-cork", .flag(default: true), .ignored),
        .init(
            .net, "on-congestion", .enumeration(["block", "pull-ahead", "disconnect"], default: "block")),
        .init(.net, "congestion-fill", .number(.sectors, 0...20_971_520, default: 0)),
        .init(.net, "congestion-extents", .number(.count, 67...65534, default: 1237), clampsToRange: true),
        .init(
            .net, "csums-alg", .text(byteCountMax: 63),
            .servedOnly(value: "", "a resync sends every block that is out of sync")),
        .init(
            .net, "csums-after-crash-only", .flag(default: false),
            .servedOnly(value: "no", "a resync sends every block that is out of sync")),
        .init(.net, "verify-alg", .text(byteCountMax: 63)),
        .init(.net, "use-rle", .flag(default: true)),
        .init(.net, "socket-check-timeout", .number(.deciseconds, 0...300, default: 0)),
        .nine(.net, "transport"), .nine(.net, "allow-remote-read"), .nine(.net, "load-balance-paths"),
    ]

    /// Spec: drbd-config-and-tools 5.4.
    static let startupOptions: [OptionDescriptor] = [
        .init(.startup, "wfc-timeout", .number(.seconds, 0...300_000, default: 0)),
        .init(.startup, "degr-wfc-timeout", .number(.seconds, 0...300_000, default: 0)),
        .init(.startup, "outdated-wfc-timeout", .number(.seconds, 0...300_000, default: 0)),
        .init(.startup, "wait-after-sb", .flag(default: false)),
        .init(.startup, "stacked-timeouts", .word, .ignored),
        .init(.startup, "become-primary-on", .names),
    ]

    /// Spec: drbd-config-and-tools 5.5, drbd-disk-and-state 17.
    static let handlerOptions: [OptionDescriptor] =
        [
            "pri-on-incon-degr", "pri-lost-after-sb", "pri-lost", "initial-split-brain", "split-brain", "fence-peer",
            "unfence-peer", "local-io-error", "before-resync-target", "after-resync-target", "before-resync-source",
            "out-of-sync",
        ].map { .init(.handlers, $0, .command) } + [.nine(.handlers, "quorum-lost"), .nine(.handlers, "disconnected")]

    /// Spec: drbd-config-and-tools 5.7.
    static let proxyOptions: [OptionDescriptor] = [
        "memlimit", "read-loops", "compression", "bwlimit", "sndbuf-size", "rcvbuf-size", "ping-timeout",
    ].map { .init(.proxy, $0, .text(byteCountMax: 255), .ignored) }
}

extension OptionDescriptor {
    /// An option that only DRBD 9 knows: any value is read.
    fileprivate static func nine(_ section: OptionSection, _ name: String) -> OptionDescriptor {
        OptionDescriptor(
            section, name, section == .handlers ? .command : .text(byteCountMax: 255), .notServed(belongsToNine))
    }
}
