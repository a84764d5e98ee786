#if canImport(Glibc)
public import Glibc
#elseif canImport(Musl)
public import Musl
#elseif canImport(Darwin)
public import Darwin
#endif

extension NetworkAddress {
    /// Reads a socket address.
    ///
    /// - Parameter bytes: The memory of a `sockaddr_in` or `sockaddr_in6`, such as `msg_name` of a received message.
    /// - Returns: `nil` if the family is neither IPv4 nor IPv6, or the memory is too short for it.
    public init?(sockaddr bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= MemoryLayout<sockaddr>.size else { return nil }
        switch Int32(bytes.loadUnaligned(as: sockaddr.self).sa_family) {
        case AF_INET:
            guard bytes.count >= MemoryLayout<sockaddr_in>.size else { return nil }
            let address = bytes.loadUnaligned(as: sockaddr_in.self)
            self.init(
                family: .ip4,
                high: 0,
                low: UInt64(UInt32(bigEndian: address.sin_addr.s_addr)),
                scope: 0,
                port: UInt16(bigEndian: address.sin_port)
            )
        case AF_INET6:
            guard bytes.count >= MemoryLayout<sockaddr_in6>.size else { return nil }
            let address = bytes.loadUnaligned(as: sockaddr_in6.self)
            let (high, low) = withUnsafeBytes(of: address.sin6_addr) {
                ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
            self.init(
                family: .ip6,
                high: UInt64(bigEndian: high),
                low: UInt64(bigEndian: low),
                scope: address.sin6_scope_id,
                port: UInt16(bigEndian: address.sin6_port)
            )
        default:
            return nil
        }
    }

    /// Reads a socket address out of the storage that system calls fill.
    ///
    /// - Returns: `nil` if the family is neither IPv4 nor IPv6.
    public init?(_ storage: sockaddr_storage) {
        guard let address = withUnsafeBytes(of: storage, { NetworkAddress(sockaddr: $0) }) else { return nil }
        self = address
    }

    /// Calls `body` with the address as a `sockaddr` and its length, for `sendmsg`, `bind` and `ngtcp2_addr`.
    ///
    /// The pointer is valid during the call only.
    public func withSockaddr<Result, Failure: Error>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var (storage, length) = socketAddress
        return try withUnsafePointer(to: &storage) { (pointer) throws(Failure) -> Result in
            // A `sockaddr_storage` is laid out so that it may be read as a `sockaddr` of its family.
            try body(UnsafeRawPointer(pointer).assumingMemoryBound(to: sockaddr.self), length)
        }
    }

    /// The address as socket address storage, and how many bytes of it are in use.
    public var socketAddress: (storage: sockaddr_storage, length: socklen_t) {
        var storage = sockaddr_storage()
        switch family {
        case .ip4:
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(truncatingIfNeeded: low).bigEndian
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: address, as: sockaddr_in.self) }
            return (storage, socklen_t(MemoryLayout<sockaddr_in>.size))
        case .ip6:
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            address.sin6_scope_id = scope
            withUnsafeMutableBytes(of: &address.sin6_addr) {
                $0.storeBytes(of: high.bigEndian, as: UInt64.self)
                $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: address, as: sockaddr_in6.self) }
            return (storage, socklen_t(MemoryLayout<sockaddr_in6>.size))
        }
    }
}

extension NetworkAddress {
    /// Room for either kind of address in its C form, for ``store(in:)``: `sockaddr_storage` would be four times as much.
    static func makeSockaddr() -> UnsafeMutableRawPointer {
        .allocate(byteCount: MemoryLayout<sockaddr_in6>.size, alignment: MemoryLayout<sockaddr_in6>.alignment)
    }

    /// Writes the address in its C form, and returns how many bytes of it are in use.
    func store(in memory: UnsafeMutableRawPointer) -> socklen_t {
        // One of two sizes, by the family; the larger is that of `makeSockaddr`. Nothing of it comes from the peer.
        let (storage, length) = socketAddress
        withUnsafePointer(to: storage) { memory.copyMemory(from: $0, byteCount: Int(length)) }
        return length
    }
}
