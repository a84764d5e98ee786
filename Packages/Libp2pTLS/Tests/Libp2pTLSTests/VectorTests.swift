import Foundation
import PeerID
import Testing

@testable import Libp2pTLS

@Suite struct VectorTests {
    struct SpecVectors: Decodable {
        struct Vector: Decodable {
            var name: String
            var certificateDerHex: String
            var valid: Bool
            var peerId: String?
        }
        var vectors: [Vector]
    }

    struct RustVectors: Decodable {
        struct Vector: Decodable {
            var name: String
            var certificateDerHex: String
            var unixSeconds: Int64
            var peerId: String?
            var error: String?
        }
        var vectors: [Vector]
    }

    static func load<T: Decodable>(_ type: T.Type, _ name: String) throws -> T {
        let url = try #require(Bundle.module.url(forResource: "Vectors/\(name)", withExtension: "json"))
        return try JSONDecoder().decode(type, from: Data(contentsOf: url))
    }

    static func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = Array(hexadecimal.utf8)
        return stride(from: 0, to: digits.count, by: 2).compactMap { index in
            UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)
        }
    }

    @Test func certificatesOfTheSpecificationAreJudgedAsItSays() throws {
        let vectors = try Self.load(SpecVectors.self, "tls_certificates").vectors
        #expect(vectors.count == 4)
        for vector in vectors {
            let der = Self.bytes(vector.certificateDerHex)
            if vector.valid {
                let peer = try CertificateVerifier.verify(certificateDER: der, at: TestCertificate.now)
                #expect(peer.peerID.description == vector.peerId, "\(vector.name)")
                #expect(peer.certificateDER == der)
            } else {
                #expect(refusal(of: der) == .badExtensionSignature, "\(vector.name)")
            }
        }
    }

    @Test func certificatesOfTheSpecificationAreRefusedOutsideTheirCenturies() throws {
        let vectors = try Self.load(SpecVectors.self, "tls_certificates").vectors
        for vector in vectors {
            let der = Self.bytes(vector.certificateDerHex)
            #expect(refusal(of: der, at: 0) == .notYetValid)
            // 1975-01-01T13:00:00Z and 4096-01-01T13:00:00Z, both inclusive.
            let first: Int64 = 157_813_200
            let last: Int64 = 67_090_165_200
            #expect(refusal(of: der, at: first - 1) == .notYetValid)
            #expect(refusal(of: der, at: last + 1) == .expired)
            let inside: TLSError.Code? = vector.valid ? nil : .badExtensionSignature
            #expect(refusal(of: der, at: first) == inside)
            #expect(refusal(of: der, at: last) == inside)
        }
    }

    @Test func certificatesOfRustAreJudgedAsRustDoes() throws {
        let vectors = try Self.load(RustVectors.self, "rust_tls_certificates").vectors
        for vector in vectors {
            let der = Self.bytes(vector.certificateDerHex)
            let code = refusal(of: der, at: vector.unixSeconds)
            #expect(code?.description == vector.error, "\(vector.name)")
            if let expected = vector.peerId {
                let peer = try CertificateVerifier.verify(certificateDER: der, at: vector.unixSeconds)
                #expect(peer.peerID.description == expected)
            }
        }
    }
}
