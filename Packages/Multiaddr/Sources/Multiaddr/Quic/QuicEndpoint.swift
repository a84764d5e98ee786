/// Where a plain QUIC address leads: host, UDP port and version.
public struct QuicEndpoint: Sendable, Hashable {
    /// The kinds of names that stand for a host.
    public enum NameKind: Sendable, Hashable, CaseIterable {
        /// IPv4 or IPv6 addresses (`/dns`).
        case dns
        /// IPv4 addresses (`/dns4`).
        case dns4
        /// IPv6 addresses (`/dns6`).
        case dns6
        /// TXT records with whole addresses (`/dnsaddr`).
        case dnsaddr

        /// The protocol in an address.
        public var proto: MultiaddrProtocol {
            switch self {
            case .dns: .dns
            case .dns4: .dns4
            case .dns6: .dns6
            case .dnsaddr: .dnsaddr
            }
        }

        init?(_ proto: MultiaddrProtocol) {
            switch proto {
            case .dns: self = .dns
            case .dns4: self = .dns4
            case .dns6: self = .dns6
            case .dnsaddr: self = .dnsaddr
            default: return nil
            }
        }
    }

    /// The host of an endpoint.
    public enum Host: Sendable, Hashable, CustomStringConvertible {
        /// Four bytes.
        case ip4([UInt8])
        /// Sixteen bytes, and the zone (interface) of a link-local address.
        case ip6([UInt8], zone: String?)
        /// A name that is still to be resolved.
        case dns(String, kind: NameKind)

        /// The address or the name as text; a zone follows after `%`.
        public var description: String {
            var out: [UInt8] = []
            switch self {
            case .ip4(let bytes):
                if bytes.count == 4 { IPText.appendIPv4(bytes.span, 0..<4, to: &out) }
            case .ip6(let bytes, let zone):
                if bytes.count == 16 { IPText.appendIPv6(bytes.span, 0..<16, to: &out) }
                if let zone { out += Array("%\(zone)".utf8) }
            case .dns(let name, _):
                return name
            }
            return String(decoding: out, as: UTF8.self)
        }
    }

    /// The host.
    public var host: Host
    /// The UDP port.
    public var port: UInt16
    /// The version of QUIC.
    public var version: QuicAddressVersion

    /// An endpoint.
    public init(host: Host, port: UInt16, version: QuicAddressVersion = .v1) {
        self.host = host
        self.port = port
        self.version = version
    }

    /// The address of the endpoint.
    ///
    /// - Throws: ``MultiaddrError`` with `invalidValue` or `missingValue` when the host has the wrong number of bytes or
    ///   a bad name.
    public func multiaddr() throws(MultiaddrError) -> Multiaddr {
        var components: [Multiaddr.Component] = []
        switch host {
        case .ip4(let bytes):
            components.append(try .ip4(bytes))
        case .ip6(let bytes, let zone):
            if let zone { components.append(try Multiaddr.Component(.ip6zone, text: zone)) }
            components.append(try .ip6(bytes))
        case .dns(let name, let kind):
            components.append(try .dns(name, as: kind.proto))
        }
        components.append(.udp(port))
        components.append(version == .v1 ? .quicV1 : .quic)
        return try Multiaddr(components)
    }
}
