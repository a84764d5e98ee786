import FuzzSupport
import PeerID

@testable import Libp2pTLS

/// 2026-06-01T00:00:00Z, in the validity of the certificates in the corpus.
private let now: Int64 = 1_780_272_000

/// What a peer presents as its certificate.
@Sendable func fuzzCertificate(_ input: [UInt8]) {
    if let peer = try? CertificateVerifier.verify(certificateDER: input, at: now) {
        promise(peer.peerID == peer.publicKey.peerID && peer.certificateDER == input, "a peer is who it proved to be")
    }
    if let information = try? CertificateInformation(certificateDER: input, at: now) { _ = information.description }
}

/// The TLS message around the certificate.
@Sendable func fuzzCertificateMessage(_ input: [UInt8]) {
    guard let chain = try? CertificateMessage(input).chain else { return }
    promise(chain.reduce(0) { $0 + $1.count } <= input.count, "certificates are part of the message")
    _ = try? CertificateVerifier.verify(certificateChain: chain, at: now)
}

/// The extension's value, alone: strict DER has one form.
@Sendable func fuzzExtension(_ input: [UInt8]) {
    guard let signedKey = try? SignedKeyExtension(der: input) else { return }
    promise(signedKey.der == input, "DER has one form")
    _ = try? PublicKey(protobuf: signedKey.publicKey)
}
