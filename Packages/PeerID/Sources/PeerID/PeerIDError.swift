/// Why a key, a signature, a peer ID or a key file was not accepted.
///
/// Two errors are equal when their codes are: compare with ``code-swift.property``, show ``message``.
public struct PeerIDError: Error, Sendable {
    /// What kind of thing went wrong. The set is open: more codes may be added.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The stable name of the code, as printed.
        public let description: String

        private init(_ description: String) { self.description = description }

        /// The text is neither a base58btc multihash nor a CIDv1.
        public static let malformedText = Code("malformedText")
        /// The bytes are not a multihash that a peer ID may have.
        public static let malformedMultihash = Code("malformedMultihash")
        /// The CID does not have the `libp2p-key` codec (0x72).
        public static let wrongCodec = Code("wrongCodec")
        /// The key protobuf cannot be decoded.
        public static let malformedProtobuf = Code("malformedProtobuf")
        /// The key type is none of RSA, Ed25519, secp256k1 and ECDSA.
        public static let unsupportedKeyType = Code("unsupportedKeyType")
        /// The key's bytes are not a key of the type they claim to be.
        public static let malformedKey = Code("malformedKey")
        /// The key is well formed but too small or too large to be used.
        public static let keySizeNotAllowed = Code("keySizeNotAllowed")
        /// The private half and the public half do not belong together.
        public static let keyMismatch = Code("keyMismatch")
        /// A key could not be generated.
        public static let generationFailed = Code("generationFailed")
        /// A signature could not be made.
        public static let signingFailed = Code("signingFailed")
        /// The key file does not exist.
        public static let fileNotFound = Code("fileNotFound")
        /// The operating system refused to read or write the key file.
        public static let fileAccess = Code("fileAccess")
        /// The key file is there but holds no key. It was left as it was.
        public static let damagedFile = Code("damagedFile")
    }

    /// What kind of thing went wrong.
    public let code: Code

    /// What went wrong in words, and what to do about it. Never contains key material.
    public let message: String

    /// The error underneath, if another package reported one.
    public let cause: (any Error)?

    /// Makes an error.
    public init(code: Code, message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }
}

extension PeerIDError: Hashable {
    /// Equality on the code alone.
    public static func == (left: PeerIDError, right: PeerIDError) -> Bool { left.code == right.code }

    /// Hashes the code alone, in step with `==`.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}

extension PeerIDError: CustomStringConvertible {
    /// Code, message and cause in one line.
    public var description: String {
        guard let cause else { return "\(code): \(message)" }
        return "\(code): \(message) (\(cause))"
    }
}
