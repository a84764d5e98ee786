import PeerID
import Testing

@testable import Libp2pTLS

@Suite struct MalformedCertificateTests {
    let good: TestCertificate

    init() throws { good = try TestCertificate(.ed25519(), key: TestKey()) }

    func refusal(_ change: (inout TestCertificate) throws -> Void) throws -> TLSError.Code? {
        var certificate = good
        try change(&certificate)
        return Libp2pTLSTests.refusal(of: try certificate.der())
    }

    @Test func everyBitFlipIsRefused() throws {
        let der = try good.der()
        for bit in 0..<der.count * 8 {
            var changed = der
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(Libp2pTLSTests.refusal(of: changed) != nil, "bit \(bit)")
        }
    }

    @Test func everyTruncationIsMalformed() throws {
        let der = try good.der()
        for length in 0..<der.count {
            #expect(Libp2pTLSTests.refusal(of: Array(der.prefix(length))) == .malformedCertificate)
        }
    }

    @Test func trailingBytesAreMalformed() throws {
        #expect(Libp2pTLSTests.refusal(of: try good.der() + [0]) == .malformedCertificate)
        #expect(Libp2pTLSTests.refusal(of: try good.der() + good.der()) == .malformedCertificate)
    }

    @Test func indefiniteLengthIsMalformed() throws {
        let der = try good.der()
        #expect(Libp2pTLSTests.refusal(of: [0x30, 0x80] + der.dropFirst(4) + [0, 0]) == .malformedCertificate)
    }

    @Test func lengthInMoreBytesThanNeededIsMalformed() throws {
        let der = try good.der()
        #expect(Libp2pTLSTests.refusal(of: [0x30, 0x83, 0] + der.dropFirst(2)) == .malformedCertificate)
    }

    @Test func onlyVersionThreeIsAccepted() throws {
        for version: [UInt8] in [[], TestDER.node(0xa0, [2, 1, 0]), TestDER.node(0xa0, [2, 1, 3]), [2, 1, 2]] {
            #expect(try refusal { $0.version = version } == .malformedCertificate)
        }
    }

    @Test func uniqueIdentifiersAreRefused() throws {
        #expect(try refusal { $0.uniqueIDs = TestDER.node(0x81, [0, 1]) } == .malformedCertificate)
        #expect(try refusal { $0.uniqueIDs = TestDER.node(0x82, [0, 1]) } == .malformedCertificate)
    }

    @Test func emptyInputAndOtherFilesAreMalformed() {
        for input: [UInt8] in [[], [0], [0x30, 0], [0x30, 0x80], Array("-----BEGIN CERTIFICATE-----".utf8)] {
            #expect(Libp2pTLSTests.refusal(of: input) == .malformedCertificate)
        }
    }

    @Test func deepNestingEndsInAnErrorAndNotInAStackOverflow() {
        var nested: [UInt8] = []
        while nested.count < CertificateVerifier.maximumCertificateSize - 8 { nested = TestDER.sequence(nested) }
        #expect(Libp2pTLSTests.refusal(of: nested) == .malformedCertificate)
    }

    @Test func manySmallNodesAreRefusedQuickly() {
        let many = TestDER.sequence(
            [UInt8](repeating: 5, count: 0) + Array(repeatElement([5, 0], count: 32_000).joined())
        )
        let clock = ContinuousClock()
        let duration = clock.measure { #expect(Libp2pTLSTests.refusal(of: many) == .malformedCertificate) }
        #expect(duration < .seconds(2))
    }

    @Test func randomBytesNeverCrash() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix(state: seed)
        for _ in 0..<10_000 {
            let count = Int.random(in: 0...200, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(Libp2pTLSTests.refusal(of: bytes) != nil, "seed \(seed)")
            #expect(Libp2pTLSTests.refusal(of: TestDER.sequence(bytes)) != nil, "seed \(seed)")
        }
    }

    @Test func randomChangesNeverCrashAndNeverPass() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix(state: seed)
        let der = try good.der()
        for _ in 0..<10_000 {
            var changed = der
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = Int.random(in: 0..<changed.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: changed[index] = UInt8.random(in: 0...255, using: &generator)
                case 1: changed.remove(at: index)
                default: changed.insert(UInt8.random(in: 0...255, using: &generator), at: index)
                }
            }
            if changed != der { #expect(Libp2pTLSTests.refusal(of: changed) != nil, "seed \(seed)") }
        }
    }

    @Test func certificateMessageWithWrongLengthsIsMalformed() throws {
        let der = try good.der()
        func vector(_ lengthBytes: Int, _ content: [UInt8]) -> [UInt8] {
            (0..<lengthBytes).reversed().map { UInt8(content.count >> ($0 * 8) & 255) } + content
        }
        let entry = vector(3, der) + vector(2, [])
        let message = [0] + vector(3, entry)
        #expect(try CertificateMessage(message).chain == [der])
        #expect(try CertificateMessage([0] + vector(3, entry + entry)).chain.count == 2)
        #expect(try CertificateMessage([0, 0, 0, 0]).chain.isEmpty)
        for wrong in [[], [0], message + [0], Array(message.dropLast()), [0] + vector(3, vector(3, der))] {
            #expect(throws: TLSError(.malformedCertificate, "")) { try CertificateMessage(wrong) }
        }
    }
}

/// A random number generator that a test can repeat from its printed seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
