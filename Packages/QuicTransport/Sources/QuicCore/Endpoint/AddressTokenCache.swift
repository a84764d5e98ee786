internal import PeerID

/// The tokens that servers gave this side for the next connection to them (RFC 9000 §8.1.3), the latest of each server.
///
/// Each is used once, so that connections cannot be linked by it (RFC 9000 §9.5 and §8.1.3).
struct AddressTokenCache {
    /// The most servers remembered; the one that has been there for longest makes room.
    static let limit = 256
    /// The longest token kept: with it a usual TLS ClientHello still fits into the first datagram.
    static let maximumTokenLength = 512

    private struct Entry {
        var token: [UInt8]
        var peer: PeerID
        var age: UInt64
    }

    private var entries: [NetworkAddress: Entry] = [:]
    private var nextAge: UInt64 = 0

    var count: Int { entries.count }

    /// Remembers the token that a verified server sent.
    mutating func store(_ token: [UInt8], of peer: PeerID, at address: NetworkAddress) {
        guard (1...Self.maximumTokenLength).contains(token.count) else { return }
        if entries[address] == nil, entries.count >= Self.limit,
            let oldest = entries.min(by: { $0.value.age < $1.value.age })?.key
        {
            entries[oldest] = nil
        }
        nextAge += 1
        entries[address] = Entry(token: token, peer: peer, age: nextAge)
    }

    /// Takes the token for a server; empty if there is none, or if another peer gave it than the one that is expected.
    mutating func take(for address: NetworkAddress, expecting peer: PeerID?) -> [UInt8] {
        guard let entry = entries[address], peer == nil || peer == entry.peer else { return [] }
        entries[address] = nil
        return entry.token
    }
}
