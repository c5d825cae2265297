import NBDServer

// What a client sends to the NBD server: see NBDFuzzEntry for the meaning of the first byte.

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    NBDFuzzEntry.run(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}
