internal import Multiaddr
internal import QuicCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

extension NetworkAddress {
    /// The multiaddr of this address for QUIC.
    func quicAddress(version: QuicVersion) -> Multiaddr {
        let plain = unmapped
        let host: QuicEndpoint.Host =
            plain.family == .ip4
            ? .ip4(plain.ipBytes) : .ip6(plain.ipBytes, zone: plain.scope == 0 ? nil : Self.zone(plain.scope))
        let endpoint = QuicEndpoint(host: host, port: port, version: version == .draft29 ? .draft29 : .v1)
        // Bytes of the right number and an interface's name always make an address; the fallback has no zone to refuse.
        if let address = try? endpoint.multiaddr() { return address }
        let bare = QuicEndpoint(host: .ip6(plain.ipBytes, zone: nil), port: port)
        return (try? bare.multiaddr()) ?? "/ip6/::/udp/0/quic-v1"
    }

    /// The address of an endpoint without a name.
    ///
    /// - Returns: `nil` for a name, and for a zone that is no interface of this machine.
    init?(_ endpoint: QuicEndpoint) {
        switch endpoint.host {
        case .ip4(let bytes): self.init(ipBytes: bytes, port: endpoint.port)
        case .ip6(let bytes, let zone):
            var scope: UInt32 = 0
            if let zone {
                scope = if_nametoindex(zone)
                if scope == 0 { scope = UInt32(zone) ?? 0 }
                guard scope != 0 else { return nil }
            }
            self.init(ipBytes: bytes, port: endpoint.port, scope: scope)
        case .dns: return nil
        }
    }

    /// The name of an interface, or its number where it has none.
    private static func zone(_ index: UInt32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(IF_NAMESIZE) + 1) { name in
            name.initialize(repeating: 0)
            guard let base = name.baseAddress, if_indextoname(index, base) != nil else { return String(index) }
            return String(cString: base)
        }
    }
}
