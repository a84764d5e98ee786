import Multiaddr
import PeerID

/// The addresses that are still to be dialled, and how long each lets the one before it go ahead.
struct DialQueue {
    private struct Item {
        var address: Multiaddr
        /// The head start of the one before it.
        var pause: Duration
    }

    private var items: ArraySlice<Item>
    /// All that ever were in it, without `/p2p`: nothing is dialled twice.
    private var known: Set<Multiaddr>

    init(_ entries: [AddressRanking.Entry]) {
        items = []
        known = []
        insert(entries)
    }

    /// How long the next one waits, counted from the last one that was taken; `nil` when there is none.
    var pause: Duration? { items.first?.pause }

    /// Takes the next one.
    mutating func next() -> Multiaddr? { items.popFirst()?.address }

    /// Puts addresses before all others. The first of them does not wait.
    mutating func insert(_ entries: [AddressRanking.Entry]) {
        let new = entries.filter { known.insert($0.address.withoutPeerID).inserted }
        var before = new.first?.delay ?? .zero
        var front: [Item] = []
        for entry in new {
            front.append(Item(address: entry.address, pause: entry.delay - before))
            before = entry.delay
        }
        items = front + items
    }
}
