/// What a volume is written to and read from by an offline tool: a file, a block device, or a replicated volume of the
/// daemon. Blocking; offsets and sizes are in bytes.
package protocol OfflineDevice: AnyObject {
    var byteCount: UInt64 { get }
    /// Logical block size.
    var sectorSize: Int { get }
    func read(at offset: UInt64, count: Int) throws(OfflineDeviceError) -> [UInt8]
    func write(_ bytes: [UInt8], at offset: UInt64) throws(OfflineDeviceError)
    /// The range reads as zeroes afterwards.
    func clear(_ range: Range<UInt64>) throws(OfflineDeviceError)
    /// Everything written so far is on stable storage afterwards.
    func flush() throws(OfflineDeviceError)
}

package enum OfflineDeviceError: Error, Equatable, Sendable {
    case cannotOpen(path: String, code: Int32)
    /// Somebody holds the device: who, in words.
    case inUse(path: String, by: String)
    case notADevice(path: String)
    case beyondEnd(path: String, offset: UInt64, byteCount: UInt64)
    case cannotRead(path: String, offset: UInt64, code: Int32)
    case cannotWrite(path: String, offset: UInt64, code: Int32)
}
