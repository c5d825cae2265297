package import LayoutKit

/// Kinds of reply to an option; errors have bit 31 set and may carry text for a person.
/// Spec: NBD protocol, "Option reply types".
package enum NBDOptionReplyType: UInt32, Sendable, CaseIterable {
    case acknowledge = 1
    case server = 2
    case info = 3
    case metaContext = 4
    case errorUnsupported = 0x8000_0001
    case errorPolicy = 0x8000_0002
    case errorInvalid = 0x8000_0003
    case errorPlatform = 0x8000_0004
    case errorTLSRequired = 0x8000_0005
    case errorUnknown = 0x8000_0006
    case errorShutdown = 0x8000_0007
    case errorBlockSizeRequired = 0x8000_0008
    case errorTooBig = 0x8000_0009

    package var isError: Bool { rawValue & 0x8000_0000 != 0 }
}

/// The head of a reply to an option; its data follow. Spec: NBD protocol, "Fixed newstyle negotiation".
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 8 | magic |
/// | 8 | 4 | the option that is answered |
/// | 12 | 4 | reply type |
/// | 16 | 4 | length of the data |
package struct NBDOptionReplyHeader: FixedLayout, Equatable, Sendable {
    package static let byteCount = 20
    package static let magic: UInt64 = 0x0003_e889_0455_65a9

    private enum Field {
        static let magic = BE64(offset: 0)
        static let option = BE32(offset: 8)
        static let type = BE32(offset: 12)
        static let length = BE32(offset: 16)
    }

    package var rawOption: UInt32
    package var type: NBDOptionReplyType
    package var dataByteCount: Int

    package init(option: UInt32, type: NBDOptionReplyType, dataByteCount: Int) {
        rawOption = option
        self.type = type
        self.dataByteCount = dataByteCount
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.byteCount, of: bytes)
        guard bytes[Field.magic] == Self.magic else {
            throw .badMagic(found: bytes[Field.magic], expected: Self.magic)
        }
        rawOption = bytes[Field.option]
        guard let type = NBDOptionReplyType(rawValue: bytes[Field.type]) else {
            throw .badValue(field: "reply type", found: UInt64(bytes[Field.type]), expected: "a known one")
        }
        self.type = type
        dataByteCount = Int(bytes[Field.length])
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.magic] = Self.magic
        out[Field.option] = rawOption
        out[Field.type] = type.rawValue
        out[Field.length] = UInt32(dataByteCount)
    }
}

/// Kinds of information about an export (`NBD_REP_INFO`). Spec: NBD protocol, "Option reply types".
package enum NBDInfoType: UInt16, Sendable, CaseIterable {
    case export = 0
    case name = 1
    case description = 2
    case blockSize = 3
}

/// The data of an `NBD_REP_INFO` reply: u16 type, then by type.
///
/// * export: size u64, transmission flags u16 (12 bytes in all)
/// * name, description: text
/// * blockSize: minimum, preferred, maximum, u32 each (14 bytes in all)
package enum NBDInformation: Equatable, Sendable {
    case export(sizeBytes: UInt64, flags: NBDTransmissionFlags)
    case name(String)
    case description(String)
    case blockSize(minimum: UInt32, preferred: UInt32, maximum: UInt32)

    package var byteCount: Int {
        switch self {
        case .export: 12
        case .name(let text), .description(let text): 2 + text.utf8.count
        case .blockSize: 14
        }
    }

    package var type: NBDInfoType {
        switch self {
        case .export: .export
        case .name: .name
        case .description: .description
        case .blockSize: .blockSize
        }
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(2, of: bytes)
        guard let type = NBDInfoType(rawValue: bytes[BE16(offset: 0)]) else {
            throw .badValue(field: "information type", found: UInt64(bytes[BE16(offset: 0)]), expected: "a known one")
        }
        let textCount = bytes.count - 2
        switch type {
        case .export:
            try LayoutError.require(12, of: bytes)
            self = .export(
                sizeBytes: bytes[BE64(offset: 2)], flags: NBDTransmissionFlags(rawValue: bytes[BE16(offset: 10)]))
        case .name:
            self = .name(try NBDString.decode(bytes, at: 2, count: textCount, field: "export name"))
        case .description:
            self = .description(try NBDString.decode(bytes, at: 2, count: textCount, field: "description"))
        case .blockSize:
            try LayoutError.require(14, of: bytes)
            self = .blockSize(
                minimum: bytes[BE32(offset: 2)], preferred: bytes[BE32(offset: 6)], maximum: bytes[BE32(offset: 10)])
        }
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[BE16(offset: 0)] = type.rawValue
        switch self {
        case .export(let sizeBytes, let flags):
            out[BE64(offset: 2)] = sizeBytes
            out[BE16(offset: 10)] = flags.rawValue
        case .name(let text), .description(let text):
            out.setText(text, at: 2)
        case .blockSize(let minimum, let preferred, let maximum):
            out[BE32(offset: 2)] = minimum
            out[BE32(offset: 6)] = preferred
            out[BE32(offset: 10)] = maximum
        }
    }
}

/// The data of an `NBD_REP_SERVER` reply, one export of a list: length of the name u32, name, description.
package struct NBDServerEntry: Equatable, Sendable {
    package var name: String
    package var description: String

    package init(name: String, description: String) {
        self.name = name
        self.description = description
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(4, of: bytes)
        let nameCount = Int(bytes[BE32(offset: 0)])
        guard nameCount <= bytes.count - 4 else {
            throw .badLength(of: "export name", found: nameCount, expected: "at most \(bytes.count - 4)")
        }
        name = try NBDString.decode(bytes, at: 4, count: nameCount, field: "export name")
        description = try NBDString.decode(
            bytes, at: 4 + nameCount, count: bytes.count - 4 - nameCount, field: "description")
    }

    package var byteCount: Int { 4 + name.utf8.count + description.utf8.count }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[BE32(offset: 0)] = UInt32(name.utf8.count)
        out.setText(name, at: 4)
        out.setText(description, at: 4 + name.utf8.count)
    }
}

/// The data of an `NBD_REP_META_CONTEXT` reply: context id u32, name.
package struct NBDMetaContextEntry: Equatable, Sendable {
    package var id: UInt32
    package var name: String

    package init(id: UInt32, name: String) {
        self.id = id
        self.name = name
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(4, of: bytes)
        id = bytes[BE32(offset: 0)]
        name = try NBDString.decode(bytes, at: 4, count: bytes.count - 4, field: "context name")
    }

    package var byteCount: Int { 4 + name.utf8.count }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[BE32(offset: 0)] = id
        out.setText(name, at: 4)
    }
}

/// Text behind an error reply. Spec: NBD protocol, "Option reply types".
package struct NBDErrorText: Equatable, Sendable {
    package var text: String

    package init(_ text: String) {
        self.text = text
    }

    package var byteCount: Int { text.utf8.count }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out.setText(text, at: 0)
    }
}
