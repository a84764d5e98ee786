import PeerID
import Testing

@testable import Libp2pTLS

@Suite struct VerifierTests {
    let identity = PrivateKey.ed25519()
    let good: TestCertificate

    init() throws { good = try TestCertificate(identity, key: TestKey()) }

    /// The refusal of the good certificate after a change.
    func refusal(_ change: (inout TestCertificate) throws -> Void) throws -> TLSError.Code? {
        var certificate = good
        try change(&certificate)
        return Libp2pTLSTests.refusal(of: try certificate.der())
    }

    /// The refusal of the good certificate with another value in its libp2p extension.
    func refusal(ofExtension value: [UInt8]) throws -> TLSError.Code? {
        try refusal { $0.extensions[0].value = value }
    }

    @Test func correctCertificateNamesItsPeer() throws {
        let peer = try CertificateVerifier.verify(certificateDER: good.der(), at: TestCertificate.now)
        #expect(peer.peerID == identity.peerID && peer.publicKey == identity.publicKey)
    }

    @Test func everyIdentityKeyTypeIsAccepted() throws {
        for identity in try [PrivateKey.ed25519(), .secp256k1(), .ecdsa(), .rsa()] {
            let certificate = try TestCertificate(identity, key: TestKey())
            let peer = try CertificateVerifier.verify(certificateDER: certificate.der(), at: TestCertificate.now)
            #expect(peer.peerID == identity.peerID)
        }
    }

    @Test func everyCertificateKeyTypeOfTheSpecificationIsAccepted() throws {
        let kinds: [(TestKey.Kind, TestAlgorithm)] = [
            (.p256, .ecdsaSHA256), (.p384, .ecdsaSHA384), (.p521, .ecdsaSHA512), (.p384, .ecdsaSHA256),
            (.ed25519, .ed25519), (.rsa2048, .rsaSHA256),
        ]
        for (kind, algorithm) in kinds {
            var certificate = try TestCertificate(identity, key: TestKey(kind))
            certificate.algorithm = algorithm
            #expect(Libp2pTLSTests.refusal(of: try certificate.der()) == nil, "\(kind)")
        }
    }

    @Test func extensionMayBeCriticalOrNot() throws {
        #expect(try refusal { $0.extensions[0].critical = TestCertificate.isCritical } == nil)
        #expect(try refusal { $0.extensions[0].critical = [] } == nil)
    }

    // MARK: Who

    @Test func unexpectedPeerIsRefusedAndBothIDsAreNamed() throws {
        let other = PrivateKey.ed25519().peerID
        do {
            _ = try CertificateVerifier.verify(certificateDER: good.der(), at: TestCertificate.now, expecting: other)
            Issue.record("accepted")
        } catch let error as TLSError {
            #expect(error.code == .peerIDMismatch && error.expected == other && error.actual == identity.peerID)
            #expect(error.message.contains(other.description) && error.message.contains(identity.peerID.description))
        }
        #expect(Libp2pTLSTests.refusal(of: try good.der(), expecting: identity.peerID) == nil)
    }

    @Test func keyTypeThatIsNotAllowedIsRefused() throws {
        #expect(Libp2pTLSTests.refusal(of: try good.der(), allowed: [.rsa, .secp256k1]) == .keyTypeNotAllowed)
        #expect(Libp2pTLSTests.refusal(of: try good.der(), allowed: [.ed25519]) == nil)
    }

    // MARK: The chain

    @Test func chainMustBeExactlyOneCertificate() throws {
        let der = try good.der()
        for count in [0, 2, 100] {
            let code: TLSError.Code?
            do throws(TLSError) {
                _ = try CertificateVerifier.verify(
                    certificateChain: Array(repeating: der, count: count),
                    at: TestCertificate.now
                )
                code = nil
            } catch { code = error.code }
            #expect(code == (count == 0 ? .noCertificate : .chainLength))
        }
        _ = try CertificateVerifier.verify(certificateChain: [der], at: TestCertificate.now)
    }

