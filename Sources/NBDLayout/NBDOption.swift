/// What a client may ask for before transmission. Spec: NBD protocol, "Option types".
package enum NBDOptionCode: UInt32, Sendable, CaseIterable {
    case exportName = 1
    case abort = 2
    case list = 3
    case startTLS = 5
    case info = 6
    case go = 7
    case structuredReply = 8
    case listMetaContext = 9
    case setMetaContext = 10
}

/// The head of an option; its data follow. Spec: NBD protocol, "Newstyle negotiation".
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 8 | magic "IHAVEOPT" |
/// | 8 | 4 | option |
/// | 12 | 4 | length of the data |
package struct NBDOptionHeader: Equatable, Sendable {
    package static let byteCount = 16
    /// ASCII "IHAVEOPT".
    package static let magic: UInt64 = 0x4948_4156_454f_5054
    /// Longer data is an attack or a mistake: no option needs more than two names and a few queries.
    package static let dataByteCountMax = 64 << 10

    private enum Field {
        static let magic = BE64(offset: 0)
        static let option = BE32(offset: 8)
        static let length = BE32(offset: 12)
    }

    /// The option as it was sent; ``NBDOptionCode`` names the known ones.
    package var rawOption: UInt32
    package var dataByteCount: Int

    package init(option: UInt32, dataByteCount: Int) {
        rawOption = option
        self.dataByteCount = dataByteCount
    }

    package init(decoding bytes: RawSpan) throws(NBDLayoutError) {
        try bytes.require(Self.byteCount)
        guard bytes[Field.magic] == Self.magic else {
            throw .badMagic(found: bytes[Field.magic], expected: Self.magic)
        }
        rawOption = bytes[Field.option]
        dataByteCount = Int(bytes[Field.length])
        guard dataByteCount <= Self.dataByteCountMax else {
            throw .tooLong(field: "option data", length: dataByteCount, max: Self.dataByteCountMax)
        }
    }

    package func encode(into out: inout MutableRawSpan) {
        out.store(Self.magic, Field.magic)
        out.store(rawOption, Field.option)
        out.store(UInt32(dataByteCount), Field.length)
    }
}

/// Strings of the protocol: UTF-8 without NUL, at most 4096 bytes. Spec: NBD protocol, "Conventions".
package enum NBDString {
    package static let byteCountMax = 4096

    /// The bytes `offset..<offset + count` as text; the caller has checked that they exist.
    static func decode(_ bytes: RawSpan, at offset: Int, count: Int, field: String) throws(NBDLayoutError) -> String {
        guard count <= byteCountMax else { throw .tooLong(field: field, length: count, max: byteCountMax) }
        var units: [UInt8] = []
        units.reserveCapacity(count)
        for index in offset..<offset + count {
            let byte = bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
            guard byte != 0 else { throw .malformedString(field: field) }
            units.append(byte)
        }
        guard let text = String(validating: units, as: UTF8.self) else { throw .malformedString(field: field) }
        return text
    }
}

/// The data of `NBD_OPT_EXPORT_NAME`: nothing but the name.
package struct NBDExportNameRequest: Equatable, Sendable {
    package var exportName: String

    package init(decoding bytes: RawSpan) throws(NBDLayoutError) {
        exportName = try NBDString.decode(bytes, at: 0, count: bytes.byteCount, field: "export name")
    }
}

