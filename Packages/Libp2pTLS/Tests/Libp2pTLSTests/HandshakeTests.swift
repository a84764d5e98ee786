import CGnuTLS
import PeerID
import Testing

@testable import Libp2pTLS

@Suite struct HandshakeTests {
    let alice = PrivateKey.ed25519()
    let bob = PrivateKey.ed25519()

    @Test func bothEndsLearnWhoTheOtherIs() throws {
        let client = try TLSContext(identity: alice).makeClientSession(expecting: bob.peerID)
        let server = try TLSContext(identity: bob).makeServerSession()
        let ends = handshake(client, server)
        #expect(ends.client.result == 0 && ends.server.result == 0)
        #expect(client.verifiedPeer?.peerID == bob.peerID)
        #expect(server.verifiedPeer?.peerID == alice.peerID)
        #expect(client.verifiedPeer?.certificateDER == server.localCertificateDER)
        #expect(client.negotiatedALPN == "libp2p" && server.negotiatedALPN == "libp2p")
        #expect(client.cipherSuite == "TLS_AES_128_GCM_SHA256")
        #expect(gnutls_protocol_get_version(client.handle) == GNUTLS_TLS1_3)
        #expect(!client.isResumed && client.failure == nil && server.failure == nil)
    }

    @Test func theServersOrderOfCipherSuitesCountsAmongThoseThatTheClientOffers() throws {
        let cases: [([CipherSuite], [CipherSuite], CipherSuite?)] = [
            ([.chaCha20], CipherSuite.allCases, .chaCha20), (CipherSuite.allCases, [.chaCha20, .aes128], .chaCha20),
            ([.aes256, .chaCha20], CipherSuite.allCases, .aes256), ([.aes128], [.chaCha20], nil),
        ]
        for (offered, accepted, expected) in cases {
            let client = try TLSContext(identity: alice, configuration: TLSConfiguration(cipherSuites: offered))
                .makeClientSession(expecting: bob.peerID)
            let server = try TLSContext(identity: bob, configuration: TLSConfiguration(cipherSuites: accepted))
                .makeServerSession()
            let ends = handshake(client, server)
            #expect((ends.client.result == 0 && ends.server.result == 0) == (expected != nil))
            guard let expected else { continue }
            #expect(client.cipherSuite == expected.rawValue && server.cipherSuite == expected.rawValue)
            #expect(server.verifiedPeer?.peerID == alice.peerID)
        }
    }

    @Test func dialerFindsOutWhoAnswersWhenItExpectsNobody() throws {
        let client = try TLSContext(identity: alice).makeClientSession(expecting: nil)
        let server = try TLSContext(identity: bob).makeServerSession()
        _ = handshake(client, server)
        #expect(client.verifiedPeer?.peerID == bob.peerID)
    }

    @Test func hostKeysOfEveryTypeAuthenticate() throws {
        for identity in try [PrivateKey.ed25519(), .secp256k1(), .ecdsa(), .rsa()] {
            for kind in [CertificateKeyKind.p256, .ed25519] {
                let configuration = TLSConfiguration(certificateKey: kind)
                let client = try TLSContext(identity: identity, configuration: configuration)
                    .makeClientSession(expecting: bob.peerID)
                let server = try TLSContext(identity: bob, configuration: configuration).makeServerSession()
                let ends = handshake(client, server)
                #expect(ends.client.result == 0 && ends.server.result == 0, "\(identity.type) \(kind)")
                #expect(server.verifiedPeer?.publicKey == identity.publicKey)
            }
        }
    }

    @Test func anotherPeerThanExpectedIsRefusedAndBothIDsAreNamed() throws {
        let expected = PrivateKey.ed25519().peerID
        let client = try TLSContext(identity: alice).makeClientSession(expecting: expected)
        let server = try TLSContext(identity: bob).makeServerSession()
        var ends = handshake(client, server)
        let failure = try #require(client.failure)
        #expect(failure.code == .peerIDMismatch && failure.expected == expected && failure.actual == bob.peerID)
        #expect(failure.message.contains("\(expected)") && failure.message.contains("\(bob.peerID)"))
        #expect(client.verifiedPeer == nil && server.verifiedPeer == nil)
        #expect(ends.server.readAlert() == 42 && failure.alert == 42)
        #expect(server.recordFailure(gnutlsResult: ends.server.result).code == .refusedByPeer)
    }
}
