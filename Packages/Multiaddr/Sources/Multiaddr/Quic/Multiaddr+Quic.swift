extension Multiaddr {
    /// True for a plain QUIC address: host, `udp`, `quic-v1` or `quic`, and perhaps a `p2p` at the end.
    ///
    /// An address that goes on (`webtransport`, `p2p-circuit` …) is none.
    public var isQuic: Bool { quicLayout != nil }

    /// Where a plain QUIC address leads; nil for any other address.
    public var quicEndpoint: QuicEndpoint? {
        guard let layout = quicLayout else { return nil }
        let hostBytes = Array(storage[layout.host.value])
        let host: QuicEndpoint.Host
        switch layout.host.info.proto {
        case .ip4:
            host = .ip4(hostBytes)
        case .ip6:
            host = .ip6(hostBytes, zone: layout.zone.map { String(decoding: storage[$0], as: UTF8.self) })
        default:
            guard let kind = QuicEndpoint.NameKind(layout.host.info.proto) else { return nil }
            host = .dns(String(decoding: hostBytes, as: UTF8.self), kind: kind)
        }
        let port = UInt16(storage[layout.port]) << 8 | UInt16(storage[layout.port + 1])
        return QuicEndpoint(host: host, port: port, version: layout.version)
    }

    /// The version of QUIC that the address asks for: `quic-v1` before `quic`, nil when it has neither.
    public var quicVersion: QuicAddressVersion? {
        if contains(.quicV1) { return .v1 }
        return contains(.quic) ? .draft29 : nil
    }

    /// The address of a QUIC endpoint.
    ///
    /// - Parameters:
    ///   - host: an IPv4 address, or an IPv6 address, which may carry a zone (`fe80::1%eth0`). For names use
    ///     ``quic(name:kind:port:version:)``.
    ///   - port: a UDP port, 0 to 65535.
    ///   - version: which `quic` stands at the end.
    /// - Throws: ``MultiaddrError`` with `invalidQuicAddress`.
    public static func quic(
        host: String,
        port: some BinaryInteger,
        version: QuicAddressVersion = .v1
    ) throws(MultiaddrError) -> Multiaddr {
        let port = try checked(port)
        let text = host.utf8.span
        if let value = IPText.parseIPv4(text, 0..<text.count) {
            var bytes: [UInt8] = []
            ValueEncoder.appendBigEndian(UInt64(value), count: 4, to: &bytes)
            return try QuicEndpoint(host: .ip4(bytes), port: port, version: version).multiaddr()
        }
        let parts = host.utf8.split(separator: UInt8(ascii: "%"), maxSplits: 1, omittingEmptySubsequences: false)
        let addressLength = parts.first?.count ?? 0
        guard let value = IPText.parseIPv6(text, 0..<addressLength) else {
            throw MultiaddrError(.invalidQuicAddress, "the host is neither an IPv4 nor an IPv6 address", offset: 0)
        }
        var bytes: [UInt8] = []
        ValueEncoder.appendBigEndian(value.high, count: 8, to: &bytes)
        ValueEncoder.appendBigEndian(value.low, count: 8, to: &bytes)
        let zone = parts.count > 1 ? String(Substring(parts[1])) : nil
        do {
            return try QuicEndpoint(host: .ip6(bytes, zone: zone), port: port, version: version).multiaddr()
        } catch {
            throw MultiaddrError(.invalidQuicAddress, "the zone of the IPv6 address is not usable", cause: error)
        }
    }

    /// The address of a QUIC endpoint whose host is a name.
    ///
    /// - Throws: ``MultiaddrError`` with `invalidQuicAddress`.
    public static func quic(
        name: String,
        kind: QuicEndpoint.NameKind = .dns,
        port: some BinaryInteger,
        version: QuicAddressVersion = .v1
    ) throws(MultiaddrError) -> Multiaddr {
        let port = try checked(port)
        do {
            return try QuicEndpoint(host: .dns(name, kind: kind), port: port, version: version).multiaddr()
        } catch {
            throw MultiaddrError(.invalidQuicAddress, "the name of the host is not usable", cause: error)
        }
    }

    /// The address without its first `p2p` component and everything after it.
    ///
    /// An address that begins with `p2p` leads nowhere without it and is returned as it is.
    public var normalizedQuic: Multiaddr {
        let (head, tail) = split(before: .p2p)
        return head.isEmpty || tail.isEmpty ? self : head
    }

    private static func checked(_ port: some BinaryInteger) throws(MultiaddrError) -> UInt16 {
        guard let port = UInt16(exactly: port) else {
            throw MultiaddrError(.invalidQuicAddress, "a UDP port is a number from 0 to 65535")
        }
        return port
    }

    private struct QuicLayout {
        let zone: Range<Int>?
        let host: RawComponent
        let port: Int
        let version: QuicAddressVersion
    }

    private var quicLayout: QuicLayout? {
        var cursor = RawCursor()
        guard var host = cursor.next(storage) else { return nil }
        var zone: Range<Int>?
        if host.info.proto == .ip6zone {
            zone = host.value
            guard let next = cursor.next(storage), next.info.proto == .ip6 else { return nil }
            host = next
        }
        switch host.info.proto {
        case .ip4, .ip6, .dns, .dns4, .dns6, .dnsaddr: break
        default: return nil
        }
        guard let udp = cursor.next(storage), udp.info.proto == .udp else { return nil }
        guard let quic = cursor.next(storage), let version = QuicAddressVersion(quic.info.proto) else { return nil }
        if let peer = cursor.next(storage) {
            guard peer.info.proto == .p2p, cursor.next(storage) == nil else { return nil }
        }
        return QuicLayout(zone: zone, host: host, port: udp.value.lowerBound, version: version)
    }
}
