internal import CGnuTLS
internal import SwiftASN1

/// The signature algorithms that a certificate may be signed with: the ones of libp2p's TLS specification, all with a
/// hash of 256 bits or more.
struct CertificateSignature {
    /// What GnuTLS calls the algorithm.
    let algorithm: gnutls_sign_algorithm_t

    /// Finds the algorithm that a certificate names.
    ///
    /// Throws ``TLSError/Code/unsupportedSignatureAlgorithm`` for every other one, among them all with MD5 or SHA-1.
    init(_ identifier: ParsedCertificate.Algorithm, publicKey: ParsedCertificate.Algorithm) throws(TLSError) {
        switch identifier.oid {
        case OID.ecdsaSHA256: algorithm = GNUTLS_SIGN_ECDSA_SHA256
        case OID.ecdsaSHA384: algorithm = GNUTLS_SIGN_ECDSA_SHA384
        case OID.ecdsaSHA512: algorithm = GNUTLS_SIGN_ECDSA_SHA512
        case OID.rsaSHA256: algorithm = GNUTLS_SIGN_RSA_SHA256
        case OID.rsaSHA384: algorithm = GNUTLS_SIGN_RSA_SHA384
        case OID.rsaSHA512: algorithm = GNUTLS_SIGN_RSA_SHA512
        case OID.ed25519: algorithm = GNUTLS_SIGN_EDDSA_ED25519
        case OID.rsaPSS: algorithm = try Self.pss(identifier.parameters, publicKey: publicKey)
        default:
            let weak = OID.weak[identifier.oid]
            let detail = weak.map { "with \($0), which is too weak" } ?? "with the unknown algorithm \(identifier.oid)"
            throw TLSError(
                .unsupportedSignatureAlgorithm,
                "The certificate is signed \(detail); ECDSA, RSA and Ed25519 with SHA-256 or better are accepted."
            )
        }
        let isRSA = [OID.rsaSHA256, OID.rsaSHA384, OID.rsaSHA512].contains(identifier.oid)
        let allowedParameters: [ArraySlice<UInt8>?] = isRSA ? [nil, [5, 0]] : [nil]
        guard identifier.oid == OID.rsaPSS || allowedParameters.contains(identifier.parameters) else {
            throw TLSError(
                .unsupportedSignatureAlgorithm,
                "The certificate's signature algorithm has parameters it may not have."
            )
        }
    }

    /// The RSA-PSS variant with exactly the parameters that TLS 1.3 uses: MGF1 and a salt as long as the hash.
    private static func pss(
        _ parameters: ArraySlice<UInt8>?,
        publicKey: ParsedCertificate.Algorithm
    ) throws(TLSError) -> gnutls_sign_algorithm_t {
        // A key that is itself restricted to PSS and one that is not have different numbers in TLS.
        let isRestricted = publicKey.oid == OID.rsaPSS
        let variants: [(hash: UInt8, salt: UInt8, algorithm: gnutls_sign_algorithm_t)] = [
            (1, 32, isRestricted ? GNUTLS_SIGN_RSA_PSS_SHA256 : GNUTLS_SIGN_RSA_PSS_RSAE_SHA256),
            (2, 48, isRestricted ? GNUTLS_SIGN_RSA_PSS_SHA384 : GNUTLS_SIGN_RSA_PSS_RSAE_SHA384),
            (3, 64, isRestricted ? GNUTLS_SIGN_RSA_PSS_SHA512 : GNUTLS_SIGN_RSA_PSS_RSAE_SHA512),
        ]
        for variant in variants {
            for null in [[], [5, 0]] as [[UInt8]] {
                if parameters == pssParameters(hash: variant.hash, salt: variant.salt, null: null)[...] {
                    return variant.algorithm
                }
            }
        }
        throw TLSError(
            .unsupportedSignatureAlgorithm,
            "The certificate's RSA-PSS parameters are not SHA-256, SHA-384 or SHA-512 with a salt of the same length."
        )
    }

    /// RSASSA-PSS-params (RFC 4055 §3.1) in DER; the NULL after a hash's identifier is written by some and not by others.
    private static func pssParameters(hash: UInt8, salt: UInt8, null: [UInt8]) -> [UInt8] {
        func node(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] { [tag, UInt8(content.count)] + content }
        let hashAlgorithm = node(0x30, [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash] + null)
        let mask = node(0x30, [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8] + hashAlgorithm)
        return node(0x30, node(0xa0, hashAlgorithm) + node(0xa1, mask) + node(0xa2, [2, 1, salt]))
    }

    /// Whether the certificate's own key made its signature.
    func isValid(
        _ signature: ArraySlice<UInt8>,
        over message: ArraySlice<UInt8>,
        by key: borrowing CertificatePublicKey
    ) -> Bool {
        let handle = key.handle
        return withDatum(message) { message in
            withDatum(signature) { signature in
                gnutls_pubkey_verify_data2(handle, algorithm, 0, message, signature) >= 0
            }
        }
    }
}

