import DRBDLayout
import EngineKit
import Replication
import Testing

@Suite("A device that grows while its nodes are connected")
struct GrowthTests {
    private let zero = VolumeNumber(0)

    /// Equal nodes of 4 MiB on disks that hold 8.
    private func smallPair(allowTwoPrimaries: Bool = false) -> EnginePair {
        let pair = EnginePair()
        pair.network.allowTwoPrimaries = allowTwoPrimaries
        pair.network.verifyAlgorithm = .crc32c
        for node in [pair.a!, pair.b!] { node.diskOptions.sizeSectors = 8192 }
        pair.bringUpEqual()
        // What lies behind the end differs.
        pair.a.disk.put(at: 9000, count: 65536) { $0.initializeMemory(as: UInt8.self, repeating: 7) }
        return pair
    }

    /// P_SIZES as a kernel's `resize` sends it.
    private func resize(_ pair: EnginePair, to node: TestNode, flags: Sizes.Flags = []) {
        let features: FeatureFlags = [.writeSame]
        let sizes = Sizes(
            diskSectors: node.other.disk.geometry.usableSectors, userSectors: 0, currentSectors: 0,
            requestByteCountMax: 1 << 20, flags: flags)
        let length = Sizes.byteCount(features: features)
        var bytes = [UInt8](repeating: 0, count: 16 + length)
        bytes.withUnsafeMutableBytes { out in
            let header = PacketHeader(.sizes, volume: 0, length: length)
            header.encode(into: out, format: PacketHeader.format(version: 101, length: length))
            sizes.encode(into: UnsafeMutableRawBufferPointer(rebasing: out[16...]), features: features)
        }
        pair.inject(bytes, into: node, onDataSocket: true)
    }

    private func hasGrown(_ pair: EnginePair) -> Bool {
        [pair.a!, pair.b!].allSatisfy { $0.volume.sizeSectors == $0.disk.geometry.usableSectors }
    }

    @Test("the new range is synced from the Primary", arguments: [true, false], [true, false])
    func isSynced(isFirstPrimary: Bool, isFirstAsked: Bool) {
        let pair = smallPair()
        let primary: TestNode = isFirstPrimary ? pair.a : pair.b
        primary.promote()
        resize(pair, to: isFirstAsked ? pair.a : pair.b)
        #expect(pair.run { hasGrown(pair) && pair.areConnected && pair.a.outOfSync == 0 && pair.b.outOfSync == 0 })
        let content: UInt8 = isFirstPrimary ? 7 : 0
        #expect(primary.other.disk.bytes(sector: 9000, count: 512).allSatisfy { $0 == content })
        #expect(pair.areDisksEqual)
        #expect(primary.other.state.disk == .upToDate && primary.state.pdsk == .upToDate)
        #expect(primary.write(sector: 10_000, fill: 9) == 0)
        #expect(pair.areDisksEqual)
    }

    @Test("with two Primaries it is synced too, and both stay Primary")
    func twoPrimaries() {
        let pair = smallPair(allowTwoPrimaries: true)
        pair.a.promote()
        pair.b.promote()
        resize(pair, to: pair.a)
        #expect(pair.run { hasGrown(pair) && pair.areConnected && pair.a.outOfSync == 0 && pair.b.outOfSync == 0 })
        #expect(pair.areDisksEqual)
        #expect(pair.a.stateText == "Connected Primary/Primary UpToDate/UpToDate")
    }

    @Test("assume-clean sets no bit and syncs nothing")
    func assumeClean() {
        let pair = smallPair()
        pair.a.promote()
        resize(pair, to: pair.b, flags: .noResync)
        #expect(pair.run { hasGrown(pair) })
        pair.pass(.seconds(1))
        #expect(pair.areConnected && pair.a.outOfSync == 0 && pair.b.outOfSync == 0)
        #expect(pair.b.disk.bytes(sector: 9000, count: 512).allSatisfy { $0 == 0 })
    }

    @Test("it waits for bitmap blocks that are being written")
    func bitmapIsBusy() {
        let pair = smallPair()
        pair.b.promote()
        pair.a.run(.detach(zero, force: false))
        pair.b.write(sector: 8, fill: 1)
        pair.b.extraDiskLatency = .milliseconds(500)
        resize(pair, to: pair.b)
        pair.pass(.milliseconds(250))
        // Changed blocks are written while the superblock is, which comes before the new size.
        let command = pair.b.start(.secondary(zero))
        #expect(pair.run { pair.b.volume.sizeSectors == pair.b.disk.geometry.usableSectors })
        pair.pass(.seconds(5))
        #expect(pair.b.results[command] == .success)
        pair.b.extraDiskLatency = .zero
        #expect(pair.areConnected && pair.b.state.disk == .upToDate)
    }

