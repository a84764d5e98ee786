/// What one direction of a node's link to the network does to datagrams. Probabilities are 0 to 1, times virtual.
public struct LinkConditions: Sendable, Hashable {
    /// How long a datagram is on its way.
    public var latency: Duration = .milliseconds(1)
    /// What is added to the latency at most, evenly spread; it can change the order.
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
    public var reorderingDelay: Duration = .milliseconds(5)
    /// The largest UDP payload that passes, in bytes; larger datagrams vanish without a word.
    public var maximumPayload = 65_527
    /// Bits per second; `nil` for no limit.
    public var bitsPerSecond: Double?
    /// The most bytes that wait for their turn when there is a rate; what comes on top is dropped.
    public var queueBytes = 64 << 10
    /// The share of datagrams with an ECN-capable mark (ECT) that are marked "congestion experienced" (CE).
    public var congestionMarking = 0.0
    /// Whether the link clears the ECN bits, as some networks do.
    public var clearsECN = false
    /// Nothing passes in the first ``Blackhole/length`` of every ``Blackhole/period``, from ``Blackhole/start`` on.
    public var blackhole: Blackhole?

    /// A link that is dead at regular times.
    public struct Blackhole: Sendable, Hashable {
        /// When it begins for the first time, counted from the beginning of the simulation.
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

        func swallows(at elapsed: UInt64) -> Bool {
            guard elapsed >= start.nanosecondCount else { return false }
            return (elapsed - start.nanosecondCount) % max(1, period.nanosecondCount) < length.nanosecondCount
        }
    }

    /// A link with 1 ms of latency that does no harm.
    public init() {}

    /// UDP and IPv4 headers, which count against the rate as they do on a real link.
    static let headerBytes = 28
}

extension Duration {
    /// Whole nanoseconds; 0 for a negative duration.
    var nanosecondCount: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }

    /// Seconds as a floating-point number.
    var secondCount: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
