import PeerID
import Testing

@testable import Libp2pTLS

@Suite struct ExtensionTests {
    let identity = PrivateKey.ed25519()
    let good: TestCertificate

    init() throws { good = try TestCertificate(identity, key: TestKey()) }

    func refusal(_ change: (inout TestCertificate) throws -> Void) throws -> TLSError.Code? {
        var certificate = good
        try change(&certificate)
        return Libp2pTLSTests.refusal(of: try certificate.der())
    }

    func refusal(ofValue value: [UInt8]) throws -> TLSError.Code? {
        try refusal { $0.extensions[0].value = value }
    }

    @Test func missingExtensionIsRefused() throws {
        #expect(try refusal { $0.extensions = [] } == .missingExtension)
        #expect(try refusal { $0.extensions[0].oid = "1.3.6.1.4.1.53594.1.2" } == .missingExtension)
    }

    @Test func secondLibp2pExtensionIsRefused() throws {
        #expect(try refusal { $0.extensions.append($0.extensions[0]) } == .duplicateExtension)
        let value = try good.signedKey(by: .ed25519())
        let second = TestCertificate.Extension(oid: SignedKeyExtension.objectIdentifier, value: value)
        #expect(try refusal { $0.extensions.append(second) } == .duplicateExtension)
    }

    @Test func anyOtherExtensionTwiceIsRefused() throws {
        let other = TestCertificate.Extension(oid: "1.2.3.4", value: [1])
        #expect(try refusal { $0.extensions += [other, other] } == .duplicateExtension)
    }

    @Test func unknownExtensionIsIgnoredUnlessItIsCritical() throws {
        var unknown = TestCertificate.Extension(oid: "1.2.3.4", value: [1])
        #expect(try refusal { $0.extensions.append(unknown) } == nil)
        unknown.critical = TestCertificate.isCritical
        #expect(try refusal { $0.extensions.append(unknown) } == .unknownCriticalExtension)
        #expect(try refusal { $0.extensions.insert(unknown, at: 0) } == .unknownCriticalExtension)
    }

    @Test func criticalExtensionsWhoseDemandsAreMetAreAccepted() throws {
        let critical = TestCertificate.isCritical
        let basic = TestCertificate.Extension(oid: "2.5.29.19", critical: critical, value: TestDER.sequence())
        let signing = TestCertificate.Extension(oid: "2.5.29.15", critical: critical, value: [3, 2, 7, 0x80])
        let encipherment = TestCertificate.Extension(oid: "2.5.29.15", critical: critical, value: [3, 2, 5, 0x20])
        #expect(try refusal { $0.extensions += [basic, signing] } == nil)
        #expect(try refusal { $0.extensions += [encipherment] } == .unknownCriticalExtension)
    }

    @Test func falseMayNotBeWrittenOut() throws {
        #expect(try refusal { $0.extensions[0].critical = [1, 1, 0] } == .malformedCertificate)
        #expect(try refusal { $0.extensions[0].critical = [1, 1, 1] } == .malformedCertificate)
    }

    @Test func extensionMustBeStrictDER() throws {
        let value = try good.signedKey()
        let key = TestDER.octets(identity.publicKey.protobuf)
        let signature = Array(value.suffix(66))
        let content = key + signature
        let wrong: [(String, [UInt8])] = [
            ("nothing", []),
            ("trailing byte", value + [0]),
            ("trailing node", value + [5, 0]),
            ("trailing node inside", TestDER.sequence(content, [5, 0])),
            ("a SET", TestDER.node(0x31, content)),
            ("an OCTET STRING around", TestDER.octets(content)),
            ("key as BIT STRING", TestDER.sequence(TestDER.bits(identity.publicKey.protobuf), signature)),
            ("key as UTF8String", TestDER.sequence(TestDER.node(0x0c, identity.publicKey.protobuf), signature)),
            ("key constructed", TestDER.sequence(TestDER.node(0x24, key), signature)),
            ("key alone", TestDER.sequence(key)),
            ("signature alone", TestDER.sequence(signature)),
            ("indefinite length", [0x30, 0x80] + content + [0, 0]),
            ("length in long form", [0x30, 0x81, UInt8(content.count)] + content),
            ("length with leading zero", [0x30, 0x82, 0, UInt8(content.count)] + content),
            ("inner length in long form", TestDER.sequence(key, [0x04, 0x81, 64] + signature.dropFirst(2))),
            ("length beyond the end", [0x30, UInt8(content.count + 1)] + content),
            ("huge length", [0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff] + content),
            ("truncated", value.dropLast()),
        ]
        for (name, value) in wrong {
            #expect(try refusal(ofValue: value) == .malformedExtension, "\(name)")
        }
        #expect(try refusal(ofValue: TestDER.sequence(content)) == nil)
    }

    @Test func badKeyIsRefused() throws {
        let signature = TestDER.octets([UInt8](repeating: 1, count: 64))
        let protobuf = identity.publicKey.protobuf
        for key in [[], [8], Array(protobuf.dropLast()), [8, 9, 0x12, 0], [UInt8](repeating: 0xff, count: 300)] {
            #expect(try refusal(ofValue: TestDER.sequence(TestDER.octets(key), signature)) == .badKey)
        }
    }

    @Test func signatureOverAnythingElseIsRefused() throws {
        for prefix in ["", "libp2p-tls-handshake", "libp2p-tls-handshake::", "libp2p-TLS-handshake:", "noise:"] {
            #expect(try refusal(ofValue: good.signedKey(prefix: prefix)) == .badExtensionSignature)
        }
        let otherKey = try TestCertificate(identity, key: TestKey())
        #expect(try refusal(ofValue: otherKey.signedKey()) == .badExtensionSignature)
    }

    @Test func signatureByAnotherIdentityIsRefused() throws {
        for signer in try [PrivateKey.ed25519(), .secp256k1(), .ecdsa(), .rsa()] {
            #expect(try refusal(ofValue: good.signedKey(by: signer)) == .badExtensionSignature, "\(signer.type)")
        }
    }

    @Test func signatureWithChangedBitsIsRefused() throws {
        let value = try good.signedKey()
        for index in value.count - 64..<value.count {
            var changed = value
            changed[index] ^= 0x10
            #expect(try refusal(ofValue: changed) == .badExtensionSignature)
        }
    }

    @Test func extensionSurvivesARoundTrip() throws {
        let signed = try SignedKeyExtension(signing: good.publicKeyInfo, with: identity)
        #expect(try SignedKeyExtension(der: signed.der) == signed)
        #expect(try good.signedKey() == signed.der)
        let large = SignedKeyExtension(
            publicKey: [UInt8](repeating: 1, count: 1100),
            signature: [UInt8](repeating: 2, count: 1024)
        )
        #expect(try SignedKeyExtension(der: large.der) == large)
        #expect(large.der == TestDER.sequence(TestDER.octets(large.publicKey), TestDER.octets(large.signature)))
    }
}
