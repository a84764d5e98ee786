import Multiaddr

/// The addresses known of one peer, without `/p2p`, by who vouches for them. A part of locked state.
///
/// Together there are at most ``limit``. Where that is not enough, those go first that only the peer itself tells, then
/// those where it was met, the oldest of each kind first: whatever a peer says of itself takes no place from what the
/// program knows.
struct PeerAddresses: Sendable {
    /// Most addresses of a peer, of all kinds together.
    static let limit = 64

    /// Those that the program gave to the store.
    private(set) var added: [Multiaddr] = []
    /// Those that a caller named in a dial, or that the peer has answered at.
    private var met: [Multiaddr] = []
    /// Those that the peer tells.
    private var told: [Multiaddr] = []

    /// All of them: those of the program last, and of each kind the newest last; of what the peer tells at once, the first.
    var all: [Multiaddr] { told + met + added }

    /// Those for which somebody else than the peer itself vouches.
    var vouched: [Multiaddr] { met + added }

    var isEmpty: Bool { told.isEmpty && met.isEmpty && added.isEmpty }

    /// Roughly the memory they take, in bytes.
    var size: Int {
        [told, met, added].reduce(0) { sum, kind in kind.reduce(sum) { $0 + $1.bytes.count + 64 } }
    }

    mutating func add(_ addresses: [Multiaddr]) {
        for address in addresses {
            remove(address)
            added.append(address)
        }
        cut()
    }

    mutating func meet(_ addresses: [Multiaddr]) {
        for address in addresses where !added.contains(address) {
            remove(address)
            met.append(address)
        }
        cut()
    }

    /// Of too many the first count: a peer names them in its own order.
    mutating func tell(_ addresses: [Multiaddr]) {
        takeTold(addresses.prefix(Self.limit).reversed())
    }

    /// Takes in what an earlier run of the program knew, as older than everything of this run. Who vouched for those that
    /// the program did not add is not known any more.
    mutating func restore(added former: [Multiaddr], others: [Multiaddr]) {
        let (newerAdded, newerMet, newerTold) = (added, met, told)
        (added, met, told) = ([], [], [])
        takeTold(others)
        takeTold(newerTold)
        meet(newerMet)
        add(former)
        add(newerAdded)
    }

    /// - Parameter addresses: The best of them last.
    private mutating func takeTold(_ addresses: [Multiaddr]) {
        for address in addresses where !added.contains(address) && !met.contains(address) {
            remove(address)
            told.append(address)
        }
        cut()
    }

    private mutating func remove(_ address: Multiaddr) {
        told.removeAll { $0 == address }
        met.removeAll { $0 == address }
        added.removeAll { $0 == address }
    }

    private mutating func cut() {
        added = added.suffix(Self.limit)
        met = met.suffix(Self.limit - added.count)
        told = told.suffix(Self.limit - added.count - met.count)
    }
}
