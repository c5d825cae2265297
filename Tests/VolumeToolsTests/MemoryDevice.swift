@testable import VolumeTools

/// A device in memory that notes what is done to it.
final class MemoryDevice: OfflineDevice {
    enum Call: Equatable {
        case write(UInt64)
        case clear(Range<UInt64>)
        case flush
    }

    let byteCount: UInt64
    let sectorSize: Int
    private(set) var calls: [Call] = []
    /// 4 KiB pages that were written.
    private var pages: [UInt64: [UInt8]] = [:]

    init(byteCount: UInt64, sectorSize: Int = 512) {
        self.byteCount = byteCount
        self.sectorSize = sectorSize
    }

    func read(at offset: UInt64, count: Int) throws(OfflineDeviceError) -> [UInt8] {
        guard offset + UInt64(count) <= byteCount else {
            throw .beyondEnd(path: "memory", offset: offset, byteCount: byteCount)
        }
        return (0..<UInt64(count)).map { pages[(offset + $0) >> 12]?[Int((offset + $0) & 4095)] ?? 0 }
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(OfflineDeviceError) {
        guard offset + UInt64(bytes.count) <= byteCount else {
            throw .beyondEnd(path: "memory", offset: offset, byteCount: byteCount)
        }
        calls.append(.write(offset))
        for (index, byte) in bytes.enumerated() {
            let place = offset + UInt64(index)
            pages[place >> 12, default: [UInt8](repeating: 0, count: 4096)][Int(place & 4095)] = byte
        }
    }

    func clear(_ range: Range<UInt64>) throws(OfflineDeviceError) {
        calls.append(.clear(range))
        pages = pages.filter { !range.contains($0.key << 12) }
    }

    func flush() throws(OfflineDeviceError) {
        calls.append(.flush)
    }
}

/// A tool's run: what it printed and how it ended.
struct ToolRun {
    var status: Int32
    var output: String
    var errors: String

    /// Runs mkfs.ocfs2 on `device`; `answer` is what the user types.
    static func format(
        _ arguments: String, on device: any OfflineDevice, answer: String? = nil
    ) -> ToolRun {
        let collected = Collected()
        var seed: UInt64 = 1
        let environment = FormatTool.Environment(
            version: "0",
            random: {
                seed &*= 0x9e37_79b9_7f4a_7c15; seed ^= seed >> 29; return seed
            },
            time: { 1_700_000_000 }, open: { (_, _) throws(OfflineDeviceError) in device })
        let status = FormatTool(environment: environment, streams: collected.streams(answer))
            .run(arguments.split(separator: " ").map(String.init))
        return ToolRun(status: status, output: collected.output, errors: collected.errors)
    }

    /// Runs mounted.ocfs2 on devices by their names.
    static func mounted(_ arguments: String, devices: [String: any OfflineDevice], partitions: String = "") -> ToolRun {
        let collected = Collected()
        let environment = MountedTool.Environment(
            partitions: { partitions },
            open: { (path) throws(OfflineDeviceError) in
                guard let device = devices[path] else { throw .cannotOpen(path: path, code: 2) }
                return device
            }, nodeName: { cluster, number in cluster == "web" && number == 1 ? "alpha" : nil })
        let status = MountedTool(environment: environment, streams: collected.streams(nil))
            .run(arguments.split(separator: " ").map(String.init))
        return ToolRun(status: status, output: collected.output, errors: collected.errors)
    }

    private final class Collected {
        var output = ""
        var errors = ""

        func streams(_ answer: String?) -> ToolStreams {
            ToolStreams(
                output: { self.output += $0 }, error: { self.errors += $0 }, readAnswer: { answer })
        }
    }
}
