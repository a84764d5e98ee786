/// Keys, such as peers, in the order in which they were last touched, so that the oldest is found without a search.
///
/// A key that is touched again stands here twice; whoever takes the oldest says which words still hold.
struct TouchOrder<Key: Sendable>: Sendable {
    private var words: [(key: Key, touched: UInt64)] = []
    private var first = 0

    /// How many words there are, those that do not hold any more included.
    var count: Int { words.count - first }

    mutating func append(_ key: Key, _ touched: UInt64) {
        words.append((key, touched))
    }

    /// Takes out the oldest key whose word holds, and every older word.
    mutating func removeOldest(where holds: (Key, UInt64) -> Bool) -> Key? {
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
            if holds(word.key, word.touched) { return word.key }
        }
        return nil
    }

    /// Forgets the words that do not hold any more.
    mutating func removeAll(unless holds: (Key, UInt64) -> Bool) {
        words = words[first...].filter { holds($0.key, $0.touched) }
        first = 0
    }
}
