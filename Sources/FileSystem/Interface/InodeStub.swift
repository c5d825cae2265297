/// Stands in for the core's inode until that is merged.
package final class Inode {
    package let number: UInt64 = 0
    package var generation: UInt32 { 0 }
    package func retain() {}
    package func release() {}
}
