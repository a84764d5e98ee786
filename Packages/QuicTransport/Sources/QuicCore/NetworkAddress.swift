/// An IP address and a UDP port, held in place without heap memory.
///
/// The key of everything that is kept per remote address. An IPv4 address mapped into IPv6 (`::ffff:a.b.c.d`, what a
/// dual-stack socket reports) differs from the plain IPv4 address; ``unmapped`` turns it into that.
public struct NetworkAddress: Sendable, Hashable {
    /// The kind of IP address.
    public enum Family: UInt8, Sendable, Hashable {
        /// IPv4, four bytes.
        case ip4
        /// IPv6, sixteen bytes.
        case ip6
    }

    /// The IP address as a number: the high half of IPv6, zero for IPv4.
    let high: UInt64
    /// The low half of IPv6, or the 32 bits of IPv4.
    let low: UInt64
    /// The interface index of a link-local IPv6 address (`sin6_scope_id`); 0 for none and for IPv4.
    public let scope: UInt32
    /// The UDP port.
    public let port: UInt16
    /// The kind of IP address.
    public let family: Family

    init(family: Family, high: UInt64, low: UInt64, scope: UInt32, port: UInt16) {
        self.family = family
        self.high = high
        self.low = low
        self.scope = scope
        self.port = port
    }

    /// An IPv4 address from its four bytes.
    public static func ip4(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, port: UInt16) -> NetworkAddress {
        let word = UInt64(a) << 24 | UInt64(b) << 16 | UInt64(c) << 8 | UInt64(d)
        return NetworkAddress(family: .ip4, high: 0, low: word, scope: 0, port: port)
    }

    /// An IPv6 address from its eight 16-bit groups' two halves, each a big-endian number.
    ///
    /// - Parameters:
    ///   - high: The first four groups.
    ///   - low: The last four groups.
    ///   - scope: The interface index of a link-local address, else 0.
    ///   - port: The UDP port.
    public static func ip6(high: UInt64, low: UInt64, scope: UInt32 = 0, port: UInt16) -> NetworkAddress {
        NetworkAddress(family: .ip6, high: high, low: low, scope: scope, port: port)
    }

    /// An address from the bytes of an IP address in network order.
    ///
    /// - Parameters:
    ///   - ipBytes: The address's 4 or 16 bytes.
    ///   - port: The UDP port.
    ///   - scope: The interface index of a link-local IPv6 address; ignored for IPv4.
    /// - Returns: `nil` unless there are 4 or 16 bytes.
    public init?(ipBytes: some Collection<UInt8>, port: UInt16, scope: UInt32 = 0) {
        var high: UInt64 = 0
        var low: UInt64 = 0
        for byte in ipBytes.prefix(16) {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(byte)
        }
        switch ipBytes.count {
        case 4: self.init(family: .ip4, high: 0, low: low, scope: 0, port: port)
        case 16: self.init(family: .ip6, high: high, low: low, scope: scope, port: port)
        default: return nil
        }
    }

    /// The bytes of the IP address in network order: 4 or 16.
    public var ipBytes: [UInt8] {
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: low >> (56 - 8 * UInt64($0))) }
        if family == .ip4 { return Array(bytes[4...]) }
        return (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * UInt64($0))) } + bytes
    }

    /// The plain IPv4 address of one that is mapped into IPv6, else the address itself.
    public var unmapped: NetworkAddress {
        guard family == .ip6, high == 0, low >> 32 == 0xffff else { return self }
        return NetworkAddress(family: .ip4, high: 0, low: low & 0xffff_ffff, scope: 0, port: port)
    }

    /// The same IP address with another port.
    public func withPort(_ port: UInt16) -> NetworkAddress {
        NetworkAddress(family: family, high: high, low: low, scope: scope, port: port)
    }

    /// Whether the IP address is the unspecified one (`0.0.0.0` or `::`).
    public var isUnspecified: Bool { high == 0 && low == 0 }

    /// Whether the IP address is a loopback address (`127.0.0.0/8` or `::1`).
    public var isLoopback: Bool {
        let plain = unmapped
        return plain.family == .ip4 ? plain.low >> 24 == 127 : plain.high == 0 && plain.low == 1
    }

    /// The network this address counts for in limits per source.
    public var source: Source {
        let plain = unmapped
        if plain.family == .ip4 { return Source(family: .ip4, prefix: plain.low) }
        return Source(family: .ip6, prefix: plain.high >> 8)
    }

    /// What limits per source count by: one IPv4 address, or one IPv6 /56, which is about what one customer has.
    public struct Source: Sendable, Hashable {
        let family: Family
        let prefix: UInt64
    }
}

extension NetworkAddress: CustomStringConvertible {
    /// `192.0.2.1:4001`, or `[fe80::1%2]:4001` in the form of RFC 5952.
    public var description: String {
        switch family {
        case .ip4: "\(ipDescription):\(port)"
        case .ip6: scope == 0 ? "[\(ipDescription)]:\(port)" : "[\(ipDescription)%\(scope)]:\(port)"
        }
    }

    /// The IP address alone, without zone and port.
    public var ipDescription: String {
        if family == .ip4 {
            return "\(low >> 24 & 255).\(low >> 16 & 255).\(low >> 8 & 255).\(low & 255)"
        }
        let groups = [high, low].flatMap { word in [48, 32, 16, 0].map { UInt16(truncatingIfNeeded: word >> $0) } }
        var zeros = 0..<0
        var start = 0
        while start < groups.count {
            var end = start
            while end < groups.count, groups[end] == 0 { end += 1 }
            if end - start > max(zeros.count, 1) { zeros = start..<end }
            start = end + 1
        }
        func text(_ part: some Sequence<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        if zeros.isEmpty { return text(groups) }
        return text(groups[..<zeros.lowerBound]) + "::" + text(groups[zeros.upperBound...])
    }
}
