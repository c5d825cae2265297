package import LayoutKit

/// Abilities that kernel and server agree on; the upper half travels in `flags2`. Spec: fuse 2.
package struct FUSEInitFlags: OptionSet, Sendable {
    package var rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package static let asyncRead = FUSEInitFlags(rawValue: 1 << 0)
    package static let posixLocks = FUSEInitFlags(rawValue: 1 << 1)
    package static let atomicTruncate = FUSEInitFlags(rawValue: 1 << 3)
    package static let exportSupport = FUSEInitFlags(rawValue: 1 << 4)
    package static let bigWrites = FUSEInitFlags(rawValue: 1 << 5)
    package static let dontMask = FUSEInitFlags(rawValue: 1 << 6)
    package static let flockLocks = FUSEInitFlags(rawValue: 1 << 10)
    package static let hasIoctlDirectory = FUSEInitFlags(rawValue: 1 << 11)
    package static let autoInvalidateData = FUSEInitFlags(rawValue: 1 << 12)
    package static let readDirectoryPlus = FUSEInitFlags(rawValue: 1 << 13)
    package static let readDirectoryPlusAuto = FUSEInitFlags(rawValue: 1 << 14)
    package static let asyncDirectIO = FUSEInitFlags(rawValue: 1 << 15)
    package static let writebackCache = FUSEInitFlags(rawValue: 1 << 16)
    package static let parallelDirectoryOperations = FUSEInitFlags(rawValue: 1 << 18)
    package static let posixACL = FUSEInitFlags(rawValue: 1 << 20)
    package static let abortError = FUSEInitFlags(rawValue: 1 << 21)
    package static let maxPages = FUSEInitFlags(rawValue: 1 << 22)
    package static let cacheSymlinks = FUSEInitFlags(rawValue: 1 << 23)
    package static let explicitInvalidateData = FUSEInitFlags(rawValue: 1 << 25)
    package static let handleKillPrivilegesV2 = FUSEInitFlags(rawValue: 1 << 28)
    package static let setExtendedAttributeExtended = FUSEInitFlags(rawValue: 1 << 29)
    /// Makes the upper half valid.
    package static let initExtended = FUSEInitFlags(rawValue: 1 << 30)
    package static let securityContext = FUSEInitFlags(rawValue: 1 << 32)
    package static let createSupplementaryGroup = FUSEInitFlags(rawValue: 1 << 34)
    package static let hasExpireOnly = FUSEInitFlags(rawValue: 1 << 35)
    package static let directIOAllowMmap = FUSEInitFlags(rawValue: 1 << 36)
    package static let allowIDMap = FUSEInitFlags(rawValue: 1 << 40)
}

/// The version of the protocol that is spoken here. Spec: fuse 2.
package enum FUSEVersion {
    package static let major: UInt32 = 7
    /// What the structures of this target follow; a kernel of another minor takes the smaller one.
    package static let minor: UInt32 = 38
    /// The newest minor number of which a filesystem uses something: COPY_FILE_RANGE_64 and INC_EPOCH.
    package static let minorOfFileSystem: UInt32 = 45
    /// Replies of older kernels are shorter than ours.
    package static let minorMin: UInt32 = 23
}

/// The data of INIT, 64 bytes, 16 from kernels before 7.36. Spec: fuse 2.
package struct FUSEInitRequest: Equatable, Sendable {
    package static let byteCount = 64
    package static let byteCountMin = 16

    private enum Field {
        static let major = LE32(offset: 0)
        static let minor = LE32(offset: 4)
        static let readahead = LE32(offset: 8)
        static let flags = LE32(offset: 12)
        static let flags2 = LE32(offset: 16)
    }

    package var major: UInt32
    package var minor: UInt32
    package var readaheadMax: UInt32
    package var flags: FUSEInitFlags

    package init(major: UInt32, minor: UInt32, readaheadMax: UInt32, flags: FUSEInitFlags) {
        self.major = major
        self.minor = minor
        self.readaheadMax = readaheadMax
        self.flags = flags
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.byteCountMin, of: bytes)
        major = bytes[Field.major]
        minor = bytes[Field.minor]
        readaheadMax = bytes[Field.readahead]
        flags = FUSEInitFlags(rawValue: UInt64(bytes[Field.flags]))
        if flags.contains(.initExtended) && bytes.count >= 20 {
            flags.formUnion(FUSEInitFlags(rawValue: UInt64(bytes[Field.flags2]) << 32))
        }
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out.clear(count: Self.byteCount)
        out[Field.major] = major
        out[Field.minor] = minor
        out[Field.readahead] = readaheadMax
        out[Field.flags] = UInt32(truncatingIfNeeded: flags.rawValue)
        out[Field.flags2] = UInt32(truncatingIfNeeded: flags.rawValue >> 32)
    }
}

