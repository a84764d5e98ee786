public import PeerID
internal import SwiftASN1

/// The libp2p extension of a certificate: an identity key, and its signature over the certificate's own key.
///
/// This is the one thing that ties a TLS certificate to a peer (libp2p specs, `tls`, "libp2p Public Key Extension"):
/// `SEQUENCE { publicKey OCTET STRING, signature OCTET STRING }` under the object identifier
/// `1.3.6.1.4.1.53594.1.1`.
public struct SignedKeyExtension: Sendable, Hashable {
    /// The object identifier of the extension.
    public static let objectIdentifier = "1.3.6.1.4.1.53594.1.1"
    /// What stands before the certificate's key in the signed message, in ASCII.
    public static let signaturePrefix: [UInt8] = Array("libp2p-tls-handshake:".utf8)

    static let oid: ASN1ObjectIdentifier = [1, 3, 6, 1, 4, 1, 53594, 1, 1]

    /// The identity key, as its libp2p protobuf.
    public var publicKey: [UInt8]
    /// The identity key's signature over ``signaturePrefix`` followed by the DER of the certificate's key.
    public var signature: [UInt8]

    /// Creates the value from its parts, unchecked.
    public init(publicKey: [UInt8], signature: [UInt8]) {
        self.publicKey = publicKey
        self.signature = signature
    }

    /// Signs a certificate's key with an identity.
    ///
    /// - Parameters:
    ///   - publicKeyInfo: the certificate's SubjectPublicKeyInfo in DER.
    ///   - identity: the host's key.
    /// - Throws: ``TLSError/Code/certificateGeneration`` when the identity cannot sign.
    public init(signing publicKeyInfo: [UInt8], with identity: PrivateKey) throws(TLSError) {
        do {
            signature = try identity.sign(Self.signaturePrefix + publicKeyInfo)
        } catch {
            throw TLSError(
                .certificateGeneration,
                "The identity key could not sign the certificate's key.",
                cause: error
            )
        }
        publicKey = identity.publicKey.protobuf
    }

    /// Parses the extension's value: strict DER, nothing after it, no other tag, no indefinite length.
    ///
    /// - Parameter der: the content of the extension's `extnValue`.
    /// - Throws: ``TLSError/Code/malformedExtension``.
    public init(der: [UInt8]) throws(TLSError) { try self.init(der: der[...]) }

    init(der: ArraySlice<UInt8>) throws(TLSError) {
        do {
            self = try DER.sequence(DER.parse(der), identifier: .sequence) { nodes in
                let publicKey = try ASN1OctetString(derEncoded: &nodes)
                let signature = try ASN1OctetString(derEncoded: &nodes)
                return SignedKeyExtension(publicKey: Array(publicKey.bytes), signature: Array(signature.bytes))
            }
        } catch {
            throw TLSError(
                .malformedExtension,
                "The libp2p extension must be the strict DER of SEQUENCE { OCTET STRING, OCTET STRING }.",
                cause: error
            )
        }
    }

    /// The extension's value in DER.
    public var der: [UInt8] {
        var serializer = DER.Serializer()
        serializer.appendConstructedNode(identifier: .sequence) { serializer in
            serializer.appendOctetString(publicKey)
            serializer.appendOctetString(signature)
        }
        return serializer.serializedBytes
    }

    /// Whether the signature was made by `key` over the certificate's key.
    func isValid(for publicKeyInfo: ArraySlice<UInt8>, by key: PublicKey) -> Bool {
        key.isValidSignature(signature, for: Self.signaturePrefix + publicKeyInfo)
    }
}

extension DER.Serializer {
    /// Appends an OCTET STRING; unlike `serialize` this cannot throw.
    mutating func appendOctetString(_ bytes: [UInt8]) {
        appendPrimitiveNode(identifier: .octetString) { $0.append(contentsOf: bytes) }
    }
}
