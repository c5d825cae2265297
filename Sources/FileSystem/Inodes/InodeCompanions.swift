/// What the data part keeps of a file in memory. (The part replaces this file's class.)
package final class FileData {
    package init() {}

    /// Writes all dirty data and the size to disk.
    package func flush() async throws(FileSystemError) {}
}
