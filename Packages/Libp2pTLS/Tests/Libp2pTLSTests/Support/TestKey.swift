import CGnuTLS
import Testing

@testable import Libp2pTLS

/// A certificate key for the tests, of kinds that the package would never draw itself.
final class TestKey {
    enum Kind { case p256, p384, p521, ed25519, ed448, rsa1024, rsa2048 }

    let handle: gnutls_x509_privkey_t
    let publicKeyInfo: [UInt8]

    init(_ kind: Kind = .p256) throws {
        var key: gnutls_x509_privkey_t?
        gnutls_x509_privkey_init(&key)
        handle = try #require(key)
        func curve(_ curve: gnutls_ecc_curve_t) -> UInt32 { 1 << 31 | curve.rawValue }
        let (algorithm, bits): (gnutls_pk_algorithm_t, UInt32) =
            switch kind {
            case .p256: (GNUTLS_PK_ECDSA, curve(GNUTLS_ECC_CURVE_SECP256R1))
            case .p384: (GNUTLS_PK_ECDSA, curve(GNUTLS_ECC_CURVE_SECP384R1))
            case .p521: (GNUTLS_PK_ECDSA, curve(GNUTLS_ECC_CURVE_SECP521R1))
            case .ed25519: (GNUTLS_PK_EDDSA_ED25519, curve(GNUTLS_ECC_CURVE_ED25519))
            case .ed448: (GNUTLS_PK_EDDSA_ED448, curve(GNUTLS_ECC_CURVE_ED448))
            case .rsa1024: (GNUTLS_PK_RSA, 1024)
            case .rsa2048: (GNUTLS_PK_RSA, 2048)
            }
        try #require(gnutls_x509_privkey_generate(handle, algorithm, bits, 0) == 0)
        var abstract: gnutls_privkey_t?
        var publicKey: gnutls_pubkey_t?
        gnutls_privkey_init(&abstract)
        gnutls_pubkey_init(&publicKey)
        defer {
            gnutls_privkey_deinit(abstract)
            gnutls_pubkey_deinit(publicKey)
        }
        gnutls_privkey_import_x509(abstract, handle, 0)
        gnutls_pubkey_import_privkey(publicKey, abstract, 0, 0)
        var encoded = gnutls_datum_t()
        try #require(gnutls_pubkey_export2(publicKey, GNUTLS_X509_FMT_DER, &encoded) == 0)
        publicKeyInfo = takeDatum(encoded)
    }

    deinit { gnutls_x509_privkey_deinit(handle) }

    func sign(_ message: [UInt8], _ algorithm: gnutls_sign_algorithm_t) throws -> [UInt8] {
        var abstract: gnutls_privkey_t?
        gnutls_privkey_init(&abstract)
        defer { gnutls_privkey_deinit(abstract) }
        gnutls_privkey_import_x509(abstract, handle, 0)
        var signature = gnutls_datum_t()
        let result = withDatum(message) { gnutls_privkey_sign_data2(abstract, algorithm, 0, $0, &signature) }
        try #require(result == 0, "signing failed: \(result)")
        return takeDatum(signature)
    }
}

/// A signature algorithm as X.509 and GnuTLS write it.
struct TestAlgorithm {
    var identifier: [UInt8]
    var gnutls: gnutls_sign_algorithm_t

    init(_ oid: String, parameters: [UInt8] = [], _ gnutls: gnutls_sign_algorithm_t) {
        identifier = TestDER.sequence(TestDER.oid(oid), parameters)
        self.gnutls = gnutls
    }

    private static let null: [UInt8] = [5, 0]
    static var ecdsaSHA256: TestAlgorithm { .init("1.2.840.10045.4.3.2", GNUTLS_SIGN_ECDSA_SHA256) }
    static var ecdsaSHA384: TestAlgorithm { .init("1.2.840.10045.4.3.3", GNUTLS_SIGN_ECDSA_SHA384) }
    static var ecdsaSHA512: TestAlgorithm { .init("1.2.840.10045.4.3.4", GNUTLS_SIGN_ECDSA_SHA512) }
    static var ecdsaSHA1: TestAlgorithm { .init("1.2.840.10045.4.1", GNUTLS_SIGN_ECDSA_SHA1) }
    static var ecdsaSHA224: TestAlgorithm { .init("1.2.840.10045.4.3.1", GNUTLS_SIGN_ECDSA_SHA224) }
    static var rsaSHA256: TestAlgorithm {
        .init("1.2.840.113549.1.1.11", parameters: null, GNUTLS_SIGN_RSA_SHA256)
    }
    static var rsaSHA1: TestAlgorithm { .init("1.2.840.113549.1.1.5", parameters: null, GNUTLS_SIGN_RSA_SHA1) }
    static var rsaMD5: TestAlgorithm { .init("1.2.840.113549.1.1.4", parameters: null, GNUTLS_SIGN_RSA_MD5) }
    static var ed25519: TestAlgorithm { .init("1.3.101.112", GNUTLS_SIGN_EDDSA_ED25519) }
    static var ed448: TestAlgorithm { .init("1.3.101.113", GNUTLS_SIGN_EDDSA_ED448) }
}
