/// How the value of a protocol is written in text and checked in binary.
enum ValueKind: Sendable {
    case none, ip4, ip6, port, cidr, memory, text, unixPath, httpPath
    case peerID, certhash, onion, onion3, garlic64, garlic32
}

/// One line of the protocol table.
struct ProtocolInfo: Sendable {
    let proto: MultiaddrProtocol
    let name: StaticString
    /// Bytes of the value; -1 when a length stands before it.
    let size: Int
    let kind: ValueKind

    init(_ proto: MultiaddrProtocol, _ name: StaticString, _ size: Int, _ kind: ValueKind) {
        self.proto = proto
        self.name = name
        self.size = size
        self.kind = kind
    }

    var isVariable: Bool { size < 0 }
    var nameText: String { name.description }

    /// Appends the name to text that is being printed.
    func appendName(to out: inout [UInt8]) {
        name.withUTF8Buffer { out.append(contentsOf: $0) }
    }

    func hasName(_ text: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard name.utf8CodeUnitCount == range.count else { return false }
        return name.withUTF8Buffer { own in
            var index = 0
            while index < own.count {
                if own[index] != text[range.lowerBound + index] { return false }
                index += 1
            }
            return true
        }
    }
}

/// The table of <https://github.com/multiformats/multiaddr/blob/master/protocols.csv>.
enum ProtocolTable {
    /// The most frequent ones first: names are looked up in this order.
    static let entries: [ProtocolInfo] = [
        ProtocolInfo(.ip4, "ip4", 4, .ip4),
        ProtocolInfo(.udp, "udp", 2, .port),
        ProtocolInfo(.quicV1, "quic-v1", 0, .none),
        ProtocolInfo(.p2p, "p2p", -1, .peerID),
        ProtocolInfo(.ip6, "ip6", 16, .ip6),
        ProtocolInfo(.tcp, "tcp", 2, .port),
        ProtocolInfo(.dns, "dns", -1, .text),
        ProtocolInfo(.dns4, "dns4", -1, .text),
        ProtocolInfo(.dns6, "dns6", -1, .text),
        ProtocolInfo(.dnsaddr, "dnsaddr", -1, .text),
        ProtocolInfo(.quic, "quic", 0, .none),
        ProtocolInfo(.webtransport, "webtransport", 0, .none),
        ProtocolInfo(.certhash, "certhash", -1, .certhash),
        ProtocolInfo(.p2pCircuit, "p2p-circuit", 0, .none),
        // The table says that a length stands before it; Go, Rust and Python write eight bytes.
        ProtocolInfo(.memory, "memory", 8, .memory),
        ProtocolInfo(.ip6zone, "ip6zone", -1, .text),
        ProtocolInfo(.ipcidr, "ipcidr", 1, .cidr),
        ProtocolInfo(.tls, "tls", 0, .none),
        ProtocolInfo(.sni, "sni", -1, .text),
        ProtocolInfo(.ws, "ws", 0, .none),
        ProtocolInfo(.wss, "wss", 0, .none),
        ProtocolInfo(.webRTCDirect, "webrtc-direct", 0, .none),
        ProtocolInfo(.webRTC, "webrtc", 0, .none),
        ProtocolInfo(.http, "http", 0, .none),
        ProtocolInfo(.https, "https", 0, .none),
        ProtocolInfo(.httpPath, "http-path", -1, .httpPath),
        ProtocolInfo(.noise, "noise", 0, .none),
        ProtocolInfo(.unix, "unix", -1, .unixPath),
        ProtocolInfo(.dccp, "dccp", 2, .port),
        ProtocolInfo(.sctp, "sctp", 2, .port),
        ProtocolInfo(.udt, "udt", 0, .none),
        ProtocolInfo(.utp, "utp", 0, .none),
        ProtocolInfo(.onion, "onion", 12, .onion),
        ProtocolInfo(.onion3, "onion3", 37, .onion3),
        ProtocolInfo(.garlic64, "garlic64", -1, .garlic64),
        ProtocolInfo(.garlic32, "garlic32", -1, .garlic32),
        ProtocolInfo(.p2pWebsocketStar, "p2p-websocket-star", 0, .none),
        ProtocolInfo(.p2pStardust, "p2p-stardust", 0, .none),
        ProtocolInfo(.p2pWebRTCStar, "p2p-webrtc-star", 0, .none),
        ProtocolInfo(.p2pWebRTCDirect, "p2p-webrtc-direct", 0, .none),
    ]

    /// Index into ``entries`` plus one for each code; 0 where there is none. The largest code is 777.
    private static let indexByCode: [UInt8] = {
        let largest = entries.map(\.proto.rawValue).max() ?? 0
        var table = [UInt8](repeating: 0, count: Int(largest) + 1)
        for (index, entry) in entries.enumerated() { table[Int(entry.proto.rawValue)] = UInt8(index + 1) }
        return table
    }()

    static func info(code: UInt64) -> ProtocolInfo? {
        guard let position = Int(exactly: code), position < indexByCode.count else { return nil }
        let index = Int(indexByCode[position])
        return index == 0 ? nil : entries[index - 1]
    }

    static func info(name text: Span<UInt8>, _ range: Range<Int>) -> ProtocolInfo? {
        for entry in entries where entry.hasName(text, range) { return entry }
        if alias.hasName(text, range) { return info(code: alias.proto.rawValue) }
        return nil
    }

    /// The old name of `p2p`, read but never printed.
    private static let alias = ProtocolInfo(.p2p, "ipfs", -1, .peerID)
}
