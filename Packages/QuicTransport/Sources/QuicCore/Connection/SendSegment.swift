/// A run of bytes to be sent on a stream, in memory that stays where it is.
///
/// ngtcp2 reads stream bytes again for every retransmission, so they must not move until the peer has acknowledged
/// them. The connection keeps ``owner`` alive for exactly that long; `owner` must keep the memory at ``base`` alive and
/// unchanged for as long as it lives itself. It may be let go from inside any of the connection's methods: its `deinit` must
/// not call the connection.
public struct SendSegment {
    /// What keeps the memory alive.
    public let owner: AnyObject
    /// The first byte.
    public let base: UnsafeRawPointer
    /// The number of bytes, more than 0.
    public let count: Int

    /// Names a run of bytes inside the memory that `owner` keeps alive.
    public init(owner: AnyObject, base: UnsafeRawPointer, count: Int) {
        self.owner = owner
        self.base = base
        self.count = count
    }

    /// Copies bytes into memory of their own.
    ///
    /// - Returns: `nil` for no bytes.
    public init?(copying bytes: [UInt8]) {
        guard !bytes.isEmpty else { return nil }
        let memory = StableBytes(copying: bytes)
        self.init(owner: memory, base: UnsafeRawPointer(memory.base), count: bytes.count)
    }
}

/// Bytes at a fixed address, freed with the object.
private final class StableBytes {
    let base: UnsafeMutableRawPointer

    init(copying bytes: [UInt8]) {
        base = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 1)
        bytes.withUnsafeBytes { base.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(base), byteCount: $0.count) }
    }

    deinit {
        base.deallocate()
    }
}
