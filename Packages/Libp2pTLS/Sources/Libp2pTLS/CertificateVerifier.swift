public import PeerID
internal import SwiftASN1

/// The checks that make a certificate mean a peer (libp2p specs, `tls`), as one function of bytes and time.
///
/// Nothing here touches a connection, a clock or any state: the same function serves the handshakes of
/// ``TLSSession``, and anybody who receives a libp2p certificate in another way (WebTransport, TLS over TCP, a file).
public enum CertificateVerifier {
    /// The largest certificate that is looked at, in bytes. The largest honest one, RSA-8192 for everything, has about
    /// 5 KiB.
    public static let maximumCertificateSize = 64 * 1024

    /// The four key types of libp2p: RSA, Ed25519, secp256k1 and ECDSA.
    public static let allKeyTypes: Set<KeyType> = [.rsa, .ed25519, .secp256k1, .ecdsa]

    /// Verifies the chain that a peer presented, which must be exactly one certificate.
    ///
    /// - Parameters:
    ///   - certificateChain: the certificates in DER, as received.
    ///   - unixSeconds: the time to judge the validity by, in seconds since 1970 (UTC).
    ///   - expectedPeer: the peer that was dialled, or `nil` to accept, and find out, anyone.
    ///   - allowedKeyTypes: the identity key types to accept.
    /// - Returns: the peer that the certificate belongs to.
    /// - Throws: ``TLSError`` with ``TLSError/Code/noCertificate``, ``TLSError/Code/chainLength``, or what
    ///   ``verify(certificateDER:at:expecting:allowedKeyTypes:)`` throws.
    public static func verify(
        certificateChain: [[UInt8]],
        at unixSeconds: Int64,
        expecting expectedPeer: PeerID? = nil,
        allowedKeyTypes: Set<KeyType> = allKeyTypes
    ) throws(TLSError) -> VerifiedPeer {
        try verify(
            certificateDER: onlyCertificate(of: certificateChain),
            at: unixSeconds,
            expecting: expectedPeer,
            allowedKeyTypes: allowedKeyTypes
        )
    }

    private static func onlyCertificate(of certificateChain: [[UInt8]]) throws(TLSError) -> [UInt8] {
        guard let certificate = certificateChain.first else {
            throw TLSError(.noCertificate, "The peer presented no certificate; libp2p requires one from both sides.")
        }
        guard certificateChain.count == 1 else {
            throw TLSError(
                .chainLength,
                "The peer presented \(certificateChain.count) certificates; libp2p allows exactly one."
            )
        }
        return certificate
    }

    /// The same, for a host that has seen the certificate before.
    static func verify(
        certificateChain: [[UInt8]],
        at unixSeconds: Int64,
        expecting expectedPeer: PeerID?,
        allowedKeyTypes: Set<KeyType>,
        known: VerifiedCertificates
    ) throws(TLSError) -> VerifiedPeer {
        let certificate = try onlyCertificate(of: certificateChain)
        guard let entry = known.entry(for: certificate) else {
            let (peer, validity) = try examine(certificate, at: unixSeconds, allowedKeyTypes)
            known.store(VerifiedCertificates.Entry(peer: peer, validity: validity))
            try checkExpected(peer, expectedPeer)
            return peer
        }
        try checkValidity(entry.validity, at: unixSeconds)
        try checkKeyType(of: entry.peer.publicKey, allowed: allowedKeyTypes)
        try checkExpected(entry.peer, expectedPeer)
        return entry.peer
    }

    /// Verifies one certificate. The cheap checks come first, so that a bad certificate costs little.
    ///
    /// - Parameters:
    ///   - certificateDER: the certificate in DER.
    ///   - unixSeconds: the time to judge the validity by, in seconds since 1970 (UTC).
    ///   - expectedPeer: the peer that was dialled, or `nil` to accept, and find out, anyone.
    ///   - allowedKeyTypes: the identity key types to accept.
    /// - Returns: the peer that the certificate belongs to.
    /// - Throws: ``TLSError`` with a code of its own for each check, in this order:
    ///   ``TLSError/Code/certificateTooLarge``, ``TLSError/Code/malformedCertificate``,
    ///   ``TLSError/Code/duplicateExtension``, ``TLSError/Code/unsupportedSignatureAlgorithm``,
    ///   ``TLSError/Code/unknownCriticalExtension``, ``TLSError/Code/missingExtension``,
    ///   ``TLSError/Code/malformedExtension``, ``TLSError/Code/notYetValid``, ``TLSError/Code/expired``,
    ///   ``TLSError/Code/badKey``, ``TLSError/Code/keyTypeNotAllowed``,
    ///   ``TLSError/Code/unsupportedCertificateKey``, ``TLSError/Code/selfSignature``,
    ///   ``TLSError/Code/badExtensionSignature``, ``TLSError/Code/peerIDMismatch``.
    public static func verify(
        certificateDER: [UInt8],
        at unixSeconds: Int64,
        expecting expectedPeer: PeerID? = nil,
        allowedKeyTypes: Set<KeyType> = allKeyTypes
    ) throws(TLSError) -> VerifiedPeer {
        let (peer, _) = try examine(certificateDER, at: unixSeconds, allowedKeyTypes)
        try checkExpected(peer, expectedPeer)
        return peer
    }