    @Test func largeCertificateIsRefusedBeforeItIsParsed() throws {
        let size = CertificateVerifier.maximumCertificateSize
        #expect(Libp2pTLSTests.refusal(of: [UInt8](repeating: 0x30, count: size + 1)) == .certificateTooLarge)
        #expect(Libp2pTLSTests.refusal(of: [UInt8](repeating: 0x30, count: 1 << 20)) == .certificateTooLarge)
        let padding = TestCertificate.Extension(oid: "1.2.3.4", value: [UInt8](repeating: 7, count: 1 << 20))
        #expect(try refusal { $0.extensions.append(padding) } == .certificateTooLarge)
    }

    // MARK: Time

    @Test func validityIsInclusiveAndChecked() throws {
        let der = try good.der()
        let first: Int64 = 1_767_225_600  // 2026-01-01T00:00:00Z
        let last: Int64 = 1_830_297_600  // 2028-01-01T00:00:00Z
        #expect(Libp2pTLSTests.refusal(of: der, at: first - 1) == .notYetValid)
        #expect(Libp2pTLSTests.refusal(of: der, at: first) == nil)
        #expect(Libp2pTLSTests.refusal(of: der, at: last) == nil)
        #expect(Libp2pTLSTests.refusal(of: der, at: last + 1) == .expired)
        #expect(Libp2pTLSTests.refusal(of: der, at: .min) == .notYetValid)
        #expect(Libp2pTLSTests.refusal(of: der, at: .max) == .expired)
    }

    @Test func distantYearsAreUnderstood() throws {
        #expect(try refusal { $0.notAfter = TestDER.generalizedTime("40960101130000Z") } == nil)
        #expect(try refusal { $0.notAfter = TestDER.generalizedTime("99991231235959Z") } == nil)
        #expect(try refusal { $0.notBefore = TestDER.generalizedTime("40960101130000Z") } == .notYetValid)
        #expect(try refusal { $0.notAfter = TestDER.generalizedTime("00010101000000Z") } == .expired)
        #expect(try refusal { $0.notBefore = TestDER.utcTime("500101000000Z") } == nil)
        #expect(try refusal { $0.notAfter = TestDER.utcTime("991231235959Z") } == .expired)
    }

    @Test(arguments: ["261301000000Z", "260230000000Z", "2601010000Z", "260101000000", "260101000000+0100", "", "x"])
    func timeThatIsNoTimeIsMalformed(_ text: String) throws {
        #expect(try refusal { $0.notBefore = TestDER.utcTime(text) } == .malformedCertificate)
    }

    @Test func fractionsOfSecondsAreMalformed() throws {
        #expect(try refusal { $0.notAfter = TestDER.generalizedTime("20280101000000.5Z") } == .malformedCertificate)
    }

    // MARK: Signatures

    @Test func weakSignatureAlgorithmsAreRefusedEvenWhenTheyVerify() throws {
        #expect(try refusal { $0.algorithm = .ecdsaSHA1 } == .unsupportedSignatureAlgorithm)
        #expect(try refusal { $0.algorithm = .ecdsaSHA224 } == .unsupportedSignatureAlgorithm)
        var rsa = try TestCertificate(identity, key: TestKey(.rsa2048))
        rsa.algorithm = .rsaSHA1
        #expect(Libp2pTLSTests.refusal(of: try rsa.der()) == .unsupportedSignatureAlgorithm)
        rsa.algorithm = .rsaMD5
        #expect(Libp2pTLSTests.refusal(of: try rsa.der()) == .unsupportedSignatureAlgorithm)
    }

