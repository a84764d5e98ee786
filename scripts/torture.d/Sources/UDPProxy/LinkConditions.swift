/// What one direction of the proxy's link does to datagrams. Probabilities are 0 to 1.
public struct LinkConditions: Sendable, Hashable {
    /// How long a datagram is on its way.
    public var delay: Duration
    /// What is added to the delay at most, evenly spread; it can change the order.
    public var jitter: Duration = .zero
    /// The share of datagrams that are lost.
    public var loss = 0.0
    /// The share of datagrams in which one to three bytes change.
    public var corruption = 0.0
    /// The share of datagrams that arrive twice.
    public var duplication = 0.0
    /// The share of datagrams that are held back by ``reorderingDelay``, so that later ones overtake them.
    public var reordering = 0.0
    /// How long such a datagram is held back.
    public var reorderingDelay: Duration = .milliseconds(10)
    /// The share of datagrams whose sender takes marks (ECT, RFC 3168) and that are marked for congestion instead of lost.
    public var congestionMarking = 0.0
    /// Bits per second, UDP and IP headers included; `nil` for no limit.
    public var bitsPerSecond: Double?
    /// The most bytes that wait for their turn when there is a rate; what comes on top is dropped.
    public var queueBytes = 128 << 10
    /// The largest UDP payload that passes, in bytes; larger datagrams vanish without a word.
    public var maximumPayload = 65_527
    /// Nothing passes at these times.
    public var blackhole: Blackhole?

    /// A link that is dead at regular times.
    public struct Blackhole: Sendable, Hashable {
        /// When it begins for the first time, after the proxy's start.
        public var start: Duration
        /// From one beginning to the next.
        public var period: Duration
        /// How long nothing passes.
        public var length: Duration

        /// Makes a link that is dead at regular times.
        public init(start: Duration, period: Duration, length: Duration) {
            self.start = start
            self.period = period
            self.length = length
        }

        /// Whether nothing passes so long after the proxy's start.
        func swallows(at elapsed: Int64) -> Bool {
            let since = elapsed - start.nanosecondCount
            return since >= 0 && since % max(1, period.nanosecondCount) < length.nanosecondCount
        }
    }

    /// A link that does no harm but to take its time.
    ///
    /// - Parameters:
    ///   - delay: How long a datagram is on its way.
    ///   - bitsPerSecond: The rate; `nil` for no limit.
    public init(delay: Duration = .zero, bitsPerSecond: Double? = nil) {
        self.delay = delay
        self.bitsPerSecond = bitsPerSecond
    }

    /// UDP and IPv4 headers, which count against the rate as they do on a real link.
    static let headerBytes = 28
}

extension Duration {
    /// Whole nanoseconds.
    var nanosecondCount: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
