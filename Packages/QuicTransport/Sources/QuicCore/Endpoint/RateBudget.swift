/// How often something may happen: so many times a second in the long run, and so many at once.
struct RateBudget {
    /// The answers to datagrams that belong to no connection: a sender of junk cannot make this side send as much.
    static let replies = RateBudget(perSecond: 500, burst: 500)

    private let interval: UInt64
    private let burst: UInt64
    private var left: UInt64
    private var refilled: UInt64 = 0

    /// Makes a full budget. Both numbers are above zero; more than 10⁹ a second counts as that.
    init(perSecond: Int, burst: Int) {
        interval = max(1, 1_000_000_000 / UInt64(max(1, perSecond)))
        self.burst = UInt64(max(1, burst))
        left = self.burst
    }

    /// Takes one out of the budget, if there is one left. A time before an earlier one counts as that earlier one.
    mutating func take(now: UInt64) -> Bool {
        if now > refilled {
            let fresh = (now - refilled) / interval
            if fresh >= burst - left {
                left = burst
                refilled = now
            } else {
                left += fresh
                // The rest of the time counts towards the next one.
                refilled += fresh * interval
            }
        }
        guard left > 0 else { return false }
        left -= 1
        return true
    }
}
