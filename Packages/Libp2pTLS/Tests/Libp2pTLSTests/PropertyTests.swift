import Foundation
import PeerID
import Testing

@testable import Libp2pTLS

@Suite struct PropertyTests {
    @Test func extensionsSurviveAndHaveOneForm() {
        forAll("extension") { random in
            let signed = SignedKeyExtension(
                publicKey: random.bytes(Int.random(in: 0...300, using: &random)),
                signature: random.bytes(Int.random(in: 0...300, using: &random))
            )
            let der = signed.der
            #expect((try? SignedKeyExtension(der: der)) == signed)
            #expect(
                der == TestDER.sequence(TestDER.octets(signed.publicKey), TestDER.octets(signed.signature)),
                "the tests' own writer agrees"
            )
        }
    }

    @Test func damagedExtensionsAreRefusedOrOtherExtensions() throws {
        let identity = PrivateKey.ed25519()
        let original = try SignedKeyExtension(signing: [1, 2, 3], with: identity).der
        forAll("damaged extension") { random in
            var der = original
            for _ in 0..<Int.random(in: 1...3, using: &random) where !der.isEmpty {
                let index = Int.random(in: 0..<der.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: der.remove(at: index)
                case 1: der.insert(contentsOf: random.bytes(1), at: index)
                case 2: der.removeLast(der.count - index)
                default: der[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
            }
            do throws(TLSError) {
                let read = try SignedKeyExtension(der: der)
                #expect(read.der == der, "DER has one form")
            } catch {
                #expect(error.code == .malformedExtension)
            }
        }
    }

    @Test func timesSurviveTheCalendar() {
        forAll("calendar") { random in
            // The years 0 to 9999.
            let seconds = Int64.random(in: -62_167_219_200...253_402_300_799, using: &random)
            #expect(CalendarTime(unixSeconds: seconds)?.unixSeconds == seconds)
        }
    }

    /// A signature and two verifications for each, with keys that are made anew: as many as fit in seconds.
    @Test func certificatesOfRandomIdentitiesNameThem() throws {
        try forAll("certificates", cases: 200) { random in
            let kinds: [() throws -> PrivateKey] = [
                { .ed25519() }, { try .secp256k1() }, { try .ecdsa(.p256) }, { try .ecdsa(.p384) },
            ]
            let identity = try (kinds.randomElement(using: &random) ?? { .ed25519() })()
            var configuration = TLSConfiguration.defaults
            configuration.certificateKey = Bool.random(using: &random) ? .p256 : .ed25519
            let der = try TLSContext(identity: identity, configuration: configuration).certificateDER
            let now = TLSConfiguration.systemTime()
            let peer = try CertificateVerifier.verify(certificateDER: der, at: now, expecting: identity.peerID)
            #expect(peer.publicKey == identity.publicKey)
            // One bit anywhere, and it is another certificate or none.
            var damaged = der
            damaged[Int.random(in: 0..<der.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            #expect((try? CertificateVerifier.verify(certificateDER: damaged, at: now)) == nil)
        }
    }
}

extension SplitMix {
    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
    }
}

/// Runs a property on many cases; `TLS_SEED` repeats a run whose seed was printed.
func forAll(
    _ name: String,
    cases: Int = 10_000,
    _ property: (inout SplitMix) throws -> Void
) rethrows {
    let given = ProcessInfo.processInfo.environment["TLS_SEED"].flatMap { UInt64($0) }
    let seed = given ?? UInt64.random(in: .min ... .max)
    print("property \(name): TLS_SEED=\(seed), \(cases) cases")
    var generator = SplitMix(state: seed)
    for _ in 0..<cases { try property(&generator) }
}
