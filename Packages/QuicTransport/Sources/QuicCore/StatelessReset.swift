/// The secret by which a peer recognises a stateless reset: 16 bytes (RFC 9000 §10.3).
public struct StatelessResetToken: Sendable {
    /// The length of a token in bytes.
    public static let length = 16

    private var first: UInt64 = 0
    private var second: UInt64 = 0

    /// Copies a token.
    ///
    /// - Returns: `nil` unless there are 16 bytes.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.length else { return nil }
        first = bytes.loadUnaligned(as: UInt64.self)
        second = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    }

    /// The bytes, copied.
    public var bytes: [UInt8] {
        withUnsafeBytes { [UInt8]($0) }
    }

    /// Gives access to the bytes without a copy. The buffer must not escape from `body`.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        Swift.withUnsafeBytes(of: (first, second), body)
    }
}

extension StatelessResetToken: Hashable {
    /// Whether two tokens are equal; takes the same time wherever they differ (RFC 9000 §10.3.1).
    public static func == (left: StatelessResetToken, right: StatelessResetToken) -> Bool {
        (left.first ^ right.first) | (left.second ^ right.second) == 0
    }

    /// Feeds the bytes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(first)
        hasher.combine(second)
    }
}

/// The shape of stateless resets (RFC 9000 §10.3).
public enum StatelessReset {
    /// The shortest packet that is a stateless reset: 5 bytes that look random, and the token.
    public static let minimumLength = 5 + StatelessResetToken.length

    /// What looks like the shortest packet of most connections; a reset is no longer than that (RFC 9000 §10.3.3).
    public static let usualLength = 43

    /// How long the answer to a packet for an unknown connection may be.
    ///
    /// It is shorter than what it answers, so that two endpoints which have both lost their state do not answer each
    /// other for ever (RFC 9000 §10.3.3). The caller limits how often it answers.
    ///
    /// - Parameters:
    ///   - header: The header of the packet to answer.
    ///   - datagramLength: The length of the datagram that it came in.
    /// - Returns: `nil` if the packet must not be answered: it is too short, or has a long header and so belongs to a
    ///   handshake that fails by itself.
    public static func length(answering header: PacketHeader, datagramLength: Int) -> Int? {
        guard header.kind == .short, datagramLength > minimumLength else { return nil }
        return min(datagramLength - 1, usualLength)
    }

    /// Writes a stateless reset: the first bits of a short header, random bits, and the token.
    ///
    /// - Parameters:
    ///   - token: The token of the connection ID that the answered packet was sent to.
    ///   - length: What ``length(answering:datagramLength:)`` says; shorter ones are made ``minimumLength``.
    ///   - generator: Where the random bits come from.
    public static func packet(
        token: StatelessResetToken,
        length: Int,
        using generator: inout some RandomNumberGenerator
    ) -> [UInt8] {
        let unpredictable = max(length, minimumLength) - StatelessResetToken.length
        var packet = (0..<unpredictable).map { _ in UInt8.random(in: 0...255, using: &generator) }
        packet[0] = packet[0] & 0x3f | 0x40
        token.withUnsafeBytes { packet.append(contentsOf: $0) }
        return packet
    }

    /// The token at the end of a datagram that might be a stateless reset, to be compared with those known.
    ///
    /// - Returns: `nil` if the datagram is too short or starts with a long header.
    public static func candidateToken(in datagram: UnsafeRawBufferPointer) -> StatelessResetToken? {
        guard datagram.count >= minimumLength, datagram[0] & 0x80 == 0 else { return nil }
        return StatelessResetToken(UnsafeRawBufferPointer(rebasing: datagram.suffix(StatelessResetToken.length)))
    }
}
