import PeerID

/// Peers in the order in which they were last touched, so that the oldest is found without a search.
///
/// A peer that is touched again stands here twice; whoever takes the oldest says which words still hold.
struct TouchOrder: Sendable {
    private var words: [(peer: PeerID, touched: UInt64)] = []
    private var first = 0

    /// How many words there are, those that do not hold any more included.
    var count: Int { words.count - first }

    mutating func append(_ peer: PeerID, _ touched: UInt64) {
        words.append((peer, touched))
    }

    /// Takes out the oldest peer whose word holds, and every older word.
    mutating func removeOldest(where holds: (PeerID, UInt64) -> Bool) -> PeerID? {
        defer {
            // What was taken out is let go when it is the larger part: moving the rest is paid for by that.
            if first > 64, 2 * first > words.count {
                words.removeFirst(first)
                first = 0
            }
        }
        while first < words.count {
            let word = words[first]
            first += 1
            if holds(word.peer, word.touched) { return word.peer }
        }
        return nil
    }

    /// Forgets the words that do not hold any more.
    mutating func removeAll(unless holds: (PeerID, UInt64) -> Bool) {
        words = words[first...].filter { holds($0.peer, $0.touched) }
        first = 0
    }
}
