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
        var key: [UInt8] = []
        /// When the key was made, in seconds since 1970.
        var keyMade: Int64 = 0
    }

    /// How long a key seals tickets, in seconds. GnuTLS derives keys from it, but all from this one: whoever has it opens
    /// every ticket of its time.
    static let keyLifetime: Int64 = 6 * 3600

    private let state = Mutex(State())

    /// The key that seals what a server gives to its clients: a new one when the last has had its time, and none outlives
    /// the context. Tickets of an earlier key are not known any more, and lead to full handshakes.
    ///
    /// - Parameter now: The time in seconds since 1970.
    func key(at now: Int64) throws(TLSError) -> [UInt8] {
        let current = state.withLock { state in
            let isFresh = now >= state.keyMade && now - state.keyMade < Self.keyLifetime
            return isFresh && !state.key.isEmpty ? state.key : nil
        }
        if let current { return current }
        var made = gnutls_datum_t()
        try check(gnutls_session_ticket_key_generate(&made), "Making a key for session tickets")
        let key = takeDatum(made)
        state.withLock { state in
            for index in state.key.indices { state.key[index] = 0 }
            (state.key, state.keyMade) = (key, now)
        }
        return key
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