/// The data of `NBD_OPT_INFO` and `NBD_OPT_GO`. Spec: NBD protocol, "Option types".
///
/// Length of the name u32, the name, number of information requests u16, then u16 each. An unknown kind of
/// information is not an error; it is left out of ``information``.
package struct NBDInfoRequest: Equatable, Sendable {
    package var exportName: String
    package var information: [NBDInfoType]

    package init(exportName: String, information: [NBDInfoType]) {
        self.exportName = exportName
        self.information = information
    }

    package init(decoding bytes: RawSpan) throws(NBDLayoutError) {
        try bytes.require(6)
        let nameCount = Int(bytes[BE32(offset: 0)])
        guard nameCount <= bytes.byteCount - 6 else {
            throw .tooLong(field: "export name", length: nameCount, max: bytes.byteCount - 6)
        }
        exportName = try NBDString.decode(bytes, at: 4, count: nameCount, field: "export name")
        let requestCount = Int(bytes[BE16(offset: 4 + nameCount)])
        let need = 6 + nameCount + 2 * requestCount
        try bytes.require(need)
        guard bytes.byteCount == need else { throw .trailingBytes(bytes.byteCount - need) }
        information = []
        for index in 0..<requestCount {
            let raw = bytes[BE16(offset: 6 + nameCount + 2 * index)]
            // Each kind once: a list of 32,000 repetitions must not make as many replies.
            if let type = NBDInfoType(rawValue: raw), !information.contains(type) {
                information.append(type)
            }
        }
    }

    package var byteCount: Int { 6 + exportName.utf8.count + 2 * information.count }

    package func encode(into out: inout MutableRawSpan) {
        let nameCount = exportName.utf8.count
        out.store(UInt32(nameCount), BE32(offset: 0))
        out.store(text: exportName, at: 4)
        out.store(UInt16(information.count), BE16(offset: 4 + nameCount))
        for (index, type) in information.enumerated() {
            out.store(type.rawValue, BE16(offset: 6 + nameCount + 2 * index))
        }
    }
}

/// The data of `NBD_OPT_LIST_META_CONTEXT` and `NBD_OPT_SET_META_CONTEXT`. Spec: NBD protocol, "Option types".
///
/// Length of the export's name u32, the name, number of queries u32, then for each its length u32 and its text.
package struct NBDMetaContextRequest: Equatable, Sendable {
    /// More queries than a client can have a use for are refused.
    package static let queryCountMax = 256

    package var exportName: String
    package var queries: [String]

    package init(exportName: String, queries: [String]) {
        self.exportName = exportName
        self.queries = queries
    }

    package init(decoding bytes: RawSpan) throws(NBDLayoutError) {
        try bytes.require(8)
        let nameCount = Int(bytes[BE32(offset: 0)])
        guard nameCount <= bytes.byteCount - 8 else {
            throw .tooLong(field: "export name", length: nameCount, max: bytes.byteCount - 8)
        }
        exportName = try NBDString.decode(bytes, at: 4, count: nameCount, field: "export name")
        let queryCount = Int(bytes[BE32(offset: 4 + nameCount)])
        guard queryCount <= Self.queryCountMax else {
            throw .tooLong(field: "list of queries", length: queryCount, max: Self.queryCountMax)
        }
        queries = []
        var position = 8 + nameCount
        for _ in 0..<queryCount {
            try bytes.require(position + 4)
            let length = Int(bytes[BE32(offset: position)])
            position += 4
            guard length <= bytes.byteCount - position else {
                throw .tooLong(field: "query", length: length, max: bytes.byteCount - position)
            }
            queries.append(try NBDString.decode(bytes, at: position, count: length, field: "query"))
            position += length
        }
        guard position == bytes.byteCount else { throw .trailingBytes(bytes.byteCount - position) }
    }

    package var byteCount: Int {
        queries.reduce(8 + exportName.utf8.count) { $0 + 4 + $1.utf8.count }
    }

    package func encode(into out: inout MutableRawSpan) {
        let nameCount = exportName.utf8.count
        out.store(UInt32(nameCount), BE32(offset: 0))
        out.store(text: exportName, at: 4)
        out.store(UInt32(queries.count), BE32(offset: 4 + nameCount))
        var position = 8 + nameCount
        for query in queries {
            out.store(UInt32(query.utf8.count), BE32(offset: position))
            out.store(text: query, at: position + 4)
            position += 4 + query.utf8.count
        }
    }
}
