import CGnuTLS
import PeerID
import Testing

@testable import Libp2pTLS

@Suite struct RefusedHandshakeTests {
    let alice = PrivateKey.ed25519()
    let bob = PrivateKey.ed25519()
    let configuration = TLSConfiguration(clock: { TestCertificate.now })

    /// The outcome of a handshake between our session and a raw peer.
    struct Outcome {
        var ours: End
        var theirs: End
        var failure: TLSError?
        var verifiedPeer: VerifiedPeer?
    }

    func meet(_ session: TLSSession, _ peer: RawPeer) -> Outcome {
        var ours = End(session.handle, of: session)
        var theirs = End(peer.session, of: peer)
        if session.role == .client { handshake(&ours, &theirs) } else { handshake(&theirs, &ours) }
        return Outcome(ours: ours, theirs: theirs, failure: session.failure, verifiedPeer: session.verifiedPeer)
    }

    /// Lets a peer with `certificates` dial us and be dialled by us; both must end in `code` on our side and the alert on
    /// theirs.
    func expectRefusal(
        _ certificates: [[UInt8]],
        key: TestKey,
        _ code: TLSError.Code,
        alert: UInt8,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let context = try TLSContext(identity: bob, configuration: configuration)
        for role in [TLSSession.Role.server, .client] {
            let session = role == .server ? try context.makeServerSession() : try context.makeClientSession()
            let peer = try RawPeer(role == .server ? .client : .server, certificates: certificates, key: key)
            var outcome = meet(session, peer)
            #expect(outcome.failure?.code == code, "\(role)", sourceLocation: sourceLocation)
            #expect(outcome.verifiedPeer == nil, sourceLocation: sourceLocation)
            #expect(outcome.ours.result != 0, sourceLocation: sourceLocation)
            let received = outcome.theirs.readAlert()
            #expect(received == alert, "\(role)", sourceLocation: sourceLocation)
        }
    }

    @Test func rawPeerWithACorrectCertificateIsAccepted() throws {
        let certificate = try TestCertificate(alice, key: TestKey())
        let context = try TLSContext(identity: bob, configuration: configuration)
        for role in [TLSSession.Role.server, .client] {
            let session = role == .server ? try context.makeServerSession() : try context.makeClientSession()
            let peer = try RawPeer(
                role == .server ? .client : .server,
                certificates: [certificate.der()],
                key: certificate.key
            )
            let outcome = meet(session, peer)
            #expect(outcome.ours.result == 0 && outcome.theirs.result == 0)
            #expect(outcome.verifiedPeer?.peerID == alice.peerID)
        }
    }

    @Test func badCertificatesAreRefusedByBothRoles() throws {
        let key = try TestKey()
        let good = try TestCertificate(alice, key: key)
        var changed = good
        changed.extensions = []
        try expectRefusal([changed.der()], key: key, .missingExtension, alert: 42)
        changed = good
        changed.extensions[0].value = try good.signedKey(prefix: "")
        try expectRefusal([changed.der()], key: key, .badExtensionSignature, alert: 42)
        changed = good
        changed.extensions[0].value += [0]
        try expectRefusal([changed.der()], key: key, .malformedExtension, alert: 42)
        changed = good
        changed.extensions.append(.init(oid: "1.2.3.4", critical: TestCertificate.isCritical, value: [1]))
        try expectRefusal([changed.der()], key: key, .unknownCriticalExtension, alert: 42)
        changed = good
        changed.tamper = { $0.dropLast() + [0x55] }
        try expectRefusal([changed.der()], key: key, .selfSignature, alert: 42)
        changed = good
        changed.algorithm = .ecdsaSHA1
        try expectRefusal([changed.der()], key: key, .unsupportedSignatureAlgorithm, alert: 43)
    }

    @Test func certificateOutsideItsValidityIsRefused() throws {
        let key = try TestKey()
        var expired = try TestCertificate(alice, key: key)
        expired.notAfter = TestDER.utcTime("260102000000Z")
        // GnuTLS cannot be made to send certificate_expired (45); `failure.alert` has it for the QUIC layer.
        try expectRefusal([expired.der()], key: key, .expired, alert: 42)
        var early = try TestCertificate(alice, key: key)
        early.notBefore = TestDER.generalizedTime("40960101000000Z")
        try expectRefusal([early.der()], key: key, .notYetValid, alert: 42)
        #expect(TLSError(.expired, "").alert == 45 && TLSError(.notYetValid, "").alert == 45)
    }

    @Test func chainOfTwoIsRefused() throws {
        let key = try TestKey()
        // GnuTLS sends a second certificate only if it issued the first.
        let organization = TestDER.sequence(TestDER.oid("2.5.4.10"), TestDER.node(0x0c, Array("x".utf8)))
        var issuer = try TestCertificate(alice, key: key)
        issuer.name = TestDER.sequence(TestDER.node(0x31, organization))
        var certificate = issuer
        certificate.name = TestDER.sequence()
        certificate.issuer = issuer.name
        #expect(refusal(of: try certificate.der()) == nil)
        try expectRefusal([certificate.der(), issuer.der()], key: key, .chainLength, alert: 42)
    }

    @Test func largeCertificateIsRefused() throws {
        let key = try TestKey()
        var large = try TestCertificate(alice, key: key)
        large.extensions.append(.init(oid: "1.2.3.4", value: [UInt8](repeating: 7, count: 66_000)))
        try expectRefusal([large.der()], key: key, .certificateTooLarge, alert: 42)
    }

