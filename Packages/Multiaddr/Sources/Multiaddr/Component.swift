extension Multiaddr {
    /// One protocol of an address with its value.
    public struct Component: Sendable, Hashable, CustomStringConvertible {
        /// The protocol.
        public let proto: MultiaddrProtocol
        /// The value as bytes, without the length before it; empty when the protocol has none.
        public let value: [UInt8]

        /// A component of a protocol and the bytes of its value.
        ///
        /// - Throws: ``MultiaddrError`` with `unknownProtocol`, `invalidValue`, or the code of what is wrong in it.
        public init(_ proto: MultiaddrProtocol, value: [UInt8] = []) throws(MultiaddrError) {
            let info = try Component.info(of: proto)
            guard info.isVariable || info.size == value.count else {
                throw MultiaddrError.invalidValue(
                    info,
                    at: 0,
                    "the value of /\(info.name) has \(info.size) bytes, not \(value.count)"
                )
            }
            guard value.count <= Multiaddr.maximumByteCount - 8 else {
                throw MultiaddrError.tooManyBytes(value.count).placed(in: info.nameText, at: 0)
            }
            try ValueValidator.validate(value.span, 0..<value.count, info)
            self.proto = proto
            self.value = value
        }

        /// A component of a protocol and the text of its value, as it stands between the slashes. The path of a
        /// `unix` component begins with its slash.
        ///
        /// - Throws: ``MultiaddrError`` with `unknownProtocol`, `invalidValue`, or the code of what is wrong in it.
        public init(_ proto: MultiaddrProtocol, text: String) throws(MultiaddrError) {
            let info = try Component.info(of: proto)
            guard text.utf8.count <= Multiaddr.maximumTextLength else {
                throw MultiaddrError(
                    .tooLong,
                    "\(text.utf8.count) bytes of text in one value",
                    component: info.nameText
                )
            }
            for (offset, byte) in text.utf8.enumerated() where byte == UInt8(ascii: "/") && proto != .unix {
                throw MultiaddrError.invalidValue(info, at: offset, "the value may not contain a slash")
            }
            var bytes: [UInt8] = []
            try ValueEncoder.encode(text.utf8.span, 0..<text.utf8.count, info, into: &bytes)
            if info.isVariable {
                let prefix = try Varint.decode(from: bytes)
                bytes.removeFirst(prefix.length)
            }
            try self.init(proto, value: bytes)
        }

        /// Trusts that the value fits the protocol.
        init(unchecked proto: MultiaddrProtocol, _ value: [UInt8]) {
            self.proto = proto
            self.value = value
        }

        init(raw: RawComponent, of storage: [UInt8]) {
            self.init(unchecked: raw.info.proto, raw.value.isEmpty ? [] : Array(storage[raw.value]))
        }

        /// The value as text, as it stands in the address; nil when the protocol has no value.
        public var text: String? {
            guard let info = ProtocolTable.info(code: proto.rawValue), info.size != 0 else { return nil }
            var out: [UInt8] = []
            ValuePrinter.appendValue(value.span, 0..<value.count, info.kind, to: &out)
            return String(decoding: out, as: UTF8.self)
        }

        /// The component as text: `/name` or `/name/value`.
        public var description: String { Multiaddr(self).description }

        func append(to storage: inout [UInt8]) {
            Varint.append(proto.rawValue, to: &storage)
            if ProtocolTable.info(code: proto.rawValue)?.isVariable == true {
                Varint.append(UInt64(value.count), to: &storage)
            }
            storage += value
        }

        private static func info(of proto: MultiaddrProtocol) throws(MultiaddrError) -> ProtocolInfo {
            guard let info = ProtocolTable.info(code: proto.rawValue) else {
                throw MultiaddrError(
                    .unknownProtocol,
                    "code \(proto.rawValue) is not in the protocol table",
                    component: String(proto.rawValue)
                )
            }
            return info
        }
    }
}

extension Multiaddr.Component {
    /// The four bytes of an `ip4` component.
    public var ip4Address: [UInt8]? { proto == .ip4 ? value : nil }

