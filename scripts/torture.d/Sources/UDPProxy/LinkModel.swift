public import NIOCore

/// What became of the datagrams of one direction.
public struct LinkStatistics: Sendable, Hashable {
    /// Datagrams that came.
    public internal(set) var received = 0
    /// Datagrams that were passed on, copies included.
    public internal(set) var forwarded = 0
    /// Bytes of UDP payload that were passed on.
    public internal(set) var bytes = 0
    /// Lost by chance.
    public internal(set) var lost = 0
    /// Lost in a blackhole.
    public internal(set) var swallowed = 0
    /// Dropped by a full queue.
    public internal(set) var overflowed = 0
    /// Dropped because the path carries no datagram of that size.
    public internal(set) var tooLarge = 0
    /// Passed on with changed bytes.
    public internal(set) var corrupted = 0
    /// Passed on twice.
    public internal(set) var duplicated = 0
    /// Held back so that others overtake them.
    public internal(set) var reordered = 0
    /// Came with the sender's word that it takes marks of congestion (ECT).
    public internal(set) var markable = 0
    /// Marked for congestion (CE).
    public internal(set) var marked = 0
}

/// One direction of a link, without sockets or clock: says for each datagram when it arrives, if at all.
///
/// Every accident follows from the seed and the order of the datagrams. The simulation of QuicTransport has a model of
/// its own; it cannot be used beside real connections, because it takes over the randomness of the TLS library.
public struct LinkModel: Sendable {
    /// What the link does; may change at any time.
    public var conditions: LinkConditions
    /// What became of the datagrams so far.
    public private(set) var statistics = LinkStatistics()
    private var generator: SeededGenerator
    private var busyUntil: Int64 = 0

    /// A link whose accidents follow from a seed.
    public init(_ conditions: LinkConditions, seed: UInt64) {
        self.conditions = conditions
        generator = SeededGenerator(seed: seed)
    }

    /// A datagram enters the link.
    ///
    /// - Parameters:
    ///   - payload: Its UDP payload, which may change.
    ///   - ecn: Its ECN bits, which may change.
    ///   - now: Nanoseconds since the link's beginning.
    /// - Returns: When it leaves the link, in the same nanoseconds: never, once or twice.
    public mutating func pass(
        _ payload: inout [UInt8],
        ecn: inout NIOExplicitCongestionNotificationState,
        now: Int64
    ) -> [Int64] {
        statistics.received += 1
        if let hole = conditions.blackhole, hole.swallows(at: now) {
            statistics.swallowed += 1
            return []
        }
        if generator.chance(conditions.loss) {
            statistics.lost += 1
            return []
        }
        if payload.count > conditions.maximumPayload {
            statistics.tooLarge += 1
            return []
        }
        guard let departure = departure(of: payload.count, now: now) else {
            statistics.overflowed += 1
            return []
        }
        if generator.chance(conditions.corruption), !payload.isEmpty {
            statistics.corrupted += 1
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                payload[Int.random(in: 0..<payload.count, using: &generator)] ^= UInt8.random(
                    in: 1...255,
                    using: &generator
                )
            }
        }
        if ecn == .transportCapableFlag0 || ecn == .transportCapableFlag1 {
            statistics.markable += 1
            if generator.chance(conditions.congestionMarking) {
                statistics.marked += 1
                ecn = .congestionExperienced
            }
        }
        var arrivals = [departure + delay()]
        if generator.chance(conditions.reordering) {
            statistics.reordered += 1
            arrivals[0] += conditions.reorderingDelay.nanosecondCount
        }
        if generator.chance(conditions.duplication) {
            statistics.duplicated += 1
            arrivals.append(departure + delay())
        }
        statistics.forwarded += arrivals.count
        statistics.bytes += arrivals.count * payload.count
        return arrivals
    }

    /// A datagram of a sender that takes no marks of congestion enters the link.
    public mutating func pass(_ payload: inout [UInt8], now: Int64) -> [Int64] {
        var ecn = NIOExplicitCongestionNotificationState.transportNotCapable
        return pass(&payload, ecn: &ecn, now: now)
    }

    /// When a datagram that comes now has left the queue; `nil` if it finds no room.
    private mutating func departure(of payload: Int, now: Int64) -> Int64? {
        guard let rate = conditions.bitsPerSecond, rate > 0 else { return now }
        let start = max(busyUntil, now)
        guard Double(start - now) * rate / 8e9 <= Double(conditions.queueBytes) else { return nil }
        busyUntil = start + Int64(Double(payload + LinkConditions.headerBytes) * 8e9 / rate)
        return busyUntil
    }

    private mutating func delay() -> Int64 {
        let jitter = conditions.jitter.nanosecondCount
        let delay = conditions.delay.nanosecondCount
        return jitter > 0 ? delay + Int64.random(in: 0..<jitter, using: &generator) : delay
    }
}

/// A generator whose whole sequence follows from its seed (SplitMix64).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Starts a sequence.
    public init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        return word ^ word >> 31
    }

    /// Whether something of this probability (0 to 1) happens. Draws nothing for 0, so that a condition that is switched
    /// off does not change what the others draw.
    public mutating func chance(_ probability: Double) -> Bool {
        probability > 0 && Double(next() >> 11) * 0x1p-53 < probability
    }
}
