import PeerID

@testable import Libp2pTLS

/// A certificate whose every part can be made wrong. As it stands after `init`, it is a correct one.
struct TestCertificate {
    struct Extension {
        var oid: String
        /// The encoded BOOLEAN, or nothing.
        var critical: [UInt8] = []
        var value: [UInt8]

        var der: [UInt8] { TestDER.sequence(TestDER.oid(oid), critical, TestDER.octets(value)) }
    }

    static let isCritical: [UInt8] = [1, 1, 0xff]
    /// A time inside the validity.
    static let now: Int64 = 1_800_000_000

    var key: TestKey
    var identity: PrivateKey
    var version: [UInt8] = TestDER.node(0xa0, [2, 1, 2])
    var serial: [UInt8] = [2, 1, 42]
    var algorithm = TestAlgorithm.ecdsaSHA256
    /// The algorithm named beside the signature; nil for the same.
    var outerAlgorithm: [UInt8]?
    var name: [UInt8] = TestDER.sequence()
    /// The issuer's name; nil for the subject's own.
    var issuer: [UInt8]?
    var notBefore = TestDER.utcTime("260101000000Z")
    var notAfter = TestDER.utcTime("280101000000Z")
    var publicKeyInfo: [UInt8]
    var uniqueIDs: [UInt8] = []
    var extensions: [Extension] = []
    /// Applied to the signature before it is attached.
    var tamper: ([UInt8]) -> [UInt8] = { $0 }

    init(_ identity: PrivateKey, key: TestKey) throws {
        self.identity = identity
        self.key = key
        publicKeyInfo = key.publicKeyInfo
        extensions = [Extension(oid: SignedKeyExtension.objectIdentifier, value: try signedKey())]
    }

    /// The value of a libp2p extension; the parameters make it wrong.
    func signedKey(prefix: String = "libp2p-tls-handshake:", by signer: PrivateKey? = nil) throws -> [UInt8] {
        let signature = try (signer ?? identity).sign(Array(prefix.utf8) + publicKeyInfo)
        return TestDER.sequence(TestDER.octets(identity.publicKey.protobuf), TestDER.octets(signature))
    }

    var toBeSigned: [UInt8] {
        var list: [UInt8] = []
        if !extensions.isEmpty {
            list = TestDER.node(0xa3, TestDER.sequence(extensions.flatMap(\.der)))
        }
        return TestDER.sequence(
            version,
            serial,
            algorithm.identifier,
            issuer ?? name,
            TestDER.sequence(notBefore, notAfter),
            name,
            publicKeyInfo,
            uniqueIDs,
            list
        )
    }

    func der() throws -> [UInt8] {
        let signature = tamper(try key.sign(toBeSigned, algorithm.gnutls))
        return TestDER.sequence(toBeSigned, outerAlgorithm ?? algorithm.identifier, TestDER.bits(signature))
    }
}

/// The code with which the verifier refuses a certificate, or nil when it accepts it.
func refusal(
    of der: [UInt8],
    at time: Int64 = TestCertificate.now,
    expecting peer: PeerID? = nil,
    allowed: Set<KeyType> = CertificateVerifier.allKeyTypes
) -> TLSError.Code? {
    do throws(TLSError) {
        _ = try CertificateVerifier.verify(
            certificateDER: der,
            at: time,
            expecting: peer,
            allowedKeyTypes: allowed
        )
        return nil
    } catch {
        return error.code
    }
}
