import CGnuTLS
import PeerID
import Synchronization
import Testing

@testable import Libp2pTLS

@Suite struct ContextTests {
    let alice = PrivateKey.ed25519()

    /// A clock that the test moves.
    final class Clock: Sendable {
        private let seconds: Atomic<Int64>
        init(_ start: Int64) { seconds = Atomic(start) }
        func set(_ value: Int64) { seconds.store(value, ordering: .relaxed) }
        var read: @Sendable () -> Int64 { { self.seconds.load(ordering: .relaxed) } }
    }

    @Test func ownCertificateIsAcceptedByTheVerifierForEveryIdentityAndKeyKind() throws {
        for identity in try [PrivateKey.ed25519(), .secp256k1(), .ecdsa(.p256), .ecdsa(.p384), .rsa()] {
            for kind in [CertificateKeyKind.p256, .ed25519] {
                let context = try TLSContext(identity: identity, configuration: .init(certificateKey: kind))
                let peer = try CertificateVerifier.verify(
                    certificateDER: context.certificateDER,
                    at: TLSConfiguration.systemTime(),
                    expecting: identity.peerID
                )
                #expect(peer.peerID == context.localPeer)
            }
        }
    }

    @Test func certificateSaysWhatItShould() throws {
        let now: Int64 = 1_800_000_000
        let context = try TLSContext(
            identity: alice,
            configuration: .init(validityDays: 10, backdateSeconds: 3600, clock: { now })
        )
        let information = try context.certificateInformation
        #expect(
            information.subject == information.issuer && information.subject.hasPrefix("O=libp2p.io, serialNumber=")
        )
        #expect(information.serialNumber.count == 32)
        #expect(information.notBefore == now - 3600 && information.notAfter == now + 864_000)
        #expect(information.hasLibp2pExtension && information.isCurrentlyValid)
        #expect(information.matchesPrivateKey == true)
        #expect(information.signatureAlgorithm == "1.2.840.10045.4.3.2")
        #expect(information.description.contains("2027-01-"))
    }

    @Test func gnutlsReadsTheSameFromTheCertificate() throws {
        for year in [1980, 2000, 2049, 2050, 3000] {
            let now = CalendarTime(year: year, month: 2, day: 28, hours: 23, minutes: 59, seconds: 58).unixSeconds
            let context = try TLSContext(identity: alice, configuration: .init(clock: { now }))
            var parsed: gnutls_x509_crt_t?
            gnutls_x509_crt_init(&parsed)
            defer { gnutls_x509_crt_deinit(parsed) }
            #expect(withDatum(context.certificateDER) { gnutls_x509_crt_import(parsed, $0, GNUTLS_X509_FMT_DER) } == 0)
            #expect(gnutls_x509_crt_get_version(parsed) == 3)
            #expect(gnutls_x509_crt_get_activation_time(parsed) == Int(now - 86_400))
            #expect(gnutls_x509_crt_get_expiration_time(parsed) == Int(now + 365 * 86_400))
            #expect(gnutls_x509_crt_get_signature_algorithm(parsed) == Int32(GNUTLS_SIGN_ECDSA_SHA256.rawValue))
        }
    }

    @Test func serialNumbersAndKeysDiffer() throws {
        let first = try TLSContext(identity: alice)
        let second = try TLSContext(identity: alice)
        #expect(try first.certificateInformation.serialNumber != second.certificateInformation.serialNumber)
        #expect(first.certificateDER != second.certificateDER)
    }

    @Test func certificateToleratesClocksThatLag() throws {
        let der = try TLSContext(identity: alice).certificateDER
        let now = TLSConfiguration.systemTime()
        #expect(refusal(of: der, at: now - 86_000) == nil)
        #expect(refusal(of: der, at: now + 364 * 86_400) == nil)
        #expect(refusal(of: der, at: now - 87_000) == .notYetValid)
        #expect(refusal(of: der, at: now + 366 * 86_400) == .expired)
    }

    @Test func certificateIsRenewedForNewSessionsWithoutTouchingOldOnes() throws {
        let clock = Clock(1_800_000_000)
        let configuration = TLSConfiguration(validityDays: 4, clock: clock.read)
        let context = try TLSContext(identity: alice, configuration: configuration)
        let first = context.certificateDER
        let old = try context.makeServerSession()
        clock.set(1_800_000_000 + 3 * 86_400 - 1)
        #expect(context.certificateDER == first)
        clock.set(1_800_000_000 + 3 * 86_400)
        let new = try context.makeServerSession()
        #expect(new.localCertificateDER != first && old.localCertificateDER == first)
        #expect(context.certificateDER == new.localCertificateDER)
        for session in [old, new] {
            let client = try TLSContext(identity: .ed25519(), configuration: configuration)
                .makeClientSession(expecting: alice.peerID)
            let ends = handshake(client, session)
            #expect(ends.client.result == 0 && ends.server.result == 0)
            #expect(client.verifiedPeer?.certificateDER == session.localCertificateDER)
        }
    }

    @Test func certificateIsRenewedWhenTheClockGoesBackBeforeIt() throws {
        let clock = Clock(1_800_000_000)
        let context = try TLSContext(identity: alice, configuration: .init(clock: clock.read))
        clock.set(1_700_000_000)
        #expect(refusal(of: context.certificateDER, at: 1_700_000_000) == nil)
    }

    @Test func sessionOutlivesItsContext() throws {
        var context: TLSContext? = try TLSContext(identity: alice)
        let server = try #require(try context?.makeServerSession())
        context = nil
        let client = try TLSContext(identity: .ed25519()).makeClientSession(expecting: alice.peerID)
        let ends = handshake(client, server)
        #expect(ends.client.result == 0 && ends.server.result == 0)
    }

    @Test func contextServesManyThreadsAtOnce() async throws {
        let context = try TLSContext(identity: alice)
        try await withThrowingTaskGroup(of: PeerID?.self) { group in
            for _ in 0..<32 {
                group.addTask {
                    let client = try context.makeClientSession(expecting: context.localPeer)
                    let server = try context.makeServerSession()
                    _ = handshake(client, server)
                    return server.verifiedPeer?.peerID
                }
            }
            for try await peer in group { #expect(peer == context.localPeer) }
        }
    }

    @Test func driverKeepsTheSessionPointerSlotForItself() throws {
        let client = try TLSContext(identity: alice).makeClientSession(expecting: nil)
        let server = try TLSContext(identity: alice).makeServerSession()
        gnutls_session_set_ptr(client.handle, UnsafeMutableRawPointer(bitPattern: 0x1234))
        gnutls_session_set_ptr(server.handle, nil)
        let ends = handshake(client, server)
        #expect(ends.client.result == 0 && ends.server.result == 0)
        #expect(gnutls_session_get_ptr(client.handle) == UnsafeMutableRawPointer(bitPattern: 0x1234))
    }

    @Test func impossibleConfigurationIsRefusedAndNamesTheField() throws {
        let wrong: [(String, TLSConfiguration)] = [
            ("alpn", .init(alpn: [])), ("alpn", .init(alpn: [""])),
            ("alpn", .init(alpn: [String(repeating: "x", count: 256)])),
            ("validityDays", .init(validityDays: 0)), ("validityDays", .init(validityDays: .max)),
            ("backdateSeconds", .init(backdateSeconds: -1)), ("backdateSeconds", .init(backdateSeconds: .max)),
            ("allowedKeyTypes", .init(allowedKeyTypes: [])), ("keyLogFile", .init(keyLogFile: "")),
            ("cipherSuites", .init(cipherSuites: [])), ("cipherSuites", .init(cipherSuites: [.aes128, .aes128])),
        ]
        for (field, configuration) in wrong {
            do throws(TLSError) {
                _ = try TLSContext(identity: alice, configuration: configuration)
                Issue.record("\(field) was accepted")
            } catch {
                #expect(error.code == .invalidConfiguration && error.message.contains(field))
            }
        }
        for time in [Int64.min, .max, -100_000_000_000] {
            #expect(throws: TLSError(.certificateGeneration, "")) {
                try TLSContext(identity: alice, configuration: .init(clock: { time }))
            }
        }
    }

    @Test func applicationProtocolIsTheServersFirstCommonChoice() throws {
        let client = try TLSContext(identity: alice, configuration: .init(alpn: ["a", "libp2p"]))
            .makeClientSession(expecting: nil)
        let server = try TLSContext(identity: alice, configuration: .init(alpn: ["libp2p", "a"])).makeServerSession()
        _ = handshake(client, server)
        #expect(client.negotiatedALPN == "libp2p" && server.negotiatedALPN == "libp2p")
    }

    @Test func securityManagerMakesBothConfigurations() throws {
        let manager = try SecurityManager(identity: alice)
        let bob = PrivateKey.ed25519()
        let server = manager.makeServerConfiguration()
        #expect(server.role == .server && server.expectedPeer == nil && server.alpn == ["libp2p"])
        #expect(try server.certificateInformation.matchesPrivateKey == true)
        let client = try SecurityManager(identity: bob).makeClientConfiguration(expecting: alice.peerID)
        #expect(client.role == .client && client.expectedPeer == alice.peerID)
        let clientSession = try client.makeSession()
        let serverSession = try server.makeSession()
        _ = handshake(clientSession, serverSession)
        #expect(clientSession.verifiedPeer?.certificateDER == server.certificateDER)
        #expect(serverSession.verifiedPeer?.peerID == bob.peerID)
    }
}
