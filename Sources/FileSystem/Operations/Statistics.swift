extension MountedVolume {
    package func statistics() async throws(FileSystemError) -> VolumeStatistics {
        throw .notSupported
    }
}