/// The object identifiers that the certificate checks know.
enum OID {
    static let ecdsaSHA256: ASN1ObjectIdentifier = [1, 2, 840, 10045, 4, 3, 2]
    static let ecdsaSHA384: ASN1ObjectIdentifier = [1, 2, 840, 10045, 4, 3, 3]
    static let ecdsaSHA512: ASN1ObjectIdentifier = [1, 2, 840, 10045, 4, 3, 4]
    static let rsaSHA256: ASN1ObjectIdentifier = [1, 2, 840, 113549, 1, 1, 11]
    static let rsaSHA384: ASN1ObjectIdentifier = [1, 2, 840, 113549, 1, 1, 12]
    static let rsaSHA512: ASN1ObjectIdentifier = [1, 2, 840, 113549, 1, 1, 13]
    static let rsaPSS: ASN1ObjectIdentifier = [1, 2, 840, 113549, 1, 1, 10]
    static let ed25519: ASN1ObjectIdentifier = [1, 3, 101, 112]
    static let rsaKey: ASN1ObjectIdentifier = [1, 2, 840, 113549, 1, 1, 1]
    static let ellipticCurveKey: ASN1ObjectIdentifier = [1, 2, 840, 10045, 2, 1]
    static let namedCurves: Set<ASN1ObjectIdentifier> = [
        [1, 2, 840, 10045, 3, 1, 7], [1, 3, 132, 0, 34], [1, 3, 132, 0, 35],
    ]
    static let basicConstraints: ASN1ObjectIdentifier = [2, 5, 29, 19]
    static let keyUsage: ASN1ObjectIdentifier = [2, 5, 29, 15]
    static let subjectAlternativeName: ASN1ObjectIdentifier = [2, 5, 29, 17]
    static let weak: [ASN1ObjectIdentifier: String] = [
        [1, 2, 840, 113549, 1, 1, 2]: "MD2",
        [1, 2, 840, 113549, 1, 1, 4]: "MD5",
        [1, 2, 840, 113549, 1, 1, 5]: "SHA-1",
        [1, 3, 14, 3, 2, 29]: "SHA-1",
        [1, 2, 840, 10040, 4, 3]: "SHA-1",
        [1, 2, 840, 10045, 4, 1]: "SHA-1",
        [1, 2, 840, 113549, 1, 1, 14]: "SHA-224",
        [1, 2, 840, 10045, 4, 3, 1]: "SHA-224",
    ]
}

/// The key of a certificate: the one owner of a `gnutls_pubkey_t`.
struct CertificatePublicKey: ~Copyable {
    let handle: gnutls_pubkey_t

    /// Imports a certificate's key if it is of a kind and size that is safe to compute with.
    ///
    /// Throws ``TLSError/Code/unsupportedCertificateKey``.
    init(_ certificate: ParsedCertificate) throws(TLSError) {
        try Self.checkKind(certificate.publicKeyAlgorithm)
        var key: gnutls_pubkey_t?
        try check(gnutls_pubkey_init(&key), "Making room for a public key")
        guard let key else { throw TLSError(.gnutls, "GnuTLS made no public key.") }
        let imported = withDatum(certificate.publicKeyInfo) { gnutls_pubkey_import(key, $0, GNUTLS_X509_FMT_DER) }
        if imported >= 0, Self.isSafe(key) {
            handle = key
            return
        }
        gnutls_pubkey_deinit(key)
        throw TLSError(
            .unsupportedCertificateKey,
            "The certificate's key is damaged, or an RSA key outside 2048 to 8192 bits or with an unusual exponent."
        )
    }

    deinit { gnutls_pubkey_deinit(handle) }

    private static func checkKind(_ algorithm: ParsedCertificate.Algorithm) throws(TLSError) {
        switch algorithm.oid {
        case OID.rsaKey, OID.rsaPSS, OID.ed25519: return
        case OID.ellipticCurveKey:
            // The curve must be named: explicit parameters let the peer choose the arithmetic (CVE-2020-0601).
            if let bytes = algorithm.parameters, let curve = try? ASN1ObjectIdentifier(derEncoded: bytes),
                OID.namedCurves.contains(curve)
            {
                return
            }
            throw TLSError(
                .unsupportedCertificateKey,
                "The certificate's key must be on the named curve P-256, P-384 or P-521."
            )
        default:
            throw TLSError(
                .unsupportedCertificateKey,
                "The certificate's key is of the unknown kind \(algorithm.oid); ECDSA, RSA and Ed25519 are accepted."
            )
        }
    }

    /// Refuses RSA numbers that cost an unreasonable time, before anything is computed with them.
    private static func isSafe(_ key: gnutls_pubkey_t) -> Bool {
        var bits: UInt32 = 0
        let kind = gnutls_pubkey_get_pk_algorithm(key, &bits)
        guard kind == GNUTLS_PK_RSA.rawValue || kind == GNUTLS_PK_RSA_PSS.rawValue else { return kind >= 0 }
        guard (2048...8192).contains(bits) else { return false }
        var modulus = gnutls_datum_t()
        var exponent = gnutls_datum_t()
        guard gnutls_pubkey_export_rsa_raw(key, &modulus, &exponent) >= 0 else { return false }
        _ = takeDatum(modulus)
        let significant = takeDatum(exponent).drop { $0 == 0 }
        guard let last = significant.last else { return false }
        return significant.count <= 4 && last & 1 == 1
    }
}