    /// The sixteen bytes of an `ip6` component.
    public var ip6Address: [UInt8]? { proto == .ip6 ? value : nil }

    /// The zone of an `ip6zone` component.
    public var zone: String? { proto == .ip6zone ? text : nil }

    /// The bits of a network prefix in an `ipcidr` component.
    public var prefixLength: UInt8? { proto == .ipcidr ? value.first : nil }

    /// The port of a `tcp`, `udp`, `dccp`, `sctp`, `onion` or `onion3` component.
    public var port: UInt16? {
        switch proto {
        case .tcp, .udp, .dccp, .sctp, .onion, .onion3:
            guard value.count >= 2 else { return nil }
            return UInt16(value[value.count - 2]) << 8 | UInt16(value[value.count - 1])
        default: return nil
        }
    }

    /// The number of a `memory` component.
    public var memoryAddress: UInt64? {
        proto == .memory ? value.reduce(0) { $0 << 8 | UInt64($1) } : nil
    }

    /// The name in a `dns`, `dns4`, `dns6`, `dnsaddr` or `sni` component.
    public var hostName: String? {
        switch proto {
        case .dns, .dns4, .dns6, .dnsaddr, .sni: text
        default: nil
        }
    }

    /// The multihash of a `p2p` or `certhash` component.
    public var multihash: Multihash? {
        proto == .p2p || proto == .certhash ? try? Multihash(bytes: value) : nil
    }

    /// The path of a `unix` component, or of an `http-path` component when it is UTF-8 (percent-decoded).
    public var path: String? {
        proto == .unix || proto == .httpPath ? String(validating: value, as: UTF8.self) : nil
    }

    /// The public key or its hash in an `onion` (10 bytes) or `onion3` (35 bytes) component.
    public var onionHost: [UInt8]? {
        proto == .onion || proto == .onion3 ? Array(value.dropLast(2)) : nil
    }

    /// An `ip4` component of four bytes.
    ///
    /// - Throws: ``MultiaddrError`` with `invalidValue` when there are not four.
    public static func ip4(_ address: [UInt8]) throws(MultiaddrError) -> Self { try Self(.ip4, value: address) }

    /// An `ip6` component of sixteen bytes.
    ///
    /// - Throws: ``MultiaddrError`` with `invalidValue` when there are not sixteen.
    public static func ip6(_ address: [UInt8]) throws(MultiaddrError) -> Self { try Self(.ip6, value: address) }

    /// A `udp` component.
    public static func udp(_ port: UInt16) -> Self { Self(unchecked: .udp, portBytes(port)) }

    /// A `tcp` component.
    public static func tcp(_ port: UInt16) -> Self { Self(unchecked: .tcp, portBytes(port)) }

    /// The `quic-v1` component.
    public static var quicV1: Self { Self(unchecked: .quicV1, []) }

    /// The `quic` (draft 29) component.
    public static var quic: Self { Self(unchecked: .quic, []) }

    /// The `p2p-circuit` component.
    public static var p2pCircuit: Self { Self(unchecked: .p2pCircuit, []) }

    /// A `p2p` component of the multihash that is a peer ID.
    ///
    /// - Throws: ``MultiaddrError`` with `invalidMultihash` when it is not one of a peer.
    public static func p2p(_ multihash: [UInt8]) throws(MultiaddrError) -> Self { try Self(.p2p, value: multihash) }

    /// A `dns`, `dns4`, `dns6` or `dnsaddr` component.
    ///
    /// - Throws: ``MultiaddrError`` with `missingValue` or `invalidValue`.
    public static func dns(_ name: String, as proto: MultiaddrProtocol = .dns) throws(MultiaddrError) -> Self {
        try Self(proto, text: name)
    }

    /// A `memory` component.
    public static func memory(_ number: UInt64) -> Self {
        var value: [UInt8] = []
        ValueEncoder.appendBigEndian(number, count: 8, to: &value)
        return Self(unchecked: .memory, value)
    }

    private static func portBytes(_ port: UInt16) -> [UInt8] {
        [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]
    }
}
