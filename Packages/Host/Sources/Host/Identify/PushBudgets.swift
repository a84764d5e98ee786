import PeerID

/// How many identify pushes each peer may still send: 10 at once, one every 5 s in the long run, as go-libp2p has it. A part
/// of locked state.
///
/// They count for the peer, whatever number of connections it has, and also after it has hung up and called again.
struct PushBudgets: Sendable {
    /// Most peers that are remembered.
    static let limit = 4096

    private var buckets: [PeerID: TokenBucket] = [:]

    /// How many peers are remembered.
    var count: Int { buckets.count }

    /// Whether one more push of a peer is within its budget.
    mutating func take(by peer: PeerID, at moment: ClockMoment) -> Bool {
        if buckets[peer] == nil, buckets.count >= Self.limit { forget() }
        return buckets[peer, default: TokenBucket(capacity: 10, refill: .seconds(5))].take(at: moment)
    }

    /// Forgets the peers that have used up nothing. Where that is hardly anybody, half of all: so many identities cost
    /// their maker more than the pushes do, and making room must not take a look at all of them each time.
    private mutating func forget() {
        buckets = buckets.filter { !$0.value.isFull }
        guard buckets.count > Self.limit / 2 else { return }
        buckets = Dictionary(uniqueKeysWithValues: buckets.prefix(Self.limit / 2).map { ($0.key, $0.value) })
    }
}
