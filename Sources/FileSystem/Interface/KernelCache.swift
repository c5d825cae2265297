/// What programs on this host see of files without asking the filesystem: pages, attributes and names in the kernel. It
/// is valid under cluster locks, and taken back when they go. Spec: fuse part 3.
///
/// Everything is called on the mount's executor.
package protocol KernelCache: AnyObject {
    /// The metadata lock of `inode` is about to be lowered to `level`, and nobody here uses it: takes back what that level
    /// does not cover. Requests that come meanwhile wait for the lock, but for those that write back the kernel's dirty
    /// pages, which use ``ClusterLock/acquireBeforeLowering(_:)``. Throws: it must not be lowered. Spec: fuse 21.
    func recall(_ inode: Inode, to level: LockLevel) async throws(FileSystemError)
    /// Another host removes or replaces names of `child` in `directory`. Must not wait. Spec: fuse 24.
    func namesWereTaken(of child: UInt64, in directory: UInt64)
    /// Takes the pages of all files back, as ``recall(_:to:)`` does, while this host keeps its locks; ends early when
    /// `isNeeded` says no.
    func recallPages(while isNeeded: () -> Bool) async
    /// Nothing that the kernel was told is to be believed any more: attributes and listings; with `pages` also the contents
    /// of files, whatever becomes of dirty ones. Must not wait.
    func forgetEverything(pages: Bool)
    /// The object of this number is gone: another host freed it. Must not wait.
    func becameStale(_ inode: Inode)
}
