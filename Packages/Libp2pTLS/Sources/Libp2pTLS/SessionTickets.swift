internal import CGnuTLS
internal import PeerID
internal import Synchronization

/// What resumption needs beyond one session: the key that seals the tickets of a server, and the sessions that a client may
/// resume, the latest of each peer.
///
/// Each session is used once, so that connections cannot be linked by it (RFC 8446 §C.4).
final class SessionTickets: Sendable {
    /// The most peers remembered; the one that has been there for longest makes room.
    static let limit = 256
    /// The largest session kept: two certificates and some keys fit well.
    static let maximumSize = 16 << 10

    private struct Entry {
        var session: [UInt8]
        var age: UInt64
    }

    private struct State {
        var entries: [PeerID: Entry] = [:]
        var nextAge: UInt64 = 0
    }

    /// Seals what a server gives to its clients. It lives as long as the context: tickets of an earlier one are not known.
    /// GnuTLS derives keys for some hours each from it.
    let key: [UInt8]
    private let state = Mutex(State())

    init() throws(TLSError) {
        var made = gnutls_datum_t()
        try check(gnutls_session_ticket_key_generate(&made), "Making a key for session tickets")
        key = takeDatum(made)
    }

    /// Remembers a session with a verified peer.
    func store(_ session: [UInt8], of peer: PeerID) {
        guard (1...Self.maximumSize).contains(session.count) else { return }
        state.withLock { state in
            if state.entries[peer] == nil, state.entries.count >= Self.limit,
                let oldest = state.entries.min(by: { $0.value.age < $1.value.age })?.key
            {
                state.entries[oldest] = nil
            }
            state.nextAge += 1
            state.entries[peer] = Entry(session: session, age: state.nextAge)
        }
    }

    /// Takes the session with a peer, if there is one.
    func take(for peer: PeerID) -> [UInt8]? {
        state.withLock { $0.entries.removeValue(forKey: peer)?.session }
    }

    /// How many sessions are remembered.
    var count: Int { state.withLock { $0.entries.count } }
}
