extension UnsafeRawBufferPointer {
    /// The start of the memory as the `uint8_t *` that C functions want.
    ///
    /// Assuming is right here: it is memory of datagrams, which is only ever bytes, and C reads it as nothing else.
    var octets: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}

extension UnsafeMutableRawPointer {
    /// The same memory as the `uint8_t *` that C functions want.
    ///
    /// Assuming is right here: it is memory for packets or for the bytes of streams, which is only ever bytes.
    var octets: UnsafeMutablePointer<UInt8> { assumingMemoryBound(to: UInt8.self) }
}