/// The reply to INIT. Spec: fuse 2.
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 4 | major |
/// | 4 | 4 | minor |
/// | 8 | 4 | readahead, bytes |
/// | 12 | 4 | flags |
/// | 16 | 2 | background requests at most |
/// | 18 | 2 | congestion from so many on |
/// | 20 | 4 | bytes in a WRITE at most |
/// | 24 | 4 | granularity of times, ns |
/// | 28 | 2 | pages in a request at most |
/// | 32 | 4 | upper half of the flags |
package struct FUSEInitReply: FixedLayout, Equatable, Sendable {
    package static let byteCount = 64

    private enum Field {
        static let major = LE32(offset: 0)
        static let minor = LE32(offset: 4)
        static let readahead = LE32(offset: 8)
        static let flags = LE32(offset: 12)
        static let background = LE16(offset: 16)
        static let congestion = LE16(offset: 18)
        static let write = LE32(offset: 20)
        static let granularity = LE32(offset: 24)
        static let pages = LE16(offset: 28)
        static let flags2 = LE32(offset: 32)
    }

    package var major: UInt32
    package var minor: UInt32
    package var readaheadMax: UInt32
    package var flags: FUSEInitFlags
    package var backgroundMax: UInt16
    package var congestionThreshold: UInt16
    package var writeByteCountMax: UInt32
    package var timeGranularityNanoseconds: UInt32
    package var pagesMax: UInt16

    package init(
        major: UInt32 = FUSEVersion.major, minor: UInt32 = FUSEVersion.minor, readaheadMax: UInt32,
        flags: FUSEInitFlags, backgroundMax: UInt16, congestionThreshold: UInt16, writeByteCountMax: UInt32,
        timeGranularityNanoseconds: UInt32 = 1, pagesMax: UInt16
    ) {
        self.major = major
        self.minor = minor
        self.readaheadMax = readaheadMax
        self.flags = flags
        self.backgroundMax = backgroundMax
        self.congestionThreshold = congestionThreshold
        self.writeByteCountMax = writeByteCountMax
        self.timeGranularityNanoseconds = timeGranularityNanoseconds
        self.pagesMax = pagesMax
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        major = bytes[Field.major]
        minor = bytes[Field.minor]
        readaheadMax = bytes[Field.readahead]
        flags = FUSEInitFlags(rawValue: UInt64(bytes[Field.flags]) | UInt64(bytes[Field.flags2]) << 32)
        backgroundMax = bytes[Field.background]
        congestionThreshold = bytes[Field.congestion]
        writeByteCountMax = bytes[Field.write]
        timeGranularityNanoseconds = bytes[Field.granularity]
        pagesMax = bytes[Field.pages]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out.clear(count: Self.byteCount)
        out[Field.major] = major
        out[Field.minor] = minor
        out[Field.readahead] = readaheadMax
        out[Field.flags] = UInt32(truncatingIfNeeded: flags.rawValue)
        out[Field.background] = backgroundMax
        out[Field.congestion] = congestionThreshold
        out[Field.write] = writeByteCountMax
        out[Field.granularity] = timeGranularityNanoseconds
        out[Field.pages] = pagesMax
        out[Field.flags2] = UInt32(truncatingIfNeeded: flags.rawValue >> 32)
    }
}
