/// A protocol of the multiaddr table, identified by its code.
///
/// It is an open type: any code can be represented, but components can be made only for those in
/// ``MultiaddrProtocol/all``.
public struct MultiaddrProtocol: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The multicodec code.
    public let rawValue: UInt64

    /// The protocol with the given code, whether or not the table knows it.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The protocol with the given name (`ipfs` reads as `p2p`), or nil when the table has none.
    public init?(name: String) {
        guard let info = ProtocolTable.info(name: name.utf8.span, 0..<name.utf8.count) else { return nil }
        self = info.proto
    }

    /// The name as it stands in text, or nil for a code that is not in the table.
    public var name: String? { ProtocolTable.info(code: rawValue)?.nameText }

    /// True when the table knows the code.
    public var isKnown: Bool { ProtocolTable.info(code: rawValue) != nil }

    /// How much value a component of this protocol carries; nil for an unknown code.
    public var size: Size? {
        guard let info = ProtocolTable.info(code: rawValue) else { return nil }
        return info.isVariable ? .variable : .fixed(bits: info.size * 8)
    }

    /// The length of a protocol's value.
    public enum Size: Sendable, Hashable {
        /// Always this many bits; 0 when the protocol has no value.
        case fixed(bits: Int)
        /// Prefixed with its length as a varint.
        case variable
    }

    /// The name, or the code in decimal when it is not in the table.
    public var description: String { name ?? String(rawValue) }

    /// Every protocol of the table.
    public static var all: [MultiaddrProtocol] { ProtocolTable.entries.map(\.proto) }

    /// IPv4 address, 4 bytes.
    public static let ip4 = MultiaddrProtocol(rawValue: 4)
    /// TCP port, 2 bytes.
    public static let tcp = MultiaddrProtocol(rawValue: 6)
    /// DCCP port, 2 bytes.
    public static let dccp = MultiaddrProtocol(rawValue: 33)
    /// IPv6 address, 16 bytes.
    public static let ip6 = MultiaddrProtocol(rawValue: 41)
    /// IPv6 zone, text; stands before the `ip6` it belongs to.
    public static let ip6zone = MultiaddrProtocol(rawValue: 42)
    /// Length of a network prefix, 1 byte.
    public static let ipcidr = MultiaddrProtocol(rawValue: 43)
    /// Name that resolves to IPv4 or IPv6 addresses.
    public static let dns = MultiaddrProtocol(rawValue: 53)
    /// Name that resolves to IPv4 addresses.
    public static let dns4 = MultiaddrProtocol(rawValue: 54)
    /// Name that resolves to IPv6 addresses.
    public static let dns6 = MultiaddrProtocol(rawValue: 55)
    /// Name whose TXT records hold whole addresses.
    public static let dnsaddr = MultiaddrProtocol(rawValue: 56)
    /// SCTP port, 2 bytes.
    public static let sctp = MultiaddrProtocol(rawValue: 132)
    /// UDP port, 2 bytes.
    public static let udp = MultiaddrProtocol(rawValue: 273)
    /// Name that old addresses use for a WebRTC star.
    public static let p2pWebRTCStar = MultiaddrProtocol(rawValue: 275)
    /// Name that old addresses use for direct WebRTC.
    public static let p2pWebRTCDirect = MultiaddrProtocol(rawValue: 276)
    /// Stardust.
    public static let p2pStardust = MultiaddrProtocol(rawValue: 277)
    /// WebRTC without signalling.
    public static let webRTCDirect = MultiaddrProtocol(rawValue: 280)
    /// WebRTC.
    public static let webRTC = MultiaddrProtocol(rawValue: 281)
    /// What follows is reached through the relay that stands before.
    public static let p2pCircuit = MultiaddrProtocol(rawValue: 290)
    /// UDT.
    public static let udt = MultiaddrProtocol(rawValue: 301)
    /// uTP.
    public static let utp = MultiaddrProtocol(rawValue: 302)
    /// Path of a Unix domain socket; takes the rest of the text.
    public static let unix = MultiaddrProtocol(rawValue: 400)
    /// Peer ID, a multihash.
    public static let p2p = MultiaddrProtocol(rawValue: 421)
    /// HTTPS.
    public static let https = MultiaddrProtocol(rawValue: 443)
    /// Tor address of version 2 and port, 12 bytes.
    public static let onion = MultiaddrProtocol(rawValue: 444)
    /// Tor address of version 3 and port, 37 bytes.
    public static let onion3 = MultiaddrProtocol(rawValue: 445)
    /// I2P destination.
    public static let garlic64 = MultiaddrProtocol(rawValue: 446)
    /// I2P hashed destination.
    public static let garlic32 = MultiaddrProtocol(rawValue: 447)
    /// TLS.
    public static let tls = MultiaddrProtocol(rawValue: 448)
    /// Server name for TLS.
    public static let sni = MultiaddrProtocol(rawValue: 449)
    /// Noise.
    public static let noise = MultiaddrProtocol(rawValue: 454)
    /// QUIC, draft 29.
    public static let quic = MultiaddrProtocol(rawValue: 460)
    /// QUIC version 1 (RFC 9000).
    public static let quicV1 = MultiaddrProtocol(rawValue: 461)
    /// WebTransport.
    public static let webtransport = MultiaddrProtocol(rawValue: 465)
    /// Hash of a certificate, a multihash.
    public static let certhash = MultiaddrProtocol(rawValue: 466)
    /// WebSocket.
    public static let ws = MultiaddrProtocol(rawValue: 477)
    /// WebSocket over TLS.
    public static let wss = MultiaddrProtocol(rawValue: 478)
    /// WebSocket star.
    public static let p2pWebsocketStar = MultiaddrProtocol(rawValue: 479)
    /// HTTP.
    public static let http = MultiaddrProtocol(rawValue: 480)
    /// Path of an HTTP request, percent-encoded in text.
    public static let httpPath = MultiaddrProtocol(rawValue: 481)
    /// Address of an in-memory transport, a number of 8 bytes.
    public static let memory = MultiaddrProtocol(rawValue: 777)
}
