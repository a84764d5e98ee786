internal import CGnuTLS

/// Makes the connection IDs that this side issues, and the stateless reset tokens that go with them.
///
/// An ID is a byte that names its owner, such as the event loop that has the connection, and random bytes:
///
/// ```
///  ┌────────────────────────────┬───────────────────────────┐
///  │ owner XOR PRF(random) (1)  │ random (length − 1)       │
///  └────────────────────────────┴───────────────────────────┘
/// ```
///
/// Without the key the whole looks random and cannot be predicted, and two IDs of one connection cannot be told to
/// belong together (RFC 9000 §5.1); with it, any loop can tell where a datagram belongs that the kernel gave to the
/// wrong one. A reset token is HMAC-SHA256 of the ID (RFC 9000 §10.3.2): the same key gives the same tokens after a
/// restart.
public struct ServerConnectionIDs: Sendable {
    /// The shortest static key, in bytes.
    public static let minimumKeyLength = 32

    /// How long the IDs are, in bytes.
    public let length: Int

    /// The owner that new IDs name.
    public let owner: UInt8

    private let obfuscation: SipHash
    private let resetKey: [UInt8]
    /// Seals the tokens of address validation.
    let tokenKey: [UInt8]

    /// Prepares to make IDs.
    ///
    /// - Parameters:
    ///   - staticKey: At least 32 secret random bytes, kept across restarts. All owners of a socket share it.
    ///   - owner: The owner to name.
    ///   - length: The length of the IDs, 8 to 20 bytes: at least seven of them are random.
    /// - Throws: ``QuicError`` of code ``QuicError/Code/invalidConfiguration`` for a short key or a bad length, and
    ///   ``QuicError/Code/security`` if GnuTLS fails.
    public init(staticKey: [UInt8], owner: UInt8, length: Int = 8) throws(QuicError) {
        guard staticKey.count >= Self.minimumKeyLength else {
            throw .invalidConfiguration(
                field: "endpoint.statelessResetKey",
                "must have at least \(Self.minimumKeyLength) random bytes, or be nil for a random key"
            )
        }
        guard (8...ConnectionID.maximumLength).contains(length) else {
            throw .invalidConfiguration(field: "connectionIDLength", "must be between 8 and 20 bytes")
        }
        self.owner = owner
        self.length = length
        // A key for each purpose: no use tells anything about the others.
        let seed = try Self.hmac(key: staticKey, Array("libp2p quic connection id owner".utf8))
        resetKey = try Self.hmac(key: staticKey, Array("libp2p quic stateless reset".utf8))
        tokenKey = try Self.hmac(key: staticKey, Array("libp2p quic address token".utf8))
        obfuscation = SipHash(Self.word(seed[..<8]), Self.word(seed[8..<16]))
    }

    /// Prepares to make IDs with a key derived from another, for one of several uses of it.
    ///
    /// - Parameters:
    ///   - staticKey: At least 32 secret random bytes, kept across restarts.
    ///   - purpose: What sets this use apart from others, such as the address of the socket.
    ///   - owner: The owner to name.
    /// - Throws: As ``init(staticKey:owner:length:)``.
    public init(staticKey: [UInt8], purpose: String, owner: UInt8) throws(QuicError) {
        guard staticKey.count >= Self.minimumKeyLength else {
            try self.init(staticKey: staticKey, owner: owner)
            return
        }
        try self.init(staticKey: try Self.hmac(key: staticKey, Array(purpose.utf8)), owner: owner)
    }

    /// A random key for those who configure none.
    public static func randomKey(using generator: inout some RandomNumberGenerator) -> [UInt8] {
        (0..<minimumKeyLength).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    /// Makes a new ID.
    ///
    /// - Parameter generator: Where the random bytes come from; outside of tests, a cryptographically secure one such
    ///   as `SystemRandomNumberGenerator`.
    public func make(using generator: inout some RandomNumberGenerator) -> ConnectionID {
        withUnsafeTemporaryAllocation(byteCount: length, alignment: 1) { bytes in
            var word: UInt64 = 0
            for index in 1..<length {
                if index & 7 == 1 { word = generator.next() }
                bytes[index] = UInt8(truncatingIfNeeded: word)
                word >>= 8
            }
            bytes[0] = owner ^ UInt8(truncatingIfNeeded: obfuscation(bytes[1...]))
            return ConnectionID(UnsafeRawBufferPointer(bytes)) ?? .empty
        }
    }

    /// The owner that an ID names, if this side's key made it. Any ID of the right length names some owner: what comes
    /// from the network may be anything.
    ///
    /// - Returns: `nil` if the ID has another length than ``length``.
    public func owner(of id: ConnectionID) -> UInt8? {
        guard id.count == length else { return nil }
        return id.withUnsafeBytes { $0[0] ^ UInt8(truncatingIfNeeded: obfuscation($0[1...])) }
    }

    /// The stateless reset token of an ID.
    ///
    /// - Throws: ``QuicError`` of code ``QuicError/Code/security`` if GnuTLS fails.
    public func resetToken(for id: ConnectionID) throws(QuicError) -> StatelessResetToken {
        let digest = try Self.hmac(key: resetKey, id.bytes)
        let token = digest.withUnsafeBytes {
            StatelessResetToken(UnsafeRawBufferPointer(rebasing: $0[..<StatelessResetToken.length]))
        }
        guard let token else { throw QuicError(.internal, "HMAC-SHA256 gave too few bytes; please report this") }
        return token
    }

    /// Eight bytes as a little-endian number.
    private static func word(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// HMAC-SHA256.
    private static func hmac(key: [UInt8], _ message: [UInt8]) throws(QuicError) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        let result = gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, key.count, message, message.count, &digest)
        guard result >= 0 else {
            throw QuicError(.security, "GnuTLS cannot compute HMAC-SHA256; check its FIPS mode and installation")
        }
        return digest
    }
}
