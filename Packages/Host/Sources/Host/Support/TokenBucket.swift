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

    /// Whether nothing is missing, so that a new one would be the same.
    var isFull: Bool { tokens + periods >= capacity }

    /// How many periods are over that have not put a token back yet.
    private var periods: Int {
        guard let filled else { return 0 }
        return Int(clamping: Int64((filled.elapsed() / refill).rounded(.down)))
    }

    /// Takes a token if there is one.
    mutating func take(at moment: ClockMoment) -> Bool {
        if filled != nil {
            let periods = periods
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
