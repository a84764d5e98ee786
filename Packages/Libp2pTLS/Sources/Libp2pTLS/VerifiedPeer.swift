public import PeerID

/// Who a certificate belongs to: the result of a successful verification.
public struct VerifiedPeer: Sendable, Hashable {
    /// The peer's ID, derived from ``publicKey``.
    public var peerID: PeerID
    /// The identity key that vouches for the certificate.
    public var publicKey: PublicKey
    /// The certificate that was verified, in DER.
    public var certificateDER: [UInt8]

    /// Creates the value; ``CertificateVerifier`` and ``TLSSession`` are what makes it in practice.
    ///
    /// - Parameters:
    ///   - publicKey: the identity key.
    ///   - certificateDER: the certificate in DER.
    public init(publicKey: PublicKey, certificateDER: [UInt8]) {
        self.peerID = publicKey.peerID
        self.publicKey = publicKey
        self.certificateDER = certificateDER
    }
}