    @Test("a node that attaches a larger disk has the new range synced")
    func largerDiskAttached() {
        let pair = smallPair()
        pair.a.promote()
        #expect(pair.b.run(.detach(zero, force: false)) == .success)
        for node in [pair.a!, pair.b!] { node.diskOptions.sizeSectors = 0 }
        #expect(pair.b.attach() == .success)
        #expect(pair.run { hasGrown(pair) && pair.areConnected && pair.a.outOfSync == 0 && pair.b.outOfSync == 0 })
        #expect(pair.b.disk.bytes(sector: 9000, count: 512).allSatisfy { $0 == 7 })
        #expect(pair.areDisksEqual)
    }

    @Test("a verify ends at the end that is left")
    func verifyOfShrunkDevice() {
        let pair = smallPair()
        pair.a.extraDiskLatency = .milliseconds(100)
        _ = pair.b.start(.verify(zero, start: nil, stop: nil))
        #expect(pair.run { pair.b.state.conn == .verifyS })
        for node in [pair.a!, pair.b!] {
            var bytes = [UInt8](repeating: 0, count: 16 + 56)
            bytes.withUnsafeMutableBytes { out in
                PacketHeader(.sizes, volume: 0, length: 56)
                    .encode(into: out, format: PacketHeader.format(version: 101, length: 56))
                let sizes = Sizes(
                    diskSectors: 4096, userSectors: 0, currentSectors: 4096, requestByteCountMax: 1 << 20)
                sizes.encode(into: UnsafeMutableRawBufferPointer(rebasing: out[16...]), features: [.writeSame])
            }
            pair.inject(bytes, into: node, onDataSocket: true)
        }
        pair.a.extraDiskLatency = .zero
        #expect(pair.run { pair.areConnected })
        #expect(pair.b.volume.sizeSectors == 4096)
    }
}

@Suite("Zeroes and discards towards peers that know less")
struct FewFeaturesTests {
    /// The peers agree on neither P_ZEROES nor large discards.
    private func simplePair() -> EnginePair {
        let pair = EnginePair(sectorCount: 65536)
        pair.alterBytes = { bytes in
            // A header of version 80, then version_min and the flags.
            guard bytes.count >= 80, Array(bytes[..<6]) == [0x83, 0x74, 0x02, 0x67, 0xff, 0xfe] else { return }
            for index in 12..<16 { bytes[index] = 0 }
        }
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 0, byteCount: 8 << 20, fill: 9)
        return pair
    }

    @Test("zeroes go out as data of the size that a packet may have")
    func zeroes() {
        let pair = simplePair()
        #expect(pair.a.finish(pair.a.startRequest(.writeZeroes(mayUnmap: true), sector: 3, byteCount: 5 << 20)) == 0)
        #expect(pair.areConnected && pair.areDisksEqual)
        #expect(!pair.a.logged("NetworkFailure") && !pair.a.logged("BrokenPipe"))
    }

    @Test("what was cut without a peer and waited for it is cut again", arguments: [true, false])
    func heldRequests(isDiscard: Bool) {
        let pair = simplePair()
        #expect(pair.a.run(.disconnect(force: false)) == .success)
        #expect(pair.a.run(.suspendIO(VolumeNumber(0))) == .success)
        pair.a.run(.resumeIO(VolumeNumber(0)))
        // The log of the activity is slow: the request waits for it, and the peer comes meanwhile.
        pair.a.extraDiskLatency = .seconds(4)
        let id = pair.a.startRequest(
            isDiscard ? .discard : .writeZeroes(mayUnmap: true), sector: 16384, byteCount: 12 << 20)
        pair.pass(.milliseconds(1))
        pair.a.run(.suspendIO(VolumeNumber(0)))
        pair.pass(.seconds(20))
        pair.a.extraDiskLatency = .zero
        pair.a.run(.connect(pair.network, ConnectOnce()))
        pair.b.run(.connect(pair.network, ConnectOnce()))
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.a.completions[id] == nil)
        pair.a.run(.resumeIO(VolumeNumber(0)))
        #expect(pair.a.finish(id) == 0)
        #expect(pair.areConnected && pair.areDisksEqual)
        #expect(!pair.b.logged("error receiving"))
    }
}
