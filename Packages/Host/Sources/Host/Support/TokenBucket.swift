/// Allows so many at once, and one more after each period.
struct TokenBucket: Sendable {
    private let capacity: Int
    private let refill: Duration
    private var tokens: Int
    /// When the last token was put back, or would have been.
    private var filled: ClockMoment?

    init(capacity: Int, refill: Duration) {
        self.capacity = capacity
        self.refill = refill
        tokens = capacity
    }

    /// Takes a token if there is one.
    mutating func take(at moment: ClockMoment) -> Bool {
        if let last = filled {
            let periods = Int(clamping: Int64((last.elapsed() / refill).rounded(.down)))
            if periods > 0 {
                tokens = min(capacity, tokens + periods)
                // A part of a period is lost at most; that is on the safe side.
                filled = moment
            }
        } else {
            filled = moment
        }
        guard tokens > 0 else { return false }
        tokens -= 1
        return true
    }
}
