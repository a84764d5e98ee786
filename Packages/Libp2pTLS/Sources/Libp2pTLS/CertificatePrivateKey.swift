internal import CGnuTLS

/// The ephemeral key of a certificate: the one owner of a `gnutls_x509_privkey_t`, which GnuTLS wipes when it is freed.
final class CertificatePrivateKey {
    let kind: CertificateKeyKind
    /// The key for `gnutls_certificate_set_x509_key`; valid while this object lives.
    let handle: gnutls_x509_privkey_t
    /// The public half as SubjectPublicKeyInfo in DER.
    let publicKeyInfo: [UInt8]

    /// Draws a key.
    ///
    /// Throws ``TLSError/Code/certificateGeneration``.
    init(kind: CertificateKeyKind) throws(TLSError) {
        self.kind = kind
        var key: gnutls_x509_privkey_t?
        try check(gnutls_x509_privkey_init(&key), "Making room for a key", code: .certificateGeneration)
        guard let key else { throw TLSError(.certificateGeneration, "GnuTLS made no private key.") }
        do throws(TLSError) {
            let (algorithm, bits) = kind.generationParameters
            try check(
                gnutls_x509_privkey_generate(key, algorithm, bits, 0),
                "Generating a \(kind) key",
                code: .certificateGeneration
            )
            publicKeyInfo = try Self.exportPublicKey(of: key)
        } catch {
            gnutls_x509_privkey_deinit(key)
            throw error
        }
        handle = key
    }

    deinit { gnutls_x509_privkey_deinit(handle) }

    /// Signs with the hash that belongs to the kind of key.
    func sign(_ message: [UInt8]) throws(TLSError) -> [UInt8] {
        var key: gnutls_privkey_t?
        try check(gnutls_privkey_init(&key), "Making room for a key", code: .certificateGeneration)
        defer { gnutls_privkey_deinit(key) }
        try check(gnutls_privkey_import_x509(key, handle, 0), "Importing the key", code: .certificateGeneration)
        var signature = gnutls_datum_t()
        let result = withDatum(message) { gnutls_privkey_sign_data2(key, kind.signature, 0, $0, &signature) }
        try check(result, "Signing the certificate", code: .certificateGeneration)
        return takeDatum(signature)
    }

    private static func exportPublicKey(of key: gnutls_x509_privkey_t) throws(TLSError) -> [UInt8] {
        var privateKey: gnutls_privkey_t?
        try check(gnutls_privkey_init(&privateKey), "Making room for a key", code: .certificateGeneration)
        defer { gnutls_privkey_deinit(privateKey) }
        try check(gnutls_privkey_import_x509(privateKey, key, 0), "Importing the key", code: .certificateGeneration)
        var publicKey: gnutls_pubkey_t?
        try check(gnutls_pubkey_init(&publicKey), "Making room for a key", code: .certificateGeneration)
        defer { gnutls_pubkey_deinit(publicKey) }
        try check(
            gnutls_pubkey_import_privkey(publicKey, privateKey, 0, 0),
            "Deriving the public key",
            code: .certificateGeneration
        )
        var encoded = gnutls_datum_t()
        try check(
            gnutls_pubkey_export2(publicKey, GNUTLS_X509_FMT_DER, &encoded),
            "Encoding the public key",
            code: .certificateGeneration
        )
        return takeDatum(encoded)
    }
}

extension CertificateKeyKind {
    /// What GnuTLS needs to know to draw a key.
    fileprivate var generationParameters: (gnutls_pk_algorithm_t, UInt32) {
        // The high bit marks a curve: GNUTLS_CURVE_TO_BITS, a macro that Swift does not import.
        func bits(_ curve: gnutls_ecc_curve_t) -> UInt32 { 1 << 31 | curve.rawValue }
        return self == .ed25519
            ? (GNUTLS_PK_EDDSA_ED25519, bits(GNUTLS_ECC_CURVE_ED25519))
            : (GNUTLS_PK_ECDSA, bits(GNUTLS_ECC_CURVE_SECP256R1))
    }

    fileprivate var signature: gnutls_sign_algorithm_t {
        self == .ed25519 ? GNUTLS_SIGN_EDDSA_ED25519 : GNUTLS_SIGN_ECDSA_SHA256
    }

    /// The AlgorithmIdentifier of the signature, in DER.
    var algorithmIdentifier: [UInt8] {
        self == .ed25519
            ? [0x30, 5, 6, 3, 0x2b, 0x65, 0x70]
            : [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]
    }
}
