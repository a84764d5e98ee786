internal import PeerID
internal import Synchronization

/// Certificates that were verified not long ago, so that one that comes again costs a look into a table and not two
/// signatures: peers that connect again, and many connections between the same two hosts.
///
/// Nothing is taken on trust: a certificate is known only by all of its bytes, and everything about it that does not follow
/// from these alone (the time, who was expected, which keys are allowed) is judged anew each time. That the peer holds the
/// certificate's key is proved in each handshake, as ever.
final class VerifiedCertificates: Sendable {
    struct Entry: Sendable {
        let peer: VerifiedPeer
        let validity: CertificateVerifier.Validity
    }

    /// The most certificates of a generation. There are two: whoever wants to drive out others has to have twice as many
    /// certificates signed and verified.
    static let generationSize = 256
    /// Longer certificates than honest ones with small keys are not kept, in bytes.
    static let longest = 2048

    private struct State {
        var recent: [[UInt8]: Entry] = [:]
        var earlier: [[UInt8]: Entry] = [:]

        mutating func insert(_ entry: Entry, for certificate: [UInt8]) {
            if recent.count >= VerifiedCertificates.generationSize {
                earlier = recent
                recent = [:]
            }
            recent[certificate] = entry
        }
    }

    private let state = Mutex(State())

    /// What a certificate was found to be.
    func entry(for certificate: [UInt8]) -> Entry? {
        guard certificate.count <= Self.longest else { return nil }
        return state.withLock { state in
            if let entry = state.recent[certificate] { return entry }
            guard let entry = state.earlier[certificate] else { return nil }
            // Still in use.
            state.insert(entry, for: certificate)
            return entry
        }
    }

    /// Remembers a certificate that has passed every check.
    func store(_ entry: Entry) {
        let certificate = entry.peer.certificateDER
        guard certificate.count <= Self.longest else { return }
        state.withLock { $0.insert(entry, for: certificate) }
    }

    /// How many certificates are known.
    var count: Int { state.withLock { Set($0.recent.keys).union($0.earlier.keys).count } }
}
