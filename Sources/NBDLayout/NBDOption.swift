package import LayoutKit

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
package struct NBDOptionHeader: FixedLayout, Equatable, Sendable {
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

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.byteCount, of: bytes)
        guard bytes[Field.magic] == Self.magic else {
            throw .badMagic(found: bytes[Field.magic], expected: Self.magic)
        }
        rawOption = bytes[Field.option]
        dataByteCount = Int(bytes[Field.length])
        guard dataByteCount <= Self.dataByteCountMax else {
            throw .badLength(of: "option data", found: dataByteCount, expected: "at most \(Self.dataByteCountMax)")
        }
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.magic] = Self.magic
        out[Field.option] = rawOption
        out[Field.length] = UInt32(dataByteCount)
    }
}

/// The data of `NBD_OPT_EXPORT_NAME`: nothing but the name.
package struct NBDExportNameRequest: Equatable, Sendable {
    package var exportName: String

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        exportName = try NBDString.decode(bytes, at: 0, count: bytes.count, field: "export name")
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

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(6, of: bytes)
        let nameCount = Int(bytes[BE32(offset: 0)])
        guard nameCount <= bytes.count - 6 else {
            throw .badLength(of: "export name", found: nameCount, expected: "at most \(bytes.count - 6)")
        }
        exportName = try NBDString.decode(bytes, at: 4, count: nameCount, field: "export name")
        let requestCount = Int(bytes[BE16(offset: 4 + nameCount)])
        let need = 6 + nameCount + 2 * requestCount
        try LayoutError.require(need, of: bytes)
        guard bytes.count == need else { throw .badLength(of: "option data", found: bytes.count, expected: "\(need)") }
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

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        let nameCount = exportName.utf8.count
        out[BE32(offset: 0)] = UInt32(nameCount)
        out.setText(exportName, at: 4)
        out[BE16(offset: 4 + nameCount)] = UInt16(information.count)
        for (index, type) in information.enumerated() {
            out[BE16(offset: 6 + nameCount + 2 * index)] = type.rawValue
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

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(8, of: bytes)
        let nameCount = Int(bytes[BE32(offset: 0)])
        guard nameCount <= bytes.count - 8 else {
            throw .badLength(of: "export name", found: nameCount, expected: "at most \(bytes.count - 8)")
        }
        exportName = try NBDString.decode(bytes, at: 4, count: nameCount, field: "export name")
        let queryCount = Int(bytes[BE32(offset: 4 + nameCount)])
        guard queryCount <= Self.queryCountMax else {
            throw .badLength(of: "list of queries", found: queryCount, expected: "at most \(Self.queryCountMax)")
        }
        queries = []
        var position = 8 + nameCount
        for _ in 0..<queryCount {
            try LayoutError.require(position + 4, of: bytes)
            let length = Int(bytes[BE32(offset: position)])
            position += 4
            guard length <= bytes.count - position else {
                throw .badLength(of: "query", found: length, expected: "at most \(bytes.count - position)")
            }
            queries.append(try NBDString.decode(bytes, at: position, count: length, field: "query"))
            position += length
        }
        guard position == bytes.count else {
            throw .badLength(of: "option data", found: bytes.count, expected: "\(position)")
        }
    }

    package var byteCount: Int {
        queries.reduce(8 + exportName.utf8.count) { $0 + 4 + $1.utf8.count }
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        let nameCount = exportName.utf8.count
        out[BE32(offset: 0)] = UInt32(nameCount)
        out.setText(exportName, at: 4)
        out[BE32(offset: 4 + nameCount)] = UInt32(queries.count)
        var position = 8 + nameCount
        for query in queries {
            out[BE32(offset: position)] = UInt32(query.utf8.count)
            out.setText(query, at: position + 4)
            position += 4 + query.utf8.count
        }
    }
}