    /// When a certificate is valid, in seconds since 1970, both inclusive.
    struct Validity: Sendable {
        var notBefore: Int64
        var notAfter: Int64
    }

    /// Every check but that of who was expected.
    private static func examine(
        _ certificateDER: [UInt8],
        at unixSeconds: Int64,
        _ allowedKeyTypes: Set<KeyType>
    ) throws(TLSError) -> (VerifiedPeer, Validity) {
        guard certificateDER.count <= maximumCertificateSize else {
            throw TLSError(
                .certificateTooLarge,
                "The certificate has \(certificateDER.count) bytes; at most \(maximumCertificateSize) are read."
            )
        }
        let certificate = try ParsedCertificate(der: certificateDER)
        let signature = try CertificateSignature(
            certificate.signatureAlgorithm,
            publicKey: certificate.publicKeyAlgorithm
        )
        let signedKey = try checkExtensions(certificate.extensions)
        let validity = Validity(notBefore: certificate.notBefore, notAfter: certificate.notAfter)
        try checkValidity(validity, at: unixSeconds)
        let identity = try identityKey(signedKey, allowed: allowedKeyTypes)

        let certificateKey = try CertificatePublicKey(certificate)
        guard signature.isValid(certificate.signature, over: certificate.toBeSigned, by: certificateKey) else {
            throw TLSError(.selfSignature, "The certificate is not signed by its own key.")
        }
        guard signedKey.isValid(for: certificate.publicKeyInfo, by: identity) else {
            throw TLSError(
                .badExtensionSignature,
                "The identity key in the certificate did not sign the certificate's key: this is not peer "
                    + "\(identity.peerID)."
            )
        }
        return (VerifiedPeer(publicKey: identity, certificateDER: certificateDER), validity)
    }

    private static func checkExpected(_ peer: VerifiedPeer, _ expected: PeerID?) throws(TLSError) {
        guard let expected, expected != peer.peerID else { return }
        var error = TLSError(
            .peerIDMismatch,
            "Peer \(expected) was dialled, but peer \(peer.peerID) answered: correct the /p2p/ part of the address, or "
                + "distrust the address."
        )
        error.expected = expected
        error.actual = peer.peerID
        throw error
    }

    private static func checkExtensions(
        _ extensions: [ParsedCertificate.Extension]
    ) throws(TLSError) -> SignedKeyExtension {
        for entry in extensions where entry.isCritical && !isUnderstood(entry) {
            throw TLSError(
                .unknownCriticalExtension,
                "The certificate has the critical extension \(entry.oid), which is unknown."
            )
        }
        guard let entry = extensions.first(where: { $0.oid == SignedKeyExtension.oid }) else {
            throw TLSError(
                .missingExtension,
                "The certificate has no libp2p extension (\(SignedKeyExtension.objectIdentifier)): the peer does not "
                    + "speak libp2p."
            )
        }
        return try SignedKeyExtension(der: entry.value)
    }

    /// Whether a critical extension is one whose demands are met.
    private static func isUnderstood(_ entry: ParsedCertificate.Extension) -> Bool {
        switch entry.oid {
        case SignedKeyExtension.oid: return true
        // Neither limits a certificate that signs nothing but itself, nor one that is not judged by a name.
        case OID.basicConstraints, OID.subjectAlternativeName: return true
        case OID.keyUsage:
            // digitalSignature, bit 0, is what TLS 1.3 uses the key for.
            guard let usage = try? ASN1BitString(derEncoded: Array(entry.value)) else { return false }
            return usage.bytes.first.map { $0 & 0x80 != 0 } ?? false
        default: return false
        }
    }

    private static func checkValidity(_ certificate: Validity, at now: Int64) throws(TLSError) {
        if now < certificate.notBefore {
            throw TLSError(
                .notYetValid,
                "The certificate is valid only from \(text(certificate.notBefore)); it is \(text(now)) here. "
                    + "Compare the clocks of both hosts."
            )
        }
        if now > certificate.notAfter {
            throw TLSError(
                .expired,
                "The certificate was valid until \(text(certificate.notAfter)); it is \(text(now)) here. "
                    + "Compare the clocks of both hosts, or restart the peer."
            )
        }
    }

    private static func identityKey(
        _ signedKey: SignedKeyExtension,
        allowed: Set<KeyType>
    ) throws(TLSError) -> PublicKey {
        let key: PublicKey
        do {
            key = try PublicKey(protobuf: signedKey.publicKey)
        } catch {
            throw TLSError(.badKey, "The identity key in the certificate is not a valid key.", cause: error)
        }
        try checkKeyType(of: key, allowed: allowed)
        return key
    }

    private static func checkKeyType(of key: PublicKey, allowed: Set<KeyType>) throws(TLSError) {
        guard allowed.contains(key.type) else {
            throw TLSError(
                .keyTypeNotAllowed,
                "The peer's identity key is of type \(key.type), which is not allowed here."
            )
        }
    }

    private static func text(_ unixSeconds: Int64) -> String {
        CalendarTime(unixSeconds: unixSeconds)?.text ?? "\(unixSeconds) s after 1970"
    }
}
