import EngineKit
import EngineSimulation
import FileSystem
import OCFS2Layout

// A whole volume with damaged metadata: mounted in memory, walked, changed, unmounted.
//
// The first byte chooses the volume (see BaseImage); the rest are changes of 8 bytes each (see Damage). So the fuzzer
// works on what the filesystem does with a block that lies, not on the bytes of data blocks.
//
// What is allowed: every error. What is not: a trap, a task that is never resumed, work without an end. The disk answers
// a bounded number of requests (far more than a sound volume needs) and then none any more, and the fuzzer's own time
// limit finds what turns round without asking the disk.

private let images = BaseImage.all()
/// The dearest of the sound images asks for some 2,000 requests.
private let requestsMax = 60_000

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    guard let choice = input.first else { return 0 }
    let image = images[Int(choice) % images.count]
    let environment = VirtualEnvironment(seed: UInt64(choice))
    let device = image.device.copy(environment: environment)
    var offset = 1
    while offset + Damage.byteCount <= count, offset < 1 + 16 * Damage.byteCount {
        Damage(input[offset..<offset + Damage.byteCount]).apply(to: device, of: image)
        offset += Damage.byteCount
    }
    var requestCount = 0
    device.fault = { _ in
        requestCount += 1
        return requestCount > requestsMax ? 5 : 0
    }
    environment.wait(limit: .seconds(24 * 3600)) { await exercise(device, environment, isReadOnly: choice & 0x80 != 0) }
    return 0
}

/// Whatever can be done with a volume; errors are what is expected.
private func exercise(_ device: MemoryDevice, _ environment: VirtualEnvironment, isReadOnly: Bool) async {
    var options = MountOptions()
    options.isReadOnly = isReadOnly
    // Go on behind the first damage: the mount shall find more of it.
    options.errors = .continue
    let volume: MountedVolume
    do {
        volume = try await MountedVolume.mount(
            device: device, environment: environment, locks: LocalLocks(), options: options, nodeNumber: 0)
    } catch {
        precondition(!"\(error)".isEmpty)
        return
    }
    let visit = Visit(volume)
    await visit.run()
    await volume.unmount()
}