    @Test func identityKeyTypeThatIsNotAllowedIsRefused() throws {
        var configuration = configuration
        configuration.allowedKeyTypes = [.ed25519]
        let context = try TLSContext(identity: bob, configuration: configuration)
        let certificate = try TestCertificate(.ecdsa(), key: TestKey())
        let peer = try RawPeer(.client, certificates: [certificate.der()], key: certificate.key)
        var outcome = meet(try context.makeServerSession(), peer)
        #expect(outcome.failure?.code == .keyTypeNotAllowed)
        #expect(outcome.theirs.readAlert() == 43)
    }

    @Test func clientWithoutCertificateIsRefused() throws {
        let session = try TLSContext(identity: bob, configuration: configuration).makeServerSession()
        var outcome = meet(session, try RawPeer(.client, certificates: []))
        #expect(outcome.failure?.code == .noCertificate)
        #expect(outcome.ours.result == GNUTLS_E_CERTIFICATE_REQUIRED)
        #expect(outcome.theirs.readAlert() == 116)
        #expect(session.verifiedPeer == nil)
    }

    @Test func peerWithoutALPNIsRefused() throws {
        let certificate = try TestCertificate(alice, key: TestKey())
        let context = try TLSContext(identity: bob, configuration: configuration)
        for role in [TLSSession.Role.server, .client] {
            let session = role == .server ? try context.makeServerSession() : try context.makeClientSession()
            let peer = try RawPeer(
                role == .server ? .client : .server,
                certificates: [certificate.der()],
                key: certificate.key,
                alpn: []
            )
            var outcome = meet(session, peer)
            #expect(outcome.failure?.code == .alpnMismatch && outcome.verifiedPeer == nil)
            #expect(outcome.theirs.readAlert() == 120)
        }
    }

    @Test func clientWithAnotherALPNIsRefused() throws {
        let certificate = try TestCertificate(alice, key: TestKey())
        let session = try TLSContext(identity: bob, configuration: configuration).makeServerSession()
        let peer = try RawPeer(.client, certificates: [certificate.der()], key: certificate.key, alpn: ["h3"])
        var outcome = meet(session, peer)
        #expect(session.recordFailure(gnutlsResult: outcome.ours.result).code == .alpnMismatch)
        #expect(outcome.theirs.readAlert() == 120)
    }

    @Test func olderTLSIsRefused() throws {
        let certificate = try TestCertificate(alice, key: TestKey())
        let session = try TLSContext(identity: bob, configuration: configuration).makeServerSession()
        let peer = try RawPeer(
            .client,
            certificates: [certificate.der()],
            key: certificate.key,
            priority: "NORMAL:-VERS-ALL:+VERS-TLS1.2"
        )
        var outcome = meet(session, peer)
        let failure = session.recordFailure(gnutlsResult: outcome.ours.result)
        #expect(failure.code == .handshakeFailed)
        #expect(outcome.theirs.readAlert() == failure.alert)
    }

    @Test func helloRetryRequestIsSurvived() throws {
        let certificate = try TestCertificate(alice, key: TestKey())
        let session = try TLSContext(identity: bob, configuration: configuration).makeServerSession()
        // Offers a share only for a group that we do not have.
        let priority =
            "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X448:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE"
        let peer = try RawPeer(
            .client,
            certificates: [certificate.der()],
            key: certificate.key,
            priority: priority,
            flags: GNUTLS_KEY_SHARE_TOP.rawValue
        )
        let outcome = meet(session, peer)
        #expect(outcome.ours.result == 0 && outcome.verifiedPeer?.peerID == alice.peerID)
    }

    @Test func peerThatDoesNotHoldTheCertificatesKeyIsNeverVerified() throws {
        // Mallory presents Alice's certificate, but can sign only with a key of her own.
        let certificate = try TestCertificate(alice, key: TestKey())
        let mallory = try TestKey()
        let session = try TLSContext(identity: bob, configuration: configuration).makeServerSession()
        let outcome = meet(
            session,
            try RawPeer(.client, certificates: [certificate.der()], key: mallory)
        )
        #expect(outcome.ours.result != 0 && outcome.verifiedPeer == nil)
        #expect(session.recordFailure(gnutlsResult: outcome.ours.result).code == .handshakeFailed)
    }

    @Test func sessionThatFailedVerifiesNobodyAfterwards() throws {
        let session = try TLSContext(identity: bob).makeServerSession()
        session.recordFailure(sentAlert: 80)
        let client = try TLSContext(identity: alice).makeClientSession(expecting: nil)
        let ends = handshake(client, session)
        #expect(ends.server.result != 0 && session.verifiedPeer == nil)
    }

    @Test func firstFailureStays() throws {
        let session = try TLSContext(identity: bob).makeServerSession()
        #expect(session.recordFailure(sentAlert: 116).code == .noCertificate)
        #expect(session.recordFailure(receivedAlert: 42).code == .noCertificate)
        #expect(session.failure?.alert == 116)
    }

    @Test func receivedAlertsSayWhatToDo() {
        for alert in UInt8.min...UInt8.max {
            let error = TLSError(receivedAlert: alert)
            #expect(error.code == .refusedByPeer && error.alert == alert && error.message.contains("\(alert)"))
        }
    }
}
