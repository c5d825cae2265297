/// Writes a plan to a device.
package enum VolumeWriter {
    /// The steps, in their order, as they are reported.
    package enum Step: CaseIterable, Sendable {
        case clearing
        case metadata
        case superblocks
    }

    /// Makes the volume. The superblock is written last, behind a flush: a device whose formatting did not end holds no
    /// volume, neither the new one nor the one before.
    package static func write(
        _ plan: VolumePlan, to device: any OfflineDevice, progress: (Step) -> Void = { _ in }
    ) throws(OfflineDeviceError) {
        progress(.clearing)
        for range in plan.cleared { try device.clear(range) }
        try device.flush()
        progress(.metadata)
        try plan.forEachImage { (offset, bytes) throws(OfflineDeviceError) in try device.write(bytes, at: offset) }
        try device.flush()
        progress(.superblocks)
        try plan.forEachSuperblock { (offset, bytes) throws(OfflineDeviceError) in try device.write(bytes, at: offset) }
        try device.flush()
    }
}
