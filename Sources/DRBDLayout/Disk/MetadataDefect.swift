import LayoutKit

/// Why metadata cannot be used: what was found where, and what was expected. Spec: drbd-disk-and-state 2.1.
package struct MetadataDefect: Error, Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// No superblock of version 08 at its place; the version that is there instead, if any.
        case otherMagic(MetadataVersion?)
        /// A field of the superblock that contradicts the others or the device.
        case invalid
        /// The device cannot hold metadata.
        case deviceTooSmall
        /// The device is larger than the layout can describe.
        case deviceTooLarge
    }

    package var kind: Kind
    /// Name of the field, or of what was measured.
    package var field: String
    package var found: Int64
    package var expected: String
    /// Sector of the superblock on the device that holds the metadata.
    package var sector: UInt64

    package init(_ kind: Kind, field: String, found: Int64, expected: String, sector: UInt64) {
        self.kind = kind
        self.field = field
        self.found = found
        self.expected = expected
        self.sector = sector
    }

    /// Error number of attach. Spec: drbd-disk-and-state 2, 2.1.
    package var attachErrorNumber: Int {
        switch kind {
        case .otherMagic, .invalid: 119
        case .deviceTooSmall, .deviceTooLarge: 112
        }
    }
}

extension MetadataDefect: CustomStringConvertible {
    package var description: String {
        switch kind {
        case .otherMagic(let version?):
            "superblock at sector \(sector): \(version.name) metadata found, expected \(expected)"
        case .otherMagic(nil):
            "no superblock at sector \(sector): magic \(hexadecimal(UInt64(bitPattern: found))) found, "
                + "expected \(expected)"
        case .invalid:
            "superblock at sector \(sector): \(field) is \(found), expected \(expected)"
        case .deviceTooSmall:
            "device too small for metadata: \(field) is \(found), expected \(expected)"
        case .deviceTooLarge:
            "device too large for metadata: \(field) is \(found), expected \(expected)"
        }
    }
}

extension MetadataSuperblock {
    /// Reads the superblock that lies at `sector`, with an error that says what lies there instead.
    package init(decoding block: UnsafeRawBufferPointer, sector: UInt64) throws(MetadataDefect) {
        do throws(LayoutError) {
            self = try MetadataSuperblock(decoding: block)
        } catch {
            let version = MetadataVersion.recognise(block)
            guard case .badMagic(let found, _) = error else {
                throw MetadataDefect(
                    .invalid, field: "length of the block", found: Int64(block.count), expected: "4096",
                    sector: sector)
            }
            throw MetadataDefect(
                .otherMagic(version), field: "magic", found: Int64(clamping: found),
                expected: "v08 (0x8374026b or 0x8374026c)", sector: sector)
        }
    }
}
