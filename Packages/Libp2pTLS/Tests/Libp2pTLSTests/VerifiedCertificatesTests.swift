import PeerID
import Testing

@testable import Libp2pTLS

/// Certificates that come again: what is remembered of them, and what is judged anew.
@Suite struct VerifiedCertificatesTests {
    private let identity = PrivateKey.ed25519()
    private let known = VerifiedCertificates()
    private let certificate: [UInt8]

    init() throws { certificate = try TestCertificate(identity, key: TestKey()).der() }

    private func verify(
        _ certificate: [UInt8],
        at now: Int64 = TestCertificate.now,
        expecting expected: PeerID? = nil,
        allowed: Set<KeyType> = CertificateVerifier.allKeyTypes
    ) throws(TLSError) -> VerifiedPeer {
        try CertificateVerifier.verify(
            certificateChain: [certificate],
            at: now,
            expecting: expected,
            allowedKeyTypes: allowed,
            known: known
        )
    }

    private func refusal(_ body: () throws(TLSError) -> VerifiedPeer) -> TLSError.Code? {
        do {
            _ = try body()
            return nil
        } catch {
            return error.code
        }
    }

    @Test func aCertificateThatComesAgainNamesTheSamePeer() throws {
        #expect(known.entry(for: certificate) == nil)
        let first = try verify(certificate, expecting: identity.peerID)
        #expect(known.entry(for: certificate)?.peer == first)
        #expect(try verify(certificate, expecting: identity.peerID) == first)
        #expect(known.count == 1)
    }

    @Test func timeExpectationAndAllowedKeysAreJudgedAnew() throws {
        _ = try verify(certificate)
        let stranger = PrivateKey.ed25519().peerID
        #expect(refusal { () throws(TLSError) in try verify(certificate, expecting: stranger) } == .peerIDMismatch)
        #expect(refusal { () throws(TLSError) in try verify(certificate, allowed: [.rsa]) } == .keyTypeNotAllowed)
        #expect(refusal { () throws(TLSError) in try verify(certificate, at: 4_000_000_000) } == .expired)
        #expect(refusal { () throws(TLSError) in try verify(certificate, at: 1_000_000_000) } == .notYetValid)
        #expect(refusal { () throws(TLSError) in try verify(certificate) } == nil)
    }

    @Test func whatIsNotTheSameToTheLastBitIsVerified() throws {
        _ = try verify(certificate)
        for bit in stride(from: 0, to: certificate.count * 8, by: 37) {
            var changed = certificate
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(refusal { () throws(TLSError) in try verify(changed) } != nil, "bit \(bit)")
        }
        #expect(known.count == 1)
    }

    @Test func whatWasRefusedIsNotRemembered() throws {
        #expect(refusal { () throws(TLSError) in try verify(certificate, at: 4_000_000_000) } == .expired)
        #expect(refusal { () throws(TLSError) in try verify(certificate, allowed: [.rsa]) } == .keyTypeNotAllowed)
        #expect(known.count == 0)
    }

    @Test func theChainMustStillBeOneCertificate() throws {
        _ = try verify(certificate)
        for chain in [[], [certificate, certificate]] {
            #expect(throws: TLSError.self) {
                try CertificateVerifier.verify(
                    certificateChain: chain,
                    at: TestCertificate.now,
                    expecting: nil,
                    allowedKeyTypes: CertificateVerifier.allKeyTypes,
                    known: known
                )
            }
        }
    }

    @Test func theTableIsBoundedAndKeepsWhatIsInUse() throws {
        let peer = try verify(certificate)
        let validity = CertificateVerifier.Validity(notBefore: 0, notAfter: .max)
        for number in 0..<VerifiedCertificates.generationSize * 5 {
            let other = VerifiedPeer(
                publicKey: peer.publicKey,
                certificateDER: [UInt8(number & 255), UInt8(number >> 8)]
            )
            known.store(VerifiedCertificates.Entry(peer: other, validity: validity))
            #expect(known.entry(for: certificate) != nil)
            #expect(known.count <= VerifiedCertificates.generationSize * 2)
        }
        let long = [UInt8](repeating: 1, count: VerifiedCertificates.longest + 1)
        let entry = VerifiedCertificates.Entry(
            peer: VerifiedPeer(publicKey: peer.publicKey, certificateDER: long),
            validity: validity
        )
        known.store(entry)
        #expect(known.entry(for: long) == nil)
    }

    @Test func aHostThatIsExpectedElsewhereIsRefusedAlsoTheSecondTime() throws {
        let bob = PrivateKey.ed25519()
        let client = try TLSContext(identity: identity)
        let server = try TLSContext(identity: bob)
        for _ in 0..<2 {
            let dialer = try client.makeClientSession(expecting: bob.peerID)
            #expect(handshake(dialer, try server.makeServerSession()).client.result == 0)
            #expect(dialer.verifiedPeer?.peerID == bob.peerID)
            let mistaken = try client.makeClientSession(expecting: PrivateKey.ed25519().peerID)
            #expect(handshake(mistaken, try server.makeServerSession()).client.result != 0)
            #expect(mistaken.verifiedPeer == nil)
        }
    }
}
