internal import CGnuTLS
internal import Synchronization

/// A key that seals the tickets of a server, and the handshakes whose early data was let in under it.
///
/// Why `@unchecked Sendable` is true: nothing is written between `init` and `deinit` but what is behind the lock. GnuTLS writes
/// to the C object only when a session's ClientHello arrives later than the object's window, 49 days, after it was made;
/// sessions get a key that is not older than ``SessionTickets/keyLifetime``.
final class TicketKey: @unchecked Sendable {
    /// The most handshakes with early data under one key, at 16 bytes and some each: the next ones have theirs refused.
    static let limit = 1 << 16

    /// What `gnutls_session_ticket_enable_server` takes.
    private(set) var bytes: [UInt8]
    /// When it was made, in seconds since 1970.
    let made: Int64
    /// For `gnutls_anti_replay_enable`; `nil` where there is no early data. Valid while this object lives.
    let antiReplay: gnutls_anti_replay_t?
    private let limit: Int
    /// The handshakes that are noted; `nil` once none are let in any more.
    private let seen = Mutex<Set<Mark>?>([])

    /// The end of a ClientHello's binder (RFC 8446 §4.2.11.2), a MAC over all of it.
    private struct Mark: Hashable {
        var high: UInt64
        var low: UInt64
    }

    /// Makes a key.
    ///
    /// - Parameters:
    ///   - earlyData: Whether early data may be let in under it.
    ///   - now: The time in seconds since 1970.
    ///   - limit: How often, at most.
    init(earlyData: Bool, at now: Int64, limit: Int = TicketKey.limit) throws(TLSError) {
        var generated = gnutls_datum_t()
        try check(gnutls_session_ticket_key_generate(&generated), "Making a key for session tickets")
        bytes = takeDatum(generated)
        made = now
        self.limit = limit
        var antiReplay: gnutls_anti_replay_t?
        if earlyData { try check(gnutls_anti_replay_init(&antiReplay), "Making a guard against replays") }
        self.antiReplay = antiReplay
        guard let antiReplay else { return }
        // GnuTLS's own window would have to be short, for it forgets what it saw before, and every ticket older than its
        // beginning with it. Here nothing is forgotten as long as the key is known, so that no window is needed.
        gnutls_anti_replay_set_window(antiReplay, .max)
        // Unretained: sessions keep this object for as long as they can call it.
        gnutls_anti_replay_set_ptr(antiReplay, Unmanaged.passUnretained(self).toOpaque())
        gnutls_anti_replay_set_add_function(antiReplay) { pointer, _, key, _ in
            guard let pointer, let key else { return GNUTLS_E_INTERNAL_ERROR }
            let owner = Unmanaged<TicketKey>.fromOpaque(pointer).takeUnretainedValue()
            return owner.isNew(copyDatum(key.pointee)) ? 0 : GNUTLS_E_DB_ENTRY_EXISTS
        }
    }

    deinit {
        if let antiReplay { gnutls_anti_replay_deinit(antiReplay) }
        for index in bytes.indices { bytes[index] = 0 }
    }

    /// Notes a handshake with early data.
    ///
    /// - Parameter name: GnuTLS's name for it, which ends in the binder.
    /// - Returns: Whether it is the first of its name, and there was room to note it; none is once the key is retired.
    func isNew(_ name: [UInt8]) -> Bool {
        func word(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        let mark = Mark(high: word(name.suffix(16).prefix(8)), low: word(name.suffix(8)))
        return seen.withLock { seen in
            guard let count = seen?.count, count < limit else { return false }
            return seen?.insert(mark).inserted ?? false
        }
    }

    /// Lets in no more early data, and forgets what was let in: another key has taken the place of this one.
    func retire() {
        seen.withLock { $0 = nil }
    }

    /// How many handshakes are noted.
    var count: Int { seen.withLock { $0?.count ?? 0 } }

    /// The key of the tickets that are good for one purpose only: whoever is asked with another one does not know them.
    func bytes(boundTo purpose: [UInt8]) throws(TLSError) -> [UInt8] {
        guard !purpose.isEmpty else { return bytes }
        // As long as the key is: both have 64 bytes.
        var derived = [UInt8](repeating: 0, count: Int(gnutls_hmac_get_len(GNUTLS_MAC_SHA512)))
        try check(
            gnutls_hmac_fast(GNUTLS_MAC_SHA512, bytes, bytes.count, purpose, purpose.count, &derived),
            "Deriving a key for session tickets"
        )
        return derived
    }
}
