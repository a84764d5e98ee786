/// The type of a key, as the `KeyType` enumeration of the libp2p peer-ids specification numbers it.
///
/// The set is open because the number comes from the wire; ``isSupported`` tells the four known ones.
public struct KeyType: RawRepresentable, Sendable, Hashable {
    /// The number in the key protobuf's first field.
    public let rawValue: UInt64

    /// A key type by its number, known or not.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// RSA, 2048 to 8192 bits; PKCS#1 v1.5 signatures over SHA-256.
    public static let rsa = KeyType(rawValue: 0)
    /// Ed25519 (RFC 8032). The type to use unless there is a reason not to.
    public static let ed25519 = KeyType(rawValue: 1)
    /// ECDSA on secp256k1 over SHA-256, as Bitcoin does it: DER, low S.
    public static let secp256k1 = KeyType(rawValue: 2)
    /// ECDSA on P-256, P-384 or P-521 over SHA-256, ASN.1 signatures.
    public static let ecdsa = KeyType(rawValue: 3)

    /// Whether this package can make and check signatures of this type.
    public var isSupported: Bool { rawValue <= 3 }
}

extension KeyType: CustomStringConvertible {
    /// The name the specification gives the type, or its number.
    public var description: String {
        switch self {
        case .rsa: "RSA"
        case .ed25519: "Ed25519"
        case .secp256k1: "Secp256k1"
        case .ecdsa: "ECDSA"
        default: "key type \(rawValue)"
        }
    }
}

/// A curve of an ECDSA key.
public enum ECDSACurve: Sendable, Hashable, CaseIterable {
    /// NIST P-256 (secp256r1), the one that every implementation has.
    case p256
    /// NIST P-384 (secp384r1).
    case p384
    /// NIST P-521 (secp521r1).
    case p521
}
