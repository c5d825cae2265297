/// Why a file of the configuration could not be read.
package enum SourceError: Error, Equatable, Sendable {
    case notFound(path: String)
    /// Anything else the system says, in its own words.
    case unreadable(path: String, reason: String)
    case tooLarge(path: String, byteCountMax: Int)
}

/// Where configuration files come from: the file system, or memory in tests and fuzzing.
package protocol ConfigurationSource {
    /// All bytes of a file.
    func read(_ path: String) throws(SourceError) -> [UInt8]
    /// The paths that match a shell pattern, sorted.
    func glob(_ pattern: String) -> [String]
    /// The path without symbolic links; two names of one file give the same. The path itself if there is no such file.
    func realPath(_ path: String) -> String
}

/// The largest configuration file that is read.
package let configurationByteCountMax = 4 << 20
