/// The version of QUIC that an address asks for.
public enum QuicAddressVersion: Sendable, Hashable, CaseIterable {
    /// QUIC version 1 (RFC 9000): `quic-v1` in an address.
    case v1
    /// Draft 29: `quic` in an address. Deployed networks have moved to version 1.
    case draft29

    /// The ALPN protocols of libp2p over QUIC.
    public static let alpnProtocols = ["libp2p"]

    /// The versions in the order in which they should be tried.
    public static let preferred: [QuicAddressVersion] = [.v1, .draft29]

    /// Reads the name of the protocol, `quic-v1` or `quic`.
    ///
    /// - Throws: ``MultiaddrError`` with `invalidQuicAddress`.
    public init(parsing name: String) throws(MultiaddrError) {
        guard let proto = MultiaddrProtocol(name: name), let version = QuicAddressVersion(proto) else {
            throw MultiaddrError(.invalidQuicAddress, "a version of QUIC is called quic-v1 or quic")
        }
        self = version
    }

    /// The version of a component, or nil when the protocol is not one of QUIC.
    public init?(_ proto: MultiaddrProtocol) {
        switch proto {
        case .quicV1: self = .v1
        case .quic: self = .draft29
        default: return nil
        }
    }

    /// The version of a version number on the wire, or nil for another one.
    public init?(wireVersion: UInt32) {
        guard let version = Self.allCases.first(where: { $0.wireVersion == wireVersion }) else { return nil }
        self = version
    }

    /// The protocol in an address.
    public var proto: MultiaddrProtocol { self == .v1 ? .quicV1 : .quic }

    /// The version number in QUIC packets (RFC 9000 section 15).
    public var wireVersion: UInt32 { self == .v1 ? 0x0000_0001 : 0xff00_001d }
}
