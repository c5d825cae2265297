internal import EngineKit
internal import OCFS2Layout

/// Neighbouring bytes of a file that lie alike.
struct FilePiece: Equatable {
    enum Place: Equatable {
        /// First byte on the device.
        case written(UInt64)
        /// Allocated, reads as zeroes; first byte on the device.
        case unwritten(UInt64)
        case hole
    }

    var range: Range<UInt64>
    var place: Place
    var isRefcounted = false
}

extension FileData {
    /// The known run that holds the cluster, from memory or from the tree. The caller holds ``mappingLock`` or
    /// ``changeLock``.
    func run(at cpos: UInt64) async throws(FileSystemError) -> ExtentMap.Run {
        if let run = extents.run(at: cpos) { return run }
        guard let first = UInt32(exactly: cpos), !inode.hasInlineData else {
            // A damaged size may lie behind the last cluster that can be mapped.
            return ExtentMap.Run(cpos: cpos, end: UInt64.max, extent: nil)
        }
        let run: ExtentMap.Run
        if let extent = try await tree.extent(atOrAfter: first) {
            run =
                extent.contains(first)
                ? ExtentMap.Run(cpos: UInt64(extent.cpos), end: extent.end, extent: extent)
                : ExtentMap.Run(cpos: cpos, end: UInt64(extent.cpos), extent: nil)
        } else {
            run = ExtentMap.Run(cpos: cpos, end: UInt64(UInt32.max) + 1, extent: nil)
        }
        extents.add(run)
        return run
    }

    /// What is behind one byte, up to `end`. Synchronous when it is known.
    func knownPiece(at offset: UInt64, to end: UInt64) -> FilePiece? {
        extents.run(at: geometry.cpos(ofByte: offset)).map { piece(of: $0, at: offset, to: end) }
    }

    func piece(at offset: UInt64, to end: UInt64) async throws(FileSystemError) -> FilePiece {
        piece(of: try await run(at: geometry.cpos(ofByte: offset)), at: offset, to: end)
    }

    private func piece(of run: ExtentMap.Run, at offset: UInt64, to end: UInt64) -> FilePiece {
        let bits = UInt64(geometry.clusterSizeBits)
        let (runEnd, overflow) = run.end.multipliedReportingOverflow(by: 1 << bits)
        let range = offset..<min(end, overflow ? end : runEnd)
        guard let extent = run.extent else { return FilePiece(range: range, place: .hole) }
        let start = geometry.byteOffset(ofBlock: extent.block) + (offset - (run.cpos << bits))
        return FilePiece(
            range: range, place: extent.isUnwritten ? .unwritten(start) : .written(start),
            isRefcounted: extent.isRefcounted)
    }

    /// How all of a range lies.
    func pieces(of range: Range<UInt64>) async throws(FileSystemError) -> [FilePiece] {
        var pieces: [FilePiece] = []
        var offset = range.lowerBound
        while offset < range.upperBound {
            let piece = try await piece(at: offset, to: range.upperBound)
            pieces.append(piece)
            offset = piece.range.upperBound
        }
        return pieces
    }
}
