/// What can be read of a packet without keys: the version-independent properties of QUIC (RFC 8999) and the long headers
/// of versions 1 and 2 (RFC 9000 §17.2, RFC 9369 §3.2).
///
/// Connection IDs and tokens are given as ranges of bytes in the datagram too, because those of unknown versions may be
/// longer than a ``ConnectionID`` holds and still have to be echoed in a Version Negotiation packet.
public struct PacketHeader: Sendable, Hashable {
    /// The type of a packet.
    public enum Kind: Sendable, Hashable {
        /// An Initial packet.
        case initial
        /// A 0-RTT packet.
        case zeroRTT
        /// A Handshake packet.
        case handshake
        /// A Retry packet.
        case retry
        /// A Version Negotiation packet: a long header with version 0.
        case versionNegotiation
        /// A long header of a version that is not known here; only version and connection IDs could be read.
        case unknownVersion
        /// A packet with a short header.
        case short
    }

    /// The type of the packet.
    public let kind: Kind

    /// The version; `nil` for a short header.
    public let version: QuicVersion?

    /// The destination connection ID; `nil` only if it is longer than ``ConnectionID/maximumLength``, which happens
    /// with ``Kind/unknownVersion`` and ``Kind/versionNegotiation``.
    public let destinationID: ConnectionID?

    /// The source connection ID; `nil` for a short header, and if it is longer than ``ConnectionID/maximumLength``.
    public let sourceID: ConnectionID?

    /// Where the destination connection ID lies in the datagram.
    public let destinationIDRange: Range<Int>

    /// Where the source connection ID lies in the datagram; empty for a short header.
    public let sourceIDRange: Range<Int>

    /// Where the token of an Initial or Retry packet lies in the datagram; `nil` for other types.
    public let tokenRange: Range<Int>?

    /// Where the packet ends in the datagram; what follows is another, coalesced packet (RFC 9000 §12.2).
    public let end: Int

    /// Whether the header is a long one.
    public var isLong: Bool { kind != .short }

    /// Whether clients send packets of this type to a connection ID of their own choice (Initial and 0-RTT).
    public var mayBearInitialID: Bool { kind == .initial || kind == .zeroRTT }

    /// Reads the header of the first packet of a datagram.
    ///
    /// - Parameters:
    ///   - datagram: The whole UDP payload.
    ///   - shortHeaderIDLength: How long the connection IDs are that this side issues: short headers do not say it.
    ///   - requiringFixedBit: Whether a packet with a clear fixed bit is refused. Not when this side has told its peers
    ///     that they may clear it (RFC 9287), as ngtcp2 0.x always does.
    /// - Throws: ``QuicError`` of code ``QuicError/Code/malformedPacket``. Such a datagram is to be dropped.
    public init(
        parsing datagram: UnsafeRawBufferPointer,
        shortHeaderIDLength: Int,
        requiringFixedBit: Bool = true
    ) throws(QuicError) {
        var reader = HeaderReader(datagram)
        guard let first = reader.takeByte() else { throw Self.malformed("the datagram is empty") }
        let mask: UInt8 = requiringFixedBit ? 0 : 0x40
        if first & 0x80 == 0 {
            try self.init(short: first | mask, &reader, idLength: shortHeaderIDLength)
        } else {
            try self.init(long: first | mask, &reader)
        }
    }

    /// Reads the header of the first packet of a datagram given as a span.
    ///
    /// - Parameters:
    ///   - datagram: The whole UDP payload.
    ///   - shortHeaderIDLength: How long the connection IDs are that this side issues.
    /// - Throws: ``QuicError`` of code ``QuicError/Code/malformedPacket``. Such a datagram is to be dropped.
    public init(parsing datagram: RawSpan, shortHeaderIDLength: Int) throws(QuicError) {
        self = try datagram.withUnsafeBytes { (bytes) throws(QuicError) -> PacketHeader in
            try PacketHeader(parsing: bytes, shortHeaderIDLength: shortHeaderIDLength)
        }
    }

    private init(short first: UInt8, _ reader: inout HeaderReader, idLength: Int) throws(QuicError) {
        guard first & 0x40 != 0 else { throw Self.malformed("the fixed bit is clear") }
        guard let range = reader.take(idLength) else { throw Self.malformed("the packet ends inside its header") }
        kind = .short
        version = nil
        destinationID = reader.id(range)
        sourceID = nil
        destinationIDRange = range
        sourceIDRange = range.upperBound..<range.upperBound
        tokenRange = nil
        end = reader.bytes.count
    }

