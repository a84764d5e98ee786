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

    /// A session that a client may resume.
    struct Remembered: Sendable, Equatable {
        /// GnuTLS's form of it.
        var session: [UInt8]
        /// What has to be known to send early data in it; `nil` where the server takes none.
        var early: EarlyTerms?
    }

    /// What a client knows of a server before the next handshake, under which it sends early data.
    struct EarlyTerms: Sendable, Equatable {
        /// Until when the ticket is good, in seconds since 1970, and since when.
        var validity: Range<Int64>
        /// The server's certificate, in DER.
        var certificateDER: [UInt8]
        /// The application protocol, which has to be the same again (RFC 8446 §4.2.10).
        var alpn: String
        /// What the layer above has to know: QUIC's transport parameters.
        var context: [UInt8]
    }

    private struct Entry {
        var remembered: Remembered
        var age: UInt64
    }

    private struct State {
        var entries: [PeerID: Entry] = [:]
        var nextAge: UInt64 = 0
        var key: TicketKey?
    }

    /// How long a key seals tickets, in seconds. GnuTLS derives keys from it, but all from this one: whoever has it opens
    /// every ticket of its time.
    static let keyLifetime: Int64 = 6 * 3600

    /// How far the clock may be behind a key's beginning, in seconds: a handshake that looked at it a moment earlier, or a clock
    /// that was set back a little, is no reason to retire the key that all others use.
    static let clockSlack: Int64 = 60

    private let earlyData: Bool
    private let state = Mutex(State())

    /// - Parameter earlyData: Whether the tickets may bring early data.
    init(earlyData: Bool = false) {
        self.earlyData = earlyData
    }

    /// The key that seals what a server gives to its clients: a new one when the last has had its time, and none outlives
    /// the context. Tickets of an earlier key are not known any more, and lead to full handshakes.
    ///
    /// - Parameter now: The time in seconds since 1970.
    func key(at now: Int64) throws(TLSError) -> TicketKey {
        func current(_ state: State) -> TicketKey? {
            guard let key = state.key, now >= key.made - Self.clockSlack,
                now - key.made < Self.keyLifetime
            else { return nil }
            return key
        }
        if let key = state.withLock({ current($0) }) { return key }
        let made = try TicketKey(earlyData: earlyData, at: now)
        let (key, last) = state.withLock { state -> (TicketKey, TicketKey?) in
            // Another thread may have been here meanwhile: there is one key at a time.
            if let key = current(state) { return (key, nil) }
            defer { state.key = made }
            return (made, state.key)
        }
        // A handshake that goes on under it must not keep what it has noted.
        last?.retire()
        return key
    }

    /// Remembers a session with a verified peer.
    func store(_ remembered: Remembered, of peer: PeerID) {
        guard (1...Self.maximumSize).contains(remembered.session.count) else { return }
        state.withLock { state in
            if state.entries[peer] == nil, state.entries.count >= Self.limit,
                let oldest = state.entries.min(by: { $0.value.age < $1.value.age })?.key
            {
                state.entries[oldest] = nil
            }
            state.nextAge += 1
            state.entries[peer] = Entry(remembered: remembered, age: state.nextAge)
        }
    }

    /// Takes the session with a peer, if there is one.
    func take(for peer: PeerID) -> Remembered? {
        state.withLock { $0.entries.removeValue(forKey: peer)?.remembered }
    }

    /// How many sessions are remembered.
    var count: Int { state.withLock { $0.entries.count } }
}
