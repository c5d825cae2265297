package import EngineKit
internal import LayoutKit
package import OCFS2Layout

/// Finds the volume on a device and judges whether it can be mounted. Spec: ocfs2-disk 2.
package enum VolumeProbe {
    /// Bytes that hold the superblock at every block size.
    private static let byteCount = 12288

    /// The superblock of the device.
    package static func superblock(of device: any BlockDevice) async throws(MountError) -> Superblock {
        guard device.byteCount >= UInt64(byteCount) else { throw .notAVolume }
        let slice = IOSlice(buffer: IOBuffer(byteCount: byteCount), offset: 0, count: byteCount)
        do throws(BlockDeviceError) {
            try await device.read(slice, at: 0)
        } catch {
            throw .device(error)
        }
        let found: Superblock?
        do throws(LayoutError) {
            found = try Superblock.probe(UnsafeRawBufferPointer(slice.bytes))
        } catch {
            throw .badSuperblock(error.description)
        }
        guard let found else { throw .notAVolume }
        return found
    }

    /// Features of the format that this code does not serve. Spec: ocfs2-disk 2.4.
    private static let refused: IncompatibleFeatures = [
        .heartbeatDevice, .resizeInProgress, .tuneInProgress, .userspaceStack,
    ]

    /// Throws what stands against mounting the volume.
    package static func requireMountable(
        _ superblock: Superblock, on device: any BlockDevice, _ options: MountOptions
    ) throws(MountError) {
        let parameters = superblock.parameters
        let features = parameters.features
        let unserved = features.incompatible.subtracting(IncompatibleFeatures.known.subtracting(refused))
        if !unserved.isEmpty {
            throw .unsupportedFeatures(VolumeFeatures(incompatible: unserved).names)
        }
        // Quotas are not kept, so whoever writes would make them wrong. Spec: ocfs2-disk-2 18.
        let unkept = features.readOnlyCompatible.subtracting(.unwritten)
        if !unkept.isEmpty, !options.isReadOnly, !device.isReadOnly {
            throw .readOnlyFeatures(VolumeFeatures(readOnlyCompatible: unkept).names)
        }
        guard device.sectorByteCount <= parameters.blockSize else {
            throw .sectorTooLarge(sector: device.sectorByteCount, block: parameters.blockSize)
        }
        let size = UInt64(parameters.clusterCount) << UInt64(parameters.geometry.clusterSizeBits)
        guard size <= device.byteCount else {
            throw .deviceTooSmall(volume: size, device: device.byteCount)
        }
    }
}