    private init(long first: UInt8, _ reader: inout HeaderReader) throws(QuicError) {
        guard let number = reader.takeUInt32(), let destination = reader.takePrefixedByByte(),
            let source = reader.takePrefixedByByte()
        else { throw Self.malformed("the packet ends inside its header") }
        let version = QuicVersion(rawValue: number)
        let kind = Self.kind(first: first, version: version)

        var token: Range<Int>?
        var end = reader.bytes.count
        switch kind {
        case .initial, .zeroRTT, .handshake, .retry:
            guard first & 0x40 != 0 else { throw Self.malformed("the fixed bit is clear") }
            guard destination.count <= ConnectionID.maximumLength, source.count <= ConnectionID.maximumLength else {
                throw Self.malformed("a connection ID is longer than 20 bytes")
            }
            if kind == .retry {
                // The integrity tag of 16 bytes follows the token (RFC 9000 §17.2.5).
                guard let tagStart = reader.remaining.dropLast(16, atLeast: 16) else {
                    throw Self.malformed("the packet ends inside its header")
                }
                token = reader.remaining.lowerBound..<tagStart
            } else {
                if kind == .initial {
                    guard let range = reader.takePrefixedByVarint() else {
                        throw Self.malformed("the packet ends inside its token")
                    }
                    token = range
                }
                guard let payload = reader.takePrefixedByVarint() else {
                    throw Self.malformed("the packet is longer than its datagram")
                }
                end = payload.upperBound
            }
        case .versionNegotiation, .unknownVersion, .short:
            break
        }
        self.kind = kind
        self.version = version
        self.end = end
        destinationID = reader.id(destination)
        sourceID = reader.id(source)
        destinationIDRange = destination
        sourceIDRange = source
        tokenRange = token
    }

    private static func kind(first: UInt8, version: QuicVersion) -> Kind {
        if version == .negotiation { return .versionNegotiation }
        guard version == .v2 || version.hasHeadersOfV1 else { return .unknownVersion }
        // Version 2 counts the types from 1 where version 1 counts from 0.
        switch (first >> 4 &- (version == .v2 ? 1 : 0)) & 3 {
        case 0: return .initial
        case 1: return .zeroRTT
        case 2: return .handshake
        default: return .retry
        }
    }

    private static func malformed(_ message: String) -> QuicError {
        QuicError(.malformedPacket, message)
    }
}

extension QuicVersion {
    /// Whether long headers look as those of version 1 do: version 1 itself and the drafts from 29 on.
    var hasHeadersOfV1: Bool { self == .v1 || (0xff00_001d...0xff00_0022).contains(rawValue) }
}

extension Range<Int> {
    /// The upper bound less `count`, or `nil` if the range has fewer than `minimum` elements.
    fileprivate func dropLast(_ count: Int, atLeast minimum: Int) -> Int? {
        self.count >= minimum ? upperBound - count : nil
    }
}

/// Reads the fields of a header one after another. Every length is checked before it is used.
private struct HeaderReader {
    let bytes: UnsafeRawBufferPointer
    private var offset = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var remaining: Range<Int> { offset..<bytes.count }

    mutating func take(_ count: Int) -> Range<Int>? {
        guard count >= 0, count <= bytes.count - offset else { return nil }
        defer { offset += count }
        return offset..<offset + count
    }

    mutating func takeByte() -> UInt8? {
        guard let range = take(1) else { return nil }
        return bytes[range.lowerBound]
    }

    mutating func takeUInt32() -> UInt32? {
        guard let range = take(4) else { return nil }
        return range.reduce(0) { $0 << 8 | UInt32(bytes[$1]) }
    }

    /// A variable-length integer (RFC 9000 §16).
    mutating func takeVarint() -> UInt64? {
        guard offset < bytes.count, let range = take(1 << Int(bytes[offset] >> 6)) else { return nil }
        return range.dropFirst().reduce(UInt64(bytes[range.lowerBound] & 0x3f)) { $0 << 8 | UInt64(bytes[$1]) }
    }

    mutating func takePrefixedByByte() -> Range<Int>? {
        guard let count = takeByte() else { return nil }
        return take(Int(count))
    }

    mutating func takePrefixedByVarint() -> Range<Int>? {
        guard let count = takeVarint() else { return nil }
        return take(Int(clamping: count))
    }

    func id(_ range: Range<Int>) -> ConnectionID? {
        ConnectionID(UnsafeRawBufferPointer(rebasing: bytes[range]))
    }
}