    @Test func unknownSignatureAlgorithmsAreRefused() throws {
        var certificate = try TestCertificate(identity, key: TestKey(.ed448))
        certificate.algorithm = .ed448
        #expect(Libp2pTLSTests.refusal(of: try certificate.der()) == .unsupportedSignatureAlgorithm)
        #expect(
            try refusal { $0.algorithm.identifier = TestDER.sequence(TestDER.oid("1.2.3")) }
                == .unsupportedSignatureAlgorithm
        )
    }

    @Test func signatureAlgorithmMayNotHaveParameters() throws {
        let identifier = TestDER.sequence(TestDER.oid("1.2.840.10045.4.3.2"), [5, 0])
        #expect(try refusal { $0.algorithm.identifier = identifier } == .unsupportedSignatureAlgorithm)
    }

    @Test func theTwoSignatureAlgorithmsMustAgree() throws {
        #expect(
            try refusal { $0.outerAlgorithm = TestAlgorithm.ecdsaSHA384.identifier } == .malformedCertificate
        )
    }

    @Test func brokenSelfSignatureIsRefused() throws {
        #expect(
            try refusal {
                $0.tamper = { signature in
                    var signature = signature
                    signature[signature.count - 1] ^= 1
                    return signature
                }
            } == .selfSignature
        )
        #expect(try refusal { $0.tamper = { _ in [] } } == .selfSignature)
        #expect(try refusal { $0.tamper = { _ in [UInt8](repeating: 0xff, count: 72) } } == .selfSignature)
    }

    @Test func certificateSignedByAnotherKeyIsRefused() throws {
        let other = try TestKey()
        #expect(try refusal { $0.key = other } == .selfSignature)
    }

    @Test func signatureOfAnotherKindThanTheKeyIsRefused() throws {
        #expect(
            try refusal { $0.algorithm.identifier = TestAlgorithm.ed25519.identifier } == .selfSignature
        )
        #expect(
            try refusal { $0.algorithm.identifier = TestAlgorithm.rsaSHA256.identifier } == .selfSignature
        )
    }

    @Test func keyOfTheCertificateMustBeOfAKnownKindAndSafeSize() throws {
        var weak = try TestCertificate(identity, key: TestKey(.rsa1024))
        weak.algorithm = .rsaSHA256
        #expect(Libp2pTLSTests.refusal(of: try weak.der()) == .unsupportedCertificateKey)
        var unknown = try TestCertificate(identity, key: TestKey(.ed448))
        unknown.algorithm.identifier = TestAlgorithm.ed25519.identifier
        unknown.algorithm.gnutls = TestAlgorithm.ed448.gnutls
        #expect(Libp2pTLSTests.refusal(of: try unknown.der()) == .unsupportedCertificateKey)
    }

    @Test func curveMustBeNamed() throws {
        // P-256 with its parameters written out instead of named, and the same key with no parameters at all.
        let point = Array(good.publicKeyInfo.suffix(65))
        let explicit = TestDER.sequence([2, 1, 1], TestDER.sequence(TestDER.oid("1.2.840.10045.1.1"), [2, 1, 7]))
        for parameters in [explicit, [], [5, 0], TestDER.oid("1.3.132.0.10")] {
            let info = TestDER.sequence(
                TestDER.sequence(TestDER.oid("1.2.840.10045.2.1"), parameters),
                TestDER.bits(point)
            )
            #expect(try refusal { $0.publicKeyInfo = info } == .unsupportedCertificateKey)
        }
    }

    @Test func rsaKeyWithHugeOrEvenExponentIsRefused() throws {
        let modulus = [0] + [UInt8](repeating: 0xc5, count: 256)
        for exponent: [UInt8] in [[4], [1] + [UInt8](repeating: 0, count: 250) + [1]] {
            let key = TestDER.sequence(TestDER.node(2, modulus), TestDER.node(2, exponent))
            let info = TestDER.sequence(
                TestDER.sequence(TestDER.oid("1.2.840.113549.1.1.1"), [5, 0]),
                TestDER.bits(key)
            )
            #expect(try refusal { $0.publicKeyInfo = info } == .unsupportedCertificateKey)
        }
        let large = TestDER.sequence(
            TestDER.node(2, [0] + [UInt8](repeating: 0xc5, count: 2048)),
            TestDER.node(2, [1, 0, 1])
        )
        let info = TestDER.sequence(
            TestDER.sequence(TestDER.oid("1.2.840.113549.1.1.1"), [5, 0]),
            TestDER.bits(large)
        )
        #expect(try refusal { $0.publicKeyInfo = info } == .unsupportedCertificateKey)
    }
}
